"""ReserveNow and CancelReservation (OCPP 5.13, 5.1). The reservation itself is in
`charging/session.py`."""

from firmware.charging.session import Reservation


async def ReserveNow(station, payload):
    """Reserves the connector if it is free. Connector 0 stands for the station's only one."""
    reservation = Reservation(
        payload["connectorId"],
        payload["reservationId"],
        payload["expiryDate"],
        payload["idTag"],
        payload.get("parentIdTag", ""),
    )
    status = _status(station, reservation)
    if status == "Accepted":
        station.session.reserve(reservation)
    return {"status": status}


def _status(station, reservation: Reservation):
    """Whether the connector can be reserved, as ReserveNow.conf tells it."""
    session = station.session
    zero_is_one = station.config.on("ReserveConnectorZeroSupported")
    now = station.clock.epoch()
    if (
        reservation.connector_id > 1
        or (reservation.connector_id == 0 and not zero_is_one)
        or now is None
        or reservation.expiry <= now
        or not reservation.id_tag  # an empty idTag is nobody's
    ):
        return "Rejected"
    if station.evse.faults.active:
        return "Faulted"
    if not session.operative:
        return "Unavailable"
    if session.transaction or session.authorization or session.is_authorizing:
        return "Occupied"
    current = session.reservation
    replaces = current and current.reservation_id == reservation.reservation_id
    if not replaces and (current or station.evse.plugged):
        return "Occupied"
    return "Accepted"


async def CancelReservation(station, payload):
    """Accepted when this reservation holds."""
    session = station.session
    current = session.reservation
    if not current or current.reservation_id != payload["reservationId"]:
        return {"status": "Rejected"}
    session.end_reservation("was cancelled")
    return {"status": "Accepted"}
