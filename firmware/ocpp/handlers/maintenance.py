"""Reset, UnlockConnector and DataTransfer (OCPP 5.14, 5.18, 5.6)."""

from firmware.ocpp import Answer


async def Reset(station, payload):
    """The answer first; then the running transaction is stopped and delivered as far as it goes,
    and the station starts again."""
    return Answer({"status": "Accepted"}, lambda: station.reset(payload["type"] == "Hard"))


async def UnlockConnector(station, payload):
    """Answered once the lock has moved, or has failed to."""
    if payload["connectorId"] != 1 or not station.reference.socket:
        return {"status": "NotSupported"}  # errata 3.87
    if not await station.session.stop_transaction_and_wait("UnlockCommand"):
        return {"status": "UnlockFailed"}
    station.session.release_cable()
    return {"status": "Unlocked" if await station.evse.unlock() else "UnlockFailed"}


async def DataTransfer(station, payload):
    """No vendor's data is known (guide: "No specific data transfer")."""
    return {"status": "UnknownVendorId"}
