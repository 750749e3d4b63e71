"""ReserveNow and CancelReservation (OCPP 5.13, 5.1)."""

from firmware.charging import reservation


def ReserveNow(station, payload):
    """Connector 0 reserves the station's one connector too."""
    return {"status": _reserve(station, payload)}


def _reserve(station, payload):
    session = station.session
    connector = payload["connectorId"]
    expiry = payload["expiryDate"]
    now = station.clock.epoch()
    zero = station.config.on("ReserveConnectorZeroSupported")
    tag = payload["idTag"]
    if connector > 1 or not (connector or zero) or now is None or expiry <= now or not tag:
        return "Rejected"
    if station.evse.faults.active:
        return "Faulted"
    if not session.operative:
        return "Unavailable"
    number = payload["reservationId"]
    held = session.reservation
    if session.transaction or session.authorised or session.asking:
        return "Occupied"
    if held[1] != number if held else station.evse.plugged:
        return "Occupied"
    parent = payload.get("parentIdTag", "")
    reservation.keep(session, [connector, number, expiry, tag, parent])
    return "Accepted"


def CancelReservation(station, payload):
    """Accepted when it is there."""
    session = station.session
    held = session.reservation
    if not held or held[1] != payload["reservationId"]:
        return {"status": "Rejected"}
    reservation.end(session, "was cancelled")
    return {"status": "Accepted"}
