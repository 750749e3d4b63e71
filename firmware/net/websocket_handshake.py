"""The opening handshake of a WebSocket client (RFC 6455, 4.1)."""

import asyncio
import hashlib
from binascii import b2a_base64

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.net.url import DEFAULT_PORTS

_LONGEST_LINE = const(512)  # bytes of a header line that are kept
_LONGEST_REASON = const(80)  # bytes of the status line that are told on
_SWITCHING_PROTOCOLS = const(101)
_HEADERS = (
    b"upgrade",
    b"connection",
    b"sec-websocket-accept",
    b"sec-websocket-protocol",
    b"sec-websocket-extensions",
)
_GUID = const(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")  # RFC 6455, 1.3


class Refused(OSError):
    """The server's answer opens no WebSocket that we can use. `status`: HTTP's status; 101 when
    something else was wrong, 0 when the answer was not HTTP."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


def new_key() -> str:
    """A Sec-WebSocket-Key that nobody can guess."""
    return b2a_base64(runtime.urandom(16)).decode().strip()


def request(url, headers, key: str, protocol: str) -> bytes:
    """The request for a `url.Url`, with (name, value) pairs as further headers. Raises ValueError
    for a bad header."""
    host = "[%s]" % url.host if ":" in url.host else url.host
    if url.port != DEFAULT_PORTS[url.scheme]:
        host += ":%d" % url.port
    text = "GET %s HTTP/1.1\r\nHost: %s\r\n" % (url.path, host)
    text += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    text += "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n" % (key, protocol)
    for name, value in headers:
        for c in name + value:
            if not " " <= c <= "~":
                raise ValueError("control or non-ASCII character in header %r" % name)
        text += "%s: %s\r\n" % (name, value)
    return (text + "\r\n").encode()


async def check_answer(incoming, key: str, protocol: str, limit: int, timeout_s: int) -> None:
    """Takes the server's answer from a receiving.ReadAhead, headers of `limit` bytes at most.
    Raises Refused when it is no WebSocket for us, else OSError."""
    try:
        await asyncio.wait_for(_check_answer(incoming, key, protocol, limit), timeout_s)
    except (EOFError, asyncio.TimeoutError):
        raise OSError("no answer to the WebSocket handshake")


async def _check_answer(incoming, key, protocol, limit):
    lines = _HeaderLines(incoming, limit)
    line = await lines.next()
    if not line.startswith(b"HTTP/1.") or not line[9:12].isdigit():
        raise Refused(0, "the server does not speak HTTP")
    status = int(line[9:12])
    if status != _SWITCHING_PROTOCOLS:
        reason = line[13:_LONGEST_REASON]
        text = "".join(chr(c) if 31 < c < 127 else "?" for c in reason)
        raise Refused(status, "HTTP %d %s" % (status, text))
    got = dict.fromkeys(_HEADERS, b"")
    while line:
        line = await lines.next()
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        if name in got:
            got[name] = got[name] + b", " + value if got[name] else value
    connection = [token.strip() for token in got[b"connection"].lower().split(b",")]
    digest = hashlib.sha1(key.encode() + _GUID).digest()
    if got[b"upgrade"].lower() != b"websocket" or b"upgrade" not in connection:
        raise Refused(status, "no upgrade to a WebSocket")
    if got[b"sec-websocket-accept"] != b2a_base64(digest).strip():
        raise Refused(status, "wrong Sec-WebSocket-Accept")
    if got[b"sec-websocket-protocol"] != protocol.encode():
        raise Refused(status, "the server does not speak " + protocol)
    if got[b"sec-websocket-extensions"]:
        raise Refused(status, "the server wants extensions that were not offered")


class _HeaderLines:
    """The lines of an HTTP answer's head."""

    def __init__(self, incoming, limit):
        self._incoming = incoming
        self._limit = limit
        self._taken = 0  # bytes

    async def next(self):
        """A line without its end, or its first part."""
        line = bytearray()
        while True:
            await self._incoming.need(1)
            c = self._incoming.take(1)
            self._taken += 1
            if self._taken > self._limit:
                raise Refused(0, "HTTP headers over %d bytes" % self._taken)
            if c == b"\n":
                return bytes(line).strip()
            if len(line) < _LONGEST_LINE:
                line.extend(c)
