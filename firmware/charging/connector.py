"""The connector's status, derived from facts and never kept (OCPP 4.9, 7.7, errata 3.55, 3.64)."""

from firmware.sensing.pilot import MIN_MA

# ChargePointStatus (OCPP 7.7)
AVAILABLE = "Available"
PREPARING = "Preparing"
CHARGING = "Charging"
SUSPENDED_EV = "SuspendedEV"
SUSPENDED_EVSE = "SuspendedEVSE"
FINISHING = "Finishing"
RESERVED = "Reserved"
UNAVAILABLE = "Unavailable"
FAULTED = "Faulted"

# The contactor has 3 s to close after the pilot's change from B to C, and a transaction has 3 s to
# begin. Until then the status stays as it was.
_CLOSING_MS = 3000
UNPLUGGED = "EV side disconnected"  # the info (OCPP 4.9) while a transaction runs without a car


def status(evse, session, before: str, ms: int) -> str:
    """The ChargePointStatus of connector 1. `evse` is an Evse, `session` a Session, `before` the
    status until now, `ms` the station's time."""
    running = session.transaction
    if evse.faults.active:
        return FAULTED
    if not session.operative:
        return UNAVAILABLE
    if not running:
        if session.authorization:
            return PREPARING
        if session.reservation:
            return RESERVED
        if evse.plugged:
            return FINISHING if session.car_already_charged else PREPARING
        return AVAILABLE
    if not evse.plugged:
        ends = session.config.on("StopTransactionOnEVSideDisconnect")
        return FINISHING if ends else SUSPENDED_EV
    if (
        not evse.contactor
        and ms - running.started_ms < _CLOSING_MS
        and before in (PREPARING, FINISHING, RESERVED, AVAILABLE)
    ):
        return PREPARING
    if not evse.enabled or evse.switching or evse.offered_ma < MIN_MA or evse.pilot in "DE":
        return SUSPENDED_EVSE
    if evse.pilot == "B":
        return SUSPENDED_EV
    if evse.contactor:
        return CHARGING
    closing = ms - evse.pilot_since < _CLOSING_MS
    return before if closing and before != CHARGING else SUSPENDED_EVSE
