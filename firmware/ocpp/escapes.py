"""The rarer parts of a frame: strings with escapes or beyond ASCII, and what is refused. Loaded
for them by `frames.py`."""

from firmware.ocpp import CallError


def _bad(why):
    raise CallError("FormationViolation", why)


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


def string(data, i, odd):
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
