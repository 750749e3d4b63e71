"""SetChargingProfile, ClearChargingProfile, and the profile inside RemoteStartTransaction (OCPP
3.13, 5.5, 5.16)."""

from struct import pack_into

from firmware.base.runtime import const
from firmware.ocpp import CallError
from firmware.smart_charging.profile_store import HEAD, PURPOSES, ROW

# What charging/profiles.py has, which need not be loaded for this.
_EPOCH = const(1735689600)
_NEVER = const(1073741823)
_ALWAYS = const(-1073741824)
_STATION, _TX, _OWN_DEFAULT, _DEFAULT = 0, 1, 2, 3
_ABSOLUTE, _DAILY, _WEEKLY, _RELATIVE = 0, 1, 2, 3
_RECURRENCE = (0, 86400, 604800, 0)
_POWER = const(4)
_PERIOD_SIZE = const(9)
_HIGHEST = const(200)  # ChargeProfileMaxStacklevel
_MOST_PERIODS = const(100)  # ChargingScheduleMaxPeriods


def _time(where, name, absent):
    if name not in where:
        return absent
    return max(_ALWAYS, min(_NEVER, where[name] - _EPOCH))


def _must(fine, why):
    if not fine:
        raise ValueError(why)


def pack(profile: dict, connector: int, number: int, now: int) -> bytearray:
    """The record of a ChargingProfile as the schemas hand it on. `number`: of the transaction,
    `now`: seconds since profiles.EPOCH. Raises ValueError with the reason to reject it."""
    row = _row(profile, connector, number, now)
    return _record(row, profile["chargingSchedule"]["chargingSchedulePeriod"])


def _row(profile, connector, number, now):
    purpose = profile["chargingProfilePurpose"]
    rank = PURPOSES.index(purpose)
    _must(rank == _OWN_DEFAULT or rank == connector, purpose + " on the wrong connector")
    if rank == _OWN_DEFAULT and not connector:
        rank = _DEFAULT
    _must(rank == _TX or "transactionId" not in profile, "a transactionId in a " + purpose)
    level = profile["stackLevel"]
    _must(level <= _HIGHEST, "stack level over %d" % _HIGHEST)
    first = _time(profile, "validFrom", _ALWAYS)
    last = _time(profile, "validTo", _NEVER)
    _must(first < last, "never valid")
    schedule = profile["chargingSchedule"]
    duration = min(schedule.get("duration", _NEVER), _NEVER)
    _must(duration, "duration 0")
    flags, start, duration = _course(profile, schedule, duration, rank, now, first)
    if schedule["chargingRateUnit"] == "W":
        flags |= _POWER
    count = sum([len(numbers) // 3 for numbers in schedule["chargingSchedulePeriod"]])
    _must(count <= _MOST_PERIODS, "over %d periods" % _MOST_PERIODS)
    row = (rank, 255 - level, flags, count, first, last, start, duration, number)
    return row + (profile["chargingProfileId"],)


def _course(profile, schedule, duration, rank, now, first):
    """(kind, start, duration): when the schedule runs."""
    kind = profile["chargingProfileKind"]
    if kind == "Recurring":
        _must("recurrencyKind" in profile, "no recurrencyKind")
        _must("startSchedule" in schedule, "no startSchedule")
        kind = _DAILY if profile["recurrencyKind"] == "Daily" else _WEEKLY
        recurrence = _RECURRENCE[kind]
        start = schedule["startSchedule"] - _EPOCH
        if start < _ALWAYS:
            start += (_ALWAYS - start + recurrence - 1) // recurrence * recurrence
        return kind, min(start, _NEVER), min(duration, recurrence)
    if kind == "Absolute" and "startSchedule" in schedule:
        return _ABSOLUTE, _time(schedule, "startSchedule", now), duration
    if rank == _STATION:  # knows no transaction: from when it came or becomes valid
        return _ABSOLUTE, max(now, first), duration
    return _RELATIVE, now, duration


def _record(row, periods):
    """The record of a row and of charging periods as ocpp/periods.py makes them."""
    flags, count = row[2:4]
    highest = 1000000000 if flags & _POWER else 1000000  # so that all that is computed stays small
    record = bytearray(HEAD + count * _PERIOD_SIZE)  # starts, limits, phases wished
    pack_into(ROW, record, 0, *row)
    at = HEAD
    wish = HEAD + 8 * count
    before = -1
    for numbers in periods:
        for n in range(0, len(numbers), 3):
            begin = numbers[n]
            if begin <= before or (before < 0 and begin):
                raise ValueError("periods must begin at 0 and ascend")
            _must(begin < _NEVER, "startPeriod too large")
            before = begin
            pack_into("<I", record, at, begin)
            pack_into("<I", record, at + 4 * count, min(numbers[n + 1], highest))
            record[wish] = 1 if 0 < numbers[n + 2] < 3 else 3
            at += 4
            wish += 1
    return record


async def SetChargingProfile(station, payload):
    """Installs or replaces a profile. What can't be installed is Rejected, with the reason in the
    log; a connector that isn't there is a CALLERROR (errata 3.39)."""
    connector = payload["connectorId"]
    if connector > 1:
        raise CallError("PropertyConstraintViolation", "connectorId: there are 0 and 1")
    profile = payload["csChargingProfiles"]
    store = station.profiles
    running = station.transactions.running
    now = station.clock.epoch()
    now = store.newest if now is None else now - _EPOCH
    number = running.position if running else -1
    try:
        if profile["chargingProfilePurpose"] == "TxProfile":
            _must(running, "no transaction is running")
            wanted = profile.get("transactionId", running.transaction_id)
            _must(wanted == running.transaction_id, "not the running transaction")
        return await station.install(pack(profile, connector, number, now))
    except ValueError as why:
        station.log("profiles").warning("rejected: %s", why)
        return {"status": "Rejected"}


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
    ranks, below = station.profiles.table[:2]
    wanted = payload.get("id")
    purpose = payload.get("chargingProfilePurpose")
    connector = payload.get("connectorId")
    level = payload.get("stackLevel")

    def fits(slot):
        if wanted is not None:
            return station.profiles.identity(slot) == wanted
        rank = ranks[slot]
        return (
            (purpose is None or PURPOSES[min(rank, 2)] == purpose)
            and (connector is None or (rank in (1, 2)) == connector)
            and (level is None or 255 - below[slot] == level)
        )

    if not await station.profiles.clear(fits):
        return {"status": "Unknown"}
    station.profiles_changed()
    return {"status": "Accepted"}
