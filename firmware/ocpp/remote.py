"""RemoteStartTransaction and RemoteStopTransaction (OCPP 5.11, 5.12, errata 3.32, 3.33)."""


def RemoteStartTransaction(station, payload):
    """Accepted when a transaction could be attempted; Authorize comes first where
    AuthorizeRemoteTxRequests says so."""
    session = station.session
    tag = payload["idTag"]
    ready = (
        station.registration.status == "Accepted"
        and payload.get("connectorId", 1) == 1
        and session.may_start(tag)
    )
    profile = payload.get("chargingProfile")
    if ready and profile:
        from firmware.ocpp import smart_charging

        ready = smart_charging.install_for_start(station, profile)
    if not ready:
        return {"status": "Rejected"}
    if station.config.on("AuthorizeRemoteTxRequests"):
        return {"status": "Accepted"}, lambda: station.present(tag)
    return {"status": "Accepted"}, lambda: session.authorise(tag)


def RemoteStopTransaction(station, payload):
    """Accepted when the transaction runs here; an id that the central system gave, 0 and
    negative ones included."""
    running = station.session.transaction
    if (
        station.registration.status != "Accepted"
        or not running
        or running.transaction_id != payload["transactionId"]
    ):
        return {"status": "Rejected"}
    return {"status": "Accepted"}, lambda: station.session.stop("Remote")
