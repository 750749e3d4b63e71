"""ReserveNow and CancelReservation (OCPP 5.13, 5.1)."""

from firmware.charging.reservation import Reservation


async def ReserveNow(station, payload):
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
    current = session.reservation
    if session.transaction or session.authorization or session.is_authorizing:
        return "Occupied"
    replaced = current and current.reservation_id == number
    if not replaced and (current or station.evse.plugged):
        return "Occupied"
    parent = payload.get("parentIdTag", "")
    session.reserve(Reservation(connector, number, expiry, tag, parent))
    return "Accepted"


async def CancelReservation(station, payload):
    """Accepted when it is there."""
    session = station.session
    current = session.reservation
    if not current or current.reservation_id != payload["reservationId"]:
        return {"status": "Rejected"}
    session.end_reservation("was cancelled")
    return {"status": "Accepted"}
