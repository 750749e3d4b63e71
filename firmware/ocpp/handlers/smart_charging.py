"""SetChargingProfile, ClearChargingProfile, and the profile inside RemoteStartTransaction (OCPP
3.13, 5.5, 5.16)."""

from firmware.ocpp import CallError
from firmware.smart_charging.profile import connector, pack_record, purpose


async def SetChargingProfile(station, payload):
    """Installs or replaces a profile. What can't be installed is Rejected, with the reason in the
    log; a connector that isn't there is a CALLERROR (errata 3.39)."""
    connector_id = payload["connectorId"]
    if connector_id > 1:
        raise CallError("PropertyConstraintViolation", "connectorId: there are 0 and 1")
    profile = payload["csChargingProfiles"]
    try:
        record = _record(station, profile, connector_id)
    except ValueError as why:
        station.log("profiles").warning("rejected: %s", why)
        return {"status": "Rejected"}
    if not await station.profiles.install(record):
        return {"status": "Rejected"}
    station.limit_controller.reconsider()
    return {"status": "Accepted"}


def _record(station, profile, connector_id):
    """The record of a profile that comes by itself; ValueError with the reason to reject it."""
    running = station.transactions.running
    if profile["chargingProfilePurpose"] == "TxProfile":
        if not running:
            raise ValueError("no transaction is running")
        wanted = profile.get("transactionId", running.transaction_id)
        if wanted != running.transaction_id:
            raise ValueError("not the running transaction")
    number = running.position if running else -1
    return pack_record(profile, connector_id, number, station.profiles.now())


def record_for_start(station, profile: dict) -> bytearray | None:
    """The record of the chargingProfile of a RemoteStartTransaction (OCPP 5.16.2), to be installed
    when the transaction starts. None, and the log says why: it can't be used."""
    try:
        if profile["chargingProfilePurpose"] != "TxProfile":
            raise ValueError("not a TxProfile")
        if "transactionId" in profile:
            raise ValueError("with a transactionId")
        record = pack_record(profile, 1, 0, 0)
        if not station.profiles.has_room(record):
            raise ValueError("no room for one more")
        return record
    except ValueError as why:
        station.log("profiles").warning("remote start rejected: its profile: %s", why)
        return None


async def ClearChargingProfile(station, payload):
    """Removes the profile with the id, else those that match all that is given (errata 3.25,
    3.26)."""
    table = station.profiles.table
    wanted_id = payload.get("id")
    wanted_purpose = payload.get("chargingProfilePurpose")
    wanted_connector = payload.get("connectorId")
    wanted_level = payload.get("stackLevel")

    def matches(slot):
        if wanted_id is not None:
            return table.identity(slot) == wanted_id
        rank = table.ranks[slot]
        return (
            (wanted_purpose is None or purpose(rank) == wanted_purpose)
            and (wanted_connector is None or connector(rank) == wanted_connector)
            and (wanted_level is None or table.levels[slot] == wanted_level)
        )

    if not await station.profiles.clear(matches):
        return {"status": "Unknown"}
    station.limit_controller.reconsider()
    return {"status": "Accepted"}
