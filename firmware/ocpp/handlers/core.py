"""The Core profile: RemoteStartTransaction and RemoteStopTransaction (OCPP 5.11, 5.12, errata
3.32, 3.33), Reset, UnlockConnector and DataTransfer (OCPP 5.14, 5.18, 5.6), GetConfiguration and
ChangeConfiguration (OCPP 5.8, 5.3)."""

import asyncio

from firmware.ocpp import Answer, CallError, configuration, keys
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


_AT_ONCE = 16  # keys that are looked up before others have a turn


async def GetConfiguration(station, payload):
    """All keys, or those asked for, each once; unknown ones are named."""
    names = payload.get("key")
    if not names:
        readable = (key for key in keys.rows() if key.access != keys.SECRET)
        return {"configurationKey": _key_values(station, readable)}
    if len(names) > station.config.int("GetConfigurationMaxKeys"):
        raise CallError("OccurenceConstraintViolation", "key: at most GetConfigurationMaxKeys")
    found = []
    unknown = []
    told = set()
    for number, name in enumerate(names):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        key = keys.find(name)
        if not key or key.access == keys.SECRET:
            unknown.append(name)
        elif key.name not in told:
            told.add(key.name)
            found.append(key)
    answer = {"configurationKey": _key_values(station, found)}
    if unknown:
        answer["unknownKey"] = unknown
    return answer


def _key_values(station, found):
    """Generator: their KeyValues (OCPP 7.29), made as they are written."""
    for key in found:
        yield {
            "key": key.name,
            "readonly": keys.is_read_only(key, station.reference.socket),
            "value": station.config.get(key.name),
        }


async def ChangeConfiguration(station, payload):
    """What the new value does happens after the answer; only the data reset's work is done before
    it."""
    change = await configuration.change_key(station, payload["key"], payload["value"])
    answer = {"status": change.status}
    if change.status != "Accepted":
        return answer
    return Answer(answer, lambda: configuration.apply_change(station, change))
