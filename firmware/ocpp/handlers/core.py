"""The Core profile: RemoteStartTransaction and RemoteStopTransaction (OCPP 5.11, 5.12, errata
3.32, 3.33), Reset, UnlockConnector and DataTransfer (OCPP 5.14, 5.18, 5.6), GetConfiguration and
ChangeConfiguration (OCPP 5.8, 5.3)."""

import asyncio

from firmware.base.runtime import const
from firmware.ocpp import Answer, CallError, configuration, keys
from firmware.ocpp.authorization import authorize
from firmware.ocpp.handlers.smart_charging import record_for_start


async def RemoteStartTransaction(station, payload):
    """Accepted when a transaction can be attempted. Authorize is sent first if
    AuthorizeRemoteTxRequests says so, or if the connector is reserved for a parentIdTag."""
    session = station.session
    id_tag = payload["idTag"]
    record = None
    if payload.get("chargingProfile"):
        record = await record_for_start(station, payload["chargingProfile"])
        if not record:
            return {"status": "Rejected"}
    # From here on others have no turn: what is found out holds.
    admitted = session.reservation_admits(id_tag, None)
    if (
        not station.registration.is_accepted()
        or payload.get("connectorId", 1) != 1
        or not id_tag  # an empty idTag is nobody's
        or not session.can_start_transaction()
        or not (admitted or session.reservation.parent_id_tag)
        or station.is_busy()
    ):
        return {"status": "Rejected"}
    on_start = None
    if record:

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
    """Accepted when the transaction with this id runs here. The central system may give any
    integer as an id, 0 and negative ones included."""
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
    """Always accepted. After the answer the transaction is stopped, its messages are delivered as
    far as possible, and the station starts again."""
    return Answer({"status": "Accepted"}, lambda: station.reset(payload["type"] == "Hard"))


async def UnlockConnector(station, payload):
    """Stops the transaction and unlocks the socket. The answer comes when that has worked or
    failed."""
    if payload["connectorId"] != 1 or not station.reference.socket:
        return {"status": "NotSupported"}  # errata 3.87
    if not await station.session.stop_transaction_and_wait("UnlockCommand"):
        return {"status": "UnlockFailed"}
    station.session.release_cable()
    return {"status": "Unlocked" if await station.evse.unlock() else "UnlockFailed"}


async def DataTransfer(station, payload):
    """No vendor's data is known (guide: "No specific data transfer")."""
    return {"status": "UnknownVendorId"}


_AT_ONCE = const(4)  # keys that are looked up before others have a turn


async def GetConfiguration(station, payload):
    """Returns all keys, or those asked for, each once. Unknown ones are in `unknownKey`."""
    names = payload.get("key")
    if not names:
        return {"configurationKey": _key_values(station, _listed(station.config.feature_set()))}
    if len(names) > station.config.int("GetConfigurationMaxKeys"):
        raise CallError("OccurenceConstraintViolation", "key: at most GetConfigurationMaxKeys")
    found = []
    unknown = []
    told = set()
    for number, name in enumerate(names):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        key = station.config.find(name)
        if not key or key.access == keys.SECRET:
            unknown.append(name)
        elif key.name not in told:
            told.add(key.name)
            found.append(key)
    answer = {"configurationKey": _key_values(station, found)}
    if unknown:
        answer["unknownKey"] = unknown
    return answer


def _listed(feature_set):
    """Generator: the keys that are told to who asks for all. No secrets; and with `guide` no
    FeatureSet, since these are the guide's keys to the letter: it is found by its name."""
    for key in keys.rows(feature_set):
        is_hidden = key.name == keys.FEATURE_SET and feature_set == keys.GUIDE
        if key.access != keys.SECRET and not is_hidden:
            yield key


def _key_values(station, found):
    """Generator: the KeyValues (OCPP 7.29) of these keys, each made when it is written."""
    for key in found:
        yield {
            "key": key.name,
            "readonly": keys.is_read_only(key, station.reference.socket),
            "value": station.config.get(key.name),
        }


async def ChangeConfiguration(station, payload):
    """Stores the new value. Its effect comes after the answer; only a data reset is complete
    before."""
    change = await configuration.change_key(station, payload["key"], payload["value"])
    answer = {"status": change.status}
    if change.status != "Accepted":
        return answer
    return Answer(answer, lambda: configuration.apply_change(station, change))
