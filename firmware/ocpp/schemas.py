"""Checks messages against the table of their fields (messages.py)."""

import asyncio
from array import array

from firmware.base import times
from firmware.ocpp import CallError, charging_periods
from firmware.ocpp.messages import MESSAGES, NOT_SUPPORTED

_AT_ONCE = 8  # items of a list that are checked in one go, then others have their turn


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
    for _ in _check(action, direction, payload, strict, messages):
        pass
    return payload


async def checked(action: str, payload) -> dict:
    """As `check` of a call, but other tasks run while a long list is gone through."""
    payload = {} if payload is None else payload
    for _ in _check(action, "req", payload, True, MESSAGES):
        await asyncio.sleep(0)
    return payload


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


def _check(action, direction, payload, strict, messages):
    """Generator: checks, and yields where it has taken long."""
    found = fields(action, direction, messages)
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
                    packed += charging_periods.count(items[i]) - 1
                    continue
                if i % _AT_ONCE == 0 and len(items) > _AT_ONCE:
                    yield
                path = "%s[%d]" % (each.path, i + packed)
                have = len(lists)
                items[i] = _check_value(each.kind, items[i], strict, messages, lists)
                for inner in lists[have:]:
                    inner.path = path + inner.path
            if each.becomes_numbers:
                charging_periods.pack(items)
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
            if not any(name == field[0] for field in found):
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
    row = kind if "|" in kind or first > "Z" else resolve(kind, messages)
    if type(row) is tuple:
        if type(value) is not dict:
            _violated("Type", "not an object")
        return _check_members(row, value, strict, messages, lists)
    if type(value) is not str:
        _violated("Type", "not a string")
    if first == "t":
        return _check_time(value, messages is MESSAGES)
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
        if value >= 0 and not charging_periods.has_one_decimal(value):
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


def _check_time(value, becomes_seconds):
    try:
        epoch = times.parse(value)
    except ValueError as why:
        _violated("Property", str(why))
    return epoch if becomes_seconds else value


def _violated(kind, why):
    raise CallError(kind + "ConstraintViolation", ": " + why)
