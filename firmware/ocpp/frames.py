"""OCPP-J frames: bytes to lists and dicts (OCPP-J 4.1.2, 4.2), in bounded time and space.

An own parser, since the runtimes' differ: MicroPython's takes `[1 2]` and `{1:2}`, CPython's NaN,
and both hold the loop and fill the heap as long as the frame likes. What passes here is strict
JSON (RFC 8259) in UTF-8, an array no deeper than 8, with integers of 64 bits and a bounded
estimate of the heap that it takes. Of a name given twice in an object the last value counts.
"""

import asyncio

from firmware.base import runtime
from firmware.ocpp import CallError

_WINDOW = 384
_HEAP = 16384  # 100 charging periods of three members are estimated at 10 KB


def _bad(why, *args):
    raise CallError("FormationViolation", why % args)


def _text(chunk):
    """Refuses control characters, and what is not UTF-8 (RFC 3629 4)."""
    more = 0
    low, high = 0x80, 0xBF
    for c in chunk:
        if more:
            if not low <= c <= high:
                _bad("not UTF-8")
            more -= 1
            low, high = 0x80, 0xBF
        elif c < 32:
            _bad("control character in a string")
        elif c > 127:
            more = 1 if c < 0xE0 else 2 if c < 0xF0 else 3
            if not 0xC2 <= c <= 0xF4:
                _bad("not UTF-8")
            if c in (0xE0, 0xF0):  # overlong
                low = 0xA0 if c == 0xE0 else 0x90
            elif c in (0xED, 0xF4):  # surrogates, and beyond U+10FFFF
                high = 0x9F if c == 0xED else 0x8F
    if more:
        _bad("not UTF-8")


def _hex(data, i):
    code = 0
    for c in data[i : i + 4]:
        if c not in b"0123456789abcdefABCDEF":
            _bad("not an escape")
        code = code * 16 + (c - 48 if c < 58 else (c | 32) - 87)
    return code


def _string(data, i, odd):
    """(closing quote, bytes) of the string that begins at i, escapes resolved; (-1, None) where
    the window ends before it does."""
    out = bytearray()
    while True:
        end = data.find(b'"', i)
        if end < 0:
            return -1, None
        stop = data.find(b"\\", i, end)
        piece = data[i : end if stop < 0 else stop]
        if odd:
            _text(piece)
        out.extend(piece)
        if stop < 0:
            return end, bytes(out)
        c = data[stop + 1]
        i = stop + 2
        if c != 117:
            c = b'"\\/bfnrt'.find(bytes((c,)))
            if c < 0:
                _bad("not an escape")
            out.append(b'"\\/\b\f\n\r\t'[c])
            continue
        code = _hex(data, i)
        i += 4
        if code >> 11 == 0x1B:  # surrogates come in pairs
            low = _hex(data, i + 2)
            if code > 0xDBFF or data[i : i + 2] != b"\\u" or low >> 10 != 0x37:
                _bad("half a character")
            code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
            i += 6
        if code < 128:
            out.append(code)
            continue
        more = 1 + (code > 0x7FF) + (code > 0xFFFF)  # chr() would keep each character for ever
        out.append(0xFF00 >> more + 1 & 0xFF | code >> 6 * more)
        while more:
            more -= 1
            out.append(0x80 | code >> 6 * more & 0x3F)


def _digits(data, i, most):
    """The end of the digits at i: 1 to `most` of them."""
    j = i
    while 48 <= data[j] < 58:
        j += 1
    if not i < j <= i + most:
        raise IndexError
    return j


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
    heap = 0  # an upper bound of the bytes that all this takes on 32 bits
    # what may come: 0 the frame, 1 value, 2 value or ], 3 name, 4 name or }, 5 colon,
    # 6 comma or the end of the container, 7 nothing
    state = 0
    try:
        while True:
            if i > brink:
                if at or i:
                    await asyncio.sleep(0)
                if heap > _HEAP:
                    _bad("too large")
                at += i
                i = 0
                data = bytes(view[at : at + span])
                end = len(data)
                brink = end - 64 if at + end < size else size
                span = _WINDOW
                odd = _odd(data)
                if at & 256:  # or what lives would lie scattered over all the heap
                    runtime.collect()
                    await asyncio.sleep(0)
                escapes = odd or b"\\" in data
            c = data[i]
            i += 1
            if c == 34:
                if not 0 < state < 5:
                    break
                if escapes:
                    j, value = _string(data, i, odd)
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
                start = i - 1
                j = i - (c != 45)
                i = j
                while 48 <= data[i] < 58:
                    i += 1
                # at most 18 digits, so that it fits 64 bits
                if not j < i <= j + 18 or (data[j] == 48 and i > j + 1):
                    break
                after = data[i]
                if after == 46 or after == 69 or after == 101:
                    if after == 46:
                        i = _digits(data, i + 1, 18)
                        after = data[i]
                    if after == 69 or after == 101:
                        i = _digits(data, i + 1 + (data[i + 1] in b"+-"), 2)
                    value = float(data[start:i])
                    heap += 16
                else:
                    value = int(data[start:i])
                    if i > j + 9:
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
                start = i - 1
                word = b"true" if c == 116 else b"false" if c == 102 else b"null"
                value = None if c == 110 else c == 116
                i = start + len(word)
                if data[start:i] != word:
                    break
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


async def parse(view) -> list:
    """[2, id, action, payload], [3, id, payload] or [4, id, code, description, details] of a
    memoryview. Lets other tasks run meanwhile.

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


def head(view) -> tuple:
    """(type, id, action) from the beginning of a frame that is refused, as far as they can be
    read: (0, "", "") where not even the id can."""
    parts = bytes(view[:200]).split(b'"', 4)
    start = b"".join(parts[0].split())
    kind, uid, action = 0, "", ""
    try:
        if len(parts) > 2 and start in (b"[2,", b"[3,", b"[4,") and b"\\" not in parts[1]:
            _text(parts[1])
            kind, uid = start[1] - 48, str(parts[1], "utf-8")
            if len(parts) > 4 and parts[2].strip() == b"," and parts[3].isalpha():
                action = str(parts[3], "utf-8")
    except CallError:
        pass  # not UTF-8: then there is no id
    return kind, uid, action
