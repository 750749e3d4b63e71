"""Which module answers which call of the central system (guide pages 9 and 10). It is loaded for
the call and dropped after it, as this one is."""

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


def dispatch(station, action: str, payload: dict):
    """Calls the action's handler: (station, payload) -> answer, (answer, after) or a coroutine.

    Raises CallError NotSupported for the four that the guide marks so; an action that the
    schemas don't know has been refused before as NotImplemented.
    """
    at = TABLE.find("\n" + action + " ")
    if at < 0:
        raise CallError("NotSupported", action)
    module = TABLE[TABLE.find(" ", at) + 1 : TABLE.find("\n", at + 1)]
    try:
        return getattr(runtime.load(module), action)(station, payload)
    finally:
        runtime.drop(module, "firmware.ocpp.keys")
