"""RemoteStartTransaction and RemoteStopTransaction (OCPP 5.11, 5.12, errata 3.32, 3.33)."""

from firmware.ocpp import Answer
from firmware.ocpp.authorize import authorize
from firmware.ocpp.handlers.smart_charging import record_for_start


async def RemoteStartTransaction(station, payload):
    """Accepted when a transaction could be attempted; Authorize comes first where
    AuthorizeRemoteTxRequests says so, or where a reservation is for a parentIdTag."""
    session = station.session
    tag = payload["idTag"]
    admitted = session.reservation_admits(tag, None)
    if (
        station.registration.status != "Accepted"
        or payload.get("connectorId", 1) != 1
        or not tag  # which is nobody
        or not session.can_start_transaction()
        or not (admitted or session.reservation.parent_id_tag)
        or station.is_busy()
    ):
        return {"status": "Rejected"}
    on_start = None
    profile = payload.get("chargingProfile")
    if profile:
        record = record_for_start(station, profile)
        if not record:
            return {"status": "Rejected"}

        async def install_profile(transaction):
            await station.limit_controller.install_for_start(record, transaction)

        on_start = install_profile
    ask = station.config.on("AuthorizeRemoteTxRequests") or not admitted

    def start():
        if ask:
            station.spawn(authorize(station, tag, True, on_start))
        else:
            session.authorize(tag, None, on_start)

    return Answer({"status": "Accepted"}, start)


async def RemoteStopTransaction(station, payload):
    """Accepted when the transaction runs here; an id that the central system gave, 0 and
    negative ones included."""
    running = station.session.transaction
    if (
        station.registration.status != "Accepted"
        or not running
        or running.transaction_id != payload["transactionId"]
    ):
        return {"status": "Rejected"}
    return Answer({"status": "Accepted"}, lambda: station.session.stop_transaction("Remote"))
