"""RemoteStartTransaction and RemoteStopTransaction (OCPP 5.11, 5.12, errata 3.32, 3.33)."""

from firmware.ocpp import Answer
from firmware.ocpp.authorization import authorize
from firmware.ocpp.handlers.smart_charging import record_for_start


async def RemoteStartTransaction(station, payload):
    """Accepted when a transaction could be attempted; Authorize comes first where
    AuthorizeRemoteTxRequests says so, or where a reservation is for a parentIdTag."""
    session = station.session
    id_tag = payload["idTag"]
    admitted = session.reservation_admits(id_tag, None)
    if (
        not station.registration.is_accepted()
        or payload.get("connectorId", 1) != 1
        or not id_tag  # which is nobody
        or not session.can_start_transaction()
        or not (admitted or session.reservation.parent_id_tag)
        or station.is_busy()
    ):
        return {"status": "Rejected"}
    on_start = None
    if payload.get("chargingProfile"):
        record = record_for_start(station, payload["chargingProfile"])
        if not record:
            return {"status": "Rejected"}

        async def install_profile(transaction):
            await station.limit_controller.install_for_start(record, transaction)

        on_start = install_profile
    ask = station.config.on("AuthorizeRemoteTxRequests") or not admitted

    def start():
        if ask:
            station.spawn(authorize(station, id_tag, True, on_start))
        else:
            session.authorize(id_tag, None, on_start)

    return Answer({"status": "Accepted"}, start)


async def RemoteStopTransaction(station, payload):
    """Accepted when the transaction runs here; an id that the central system gave, 0 and
    negative ones included."""
    session = station.session
    transaction = session.transaction
    if (
        not station.registration.is_accepted()
        or not transaction
        or transaction.transaction_id != payload["transactionId"]
    ):
        return {"status": "Rejected"}
    return Answer({"status": "Accepted"}, lambda: session.stop_transaction("Remote"))
