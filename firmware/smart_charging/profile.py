"""A charging profile as the station keeps it (OCPP 1.6, 7.8 to 7.14): its fields and its record.

A record is the form in which flash keeps a profile. Its numbers are little-endian:
    32 bytes  the fields of `Profile`, as `_FIELDS` has them
    i32 u32   when it was received, and a number that grows with each profile received
    u32 each  startPeriod of all charging periods, s
    u32 each  limit of all charging periods, 0.1 A or 0.1 W
    u8 each   the phases that each charging period wishes to use, 1 or 3

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

MAX_STACK_LEVEL = 200  # the key ChargeProfileMaxStacklevel
MAX_PERIODS = 100  # the key ChargingScheduleMaxPeriods
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
_FIELDS = "<BBBBiiiiiq"  # rank, 255 - level, kind and _IN_WATTS, count, and the rest as above
_IN_WATTS = const(4)
_TRANSACTION_AT = const(20)
_RECEIPT = "<iI"
_RECEIPT_AT = const(32)
_COUNT_AT = const(3)
_HEAD = const(40)  # bytes before the charging periods
_PERIOD = const(9)  # bytes of each


def purpose(rank: int) -> str:
    """The chargingProfilePurpose of a rank."""
    return _PURPOSES[rank]


def connector(rank: int) -> int:
    """The connectorId that profiles of this rank were sent to."""
    return 1 if rank in (TX, CONNECTOR_DEFAULT) else 0


def pack_record(profile: dict, connector_id: int, transaction: int, now: int) -> bytearray:
    """The record of a ChargingProfile that has passed the schemas: its dates are Unix seconds, its
    charging periods are numbers (`ocpp/json_reader.py`). `transaction` is the number of the
    running transaction, `now` the time in seconds since EPOCH. Raises ValueError with the reason
    where the profile must be rejected."""
    schedule = profile["chargingSchedule"]
    fields = _fields(profile, schedule, connector_id, transaction, now)
    record = bytearray(_HEAD + fields.count * _PERIOD)
    flags = fields.kind | _IN_WATTS if fields.in_watts else fields.kind
    head = (fields.rank, 255 - fields.level, flags) + tuple(fields[4:])
    pack_into(_FIELDS, record, 0, *head)
    _pack_periods(record, schedule["chargingSchedulePeriod"], fields.count, fields.in_watts)
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


def _pack_periods(record, periods, count, in_watts):
    """Puts charging periods into a record. `periods`: arrays of startPeriod, limit and
    numberPhases, one period after the other."""
    highest = _HIGHEST_TENTHS_OF_W if in_watts else _HIGHEST_TENTHS_OF_A
    starts_at = _HEAD
    limits_at = starts_at + 4 * count
    phases_at = limits_at + 4 * count
    before = -1
    for numbers in periods:
        for n in range(0, len(numbers), 3):
            start = numbers[n]
            if start <= before or (before < 0 and start):
                raise ValueError("periods must begin at 0 and ascend")
            _require(start < NEVER, "startPeriod too large")
            before = start
            pack_into("<I", record, starts_at, start)
            pack_into("<I", record, limits_at, min(numbers[n + 1], highest))
            record[phases_at] = 1 if 0 < numbers[n + 2] < 3 else 3
            starts_at += 4
            limits_at += 4
            phases_at += 1


def is_whole(record: bytes | bytearray) -> bool:
    """Whether these bytes can be a record: there is a charging period, and none is cut off."""
    return len(record) > _HEAD and len(record) == _HEAD + record[_COUNT_AT] * _PERIOD


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
        if unpack_from("<I", record, _HEAD + 4 * middle)[0] <= second:
            low = middle
        else:
            high = middle
    return low


def period_start(record: bytes | bytearray, index: int) -> int:
    """The startPeriod of a charging period, s."""
    return unpack_from("<I", record, _HEAD + 4 * index)[0]


def period_limit(record: bytes | bytearray, index: int) -> int:
    """The limit of a charging period, 0.1 A or 0.1 W."""
    return unpack_from("<I", record, _HEAD + 4 * (record[_COUNT_AT] + index))[0]


def period_phases(record: bytes | bytearray, index: int) -> int:
    """The phases that a charging period wishes to use, 1 or 3."""
    return record[_HEAD + 8 * record[_COUNT_AT] + index]


def periods(record: bytes | bytearray) -> bytes | bytearray:
    """All charging periods, packed."""
    return record[_HEAD:]
