"""SetChargingProfile, ClearChargingProfile, and the profile inside RemoteStartTransaction (OCPP
3.13, 5.5, 5.16)."""

from struct import pack_into

from firmware.base import times
from firmware.base.runtime import const
from firmware.charging import profiles
from firmware.charging.profile_store import HEAD, ROW
from firmware.charging.profiles import ALWAYS, EPOCH, NEVER
from firmware.ocpp import CallError

_HIGHEST = const(200)  # ChargeProfileMaxStacklevel
_MOST_PERIODS = const(100)  # ChargingScheduleMaxPeriods


def _time(where, name, absent):
    if name not in where:
        return absent
    return max(ALWAYS, min(NEVER, times.parse(where[name]) - EPOCH))


def _must(fine, why):
    if not fine:
        raise ValueError(why)


def pack(profile: dict, connector: int, number: int, now: int) -> bytearray:
    """The record of a ChargingProfile as the schemas hand it on. `number`: of the transaction,
    `now`: seconds since profiles.EPOCH. Raises ValueError with the reason to reject it."""
    purpose = profile["chargingProfilePurpose"]
    rank = profiles.PURPOSES.index(purpose)
    _must(rank == 2 or rank == connector, purpose + " on the wrong connector")
    if rank == 2 and not connector:
        rank = profiles.DEFAULT
    _must(rank == profiles.TX or "transactionId" not in profile, "a transactionId in a " + purpose)
    level = profile["stackLevel"]
    _must(level <= _HIGHEST, "stack level over %d" % _HIGHEST)
    first = _time(profile, "validFrom", ALWAYS)
    last = _time(profile, "validTo", NEVER)
    _must(first < last, "never valid")

    schedule = profile["chargingSchedule"]
    duration = min(schedule.get("duration", NEVER), NEVER)
    _must(duration, "duration 0")
    kind = profile["chargingProfileKind"]
    start = now
    if kind == "Recurring":
        _must("recurrencyKind" in profile, "no recurrencyKind")
        _must("startSchedule" in schedule, "no startSchedule")
        kind = profiles.DAILY if profile["recurrencyKind"] == "Daily" else profiles.WEEKLY
        recurrence = profiles.RECURRENCE[kind]
        duration = min(duration, recurrence)
        start = times.parse(schedule["startSchedule"]) - EPOCH
        if start < ALWAYS:
            start += (ALWAYS - start + recurrence - 1) // recurrence * recurrence
        start = min(start, NEVER)
    elif kind == "Absolute" and "startSchedule" in schedule:
        kind = profiles.ABSOLUTE
        start = _time(schedule, "startSchedule", now)
    elif rank == profiles.STATION:  # knows no transaction: from when it came or becomes valid
        kind = profiles.ABSOLUTE
        start = max(now, first)
    else:
        kind = profiles.RELATIVE

    power = schedule["chargingRateUnit"] == "W"
    highest = 100000000 if power else 100000  # so that all that is computed stays small
    periods = schedule["chargingSchedulePeriod"][0]  # start, limit in tenths, phases; start, ...
    count = len(periods) // 3
    _must(count <= _MOST_PERIODS, "over %d periods" % _MOST_PERIODS)
    record = bytearray(HEAD + count * profiles.PERIOD_SIZE)  # starts, limits, phases wished
    at = HEAD
    before = -1
    for n in range(0, 3 * count, 3):
        begin = periods[n]
        if begin <= before or (before < 0 and begin):
            raise ValueError("periods must begin at 0 and ascend")
        _must(begin < NEVER, "startPeriod too large")
        before = begin
        pack_into("<I", record, at, begin)
        pack_into("<I", record, at + 4 * count, min(periods[n + 1], highest * 10))
        at += 4
    at += 4 * count
    for n in range(2, 3 * count, 3):
        record[at] = 1 if 0 < periods[n] < 3 else 3
        at += 1
    flags = kind | (profiles.POWER if power else 0)
    row = (rank, 255 - level, flags, count, first, last, start, duration, number)
    pack_into(ROW, record, 0, *(row + (profile["chargingProfileId"],)))
    return record


def SetChargingProfile(station, payload):
    """Installs or replaces a profile. What can't be installed is Rejected, with the reason in the
    log; a connector that isn't there is a CALLERROR (errata 3.39)."""
    connector = payload["connectorId"]
    if connector > 1:
        raise CallError("PropertyConstraintViolation", "connectorId: there are 0 and 1")
    profile = payload["csChargingProfiles"]
    store = station.profiles
    running = station.transactions.running
    now = station.clock.epoch()
    now = store.newest if now is None else now - EPOCH
    number = running.position if running else -1
    try:
        if profile["chargingProfilePurpose"] == "TxProfile":
            _must(running, "no transaction is running")
            wanted = profile.get("transactionId", running.transaction_id)
            _must(wanted == running.transaction_id, "not the running transaction")
        return _install(station, pack(profile, connector, number, now))
    except ValueError as why:
        station.log("profiles").warning("rejected: %s", why)
        return {"status": "Rejected"}


async def _install(station, record):
    """The message is garbage by now; the rest is done when other tasks had their turn."""
    if not await station.profiles.install(record):
        return {"status": "Rejected"}
    station.profiles_changed()
    return {"status": "Accepted"}


def for_start(station, profile: dict) -> bytearray | None:
    """The record of the chargingProfile of a RemoteStartTransaction (OCPP 5.16.2), to be installed
    when the transaction starts. None: it can't be used."""
    try:
        _must(profile["chargingProfilePurpose"] == "TxProfile", "not a TxProfile")
        _must("transactionId" not in profile, "with a transactionId")
        record = pack(profile, 1, 0, 0)
        _must(station.profiles.has_room(record), "no room for one more")
        return record
    except ValueError as why:
        station.log("profiles").warning("remote start rejected: its profile: %s", why)
        return None


async def ClearChargingProfile(station, payload):
    """Removes the profile with the id, else those that match all that is given (errata 3.25,
    3.26)."""
    ranks, below, _, _, _, _, _, _, _, ids = station.profiles.table
    wanted = payload.get("id")
    purpose = payload.get("chargingProfilePurpose")
    connector = payload.get("connectorId")
    level = payload.get("stackLevel")

    def fits(slot):
        if wanted is not None:
            return ids[slot] == wanted
        rank = ranks[slot]
        return (
            (purpose is None or profiles.PURPOSES[min(rank, 2)] == purpose)
            and (connector is None or (rank in (1, 2)) == connector)
            and (level is None or 255 - below[slot] == level)
        )

    if not await station.profiles.clear(fits):
        return {"status": "Unknown"}
    station.profiles_changed()
    return {"status": "Accepted"}
