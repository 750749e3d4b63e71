"""Reads OCPP-J messages: bytes to lists and dicts (OCPP-J 4.1.2, 4.2), in bounded time and space.

This is a parser of our own, since those of the Pythons differ: MicroPython's accepts `[1 2]` and
`{1:2}`, CPython's accepts NaN, and with both a long message holds the loop and fills the heap.
This one accepts strict JSON (RFC 8259) in UTF-8 with integers of 64 bits: an array, nested at most
8 deep, whose estimated size in the heap is bounded. If a name comes twice in an object, the last
value counts.

A message is read in windows of some hundred bytes, between which other tasks run. Three subjects
follow on each other: the window, the lexer (strings, numbers and words within it), and the tree.

The objects of some lists are packed as they are read, since there may be many. A packer is a
function of such a list, called when an object in it is complete: it may put something smaller into
the object's place. It returns the bytes of the heap that all which it has packed takes, or None
where the object still counts as it did.
"""

import asyncio
from array import array

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.ocpp import CALL, CALLERROR, CALLRESULT, CallError

_WINDOW = const(192)  # bytes
_LONGEST = const(64)  # bytes of the longest number or word, with room to spare
_DEEPEST = const(8)  # arrays and objects within each other, the message itself included
_HEAP = const(16384)  # bytes; 100 charging periods as objects are estimated at 10 KB
_LONGEST_ID = const(36)  # characters of a message's id (OCPP-J 4.1.4)

# What may come next: a sum of these.
_VALUE = const(1)
_NAME = const(2)
_COLON = const(4)
_COMMA = const(8)
_END = const(16)  # of the array or object that is open
_MESSAGE = const(32)  # the array that a message is
_NOTHING = const(0)

# Charging periods (OCPP 7.13): the lists of this name become numbers as they are read. A hundred
# of them take 1 KB then, and 8 KB as objects. Each array('i') holds up to 16 periods with three
# numbers each: startPeriod in s, limit in tenths of its unit, and numberPhases, -1 where it is
# absent.
_PERIODS = const("chargingSchedulePeriod")
_EACH = const(3)  # numbers of a period
_NUMBERS = const(48)  # in an array: larger ones are hard to find room for
_MOST = const(2000000000)  # larger numbers are kept as this one

_QUOTE = const(0x22)
_ESCAPE = const(0x5C)


def _refuse(why):
    raise CallError("FormationViolation", why)


# the window


class _Window:
    """The bytes of a message that are being looked at: `data`, up to `end`. A number or a word
    that begins behind `brink` might be cut by the window's end. `plain`: the window holds nothing
    but printable ASCII, and no escapes; `only_ascii`: escapes, perhaps."""

    def __init__(self, message):
        self.message = message  # a memoryview, or a LongMessage, of which more comes
        self.at = 0  # where the window begins in the message
        self.data = b""

    async def move(self, by: int, size: int) -> bytes:
        """The window moves on by so many bytes; what it holds then, `size` or less."""
        message = self.message
        if by or self.at:
            await asyncio.sleep(0)
        self.at = at = self.at + by
        if hasattr(message, "fill"):
            message.forget(at)
            await message.fill(at + size + 1)
        self.data = data = bytes(message[at : at + size])
        self.end = len(data)
        self.last = at + self.end == len(message)
        self.brink = self.end if self.last else self.end - _LONGEST
        self.only_ascii = _is_printable_ascii(data)
        self.plain = self.only_ascii and b"\\" not in data
        return data


def _is_printable_ascii(data):
    """Whether each byte has bit 6 or bit 5, and not bit 7. Big integers tell it in a tenth of the
    time of a loop."""
    size = len(data)
    bits = int.from_bytes(data, "big")
    ones = int.from_bytes(b"@" * size, "big")  # bit 6 of each byte
    return (bits | bits << 1) & ones == ones and not bits & ones << 1


# the lexer: each function raises IndexError where the data ends, or holds nothing of that kind


def _read_number(data, i):
    """(where it ends, the number that begins at i): at most 18 digits, so that it fits 64 bits."""
    first = j = i + (data[i] == 0x2D)  # -
    c = data[j]
    while 0x30 <= c < 0x3A:
        j += 1
        c = data[j]
    if not first < j <= first + 18 or (data[first] == 0x30 and j > first + 1):
        raise IndexError
    if c != 0x2E and c != 0x65 and c != 0x45:  # . e E
        return j, int(data[i:j])
    if c == 0x2E:
        j = _skip_digits(data, j + 1, 18)
        c = data[j]
    if c == 0x65 or c == 0x45:
        j = _skip_digits(data, j + 1 + (data[j + 1] in b"+-"), 2)
    return j, float(data[i:j])


def _skip_digits(data, i, most):
    """The end of the digits at i: 1 to `most` of them."""
    j = i
    while 0x30 <= data[j] < 0x3A:
        j += 1
    if not i < j <= i + most:
        raise IndexError
    return j


def _read_word(data, i):
    """(where it ends, the value of true, false or null at i)."""
    if data[i : i + 4] == b"true":
        return i + 4, True
    if data[i : i + 5] == b"false":
        return i + 5, False
    if data[i : i + 4] == b"null":
        return i + 4, None
    raise IndexError


def _read_string(data, i, only_ascii):
    """(where its closing quote is, the bytes of the string that begins at i), escapes resolved;
    (-1, b"") where the data end before it does. Raises CallError for what is no text."""
    text = bytearray()
    while True:
        quote = data.find(b'"', i)
        if quote < 0:
            return -1, b""
        escape = data.find(b"\\", i, quote)
        piece = data[i : quote if escape < 0 else escape]
        if not only_ascii:
            _check_text(piece)
        text.extend(piece)
        if escape < 0:
            return quote, bytes(text)
        i = _read_escape(data, escape + 1, text)


def _read_escape(data, i, text):
    """Appends the character that an escape stands for; where the escape ends."""
    c = data[i]
    i += 1
    if c != 0x75:  # u
        which = b'"\\/bfnrt'.find(bytes((c,)))
        if which < 0:
            _refuse("not an escape")
        text.append(b'"\\/\b\f\n\r\t'[which])
        return i
    code = _read_hex(data, i)
    i += 4
    if code >> 11 == 0x1B:  # surrogates come in pairs
        low = _read_hex(data, i + 2)
        if code > 0xDBFF or data[i : i + 2] != b"\\u" or low >> 10 != 0x37:
            _refuse("half a character")
        code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
        i += 6
    if code < 0x80:
        text.append(code)
        return i
    # As UTF-8 (RFC 3629 3); MicroPython would keep what chr() gives for ever.
    more = 1 + (code > 0x7FF) + (code > 0xFFFF)
    text.append(0xFF00 >> more + 1 & 0xFF | code >> 6 * more)
    while more:
        more -= 1
        text.append(0x80 | code >> 6 * more & 0x3F)
    return i


def _read_hex(data, i):
    code = 0
    for c in data[i : i + 4]:
        if c not in b"0123456789abcdefABCDEF":
            _refuse("not an escape")
        code = code * 16 + (c - 0x30 if c < 0x3A else (c | 0x20) - 0x57)
    return code


def _check_text(piece):
    """Refuses control characters, and what is not UTF-8 (RFC 3629 4)."""
    more = 0
    low, high = 0x80, 0xBF
    for c in piece:
        if more:
            if not low <= c <= high:
                _refuse("not UTF-8")
            more -= 1
            low, high = 0x80, 0xBF
        elif c < 0x20:
            _refuse("control character in a string")
        elif c > 0x7F:
            more = 1 if c < 0xE0 else 2 if c < 0xF0 else 3
            if not 0xC2 <= c <= 0xF4:
                _refuse("not UTF-8")
            if c in (0xE0, 0xF0):  # overlong
                low = 0xA0 if c == 0xE0 else 0x90
            elif c in (0xED, 0xF4):  # surrogates, and beyond U+10FFFF
                high = 0x9F if c == 0xED else 0x8F
    if more:
        _refuse("not UTF-8")


# the tree


class _Tree:
    """What has been read: `top` is the array or object that is open, `outer` holds those around
    it, the first a list for the message."""

    def __init__(self, packers):
        self.top = []
        self.outer = []
        self.packers = packers
        self.packed = None  # the list that is open whose objects are packed,
        self.pack = None  # and its packer
        self.heap_before = 0  # what all took that was read before this list

    def open(self, name, is_object: bool, heap: int):
        """A new array or object, as the next value in the one that is open. `heap`: what all takes
        so far."""
        inner = {} if is_object else []
        top = self.top
        if type(top) is dict:
            top[name] = inner
        else:
            top.append(inner)
        self.outer.append(top)
        if len(self.outer) > _DEEPEST:
            _refuse("nested too deep")
        self.top = inner
        if not is_object and name in self.packers:
            self.packed = inner
            self.pack = self.packers[name]
            self.heap_before = heap
        return inner

    def close(self, heap: int) -> int:
        """The one that is open is complete; the one around it is `top` then. Returns what all
        takes now; it was `heap`."""
        closed = self.top
        self.top = top = self.outer.pop()
        if top is self.packed and type(closed) is dict:
            size = self.pack(top)
            if size is not None:
                return self.heap_before + size
        return heap


async def _read_tree(message, packers):
    """The array that a message is."""
    window = _Window(message)
    tree = _Tree(packers)
    top = tree.top
    in_object = False  # the innermost array or object that is open is an object
    name = ""
    names = {}  # bytes to text: a name that comes often is kept once
    heap = 0  # an upper bound of the bytes that all this takes on 32 bits
    expected = _MESSAGE
    size = _WINDOW
    i = end = 0
    brink = -1
    try:
        while True:
            if i > brink:
                if heap > _HEAP:
                    _refuse("too large")
                data = await window.move(i, size)
                i, end, brink = 0, window.end, window.brink
                plain = window.plain
                size = _WINDOW
            c = data[i]
            i += 1
            if c == _QUOTE:
                if not expected & (_VALUE | _NAME):
                    break
                if plain:
                    j = data.find(b'"', i)
                    value = data[i:j]
                else:
                    j, value = _read_string(data, i, window.only_ascii)
                if j < 0:  # once more, with a window that holds all of it
                    if window.last:
                        break
                    i -= 1
                    brink = -1
                    size = 2 * end
                    continue
                i = j + 1
                if expected & _NAME:
                    name = names.get(value)
                    if name is None:
                        name = names[value] = str(value, "utf-8")
                        heap += 56 + len(value)
                    heap += 4
                    expected = _COLON
                    if i < end and data[i] == 0x3A:  # : as a rule
                        i += 1
                        expected = _VALUE
                    continue
                heap += 40 + len(value)
                value = str(value, "utf-8")
            elif 0x2C < c < 0x3A:  # - or a digit
                if not expected & _VALUE:
                    break
                i, value = _read_number(data, i - 1)
                if type(value) is float or not -1000000000 < value < 1000000000:
                    heap += 16
                heap += 8
            elif c == 0x2C:  # ,
                if not expected & _COMMA:
                    break
                expected = _NAME if in_object else _VALUE
                continue
            elif c == 0x20 or c == 0x0A or c == 0x0D or c == 0x09:
                continue
            elif c == 0x5D or c == 0x7D:  # ] }
                if not expected & _END or in_object != (c == 0x7D):
                    break
                heap = tree.close(heap)
                top = tree.top
                in_object = type(top) is dict
                expected = _COMMA | _END if tree.outer else _NOTHING
                continue
            elif c == 0x5B or c == 0x7B:  # [ {
                if not expected & _VALUE and (expected != _MESSAGE or c != 0x5B):
                    break
                heap += 40
                in_object = c == 0x7B
                top = tree.open(name, in_object, heap)
                expected = _NAME | _END if in_object else _VALUE | _END
                continue
            elif c == 0x3A:  # :
                if expected != _COLON:
                    break
                expected = _VALUE
                continue
            else:
                if not expected & _VALUE:
                    break
                i, value = _read_word(data, i - 1)
                heap += 8
            if in_object:
                top[name] = value  # type: ignore[call-overload]
            else:
                top.append(value)
            expected = _COMMA | _END
    except IndexError:  # the message ends here, or in the midst of something
        if expected == _NOTHING:
            if heap > _HEAP:
                _refuse("too large")
            return top[0]
    return _refuse("not JSON at byte %d" % (window.at + i))


# messages


async def read_message(message, packers: dict | None = None) -> list:
    """[CALL, id, action, payload], [CALLRESULT, id, payload] or [CALLERROR, id, code, description,
    details] of a memoryview, or of a LongMessage as more of it comes. Lets other tasks run.
    `packers`: by the names of their lists, PACKERS where there are no others.

    Raises CallError where it is none of these: FormationViolation, or InternalError when there is
    no room for it. The payload of an answer is not looked at.
    """
    try:
        frame = await _read_tree(message, packers or PACKERS)
    except MemoryError:
        runtime.collect()
        raise CallError("InternalError", "no room for it")
    kind = frame[0] if frame else 0
    known = type(kind) is int and kind in (CALL, CALLRESULT, CALLERROR)
    if known and len(frame) > 2 and type(frame[1]) is str and len(frame[1]) <= _LONGEST_ID:
        if kind == CALLRESULT:
            return frame
        if type(frame[2]) is str and (kind == CALLERROR or len(frame) == 4):
            return frame
    return _refuse("not a frame")


def read_head(message) -> tuple:
    """(type, id, action) from the beginning of a message that is refused, as far as they can be
    read: (0, "", "") where not even the id can."""
    parts = bytes(message[:200]).split(b'"', 4)
    start = b"".join(parts[0].split())
    kind, uid, action = 0, "", ""
    try:
        if len(parts) > 2 and start in (b"[2,", b"[3,", b"[4,") and b"\\" not in parts[1]:
            _check_text(parts[1])
            kind, uid = start[1] - 0x30, str(parts[1], "utf-8")
            if len(parts) > 4 and parts[2].strip() == b"," and parts[3].isalpha():
                action = str(parts[3], "utf-8")
    except CallError:
        pass  # not UTF-8: then there is no id
    return kind, uid, action


# charging periods


def _take_period(found: list) -> None:
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


def count_periods(numbers) -> int:
    """How many periods an array holds."""
    return len(numbers) // _EACH


def pack_periods(found: list) -> None:
    """`_take_period` for a list of objects, all of them checked."""
    if type(found[0]) is dict:
        objects = found[:]
        found.clear()
        for period in objects:
            found.append(period)
            _take_period(found)


def has_one_decimal(number: float) -> bool:
    """Whether a number from 0 has at most one digit of fraction."""
    tenths = number * 10
    return number >= _MOST or _is_whole(tenths, int(tenths + 0.5))


def _is_whole(exact, rounded):
    """Whether `exact` is an integer, within the 24 bits of the device's floats."""
    return abs(exact - rounded) <= exact * 3e-7


# The names of the lists whose objects are packed, and their packers.
PACKERS = {_PERIODS: _take_period}
