"""Which module answers which call of the central system (guide pages 9 and 10)."""

import asyncio

from firmware.base import runtime
from firmware.ocpp import CallError

TABLE = """
RemoteStartTransaction firmware.ocpp.handlers.remote
RemoteStopTransaction firmware.ocpp.handlers.remote
UnlockConnector firmware.ocpp.handlers.maintenance
Reset firmware.ocpp.handlers.maintenance
DataTransfer firmware.ocpp.handlers.maintenance
TriggerMessage firmware.ocpp.handlers.trigger
GetConfiguration firmware.ocpp.handlers.configuration
ChangeConfiguration firmware.ocpp.handlers.configuration
SetChargingProfile firmware.ocpp.handlers.smart_charging
ClearChargingProfile firmware.ocpp.handlers.smart_charging
GetCompositeSchedule firmware.ocpp.handlers.composite_schedule
ReserveNow firmware.ocpp.handlers.reservation
CancelReservation firmware.ocpp.handlers.reservation
GetDiagnostics firmware.ocpp.handlers.diagnostics
UpdateFirmware firmware.ocpp.handlers.firmware_update
"""


async def handler(action: str) -> tuple:
    """(name of its module, which is to be dropped after use; the action's handler): a function
    (station, payload) -> answer, (answer, after) or a coroutine.

    Raises CallError NotSupported for the four that the guide marks so; an action that the
    schemas don't know has been refused before as NotImplemented.
    """
    at = TABLE.find("\n" + action + " ")
    if at < 0:
        raise CallError("NotSupported", action)
    module = TABLE[TABLE.find(" ", at) + 1 : TABLE.find("\n", at + 1)]
    await asyncio.sleep(0)  # loading holds the loop: one after the other
    return module, getattr(runtime.load(module), action)
