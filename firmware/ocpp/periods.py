"""Charging periods as numbers, 1 KB for a hundred of them instead of 8 as objects: an array('i')
for each 16 of them, of startPeriod in s, limit in tenths, and numberPhases, -1 where there is none
(OCPP 7.13). Loaded for a message that has some."""

from array import array

from firmware.base.runtime import const

_NUMBERS = const(48)  # in an array: larger ones are hard to find room for
_MOST = const(2000000000)  # what stands for more


def take(found: list) -> None:
    """Puts the object at the end of a list among the numbers before it. It stays where it is,
    for the schemas to refuse, when it is no ChargingSchedulePeriod as they want it, or comes after
    one of these."""
    members = found[-1]
    before = found[-2] if len(found) > 1 else None
    if type(members) is not dict or not (before is None or type(before) is array):
        return
    start = members.get("startPeriod")
    limit = members.get("limit")
    phases = members.get("numberPhases", -1)
    if type(start) is not int or type(phases) is not int or start < 0:
        return
    if len(members) != 2 + ("numberPhases" in members):
        return
    if type(limit) not in (int, float) or limit < 0 or not fine(limit):
        return
    tenths = int(limit * 10 + 0.5) if limit < _MOST else _MOST
    found.pop()
    if before is None or len(before) == _NUMBERS:
        before = array("i")
        found.append(before)
    for number in (start, tenths, phases):
        before.append(max(-1, min(number, _MOST)))


def pack(found: list) -> None:
    """`take` for a list of objects, all of them checked."""
    if type(found[0]) is dict:
        objects = found[:]
        found.clear()
        for members in objects:
            found.append(members)
            take(found)


def fine(number: float) -> bool:
    """Whether a decimal has at most one digit of fraction, as far as 24 bits tell."""
    tenths = number * 10
    return number >= _MOST or abs(tenths - int(tenths + 0.5)) <= tenths * 3e-7
