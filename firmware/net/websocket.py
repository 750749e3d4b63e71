"""A WebSocket client (RFC 6455) as OCPP-J wants it: text messages, subprotocol `ocpp1.6`."""

import asyncio
import hashlib
from binascii import b2a_base64

from firmware.base import runtime
from firmware.base.runtime import sockets
from firmware.net import address

_PIECE = 1024  # bytes of a frame that are masked and written at a time
_AHEAD = 256  # bytes read ahead: a header, or a whole control frame
_LINE = 512  # bytes of a header line that are kept
_HEADERS = (
    b"upgrade connection sec-websocket-accept sec-websocket-protocol sec-websocket-extensions"
)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE_S = 5
_LINGER_S = 2


class Refused(OSError):
    """The server's answer is no WebSocket for us. `status` is HTTP's: 101 when only something
    else was wrong, 0 when it was no HTTP."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class Closed(OSError):
    """The link is gone. `code` is the peer's or ours (RFC 6455, 7.4): 1005 when the peer gave
    none, 1006 when the connection was lost."""

    def __init__(self, code: int, reason: str):
        super().__init__("closed: %d %s" % (code, reason))
        self.code = code
        self.reason = reason


def backoff(attempt: int, random: int) -> int:
    """Milliseconds to wait after failed attempt number `attempt` (from 0), any failure (OCPP-J
    errata 3.4: a 404 too): 1 to 2 s, doubling to 150 to 300 s. `random` is a random byte."""
    longest = min(300000, 2000 << min(attempt, 8))
    return longest // 2 + longest * random // 510


def mask(data, key: bytes) -> None:
    """XORs a memoryview in place with the 4 bytes of `key`, repeated."""
    whole = int.from_bytes(key * 64, "little")
    for start in range(0, len(data), 256):
        piece = data[start : start + 256]
        n = len(piece)
        bits = whole if n == 256 else int.from_bytes((key * 64)[:n], "little")
        data[start : start + n] = (int.from_bytes(piece, "little") ^ bits).to_bytes(n, "little")


def valid_utf8(data) -> bool:
    """Whether a memoryview holds UTF-8 (RFC 3629: shortest forms, no surrogates). The runtimes'
    own checks differ."""
    high_bits = int.from_bytes(b"\x80" * 256, "little")
    need = low = high = 0
    for start in range(0, len(data), 256):
        piece = data[start : start + 256]
        if not need and not int.from_bytes(piece, "little") & high_bits:
            continue  # ASCII
        for c in piece:
            if need:
                if not low <= c <= high:
                    return False
                need, low, high = need - 1, 0x80, 0xBF
            elif c > 0x7F:
                if not 0xC2 <= c <= 0xF4:
                    return False
                need = 1 if c < 0xE0 else 2 if c < 0xF0 else 3
                low = 0xA0 if c == 0xE0 else 0x90 if c == 0xF0 else 0x80
                high = 0x9F if c == 0xED else 0x8F if c == 0xF4 else 0xBF
    return not need


async def connect(
    url: str,
    headers=(),
    tls=None,
    limit: int | bytearray = 8192,
    timeout_s: int = 30,
    known: dict | None = None,
    protocol: str = "ocpp1.6",
) -> "WebSocket":
    """Opens a link. `headers`: (name, value) pairs to send as well; `tls`: net/tls.py's context,
    for wss; `limit`: the longest message in bytes, or the buffer to receive into, for who keeps
    one from start-up (later 8 KB in one piece may be hard to find); `known`: see `address.dial`.

    Raises ValueError for a bad URL or header, before anything is sent, else `Refused` with the
    HTTP status, `address.TlsFailed`, or OSError.
    """
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
    link = WebSocket(streams, limit, timeout_s)
    try:
        await asyncio.wait_for(link._accept(key, protocol), timeout_s)
        return link
    except (EOFError, asyncio.TimeoutError):
        failed = OSError("no answer to the WebSocket handshake")
    except BaseException as error:
        failed = error
    link.drop()
    raise failed


class WebSocket:
    """An open link; made by `connect`. One task receives, any number send.

    `closed` is None, or (code, reason) once it is gone; `pongs` counts the answers to our pings.
    """

    def __init__(self, streams: tuple, limit: int | bytearray, timeout_s: int):
        self.closed = None
        self.pongs = 0
        self.timeout_s = timeout_s
        self._reader, self._writer = streams
        self._message = memoryview(bytearray(limit) if isinstance(limit, int) else limit)
        self._size = 0  # bytes of it that are there
        self._left = 0  # bytes of its present frame still to come
        self._open = False  # a first fragment has come
        self._last = False  # the present frame is the message's last
        self._ahead = memoryview(bytearray(_AHEAD))
        self._at = 0  # the next byte of it
        self._end = 0
        self._lock = asyncio.Lock()
        self._closing = False  # our close frame is out
        self._receiving = False
        self._life = asyncio.Event()  # something came since the last ping
        self._gone = asyncio.Event()

    # --- opening ---

    async def _line(self):
        """A header line without its end, or its first part. Counts the bytes in _size."""
        line = bytearray()
        while True:
            if self._at == self._end:
                await self._need(1)
            c = self._ahead[self._at]
            self._at += 1
            self._size += 1
            if self._size > len(self._message):
                raise Refused(0, "HTTP headers over %d bytes" % self._size)
            if c == 10:
                return bytes(line).strip()
            if len(line) < _LINE:
                line.append(c)

    async def _accept(self, key, protocol):
        """Checks the server's answer (RFC 6455, 4.1)."""
        line = await self._line()
        if not line.startswith(b"HTTP/1.") or not line[9:12].isdigit():
            raise Refused(0, "the server does not speak HTTP")
        status = int(line[9:12])
        if status != 101:
            text = "".join(chr(c) if 31 < c < 127 else "?" for c in line[13:80])
            raise Refused(status, "HTTP %d %s" % (status, text))
        got = dict.fromkeys(_HEADERS.split(), b"")
        while line:
            line = await self._line()
            name, _, value = line.partition(b":")
            name, value = name.lower(), value.strip()
            if name in got:
                got[name] = got[name] + b", " + value if got[name] else value
        self._size = 0
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

    # --- receiving ---

    async def recv(self) -> memoryview:
        """The next text message, valid until the next `recv`. Answers pings on the way. May be
        cancelled and called again. Raises `Closed`."""
        if self._receiving:  # close() does, by now
            await self._gone.wait()
        if self.closed:
            raise Closed(*self.closed)
        self._receiving = True
        try:
            return await self._next()
        except runtime.LINK_ERRORS as error:
            self.drop(1006, str(error))
            raise Closed(*self.closed)
        finally:
            self._receiving = False

    async def _next(self):
        while True:
            if self._left:
                size, n = self._size, min(self._left, self._end - self._at)
                if n:
                    self._message[size : size + n] = self._ahead[self._at : self._at + n]
                    self._at += n
                elif self._left < _AHEAD:
                    await self._need(1)
                else:
                    n = await self._some(self._message[size : size + self._left])
                self._size += n
                self._left -= n
            elif self._last:
                message = self._message[: self._size]
                self._size = 0
                self._open = self._last = False
                if not valid_utf8(message):
                    await self._fail(1007, "a text message is not UTF-8")
                return message
            else:
                await self._frame()

    async def _some(self, view):
        """Reads what is there, at least a byte."""
        n = None
        while n is None:
            n = await sockets.readinto(self._reader, view)
            if self.closed:
                raise Closed(*self.closed)
        if not n:
            raise EOFError("the peer closed the connection")
        self._life.set()
        return n

    async def _need(self, n):
        """Reads ahead until n bytes are there. Takes none, so that it may be cancelled."""
        ahead, at = self._ahead, self._at
        if at and at + n > self._end:
            rest = self._end - at
            ahead[:rest] = bytes(ahead[at : self._end])
            self._at, self._end = 0, rest
        while self._end - self._at < n:
            self._end += await self._some(ahead[self._end :])

    async def _frame(self):
        """Takes the next frame's header, and all of a control frame."""
        await self._need(2)
        first, size = self._ahead[self._at], self._ahead[self._at + 1]
        opcode = first & 15
        if first & 0x70 or opcode > 10 or 2 < opcode < 8:
            await self._fail(1002, "reserved bits or opcode")
        if size & 0x80:
            await self._fail(1002, "masked frame")
        if opcode > 7:
            if first < 0x80 or size > 125:
                await self._fail(1002, "control frame too long or in fragments")
            await self._need(2 + size)
            self._at += 2 + size
            data = bytes(self._ahead[self._at - size : self._at])
            if opcode == 8:
                await self._close_frame(data)
            elif opcode == 10:
                self.pongs += 1
            elif not self._closing:
                await self._send(10, data)
            return
        if opcode == 2:
            await self._fail(1003, "binary message")
        if self._open != (opcode == 0):
            await self._fail(1002, "fragments out of order")
        more = 2 if size == 126 else 8 if size == 127 else 0
        await self._need(2 + more)
        self._at += 2 + more
        if more:
            size = int.from_bytes(self._ahead[self._at - more : self._at], "big")
        if size > len(self._message) - self._size:
            await self._fail(1009, "message over %d bytes" % len(self._message))
        self._left, self._open, self._last = size, True, first > 0x7F

    async def _close_frame(self, data):
        code = int.from_bytes(data[:2], "big") if data else 1005
        known = 999 < code < 1004 or 1006 < code < 1015 or 2999 < code < 5000
        if len(data) == 1 or data and not known:
            await self._fail(1002, "bad close code")
        if not valid_utf8(memoryview(data[2:])):
            await self._fail(1007, "close reason is not UTF-8")
        await self._end_with(data[:2], code, str(data[2:], "utf-8"))

    async def _fail(self, code, reason):
        await self._end_with(code.to_bytes(2, "big") + reason.encode(), code, reason)

    async def _end_with(self, data, code, reason):
        """Sends a close frame unless that was done, and closes once the peer has had the chance
        to read it: closing with unread input would reset the connection."""
        try:
            if not self._closing:
                await self._send(8, data)
            await asyncio.wait_for(self._discard(), _LINGER_S)
        except runtime.LINK_ERRORS:
            pass  # it ends either way
        self.drop(code, reason)
        raise Closed(code, reason)

    async def _discard(self):
        while True:
            await self._some(self._ahead)

    # --- sending ---

    async def send(self, text: str | bytes) -> None:
        """Sends a text message. Raises `Closed`, also when the peer takes no bytes for the
        link's time-out. Cancelling it may end the link."""
        await self._send(1, sockets.utf8(text) if isinstance(text, str) else text)

    async def _send(self, opcode, data):
        if self.closed:
            raise Closed(*self.closed)
        try:
            await asyncio.wait_for(self._write(opcode, data), self.timeout_s)
        except Closed:
            raise
        except runtime.LINK_ERRORS:
            self.drop(1006, "sending: stalled")
        if self.closed:
            raise Closed(*self.closed)

    async def _write(self, opcode, data):
        async with self._lock:
            if self._closing:
                raise Closed(1006, "closing")
            self._closing = opcode == 8
            n = len(data)
            key = runtime.urandom(4)
            if n < 126:
                head = bytes((0x80 | opcode, 0x80 | n))
            elif n < 65536:
                head = bytes((0x80 | opcode, 0xFE, n >> 8, n & 255))
            else:
                head = bytes((0x80 | opcode, 0xFF)) + n.to_bytes(8, "big")
            head += key
            try:
                for start in range(0, n or 1, _PIECE):
                    piece = bytearray(head)
                    piece.extend(data[start : start + _PIECE])
                    mask(memoryview(piece)[len(head) :], key)
                    head = b""
                    self._writer.write(piece)
                    await self._writer.drain()
            except BaseException as error:  # half a frame is out: cancelled, or the link is lost
                self.drop(1006, "sending: " + (str(error) or "stalled"))
                raise

    # --- staying and leaving ---

    async def keepalive(self, interval_s: int, timeout_s: int) -> None:
        """Pings every `interval_s` seconds (0: not at all), and drops the link when nothing at
        all comes within `timeout_s`. Returns once the link is gone; else to be cancelled."""
        while interval_s and not self.closed:
            try:
                await asyncio.wait_for(self._gone.wait(), interval_s)
            except asyncio.TimeoutError:
                self._life.clear()
                try:
                    await asyncio.wait_for(self._ping(), timeout_s)
                except asyncio.TimeoutError:
                    self.drop(1006, "silent for %d s after a ping" % timeout_s)
                except OSError:
                    pass  # closed

    async def _ping(self):
        await self._send(9, b"")
        await self._life.wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Says goodbye, waits at most 5 s for the peer's answer, and closes."""
        try:
            await asyncio.wait_for(self._goodbye(code, reason), _CLOSE_S)
        except runtime.LINK_ERRORS:
            pass  # it ends either way
        finally:
            self.drop(code, reason)

    async def _goodbye(self, code, reason):
        await self._send(8, code.to_bytes(2, "big") + reason[:40].encode())
        while not self.closed:
            if self._receiving:
                await self._gone.wait()
            else:
                await self.recv()

    def drop(self, code: int = 1006, reason: str = "") -> None:
        """Closes at once, without a close frame; `recv` raises `Closed`."""
        if not self.closed:
            self.closed = (code, reason)
            self._gone.set()
            self._life.set()
            sockets.abort(self._writer)
