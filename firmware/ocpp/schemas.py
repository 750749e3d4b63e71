"""Checks messages of OCPP 1.6 against `MESSAGES`, the table of their fields (guide pages 9, 10).

A row is `Name.req` or `Name.conf`, a class (OCPP 7), or an enumeration, which is just its values.
A field is its name, its kind, and whether the message must have it (OCPP 6). Kinds:

    i i0        an integer; an integer from 0
    d           a decimal from 0 with at most one digit of fraction
    b           a boolean
    t           a dateTime: what is received becomes Unix seconds
    tm          a dateTime: what is received becomes Unix seconds and ms
    s s20       text; text of at most 20 characters
    A|B         one of these
    Name        a class or an enumeration with a row of its own
    [kind]      a list; [kind+] a list that is not empty
    (kind)      a list that is not empty, of charging periods, which become numbers as they are
                received (json_reader.py)
    l           a list whose objects were checked and packed as they were received (a packer of
                json_reader.py)

Here is what the station receives. What it sends is checked by tests only, against
host_tests/both/sent_messages.py.
"""

import asyncio
from array import array

from firmware.base import times
from firmware.base.runtime import const
from firmware.ocpp import CallError
from firmware.ocpp.json_reader import count_periods, has_one_decimal, pack_periods

REQUIRED = const(1)
OPTIONAL = const(0)

# What the guide marks as not supported. With FeatureSet `full` it is (handlers/full_core.py).
NOT_SUPPORTED = ("ChangeAvailability", "ClearCache", "GetLocalListVersion", "SendLocalList")

MESSAGES: dict = {
    "ChargingProfile": (
        ("chargingProfileId", "i", REQUIRED),
        ("transactionId", "i", OPTIONAL),
        ("stackLevel", "i0", REQUIRED),
        ("chargingProfilePurpose", "Purpose", REQUIRED),
        ("chargingProfileKind", "Absolute|Recurring|Relative", REQUIRED),
        ("recurrencyKind", "Daily|Weekly", OPTIONAL),
        ("validFrom", "t", OPTIONAL),
        ("validTo", "t", OPTIONAL),
        ("chargingSchedule", "ChargingSchedule", REQUIRED),
    ),
    "ChargingSchedule": (
        ("duration", "i0", OPTIONAL),
        ("startSchedule", "t", OPTIONAL),
        ("chargingRateUnit", "A|W", REQUIRED),
        ("chargingSchedulePeriod", "(ChargingSchedulePeriod)", REQUIRED),
        ("minChargingRate", "d", OPTIONAL),
    ),
    "ChargingSchedulePeriod": (
        ("startPeriod", "i0", REQUIRED),
        ("limit", "d", REQUIRED),
        ("numberPhases", "i", OPTIONAL),
    ),
    "IdTagInfo": (
        ("expiryDate", "t", OPTIONAL),
        ("parentIdTag", "s20", OPTIONAL),
        ("status", "Accepted|Blocked|ConcurrentTx|Expired|Invalid", REQUIRED),
    ),
    "Purpose": "ChargePointMaxProfile|TxDefaultProfile|TxProfile",
    "Authorize.conf": (("idTagInfo", "IdTagInfo", REQUIRED),),
    "BootNotification.conf": (
        ("currentTime", "tm", REQUIRED),
        ("interval", "i", REQUIRED),
        ("status", "Accepted|Pending|Rejected", REQUIRED),
    ),
    "DataTransfer.conf": (
        ("data", "s", OPTIONAL),
        ("status", "Accepted|Rejected|UnknownMessageId|UnknownVendorId", REQUIRED),
    ),
    "DiagnosticsStatusNotification.conf": (),
    "FirmwareStatusNotification.conf": (),
    "Heartbeat.conf": (("currentTime", "tm", REQUIRED),),
    "MeterValues.conf": (),
    "StartTransaction.conf": (
        ("idTagInfo", "IdTagInfo", REQUIRED),
        ("transactionId", "i", REQUIRED),
    ),
    "StatusNotification.conf": (),
    "StopTransaction.conf": (("idTagInfo", "IdTagInfo", OPTIONAL),),
    "CancelReservation.req": (("reservationId", "i", REQUIRED),),
    "ChangeConfiguration.req": (
        ("key", "s50", REQUIRED),
        ("value", "s500", REQUIRED),
    ),
    "ClearChargingProfile.req": (
        ("id", "i", OPTIONAL),
        ("connectorId", "i0", OPTIONAL),
        ("chargingProfilePurpose", "Purpose", OPTIONAL),
        ("stackLevel", "i0", OPTIONAL),
    ),
    "DataTransfer.req": (
        ("vendorId", "s255", REQUIRED),
        ("messageId", "s50", OPTIONAL),
        ("data", "s", OPTIONAL),
    ),
    "GetCompositeSchedule.req": (
        ("connectorId", "i0", REQUIRED),
        ("duration", "i0", REQUIRED),
        ("chargingRateUnit", "A|W", OPTIONAL),
    ),
    "GetConfiguration.req": (("key", "[s50]", OPTIONAL),),
    "GetDiagnostics.req": (
        ("location", "s", REQUIRED),
        ("retries", "i0", OPTIONAL),
        ("retryInterval", "i0", OPTIONAL),
        ("startTime", "t", OPTIONAL),
        ("stopTime", "t", OPTIONAL),
    ),
    "RemoteStartTransaction.req": (
        ("connectorId", "i0", OPTIONAL),
        ("idTag", "s20", REQUIRED),
        ("chargingProfile", "ChargingProfile", OPTIONAL),
    ),
    "RemoteStopTransaction.req": (("transactionId", "i", REQUIRED),),
    "ReserveNow.req": (
        ("connectorId", "i0", REQUIRED),
        ("expiryDate", "t", REQUIRED),
        ("idTag", "s20", REQUIRED),
        ("parentIdTag", "s20", OPTIONAL),
        ("reservationId", "i", REQUIRED),
    ),
    "Reset.req": (("type", "Hard|Soft", REQUIRED),),
    "SetChargingProfile.req": (
        ("connectorId", "i0", REQUIRED),
        ("csChargingProfiles", "ChargingProfile", REQUIRED),
    ),
    "TriggerMessage.req": (
        ("connectorId", "i0", OPTIONAL),
        ("requestedMessage", "MessageTrigger", REQUIRED),
    ),
    "UnlockConnector.req": (("connectorId", "i0", REQUIRED),),
    "UpdateFirmware.req": (
        ("location", "s", REQUIRED),
        ("retries", "i0", OPTIONAL),
        ("retrieveDate", "t", REQUIRED),
        ("retryInterval", "i0", OPTIONAL),
    ),
    "MessageTrigger": (
        "BootNotification|Heartbeat|MeterValues|DiagnosticsStatusNotification|"
        "FirmwareStatusNotification|StatusNotification"
    ),
}


_AT_ONCE = const(8)  # items of a list that are checked in one go, then others have their turn


def check(
    action: str, direction: str, payload, strict: bool = True, messages: dict = MESSAGES
) -> dict:
    """The payload of a message, `direction` "req" or "conf", checked against its row.

    Strict: raises CallError at the first thing wrong, naming the field. Else, for answers: drops
    nulls and optional fields that are wrong, ignores unknown members, takes 30.0 for an integer
    and any emptiness for an object without members, and raises only for what is required.
    """
    if payload is None or (not strict and not payload):
        payload = {}  # OCPP-J 4.2.1
    for _ in _check(fields(action, direction, messages), payload, strict, messages):
        pass
    return payload


async def checked(action: str, payload, more: dict | None = None) -> dict:
    """As `check` of a call, but other tasks run while a long list is gone through. `more`: rows of
    calls that are not in `MESSAGES`."""
    found = more.get(action + ".req") if more else None
    if found is None:
        found = fields(action, "req")
    payload = {} if payload is None else payload
    for _ in _check(found, payload, True, MESSAGES):
        await asyncio.sleep(0)
    return payload


def check_object(row: tuple, members: dict) -> None:
    """Checks an object without lists of a call strictly, as it comes. Raises CallError with the
    path to what is wrong."""
    _check_members(row, members, True, MESSAGES, [])


def fields(action: str, direction: str, messages: dict = MESSAGES) -> tuple:
    """The fields of a message: (name, kind, whether it is required) each. Raises CallError
    NotImplemented for an action that nobody knows, NotSupported for one that this station does not
    answer."""
    found = messages.get(action + "." + direction)
    if found is None:
        known = action in NOT_SUPPORTED or action + ".conf" in MESSAGES
        raise CallError("NotSupported" if known else "NotImplemented", action[:50])
    return found


class _List:
    """A list whose items are still to be checked: lists are gone through after what they are in,
    so that nothing is too long to be done in one go. `path` leads to it."""

    def __init__(self, kind, items, becomes_numbers):
        self.path = ""
        self.kind = kind
        self.items = items
        self.becomes_numbers = becomes_numbers


def _check(found, payload, strict, messages):
    """Generator: checks the fields that are found, and yields where it has taken long."""
    if type(payload) is not dict:
        raise CallError("FormationViolation", "the payload is not an object")
    lists = []
    path = ""
    try:
        _check_members(found, payload, strict, messages, lists)
        for each in lists:
            items = each.items
            packed = 0  # how many more periods than arrays of them came before
            for i in range(len(items)):
                if each.becomes_numbers and type(items[i]) is array:
                    packed += count_periods(items[i]) - 1
                    continue
                if i % _AT_ONCE == 0 and len(items) > _AT_ONCE:
                    yield
                path = "%s[%d]" % (each.path, i + packed)
                have = len(lists)
                items[i] = _check_value(each.kind, items[i], strict, messages, lists)
                for inner in lists[have:]:
                    inner.path = path + inner.path
            if each.becomes_numbers:
                pack_periods(items)
    except CallError as error:
        error.description = (path + error.description)[1:]
        raise


def _check_members(found, members, strict, messages, lists):
    """Checks an object in place. Raises CallError with the path to what is wrong."""
    known = 0
    for name, kind, required in found:
        value = members.get(name)
        if type(value) is int and value > 0 and kind[0] in "id":  # most are, and quickly checked
            known += 1
            continue
        try:
            if value is not None or (strict and name in members):
                have = len(lists)
                members[name] = _check_value(kind, value, strict, messages, lists)
                for inner in lists[have:]:
                    inner.path = ".%s%s" % (name, inner.path)
                known += 1
                continue
            if required:
                _violated("Occurence", "missing")
        except CallError as error:
            if strict or required:
                error.description = ".%s%s" % (name, error.description)
                raise
        members.pop(name, None)
    if strict and known < len(members):
        for name in sorted(members):  # dicts have no order
            if not any(name == known_name for known_name, _, _ in found):
                raise CallError("FormationViolation", ".%s: unknown" % name[:50])
    return members


def _check_value(kind, value, strict, messages, lists):
    """The value, or what it becomes. Raises CallError without the path to it."""
    first = kind[0]
    if first == "d":
        return _check_decimal(value)
    if first == "i":
        return _check_integer(kind, value, strict)
    if first == "[" or first == "(":
        if type(value) is not list:
            _violated("Type", "not a list")
        if not value and (kind[-2] == "+" or first == "("):
            _violated("Occurence", "empty")
        becomes_numbers = first == "(" and messages is MESSAGES
        lists.append(_List(kind[1:-1].rstrip("+"), value, becomes_numbers))
        return value
    if first == "b":
        if type(value) is not bool:
            _violated("Type", "not a boolean")
        return value
    if first == "l":
        if type(value) is not list:
            _violated("Type", "not a list")
        for item in value:
            if type(item) in (bool, int, float, str, list, dict) or item is None:
                _violated("Type", "not a list of objects")
        return value
    row = kind if "|" in kind or first > "Z" else resolve(kind, messages)
    if type(row) is tuple:
        if type(value) is not dict:
            _violated("Type", "not an object")
        return _check_members(row, value, strict, messages, lists)
    if type(value) is not str:
        _violated("Type", "not a string")
    if first == "t":
        return _check_time(value, kind, messages is MESSAGES)
    if "|" in row:
        if value not in row.split("|"):
            _violated("Property", "none of " + row)
    elif row != "s" and len(value) > int(row[1:]):
        _violated("Property", "longer than " + row[1:])
    return value


def resolve(kind: str, messages: dict = MESSAGES):
    """What a class or an enumeration stands for: its fields, or its values as a kind."""
    return messages.get(kind) or MESSAGES[kind]


def _check_decimal(value):
    if type(value) is float:
        if value >= 0 and not has_one_decimal(value):
            _violated("Property", "more than one digit of fraction")
    elif type(value) is not int:
        _violated("Type", "not a number")
    if value < 0:
        _violated("Property", "less than 0")
    return value


def _check_integer(kind, value, strict):
    if not strict and type(value) is float and -16777216 < value < 16777216 and value % 1 == 0:
        value = int(value)  # within what the device's float holds
    if type(value) is not int:
        _violated("Type", "not an integer")
    if value < 0 and kind == "i0" or value < 1 and kind == "i1":
        _violated("Property", "less than " + kind[1:])
    return value


def _check_time(value, kind, becomes_numbers):
    try:
        moment = times.parse_moment(value)
    except ValueError as why:
        _violated("Property", str(why))
    if not becomes_numbers:
        return value
    return moment if kind == "tm" else moment[0]


def _violated(kind, why):
    raise CallError(kind + "ConstraintViolation", ": " + why)
