"""The table of the central system's calls and their handlers (guide pages 9 and 10).
Those that FeatureSet `full` adds are in `full_core.py`.

A handler is `async def Action(station, payload) -> dict | Answer`. `payload` has passed the
schemas. The result is the answer's payload, or an `Answer` where something must be done after the
answer. A handler refuses a call by raising CallError.
"""

from firmware.ocpp import CallError, Unanswered
from firmware.ocpp.handlers import (
    core,
    smart_charging,
)
from firmware.ocpp.registration import REJECTED
from firmware.ocpp.schemas import NOT_SUPPORTED

HANDLERS = {
    "RemoteStartTransaction": core.RemoteStartTransaction,
    "RemoteStopTransaction": core.RemoteStopTransaction,
    "UnlockConnector": core.UnlockConnector,
    "Reset": core.Reset,
    "DataTransfer": core.DataTransfer,
    "GetConfiguration": core.GetConfiguration,
    "ChangeConfiguration": core.ChangeConfiguration,
    "SetChargingProfile": smart_charging.SetChargingProfile,
    "ClearChargingProfile": smart_charging.ClearChargingProfile,
    "GetCompositeSchedule": smart_charging.GetCompositeSchedule,
}


def _rare_handlers() -> dict:
    """The rest of the table: calls that many central systems never make. Their modules are
    imported when the first of them comes."""
    from firmware.ocpp.handlers import (  # rare
        firmware_management,
        reserve_now,
        trigger_message,
    )

    return {
        "TriggerMessage": trigger_message.TriggerMessage,
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
    if action not in NOT_SUPPORTED:
        return _rare_handlers()[action]
    if station.full:
        return station.full.handlers[action]
    raise CallError("NotSupported", action)
