"""The opening handshake of a WebSocket (RFC 6455, 4.1). Loaded for a connection, then dropped."""

import asyncio
import hashlib
from binascii import b2a_base64

from firmware.base import runtime
from firmware.net import Refused, address, websocket

_LINE = 512  # bytes of a header line that are kept
_HEADERS = (
    b"upgrade connection sec-websocket-accept sec-websocket-protocol sec-websocket-extensions"
)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def connect(
    url, headers, tls, limit=8192, timeout_s=30, known=None, protocol="ocpp1.6"
) -> websocket.WebSocket:
    """See `websocket.connect`."""
    scheme, user, _, host, port, path = address.parse_url(url)
    if user is not None:
        raise ValueError("a user or password does not belong into SupervisionUrl")
    if scheme == "wss" and not tls:
        raise ValueError("wss without a CA certificate")
    key = b2a_base64(runtime.urandom(16)).decode().strip()
    name = "[%s]" % host if ":" in host else host
    if port != address.PORTS[scheme]:
        name += ":%d" % port
    request = "GET %s HTTP/1.1\r\nHost: %s\r\n" % (path, name)
    request += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    request += "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n" % (key, protocol)
    for name, value in headers:
        for c in name + value:
            if not " " <= c <= "~":
                raise ValueError("control or non-ASCII character in header %r" % name)
        request += "%s: %s\r\n" % (name, value)
    request = (request + "\r\n").encode()
    tls = tls if scheme == "wss" else None
    streams = await address.dial(host, port, tls, request, timeout_s, known)
    link = websocket.WebSocket(streams, limit, timeout_s)
    try:
        await asyncio.wait_for(_accept(link, key, protocol), timeout_s)
        return link
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
