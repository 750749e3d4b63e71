"""The table of the central system's calls and their handlers (guide pages 9 and 10).
Those that FeatureSet `full` adds are in `full_core.py`.

A handler is `async def Action(station, payload) -> dict | Answer`. `payload` has passed the
schemas. The result is the answer's payload, or an `Answer` where something must be done after the
answer. A handler refuses a call by raising CallError.
"""

from firmware.ocpp import CallError, Unanswered
from firmware.ocpp.handlers import (
    core,
    firmware_management,
    reserve_now,
    smart_charging,
    trigger_message,
)
from firmware.ocpp.registration import REJECTED

HANDLERS = {
    "RemoteStartTransaction": core.RemoteStartTransaction,
    "RemoteStopTransaction": core.RemoteStopTransaction,
    "UnlockConnector": core.UnlockConnector,
    "Reset": core.Reset,
    "DataTransfer": core.DataTransfer,
    "TriggerMessage": trigger_message.TriggerMessage,
    "GetConfiguration": core.GetConfiguration,
    "ChangeConfiguration": core.ChangeConfiguration,
    "SetChargingProfile": smart_charging.SetChargingProfile,
    "ClearChargingProfile": smart_charging.ClearChargingProfile,
    "GetCompositeSchedule": smart_charging.GetCompositeSchedule,
    "ReserveNow": reserve_now.ReserveNow,
    "CancelReservation": reserve_now.CancelReservation,
    "GetDiagnostics": firmware_management.GetDiagnostics,
    "UpdateFirmware": firmware_management.UpdateFirmware,
}


async def handle(station, action: str, payload):
    """Handles a call of the central system, whose payload has passed the schemas: returns what its
    handler returns. Raises CallError for a refusal, Unanswered where there is to be no answer."""
    if station.registration.status == REJECTED:
        raise Unanswered  # OCPP 4.2
    if station.is_overloaded():
        raise CallError("GenericError", "too much at once")
    return await handler_of(station, action)(station, payload)


def handler_of(station, action: str):
    """The handler of an action that the schemas know. Raises CallError NotSupported for the four
    that the guide marks so; an unknown one has been refused before as NotImplemented."""
    if action in HANDLERS:
        return HANDLERS[action]
    if station.full:
        return station.full.handlers[action]
    raise CallError("NotSupported", action)
