"""OCPP-J frames: bytes to lists and dicts (OCPP-J 4.1.2, 4.2), in bounded time and space.

An own parser, since the runtimes' differ: MicroPython's takes `[1 2]` and `{1:2}`, CPython's NaN,
and both hold the loop and fill the heap as long as the frame likes. What passes here is strict
JSON (RFC 8259) in UTF-8, an array no deeper than 8, with integers of 64 bits and a bounded
estimate of the heap that it takes. Of a name given twice in an object the last value counts.
What only some frames need is in `escapes.py`.
"""

import asyncio

from firmware.base import runtime
from firmware.ocpp import CallError

_PERIODS = "chargingSchedulePeriod"  # a list of these becomes numbers at once, see periods.py
_WINDOW = 384
_HEAP = 16384  # 100 charging periods of three members are estimated at 10 KB, and take one


def _bad(why, *args):
    raise CallError("FormationViolation", why % args)


def _digits(data, i, most):
    """The end of the digits at i: 1 to `most` of them."""
    j = i
    while 48 <= data[j] < 58:
        j += 1
    if not i < j <= i + most:
        raise IndexError
    return j


def _number(data, i):
    """(where it ends, the number that begins at i): at most 18 digits, so that it fits 64 bits.
    Raises IndexError."""
    first = i + (data[i] == 45)
    j = _digits(data, first, 18)
    if data[first] == 48 and j > first + 1:
        raise IndexError
    after = data[j]
    if after != 46 and after != 69 and after != 101:
        return j, int(data[i:j])
    if after == 46:
        j = _digits(data, j + 1, 18)
        after = data[j]
    if after == 69 or after == 101:
        j = _digits(data, j + 1 + (data[j + 1] in b"+-"), 2)
    return j, float(data[i:j])


def _literal(data, i):
    """(where it ends, the value of the word that begins at i). Raises IndexError."""
    word = {116: b"true", 102: b"false"}.get(data[i], b"null")
    if data[i : i + len(word)] != word:
        raise IndexError
    return i + len(word), None if word == b"null" else word == b"true"


def _odd(data):
    """Whether a byte is not printable ASCII: has neither bit 6 nor 5, or has bit 7. Big integers
    tell it in a tenth of the time of a loop."""
    for i in range(0, len(data), _WINDOW):
        bits = int.from_bytes(data[i : i + _WINDOW], "big")
        mask = int.from_bytes(b"@" * min(_WINDOW, len(data) - i), "big")
        if (bits | bits << 1) & mask != mask or bits & mask << 1:
            return True
    return False


async def _tree(view):
    size = len(view)
    at = i = end = 0  # data is view[at : at + end], looked at from i
    brink = -1  # beyond it a number or literal might be cut by the window's end
    span = _WINDOW
    top = root = []  # the container that is open
    outer = []  # those around it
    nest = 2  # below the first 1 a bit for each of them: 1 object, 0 array
    names = {}  # bytes to text: a name that comes often is kept once
    name = ""
    rows = periods = None  # the list of charging periods that is open, and who makes numbers of it
    heap = 0  # an upper bound of the bytes that all this takes on 32 bits
    # what may come: 0 the frame, 1 value, 2 value or ], 3 name, 4 name or }, 5 colon,
    # 6 comma or the end of the container, 7 nothing
    state = 0
    fill = getattr(view, "fill", None)  # a net/long.py
    try:
        while True:
            if i > brink:
                if at or i:
                    await asyncio.sleep(0)
                if heap > _HEAP:
                    _bad("too large")
                at += i
                i = 0
                if fill:
                    view.forget(at)
                    await fill(at + span + 1)
                    size = len(view)
                data = bytes(view[at : at + span])
                end = len(data)
                brink = end - 64 if at + end < size else size
                span = _WINDOW
                odd = _odd(data)
                if at & 256:  # or what lives would lie scattered over all the heap
                    runtime.collect()
                    await asyncio.sleep(0)
                if odd or b"\\" in data:
                    string = runtime.load("firmware.ocpp.escapes").string
                else:
                    string = None
            c = data[i]
            i += 1
            if c == 34:
                if not 0 < state < 5:
                    break
                if string:
                    j, value = string(data, i, odd)
                else:
                    j = data.find(b'"', i)
                    value = data[i:j]
                if j < 0:  # again, with a window that holds more of it
                    if at + end == size:
                        break
                    i -= 1
                    brink = -1
                    span = 2 * end
                    continue
                i = j + 1
                if state > 2:
                    name = names.get(value)
                    if name is None:
                        name = names[value] = str(value, "utf-8")
                        heap += 56 + len(value)
                    heap += 4
                    state = 5
                    if i < end and data[i] == 58:
                        i += 1
                        state = 1
                    continue
                value = str(value, "utf-8")
                heap += 32 + len(value)
            elif 44 < c < 58:
                if not 0 < state < 3:
                    break
                i, value = _number(data, i - 1)
                if type(value) is float or not -1000000000 < value < 1000000000:
                    heap += 16
            elif c == 44:
                if state != 6:
                    break
                state = 3 if nest & 1 else 1
                continue
            elif c == 93 or c == 125:
                if nest & 1 != (c == 125) or state & 1 or not state:
                    break
                top = outer.pop()
                nest >>= 1
                if top is rows and c == 125:
                    periods.take(rows)  # type: ignore[attr-defined]
                state = 6 if outer else 7
                continue
            elif c == 58:
                if state != 5:
                    break
                state = 1
                continue
            elif c < 33:
                if c not in b" \t\r\n":
                    break
                continue
            elif state > 2 or (state == 0 and c != 91):
                break
            elif c == 91 or c == 123:
                value = {} if c == 123 else []
                heap += 32
            else:
                i, value = _literal(data, i - 1)
            heap += 8
            if nest & 1:
                top[name] = value  # type: ignore[call-overload]
            else:
                top.append(value)
            if c == 91 or c == 123:
                outer.append(top)
                top = value
                if len(outer) > 8:
                    _bad("nested too deep")
                if c == 91 and name == _PERIODS:
                    periods = runtime.load("firmware.ocpp.periods")
                    rows = value
                nest = nest << 1 | (c == 123)
                state = 4 if c == 123 else 2
            else:
                state = 6
    except IndexError:
        if state == 7:
            if heap > _HEAP:
                _bad("too large")
            return root[0]
    _bad("not JSON at byte %d", at + i)


async def take(message: list) -> list:
    """`parse` of the memoryview in a list, from which it goes unless it is refused."""
    frame = await parse(message[0])
    message.clear()
    return frame


async def parse(view) -> list:
    """[2, id, action, payload], [3, id, payload] or [4, id, code, description, details] of a
    memoryview, or of a net/long.py as more of it comes. Lets other tasks run meanwhile.

    Raises CallError where it is none of these: FormationViolation, or InternalError when there is
    no room for it. The payload of an answer is not looked at.
    """
    try:
        frame = await _tree(view)
    except MemoryError:
        runtime.collect()
        raise CallError("InternalError", "no room for it")
    kind = frame[0] if frame else 0
    known = type(kind) is int and kind in (2, 3, 4)
    if known and len(frame) > 2 and type(frame[1]) is str and len(frame[1]) <= 36:
        if kind == 3 or type(frame[2]) is str and (kind == 4 or len(frame) == 4):
            return frame
    raise CallError("FormationViolation", "not a frame")
