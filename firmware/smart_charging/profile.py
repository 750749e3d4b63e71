"""A charging profile as the station keeps it (OCPP 1.6, 7.8 to 7.14): its fields and its record.

A record is the form in which flash keeps a profile. Its numbers are little-endian:
    32 bytes  the fields of `Profile`, as `_FIELDS` has them
    i32 u32   when it was received, and a number that grows with each profile received
    u32 u32   startPeriod of the second charging period, s, and the unit in which the others follow
    u32       the unit of the limits, 0.1 A or 0.1 W
    each      startPeriod of all charging periods: u16, in units after the second one's
    each      limit of all charging periods: u16, in units
    a bit each  of all charging periods, the lowest first: whether one phase is wished
    a bit each  likewise, where the profile gives three phases anywhere: whether three are given

A unit is the greatest that leaves no remainder. Numbers that are too large for u16 even so are
u32, with the unit 1. So nearly all records of 100 periods are short enough for LittleFS to keep
them among its metadata, where a write costs a tenth of an erase.

A firmware before this one had u32 startPeriods and limits right after the receipt, and the wished
phases, 1 or 3, in a byte each. Such records stay as they are.

Times are seconds since EPOCH, so that they are small integers on 32 bits until 2059. NEVER stands
for all later times, ALWAYS for all earlier ones.
"""

from collections import namedtuple
from struct import pack_into, unpack_from

from firmware.base.runtime import const

EPOCH = 1735689600  # 2025-01-01T00:00:00Z in Unix seconds
NEVER = (1 << 30) - 1
ALWAYS = -(1 << 30)

# The rank of a profile, by its purpose and connector. ChargePointMaxProfiles are a stack of their
# own; of the other three ranks the first one that applies wins.
CHARGE_POINT_MAX, TX, CONNECTOR_DEFAULT, STATION_DEFAULT = range(4)
_PURPOSES = ("ChargePointMaxProfile", "TxProfile", "TxDefaultProfile", "TxDefaultProfile")

# chargingProfileKind, where Recurring is one of two: see recurrencyKind.
ABSOLUTE, DAILY, WEEKLY, RELATIVE = range(4)
RECURRENCE_S = (0, 86400, 604800, 0)  # of each kind; 0 where nothing recurs
KINDS = ("Absolute", "Daily", "Weekly", "Relative")

# The phases that a charging period wishes to use, by its numberPhases: 1 or 2; 3; none was given.
# Of two wishes the lower number counts.
ONE_PHASE, THREE_PHASES, ANY_PHASES = range(1, 4)

MAX_STACK_LEVEL = 200  # the key ChargeProfileMaxStacklevel
MAX_PERIODS = 100  # the key ChargingScheduleMaxPeriods
_SOON_S = const(2)  # what begins so soon after its receipt counts as begun
# Higher limits are kept as these, so that everything computed from them stays a small integer.
_HIGHEST_TENTHS_OF_A = const(1000000)
_HIGHEST_TENTHS_OF_W = const(1000000000)

Profile = namedtuple(
    "Profile",
    (
        "rank",
        "level",  # stackLevel
        "kind",
        "in_watts",  # the limits are in 0.1 W, else in 0.1 A
        "count",  # charging periods
        "valid_from",
        "valid_to",
        "start",  # startSchedule, or when the profile was received
        "duration",  # s; NEVER for one without an end
        "transaction",  # the number of a TxProfile's transaction: its place in the journal
        "identity",  # chargingProfileId
    ),
)
_FIELDS = const("<BBBBiiiiiq")  # rank, 255 - level, kind and flags, count, and the rest as above
# The flags:
_IN_WATTS = const(4)
_SHORT_STARTS = const(8)  # u16
_SHORT_LIMITS = const(16)  # u16
_HAS_UNITS = const(32)  # else a firmware before this one has made it
_GIVES_THREE = const(64)  # phases, in a charging period at least
_FLAGS_AT = const(2)
_TRANSACTION_AT = const(20)
_RECEIPT = const("<iI")
_RECEIPT_AT = const(32)
_COUNT_AT = const(3)
_UNITS = const("<III")
_UNITS_AT = const(40)
_PERIODS_AT = const(52)
_LARGEST_SHORT = const(65535)


def purpose(rank: int) -> str:
    """The chargingProfilePurpose of a rank."""
    return _PURPOSES[rank]


def connector(rank: int) -> int:
    """The connectorId that profiles of this rank were sent to."""
    return 1 if rank in (TX, CONNECTOR_DEFAULT) else 0


def begin_record(profile: dict, connector_id: int, transaction: int, now: int) -> bytearray:
    """The record of a ChargingProfile that has passed the schemas: its dates are Unix seconds, its
    charging periods are numbers (`ocpp/json_reader.py`). `transaction` is the number of the
    running transaction, `now` the time in seconds since EPOCH. `fill_record` must follow. Raises
    ValueError with the reason where the profile must be rejected."""
    schedule = profile["chargingSchedule"]
    fields = _fields(profile, schedule, connector_id, transaction, now)
    periods = schedule["chargingSchedulePeriod"]
    flags = fields.kind | _HAS_UNITS | (_IN_WATTS if fields.in_watts else 0)
    second, start_unit, limit_unit, are_short = _units(periods, fields.in_watts)
    flags |= are_short
    record = bytearray(_size(flags, fields.count))
    pack_into(
        _FIELDS, record, 0, fields.rank, 255 - fields.level, flags, fields.count, *fields[5:]
    )
    pack_into(_UNITS, record, _UNITS_AT, second, start_unit, limit_unit)
    return record


def _require(fulfilled, otherwise):
    if not fulfilled:
        raise ValueError(otherwise)


def _fields(profile, schedule, connector_id, transaction, now):
    """The Profile of a ChargingProfile."""
    name = profile["chargingProfilePurpose"]
    rank = _PURPOSES.index(name)
    fits = rank == CONNECTOR_DEFAULT or connector(rank) == connector_id
    _require(fits, name + " on the wrong connector")
    if rank == CONNECTOR_DEFAULT and not connector_id:
        rank = STATION_DEFAULT
    _require(rank == TX or "transactionId" not in profile, "a transactionId in a " + name)
    level = profile["stackLevel"]
    _require(level <= MAX_STACK_LEVEL, "stack level over %d" % MAX_STACK_LEVEL)
    valid_from = _time(profile, "validFrom", ALWAYS)
    valid_to = _time(profile, "validTo", NEVER)
    _require(valid_from < valid_to, "never valid")
    duration = min(schedule.get("duration", NEVER), NEVER)
    _require(duration, "duration 0")
    kind, start = _kind_and_start(profile, schedule, rank, now, valid_from)
    # "From now on" by a clock that is a little ahead of ours: there is to be no gap until then.
    if 0 < start - now <= _SOON_S:
        start = now
    if 0 < valid_from - now <= _SOON_S:
        valid_from = now
    if RECURRENCE_S[kind]:
        duration = min(duration, RECURRENCE_S[kind])
    count = sum([len(numbers) // 3 for numbers in schedule["chargingSchedulePeriod"]])
    _require(count <= MAX_PERIODS, "over %d periods" % MAX_PERIODS)
    return Profile(
        rank, level, kind, schedule["chargingRateUnit"] == "W", count, valid_from, valid_to,
        start, duration, transaction, profile["chargingProfileId"],
    )  # fmt: skip


def _time(members, name, absent):
    """The date in a member of a message, in seconds since EPOCH; `absent` where it is missing."""
    if name not in members:
        return absent
    return max(ALWAYS, min(NEVER, members[name] - EPOCH))


def _kind_and_start(profile, schedule, rank, now, valid_from):
    """The kind of a profile, and from when on its schedule runs."""
    name = profile["chargingProfileKind"]
    if name == "Recurring":
        _require("recurrencyKind" in profile, "no recurrencyKind")
        _require("startSchedule" in schedule, "no startSchedule")
        kind = DAILY if profile["recurrencyKind"] == "Daily" else WEEKLY
        recurrence = RECURRENCE_S[kind]
        start = schedule["startSchedule"] - EPOCH
        if start < ALWAYS:  # takes the first recurrence that is not before ALWAYS
            start += (ALWAYS - start + recurrence - 1) // recurrence * recurrence
        return kind, min(start, NEVER)
    if name == "Absolute" and "startSchedule" in schedule:
        return ABSOLUTE, _time(schedule, "startSchedule", now)
    if rank == CHARGE_POINT_MAX:  # it has no transaction: it starts when it comes or becomes valid
        return ABSOLUTE, max(now, valid_from)
    return RELATIVE, now


def _units(periods, in_watts):
    """(the startPeriod of the second charging period, 0 without one; the unit of the others; the
    unit of the limits; the flags that they ask for). `periods`: arrays of startPeriod, limit
    and numberPhases, one period after the other. Raises ValueError where they are not in order."""
    highest = _HIGHEST_TENTHS_OF_W if in_watts else _HIGHEST_TENTHS_OF_A
    start_unit = limit_unit = second = largest_limit = flags = 0
    before = -1
    for numbers in periods:
        for n in range(0, len(numbers), 3):
            start = numbers[n]
            if start <= before or (before < 0 and start):
                raise ValueError("periods must begin at 0 and ascend")
            if before == 0:
                second = start
            elif before > 0 and (not start_unit or (start - second) % start_unit):
                start_unit = _common_divisor(start_unit, start - second)
            before = start
            limit = numbers[n + 1]
            if limit > largest_limit:
                largest_limit = limit
            if limit > highest:
                limit = highest
            if not limit_unit or limit % limit_unit:
                limit_unit = _common_divisor(limit_unit, limit)
            if numbers[n + 2] >= 3:
                flags = _GIVES_THREE
    _require(before < NEVER, "startPeriod too large")
    largest_limit = min(largest_limit, highest)
    if before - second <= _LARGEST_SHORT * start_unit or before == second:
        flags |= _SHORT_STARTS
    else:
        start_unit = 1
    if largest_limit <= _LARGEST_SHORT * limit_unit:
        flags |= _SHORT_LIMITS
    else:
        limit_unit = 1
    return second, max(1, start_unit), max(1, limit_unit), flags


def _common_divisor(a, b):
    """The greatest one; 0 of two zeros."""
    while b:
        a, b = b, a % b
    return a


def fill_record(record: bytearray, periods: list) -> None:
    """Puts the charging periods into a record of `begin_record`: the same list of arrays."""
    second, start_unit, limit_unit = unpack_from(_UNITS, record, _UNITS_AT)
    flags = record[_FLAGS_AT]
    highest = _HIGHEST_TENTHS_OF_W if flags & _IN_WATTS else _HIGHEST_TENTHS_OF_A
    start_format, start_bytes = ("<H", 2) if flags & _SHORT_STARTS else ("<I", 4)
    limit_format, limit_bytes = ("<H", 2) if flags & _SHORT_LIMITS else ("<I", 4)
    starts_at = _PERIODS_AT
    limits_at = _limits_at(record)
    phases_at = _phases_at(record)
    three_at = phases_at + (record[_COUNT_AT] + 7) // 8
    index = 0
    for numbers in periods:
        for n in range(0, len(numbers), 3):
            if index:
                pack_into(start_format, record, starts_at, (numbers[n] - second) // start_unit)
            limit = numbers[n + 1]
            if limit > highest:
                limit = highest
            pack_into(limit_format, record, limits_at, limit // limit_unit)
            phases = numbers[n + 2]
            if phases > 0:
                at = phases_at if phases < 3 else three_at
                record[at + (index >> 3)] |= 1 << (index & 7)
            starts_at += start_bytes
            limits_at += limit_bytes
            index += 1


def _size(flags, count):
    """The bytes of a record with these flags and so many charging periods."""
    if not flags & _HAS_UNITS:
        return _UNITS_AT + 9 * count
    each = (2 if flags & _SHORT_STARTS else 4) + (2 if flags & _SHORT_LIMITS else 4)
    bits = 2 if flags & _GIVES_THREE else 1
    return _PERIODS_AT + each * count + bits * ((count + 7) // 8)


def is_whole(record: bytes | bytearray) -> bool:
    """Whether these bytes can be a record: there is a charging period, and none is cut off."""
    if len(record) <= _UNITS_AT or not record[_COUNT_AT]:
        return False
    return len(record) == _size(record[_FLAGS_AT], record[_COUNT_AT])


def unpack_profile(record: bytes | bytearray) -> Profile:
    """The fields of a record."""
    rank, inverse, flags, *rest = unpack_from(_FIELDS, record)
    return Profile(rank, 255 - inverse, flags & 3, bool(flags & _IN_WATTS), *rest)


def set_transaction(record: bytearray, number: int) -> None:
    """Puts the number of its transaction into a record."""
    pack_into("<i", record, _TRANSACTION_AT, number)


def set_receipt(record: bytearray, received: int, sequence: int) -> None:
    """Puts the time when it was received (s since EPOCH), and its number in the order of all, into
    a record."""
    pack_into(_RECEIPT, record, _RECEIPT_AT, received, sequence)


def receipt(record: bytes | bytearray) -> tuple:
    """(when it was received, its number in the order of all)"""
    return unpack_from(_RECEIPT, record, _RECEIPT_AT)


def last_period(record: bytes | bytearray) -> int:
    """The index of the last charging period."""
    return record[_COUNT_AT] - 1


def period_in_force(record: bytes | bytearray, second: int) -> int:
    """The index of the charging period at this second of the schedule."""
    low = 0
    high = record[_COUNT_AT]
    while high - low > 1:
        middle = (low + high) // 2
        if period_start(record, middle) <= second:
            low = middle
        else:
            high = middle
    return low


def _limits_at(record):
    """Where the limits begin."""
    flags = record[_FLAGS_AT]
    each = 2 if flags & _SHORT_STARTS else 4
    return (_PERIODS_AT if flags & _HAS_UNITS else _UNITS_AT) + each * record[_COUNT_AT]


def _phases_at(record):
    """Where the wished phases begin."""
    each = 2 if record[_FLAGS_AT] & _SHORT_LIMITS else 4
    return _limits_at(record) + each * record[_COUNT_AT]


def period_start(record: bytes | bytearray, index: int) -> int:
    """The startPeriod of a charging period, s."""
    if not index:
        return 0
    flags = record[_FLAGS_AT]
    if not flags & _HAS_UNITS:
        return unpack_from("<I", record, _UNITS_AT + 4 * index)[0]
    second, unit, _ = unpack_from(_UNITS, record, _UNITS_AT)
    if flags & _SHORT_STARTS:
        return second + unit * unpack_from("<H", record, _PERIODS_AT + 2 * index)[0]
    return second + unpack_from("<I", record, _PERIODS_AT + 4 * index)[0]


def period_limit(record: bytes | bytearray, index: int) -> int:
    """The limit of a charging period, 0.1 A or 0.1 W."""
    at = _limits_at(record)
    if not record[_FLAGS_AT] & _SHORT_LIMITS:
        return unpack_from("<I", record, at + 4 * index)[0]
    unit = unpack_from(_UNITS, record, _UNITS_AT)[2]
    return unit * unpack_from("<H", record, at + 2 * index)[0]


def period_phases(record: bytes | bytearray, index: int) -> int:
    """The phases that a charging period wishes to use: ONE_PHASE, THREE_PHASES or ANY_PHASES."""
    at = _phases_at(record)
    flags = record[_FLAGS_AT]
    if not flags & _HAS_UNITS:
        return record[at + index]  # 1 or 3, as the wishes
    if record[at + (index >> 3)] >> (index & 7) & 1:
        return ONE_PHASE
    at += (record[_COUNT_AT] + 7) // 8
    if flags & _GIVES_THREE and record[at + (index >> 3)] >> (index & 7) & 1:
        return THREE_PHASES
    return ANY_PHASES


def periods(record: bytes | bytearray) -> bytes | bytearray:
    """All charging periods, packed."""
    return record[_UNITS_AT:]
