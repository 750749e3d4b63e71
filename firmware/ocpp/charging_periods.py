"""Turns charging periods (OCPP 7.13) into numbers: a hundred of them take 1 KB then, and 8 KB as
objects.

Each array('i') holds up to 16 periods with three numbers each: startPeriod in s, limit in tenths
of its unit, and numberPhases, -1 where it is absent.
"""

from array import array

from firmware.base.runtime import const

NAME = "chargingSchedulePeriod"  # the lists of these become numbers as they are read
_EACH = const(3)  # numbers of a period
_NUMBERS = const(48)  # in an array: larger ones are hard to find room for
_MOST = const(2000000000)  # larger numbers are kept as this one


def take_last(found: list) -> None:
    """Turns the last object in a list into numbers, in the array before it. An object that is no
    valid ChargingSchedulePeriod, or comes after an invalid one, stays: the schemas refuse it."""
    period = found[-1]
    numbers = found[-2] if len(found) > 1 else None
    if type(period) is not dict or not (numbers is None or type(numbers) is array):
        return
    start = period.get("startPeriod")
    limit = period.get("limit")
    phases = period.get("numberPhases", -1)
    if type(start) is not int or type(phases) is not int or start < 0:
        return
    if len(period) != 2 + ("numberPhases" in period):
        return
    if type(limit) not in (int, float) or limit < 0:
        return
    exact = limit * 10
    tenths = _MOST
    if limit < _MOST:
        tenths = int(exact + 0.5)
        if not _is_whole(exact, tenths):
            return
    found.pop()
    if numbers is None or len(numbers) == _NUMBERS:
        numbers = array("i")
        found.append(numbers)
    numbers.append(start if start < _MOST else _MOST)
    numbers.append(tenths if tenths < _MOST else _MOST)
    numbers.append(phases if -1 < phases < _MOST else -1 if phases < 0 else _MOST)


def count(numbers) -> int:
    """How many periods an array holds."""
    return len(numbers) // _EACH


def pack(found: list) -> None:
    """`take_last` for a list of objects, all of them checked."""
    if type(found[0]) is dict:
        objects = found[:]
        found.clear()
        for period in objects:
            found.append(period)
            take_last(found)


def has_one_decimal(number: float) -> bool:
    """Whether a number from 0 has at most one digit of fraction."""
    tenths = number * 10
    return number >= _MOST or _is_whole(tenths, int(tenths + 0.5))


def _is_whole(exact, rounded):
    """Whether `exact` is an integer, within the 24 bits of the device's floats."""
    return abs(exact - rounded) <= exact * 3e-7
