"""A server's answer to a WebSocket client (RFC 6455, 4.1); loaded for it and dropped again."""

import asyncio
import hashlib
from binascii import b2a_base64

from firmware.net import Refused

_LINE = 512  # bytes of a header line that are kept
_HEADERS = (
    b"upgrade connection sec-websocket-accept sec-websocket-protocol sec-websocket-extensions"
)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def shake(link, key: str, protocol: str) -> None:
    """Takes the server's answer on a new `websocket.WebSocket`. Raises Refused or OSError, and the
    link is closed then."""
    try:
        await asyncio.wait_for(_accept(link, key, protocol), link.timeout_s)
        return
    except (EOFError, asyncio.TimeoutError):
        failed = OSError("no answer to the WebSocket handshake")
    except BaseException as error:
        failed = error
    link.drop()
    raise failed


async def _line(link):
    """A header line without its end, or its first part. Counts the bytes in _size."""
    line = bytearray()
    while True:
        if link._at == link._end:
            await link._need(1)
        c = link._ahead[link._at]
        link._at += 1
        link._size += 1
        if link._size > link._limit:
            raise Refused(0, "HTTP headers over %d bytes" % link._size)
        if c == 10:
            return bytes(line).strip()
        if len(line) < _LINE:
            line.append(c)


async def _accept(link, key, protocol):
    """Checks the server's answer (RFC 6455, 4.1)."""
    line = await _line(link)
    if not line.startswith(b"HTTP/1.") or not line[9:12].isdigit():
        raise Refused(0, "the server does not speak HTTP")
    status = int(line[9:12])
    if status != 101:
        text = "".join(chr(c) if 31 < c < 127 else "?" for c in line[13:80])
        raise Refused(status, "HTTP %d %s" % (status, text))
    got = dict.fromkeys(_HEADERS.split(), b"")
    while line:
        line = await _line(link)
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        if name in got:
            got[name] = got[name] + b", " + value if got[name] else value
    link._size = 0
    connection = [token.strip() for token in got[b"connection"].lower().split(b",")]
    digest = hashlib.sha1(key.encode() + _GUID).digest()
    if got[b"upgrade"].lower() != b"websocket" or b"upgrade" not in connection:
        raise Refused(101, "no upgrade to a WebSocket")
    if got[b"sec-websocket-accept"] != b2a_base64(digest).strip():
        raise Refused(101, "wrong Sec-WebSocket-Accept")
    if got[b"sec-websocket-protocol"] != protocol.encode():
        raise Refused(101, "the server does not speak " + protocol)
    if got[b"sec-websocket-extensions"]:
        raise Refused(101, "the server wants extensions that were not offered")
