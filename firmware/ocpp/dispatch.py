"""Which module answers which call of the central system (guide pages 9 and 10)."""

import asyncio

from firmware.base import runtime
from firmware.ocpp import CallError

TABLE = """
RemoteStartTransaction firmware.ocpp.remote
RemoteStopTransaction firmware.ocpp.remote
UnlockConnector firmware.ocpp.maintenance
Reset firmware.ocpp.maintenance
DataTransfer firmware.ocpp.maintenance
TriggerMessage firmware.ocpp.trigger
GetConfiguration firmware.ocpp.configuration
ChangeConfiguration firmware.ocpp.configuration
SetChargingProfile firmware.ocpp.smart_charging
ClearChargingProfile firmware.ocpp.smart_charging
GetCompositeSchedule firmware.ocpp.composite_schedule
ReserveNow firmware.ocpp.reservation
CancelReservation firmware.ocpp.reservation
GetDiagnostics firmware.ocpp.diagnostics
UpdateFirmware firmware.ocpp.update
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
