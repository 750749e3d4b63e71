"""A WebSocket client (RFC 6455) as OCPP-J wants it: text messages, subprotocol `ocpp1.6`."""

import asyncio

from firmware.base import runtime, sockets
from firmware.net import Closed, dial

_PIECE = 256  # bytes that are written at a time, at least
_AHEAD = 256  # bytes read ahead: a header, or a whole control frame
_SMALL = 512  # bytes of messages that most are shorter than
_CLOSE_S = 5
_LINGER_S = 2
_SLOWEST = 50  # bytes/s: a link of 100 B/s has more to carry than what we know of


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
    for start in range(0, len(data), 256):
        if int.from_bytes(data[start : start + 256], "little") & high_bits:
            return _valid_beyond_ascii(data, start)
    return True


def _valid_beyond_ascii(data, start):
    need = low = high = 0
    for at in range(start, len(data), 256):
        for c in data[at : at + 256]:
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
    url: str, headers=(), tls=None, limit=8192, timeout_s=30, addresses=None, protocol="ocpp1.6"
) -> "WebSocket":
    """Opens a link to a ws or wss URL.

    `headers`: (name, value) pairs to send as well. `tls`: net/tls.py's context, for wss. `limit`:
    the longest message in bytes; one of more than 512 is a `long.Long`. Or the buffer to
    receive into, for who keeps one from start-up: later, 8 KB in one piece may be hard to find.
    `timeout_s`: for each step. `addresses`: a dial.Addresses.

    Raises ValueError for a bad URL or header, before anything is sent, else net's `Refused` with
    the HTTP status, `TlsFailed`, or OSError. What each step needs is loaded for it.
    """
    said = runtime.once("firmware.net.hello", "hello", url, headers, tls, protocol)
    host, port, secure, key, request = said
    tls = tls if secure else None
    streams = await dial.dial(host, port, tls, request, timeout_s, addresses)
    link = WebSocket(streams, limit, timeout_s)
    await runtime.soon("firmware.net.handshake", "shake", link, key, protocol)
    return link


class WebSocket:
    """An open link; made by `connect`. One task receives, any number send.

    `closed` is None, or (code, reason) once it is gone; `pongs` counts the answers to our pings.
    """

    def __init__(self, streams: tuple, limit: int | bytearray, timeout_s: int):
        self.closed = None
        self.pongs = 0
        self.timeout_s = timeout_s
        self._reader, self._writer = streams
        if isinstance(limit, int):
            self._limit = limit
            limit = bytearray(min(limit, _SMALL))
        else:
            self._limit = len(limit)
        self._small = memoryview(limit)
        self._long = None  # the long.Long of a message that is larger
        self._unread = False  # nobody wants the rest of it
        self._size = 0  # bytes of the message that have come
        self._left = 0  # bytes of its present frame still to come
        self._open = False  # a first fragment has come
        self._last = False  # the present frame is the message's last
        self._ahead = memoryview(bytearray(_AHEAD))
        self._at = 0  # the next byte of it
        self._end = 0
        self._lock = asyncio.Lock()
        self._closing = False  # our close frame is out
        self._receiving = False
        self._unheard = 0  # bytes sent since anything came
        self._life = asyncio.Event()  # something came since the last ping
        self._gone = asyncio.Event()

    # --- receiving ---

    async def recv(self):
        """The next text message: a memoryview, valid until the next `recv`, or a `long.Long`, of
        which more is received as it is read. Answers pings on the way. May be cancelled and called
        again. Raises `Closed`."""
        return await self._alone(self._next)

    async def _alone(self, work, *words):
        if self._receiving:  # close() does, by now
            await self._gone.wait()
        if self.closed:
            raise Closed(*self.closed)
        self._receiving = True
        try:
            return await work(*words)
        except runtime.LINK_ERRORS as error:
            self.drop(1006, str(error))
            raise Closed(*self.closed)
        finally:
            self._receiving = False

    async def _next(self):
        if self._long is not None:  # which was not read to its end
            self._unread = True
            await self._until(self._limit + 1)
            self._begin()
        if await self._until(self._limit + 1):
            message = self._small[: self._size]
            self._begin()
            if not valid_utf8(message):
                await self._fail(1007, "a text message is not UTF-8")
            return message
        return self._long

    def _begin(self):
        self._size = 0
        self._long = None
        self._open = self._last = self._unread = False

    async def more(self, message, size: int) -> None:
        """Receives on, until so many bytes of the long message are there, or all of it. Raises as
        `recv` does, and MemoryError."""
        if message is self._long:
            await self._alone(self._more, message, size)

    async def _more(self, message, size):
        done = await self._until(size)
        if not valid_utf8(message.come(self._size, done)):
            await self._fail(1007, "a text message is not UTF-8")
        if done:
            self._begin()

    async def _until(self, wanted):
        """Receives until so many bytes of the message are there, or it turns out to be a long one:
        False; or until all of it is there: True."""
        while self._size < wanted:
            if self._left:
                size, n = self._size, self._left
                if self._long is None:
                    room = self._small[size : size + n]
                elif self._unread:
                    room = self._small[:n]
                else:
                    room = self._long.room(size, n)
                n = min(len(room), self._end - self._at)
                if n:
                    room[:n] = self._ahead[self._at : self._at + n]
                    self._at += n
                elif self._left < _AHEAD:
                    await self._need(1)
                else:
                    n = await self._some(room)
                self._size += n
                self._left -= n
            elif self._last:
                return True
            else:
                short = self._long is None
                await self._frame()
                if short and self._long is not None:
                    return False
        return False

    async def _some(self, view):
        """Reads what is there, at least a byte."""
        n = None
        while n is None:
            n = await sockets.read_into(self._reader, view)
        if not n:
            raise EOFError("the peer closed the connection")
        self._life.set()
        self._unheard = 0
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
                await self._send(10, [data])
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
        if self._size + size > self._limit or not self._fits(self._size + size):
            await self._fail(1009, "message over %d bytes" % self._limit)
        self._left, self._open, self._last = size, True, first > 0x7F

    def _fits(self, size):
        """A message of this size is a long one. False: there is no memory to begin one."""
        if self._long is not None or size <= len(self._small):
            return True
        runtime.collect()
        try:
            self._long = runtime.once("firmware.net.long", "Long", self, self._small[: self._size])
        except MemoryError:
            return False
        return True

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
                await self._send(8, [data])
            await asyncio.wait_for(self._discard(), _LINGER_S)
        except runtime.LINK_ERRORS:
            pass  # it ends either way
        self.drop(code, reason)
        raise Closed(code, reason)

    async def _discard(self):
        while True:
            await self._some(self._ahead)

    # --- sending ---

    async def send(self, text: str | list) -> None:
        """Sends a text message, or a list of its pieces, which is emptied. Raises `Closed`, also
        when the peer takes no bytes for the link's time-out. Cancelling it may end the link."""
        if isinstance(text, str):
            text = [text]
        for n in range(len(text)):
            text[n] = sockets.utf8(text[n])
        await self._send(1, text)

    async def _send(self, opcode, data):
        if self.closed:
            raise Closed(*self.closed)
        n = sum(len(piece) for piece in data)
        self._unheard += n
        try:
            await self._write(opcode, data, n)
        except Closed:
            raise
        except runtime.LINK_ERRORS:
            self.drop(1006, "sending: stalled")
        if self.closed:
            raise Closed(*self.closed)

    async def _write(self, opcode, data, n):
        async with self._lock:
            if self._closing:
                raise Closed(1006, "closing")
            self._closing = opcode == 8
            key = runtime.urandom(4)
            if n < 126:
                head = bytes((0x80 | opcode, 0x80 | n))
            elif n < 65536:
                head = bytes((0x80 | opcode, 0xFE, n >> 8, n & 255))
            else:
                head = bytes((0x80 | opcode, 0xFF)) + n.to_bytes(8, "big")
            head += key
            try:
                while head or data:
                    piece = bytearray(head)
                    while data and len(piece) < _PIECE:
                        piece.extend(data.pop(0))
                    mask(memoryview(piece)[len(head) :], key)
                    turn = (len(piece) - len(head)) & 3
                    key = key[turn:] + key[:turn]
                    head = b""
                    self._writer.write(piece)
                    await asyncio.wait_for(self._writer.drain(), self.timeout_s)
            except BaseException as error:  # half a frame is out: cancelled, or the link is lost
                self.drop(1006, "sending: " + (str(error) or "stalled"))
                raise

    # --- staying and leaving ---

    async def keepalive(self, interval_s: int, timeout_s: int) -> None:
        """Pings every `interval_s` seconds (0: not at all), see `lives`. Returns
        once the link is gone; else to be cancelled."""
        while interval_s and not self.closed:
            try:
                await asyncio.wait_for(self._gone.wait(), interval_s)
            except asyncio.TimeoutError:
                await self.lives(timeout_s)

    def slow_s(self) -> int:
        """Seconds that the slowest link takes for what went out since anything came."""
        return self._unheard // _SLOWEST

    async def lives(self, timeout_s: int) -> bool:
        """Pings; whether anything at all comes within `timeout_s`, or what a slow link needs more.
        If not, the link is dropped."""
        self._life.clear()
        try:
            await asyncio.wait_for(self._ping(), timeout_s + self.slow_s())
        except asyncio.TimeoutError:
            self.drop(1006, "silent for %d s after a ping" % timeout_s)
        except OSError:
            pass  # closed
        return not self.closed

    async def _ping(self):
        await self._send(9, [b""])
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
        await self._send(8, [code.to_bytes(2, "big") + reason[:40].encode()])
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
