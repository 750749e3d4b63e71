"""The messages of OCPP 1.6 that the guide lists (guide pages 9 and 10), a row each.

A row is `Name.req` or `Name.conf` and its fields, `name:kind`, with `!` where required (OCPP 6).
Kinds: i integer, i0 integer from 0, d decimal from 0 with one digit of fraction, b boolean,
t dateTime (what is received becomes Unix seconds), s text, s20 text of at most 20 characters, A|B
one of these, Name a class or enumeration with a row of its own (OCPP 7), [kind] a list, [kind+] a
list that is not empty, (kind) one that is not empty, of what `charging_periods.py` turns into
numbers as it is received.

Here is what the station receives, and the names of what it does not support. What it sends is
checked by tests only (host_tests/both/sent_messages.py).
"""

import asyncio
from array import array

from firmware.base import runtime
from firmware.ocpp import CallError, charging_periods

# In pieces: a large one is hard to find in a heap that is in use.
ROWS = (
    """
ChargingProfile chargingProfileId:i! transactionId:i stackLevel:i0! \
chargingProfilePurpose:Purpose! chargingProfileKind:Absolute|Recurring|Relative! \
recurrencyKind:Daily|Weekly validFrom:t validTo:t chargingSchedule:ChargingSchedule!
ChargingSchedule duration:i0 startSchedule:t chargingRateUnit:A|W! \
chargingSchedulePeriod:(ChargingSchedulePeriod)! minChargingRate:d
""",
    """
ChargingSchedulePeriod startPeriod:i0! limit:d! numberPhases:i
IdTagInfo expiryDate:t parentIdTag:s20 status:Accepted|Blocked|ConcurrentTx|Expired|Invalid!
Purpose ChargePointMaxProfile|TxDefaultProfile|TxProfile
""",
    """
Authorize.conf idTagInfo:IdTagInfo!
BootNotification.conf currentTime:t! interval:i! status:Accepted|Pending|Rejected!
DataTransfer.conf data:s status:Accepted|Rejected|UnknownMessageId|UnknownVendorId!
DiagnosticsStatusNotification.conf
FirmwareStatusNotification.conf
""",
    """
Heartbeat.conf currentTime:t!
MeterValues.conf
StartTransaction.conf idTagInfo:IdTagInfo! transactionId:i!
StatusNotification.conf
StopTransaction.conf idTagInfo:IdTagInfo
""",
    """
CancelReservation.req reservationId:i!
ChangeConfiguration.req key:s50! value:s500!
ClearChargingProfile.req id:i connectorId:i0 chargingProfilePurpose:Purpose stackLevel:i0
DataTransfer.req vendorId:s255! messageId:s50 data:s
""",
    """
GetCompositeSchedule.req connectorId:i0! duration:i0! chargingRateUnit:A|W
GetConfiguration.req key:[s50]
GetDiagnostics.req location:s! retries:i0 retryInterval:i0 startTime:t stopTime:t
""",
    """
RemoteStartTransaction.req connectorId:i0 idTag:s20! chargingProfile:ChargingProfile
RemoteStopTransaction.req transactionId:i!
ReserveNow.req connectorId:i0! expiryDate:t! idTag:s20! parentIdTag:s20 reservationId:i!
Reset.req type:Hard|Soft!
SetChargingProfile.req connectorId:i0! csChargingProfiles:ChargingProfile!
""",
    """
TriggerMessage.req connectorId:i0 requestedMessage:BootNotification|Heartbeat|MeterValues|\
DiagnosticsStatusNotification|FirmwareStatusNotification|StatusNotification!
UnlockConnector.req connectorId:i0!
UpdateFirmware.req location:s! retries:i0 retrieveDate:t! retryInterval:i0
ChangeAvailability.
ClearCache.
GetLocalListVersion.
SendLocalList.
""",
)


def row(name: str, rows: tuple = ROWS) -> list | str | None:
    """The fields of a row: (name, kind, required), or of an enumeration's just its values as one
    text. None where there is no such row."""
    for text in rows:
        start = text.find("\n%s " % name)
        if start >= 0:
            break
        if "\n%s\n" % name in text:
            return []
    else:
        return None
    fields = []
    for field in text[start : text.find("\n", start + 1)].split()[1:]:
        name, colon, kind = field.partition(":")
        if not colon:
            return name
        fields.append((name, kind.rstrip("!"), kind[-1] == "!"))
    return fields


def _resolved(kind, rows):
    """A class as its fields, a named enumeration as its values; other kinds as they are."""
    if "|" in kind or not "A" <= kind[0] <= "Z":
        return kind
    return row(kind, rows) or row(kind)


def _violated(kind, why):
    raise CallError(kind + "ConstraintViolation", ": " + why)


def _value(kind, value, strict, rows, later):
    """The value, or what it stands for in an answer. Raises CallError without the name."""
    first = kind[0]
    if first == "d":
        if type(value) is float:
            if value >= 0 and not charging_periods.has_one_decimal(value):
                _violated("Property", "more than one digit of fraction")
        elif type(value) is not int:
            _violated("Type", "not a number")
        if value < 0:
            _violated("Property", "less than 0")
    elif first == "i":
        if not strict and type(value) is float and -16777216 < value < 16777216 and value % 1 == 0:
            value = int(value)  # within what the device's float holds
        if type(value) is not int:
            _violated("Type", "not an integer")
        if value < 0 and kind == "i0" or value < 1 and kind == "i1":
            _violated("Property", "less than " + kind[1:])
    elif first == "[" or first == "(":
        if type(value) is not list:
            _violated("Type", "not a list")
        packs = first == "(" and rows is ROWS
        if kind[-2] == "+" or first == "(":
            if not value:
                _violated("Occurence", "empty")
        later.append(["", _resolved(kind[1:-1].rstrip("+"), rows), value, packs])
    elif first == "b":
        if type(value) is not bool:
            _violated("Type", "not a boolean")
    else:
        if type(kind) is str:
            kind = _resolved(kind, rows)
        if type(kind) is list:
            if type(value) is not dict:
                _violated("Type", "not an object")
            return _members(kind, value, strict, rows, later)
        if type(value) is not str:
            _violated("Type", "not a string")
        if kind == "t":
            try:
                epoch = runtime.load("firmware.base.times").parse(value)
            except ValueError as why:
                _violated("Property", str(why))
            if rows is ROWS:
                return epoch
        elif "|" in kind:
            if value not in kind.split("|"):
                _violated("Property", "none of " + kind)
        elif kind != "s" and len(value) > int(kind[1:]):
            _violated("Property", "longer than " + kind[1:])
    return value


def _members(fields, members, strict, rows, later):
    known = 0
    for name, kind, required in fields:
        try:
            value = members.get(name)
            if type(value) is int and value > 0 and kind[0] in "id":
                known += 1
                continue
            if value is not None or (strict and name in members):
                lists = len(later)
                members[name] = _value(kind, value, strict, rows, later)
                for entry in later[lists:]:
                    entry[0] = ".%s%s" % (name, entry[0])
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
            if not any(name == field[0] for field in fields):
                raise CallError("FormationViolation", ".%s: unknown" % name[:50])
    return members


def fields(action: str, direction: str, rows: tuple = ROWS) -> list:
    """The row of a message. Raises CallError NotImplemented for an action that nobody knows,
    NotSupported for one that this station does not answer."""
    found = row(action + "." + direction, rows) if action.isalpha() else None
    if found is None:
        known = action.isalpha() and any("\n%s." % action in text for text in ROWS)
        raise CallError("NotSupported" if known else "NotImplemented", action[:50])
    return found  # type: ignore[return-value]


def _steps(action, direction, payload, strict, rows):
    """Generator: checks, with pauses where it has taken long."""
    found = fields(action, direction, rows)
    if type(payload) is not dict:
        raise CallError("FormationViolation", "the payload is not an object")
    yield
    later = []  # the lists: [where, kind, items, whether they become numbers]
    where = ""
    try:
        _members(found, payload, strict, rows, later)
        for name, kind, items, packs in later:
            ahead = 0  # how many more periods than arrays of them were before
            for i in range(len(items)):
                if packs and type(items[i]) is array:
                    ahead += len(items[i]) // 3 - 1
                    continue
                if i & 7 == 0 and len(items) > 8:
                    yield
                where = "%s[%d]" % (name, i + ahead)
                lists = len(later)
                items[i] = _value(kind, items[i], strict, rows, later)
                for entry in later[lists:]:
                    entry[0] = where + entry[0]
            if packs:
                charging_periods.pack(items)
    except CallError as error:
        error.description = (where + error.description)[1:]
        raise


def check(action: str, direction: str, payload, strict: bool = True, rows: tuple = ROWS) -> dict:
    """The payload of a message, `direction` "req" or "conf", checked against its row.

    Strict: raises CallError at the first thing wrong, naming the field. Else, for answers: drops
    nulls and optional fields that are wrong, ignores unknown members, takes 30.0 for an integer
    and any emptiness for an object without members, and raises only for what is required.
    """
    if payload is None or (not strict and not payload):
        payload = {}  # OCPP-J 4.2.1
    for _ in _steps(action, direction, payload, strict, rows):
        pass
    return payload


async def checked(action: str, payload) -> dict:
    """As `check` of a call, but other tasks run while a long list is gone through."""
    payload = {} if payload is None else payload
    for _ in _steps(action, "req", payload, True, ROWS):
        await asyncio.sleep(0)
    return payload
