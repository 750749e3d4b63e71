"""OCPP-J frames: one scan over the bytes before the parser sees them (OCPP-J 4.1.2, 4.2).

The runtimes' JSON parsers differ: MicroPython's takes `[1 2]` and `{1:2}`, CPython's takes NaN,
and both would fill the heap from a small frame. So what passes here is strict JSON (RFC 8259) in
UTF-8, no deeper than 8, with a bounded estimate of the heap that its values take. Of a name given
twice in one object the last counts, on every runtime.
"""

import asyncio
import gc

from firmware.base import runtime

_DEPTH = 8
_HEAP = 32768  # 100 charging periods of three members are estimated at 25 KB
_WINDOW = 256  # bytes looked at between two chances for other tasks
_AHEAD = 40  # a number, literal or escape is never cut by the end of a window

# what may come next
_START, _VALUE, _FIRST, _KEY, _FIRST_KEY, _COLON, _NEXT, _END = range(8)


class CallError(Exception):
    """An error code of OCPP-J 4.2.3 and a description of at most 255 characters. Raised by a
    handler to refuse a call, and by `Rpc.call` for a CALLERROR or an answer that is unusable."""

    def __init__(self, code: str, description: str = ""):
        super().__init__(code, description)
        self.code = code
        self.description = description

    def __str__(self):
        return "%s: %s" % (self.code, self.description)


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


def _digits(data, i):
    while 48 <= data[i] <= 57:
        i += 1
    return i


def _hex(data, i):
    code = 0
    for c in data[i : i + 4]:
        if c not in b"0123456789abcdefABCDEF":
            _bad("not an escape")
        code = code * 16 + (c - 48 if c < 58 else (c | 32) - 87)
    return code


def _string(data, i, odd, pairs):
    """The closing quote of the string that begins at i; -1 where the window ends before it.
    Where escaped surrogate pairs are goes to `pairs`."""
    while True:
        end = data.find(b'"', i)
        if end < 0:
            return -1
        stop = data.find(b"\\", i, end)
        if odd:
            _text(data[i : end if stop < 0 else stop])
        if stop < 0:
            return end
        i = stop + 2
        if data[i - 1] != 117:
            if data[i - 1] not in b'"\\/bfnrt':
                _bad("not an escape")
            continue
        code = _hex(data, i)
        i += 4
        if code >> 11 == 0x1B:
            if code > 0xDBFF or data[i : i + 2] != b"\\u" or _hex(data, i + 2) >> 10 != 0x37:
                _bad("half a character")
            pairs.append(stop)
            i += 6


def _odd(data):
    """Whether a byte is not printable ASCII: has neither bit 6 nor 5, or has bit 7. Big integers
    tell it in a tenth of the time of a loop."""
    for i in range(0, len(data), 512):
        bits = int.from_bytes(data[i : i + 512], "big")
        mask = int.from_bytes(b"@" * min(512, len(data) - i), "big")
        if (bits | bits << 1) & mask != mask or bits & mask << 1:
            return True
    return False


async def scan(view) -> list:
    """Refuses what is not a frame: CallError FormationViolation. Lets other tasks run meanwhile.

    Returns where escaped surrogate pairs begin.
    """
    size = len(view)
    at = i = end = 0  # data is view[at : at + end], looked at from i
    brink = -1  # beyond it a number or literal might be cut by the window's end
    span = 512
    nest = 1  # below the first 1 a bit for each level: 1 object, 0 array
    heap = 0  # on 32 bits: 24 for a value and its slot, 40 for a string, 48 for a container
    pairs = []
    # what may come: 0 the frame, 1 value, 2 value or ], 3 name, 4 name or }, 5 colon,
    # 6 comma or the end of the container, 7 nothing
    state = 0
    try:
        while True:
            if i > brink:
                if at or i:
                    await asyncio.sleep(0)
                at += i
                i = 0
                data = bytes(view[at : at + span])
                end = len(data)
                brink = end - 64 if at + end < size else size
                span = 512
                odd = _odd(data)
                escapes = b"\\" in data
                if heap > _HEAP:
                    _bad("too large")
            c = data[i]
            i += 1
            if c == 34:
                if not 0 < state < 5:
                    break
                if odd or escapes:
                    found = []
                    j = _string(data, i, odd, found)
                    for k in found:
                        pairs.append(at + k)
                else:
                    j = data.find(b'"', i)
                if j < 0:
                    if at + end == size:
                        break
                    i -= 1
                    brink = -1
                    span = 2 * end
                    continue
                heap += 40 + j - i
                i = j + 1
                if state < 3:
                    state = 6
                elif i < end and data[i] == 58:
                    i += 1
                    state = 1
                else:
                    state = 5
            elif 44 < c < 58:
                j = i - (c != 45)
                i = j
                while 48 <= data[i] < 58:
                    i += 1
                # at most 18 digits, so that an integer fits 64 bits
                if not 0 < state < 3 or not 0 < i - j < 19 or (data[j] == 48 and i > j + 1):
                    break
                if data[i] == 46:
                    j = i + 1
                    i = _digits(data, j)
                    if not 0 < i - j < 19:
                        break
                c = data[i]
                if c == 69 or c == 101:
                    j = i + 1 + (data[i + 1] in b"+-")
                    i = _digits(data, j)
                    if not 0 < i - j < 3:
                        break
                    c = data[i]
                heap += 24
                state = 6
                if c == 44:
                    i += 1
                    state = 3 if nest & 1 else 1
            elif c == 44:
                if state != 6:
                    break
                state = 3 if nest & 1 else 1
            elif c == 93 or c == 125:
                if nest & 1 != (c == 125) or state & 1 or not state:
                    break
                nest >>= 1
                state = 6 if nest > 1 else 7
            elif c == 58:
                if state != 5:
                    break
                state = 1
            elif c < 33:
                if c not in b" \t\r\n":
                    break
            elif state > 2 or (state == 0 and c != 91):
                break
            elif c == 91 or c == 123:
                nest = nest << 1 | (c == 123)
                if nest > 511:
                    _bad("nested too deep")
                heap += 48
                state = 4 if c == 123 else 2
            else:
                for word in (b"true", b"false", b"null"):
                    if data[i - 1 : i - 1 + len(word)] == word:
                        i += len(word) - 1
                        break
                else:
                    break
                heap += 24
                state = 6
    except IndexError:
        if state == 7:
            if heap > _HEAP:
                _bad("too large")
            return pairs
    _bad("not JSON at byte %d", at + i)


def _joined(view, pairs):
    """The frame with its escaped surrogate pairs as characters, which MicroPython's parser would
    leave apart."""
    out = bytearray()
    end = 0
    for at in pairs:
        code = 0x10000 + ((_hex(view, at + 2) & 0x3FF) << 10) + (_hex(view, at + 8) & 0x3FF)
        out.extend(view[end:at])
        out.extend(chr(code).encode())
        end = at + 12
    out.extend(view[end:])
    return out


async def parse(view) -> list:
    """[2, id, action, payload], [3, id, payload] or [4, id, code, description, details].

    Raises CallError where the frame is none of these: FormationViolation, or InternalError when
    there is no room for it. The payload of an answer is not looked at.
    """
    pairs = await scan(view)
    try:
        frame = runtime.json_loads(_joined(view, pairs) if pairs else view)
    except MemoryError:
        gc.collect()
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
    try:
        if len(parts) > 2 and start in (b"[2,", b"[3,", b"[4,") and b"\\" not in parts[1]:
            action = str(parts[3], "utf-8") if len(parts) > 4 else ""
            return start[1] - 48, str(parts[1], "utf-8"), action
    except ValueError:  # not UTF-8
        pass
    return 0, "", ""
