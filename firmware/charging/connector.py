"""The connector's status, derived from facts and never kept (OCPP 4.9, 7.7, errata 3.55, 3.64)."""

from firmware.base.runtime import const
from firmware.sensing.pilot import MIN_MA

# The contactor has 3 s from B to C, and so has a transaction to begin: the status stays so long.
_CLOSING_MS = const(3000)
UNPLUGGED = "EV side disconnected"  # the info (OCPP 4.9) of a transaction without its car


def status(evse, session, before: str, ms: int) -> str:
    """Of connector 1. `before` is the status until now, `ms` the station's time."""
    running = session.transaction
    if evse.faults.active:
        return "Faulted"
    if not session.operative:
        return "Unavailable"
    if not running:
        if session.authorization:
            return "Preparing"
        if session.reservation:
            return "Reserved"
        if evse.plugged:
            return "Finishing" if session.car_already_charged else "Preparing"
        return "Available"
    if not evse.plugged:
        ends = session.config.on("StopTransactionOnEVSideDisconnect")
        return "Finishing" if ends else "SuspendedEV"
    if (
        not evse.contactor
        and ms - running.started_ms < _CLOSING_MS
        and before in ("Preparing", "Finishing", "Reserved", "Available")
    ):
        return "Preparing"
    if not evse.enabled or evse.switching or evse.offered_ma < MIN_MA or evse.pilot in "DE":
        return "SuspendedEVSE"
    if evse.pilot == "B":
        return "SuspendedEV"
    if evse.contactor:
        return "Charging"
    closing = ms - evse.pilot_since < _CLOSING_MS
    return before if closing and before != "Charging" else "SuspendedEVSE"
