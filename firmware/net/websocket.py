"""A WebSocket client (RFC 6455) as OCPP-J wants it: text messages, subprotocol `ocpp1.6`."""

import asyncio

from firmware.base import runtime, sockets
from firmware.base.runtime import const
from firmware.net import dial, receiving, websocket_handshake
from firmware.net.receiving import LongMessage
from firmware.net.url import parse_url

# Close codes (RFC 6455, 7.4.1).
NORMAL = const(1000)
GOING_AWAY = const(1001)
PROTOCOL_ERROR = const(1002)
UNSUPPORTED_DATA = const(1003)
NO_STATUS = const(1005)  # never on the wire: the close frame had none
ABNORMAL = const(1006)  # never on the wire: the connection was lost
INVALID_DATA = const(1007)
TOO_BIG = const(1009)

# A frame's first two bytes (RFC 6455, 5.2).
_FIN = const(0x80)  # the last frame of its message
_RESERVED = const(0x70)
_OPCODE = const(0x0F)
_MASKED = const(0x80)
_SIZE = const(0x7F)
_SIZE_OF_2_BYTES = const(126)
_SIZE_OF_8_BYTES = const(127)

# Opcodes (RFC 6455, 11.8). Control frames are those from _CLOSE on (5.5).
_CONTINUATION = const(0)
_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
LONGEST = 8192  # bytes of a message, where nobody says otherwise
_LONGEST_CONTROL = const(125)  # bytes (RFC 6455, 5.5)

_PIECE = const(256)  # bytes that are masked and written at a time, at most
_AT_ONCE = const(128)  # bytes that are masked or checked as one large integer
_SHORT = const(512)  # bytes: a longer message is received as it is read
_LONGEST_REASON = const(40)  # characters of a close frame's reason
_CLOSE_S = const(5)  # for the peer's answer to our close frame
_LINGER_S = const(2)  # for the peer to read why we close
_SLOWEST = const(50)  # bytes/s: a link of 100 B/s has more to carry than what we know of
_SLOWEST_S = const(160)  # for 8 KB at that speed


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
    whole = int.from_bytes(key * (_AT_ONCE // 4), "little")
    for start in range(0, len(data), _AT_ONCE):
        piece = data[start : start + _AT_ONCE]
        n = len(piece)
        bits = whole if n == _AT_ONCE else int.from_bytes((key * (_AT_ONCE // 4))[:n], "little")
        data[start : start + n] = (int.from_bytes(piece, "little") ^ bits).to_bytes(n, "little")


def valid_utf8(data) -> bool:
    """Whether a memoryview holds UTF-8 (RFC 3629: shortest forms, no surrogates). The runtimes'
    own checks differ."""
    high_bits = int.from_bytes(b"\x80" * _AT_ONCE, "little")
    for start in range(0, len(data), _AT_ONCE):
        if int.from_bytes(data[start : start + _AT_ONCE], "little") & high_bits:
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
    url: str, headers=(), tls=None, limit=LONGEST, timeout_s=30, addresses=None, protocol="ocpp1.6"
) -> "WebSocket":
    """Opens a link to a ws or wss URL.

    `headers`: (name, value) pairs to send as well. `tls`: net/tls.py's context, for wss. `limit`:
    the longest message, and the longest head of the server's answer, in bytes. `timeout_s`: for
    each step. `addresses`: a dial.Addresses.

    Raises ValueError for a bad URL or header, before anything is sent, else `Refused` with
    the HTTP status, `TlsFailed`, or OSError.
    """
    place = parse_url(url)
    if place.user is not None:
        raise ValueError("a user or password does not belong into SupervisionUrl")
    if place.scheme != "wss":
        tls = None
    elif not tls:
        raise ValueError("wss without a CA certificate")
    key = websocket_handshake.new_key()
    request = websocket_handshake.request(place, headers, key, protocol)
    reader, writer = await dial.dial(place.host, place.port, tls, request, timeout_s, addresses)
    incoming = receiving.ReadAhead(reader)
    is_open = False
    try:
        await websocket_handshake.check_answer(incoming, key, protocol, limit, timeout_s)
        is_open = True
    finally:
        if not is_open:
            sockets.abort(writer)
    return WebSocket(incoming, writer, limit, timeout_s)


class WebSocket:
    """An open link; made by `connect`. One task receives, any number send.

    `closed` is None, or (code, reason) once it is gone; `pongs` counts the answers to our pings.
    """

    def __init__(self, incoming, writer, limit: int, timeout_s: int):
        self.closed = None
        self.pongs = 0
        self.timeout_s = timeout_s
        self._incoming = incoming  # a receiving.ReadAhead
        self._writer = writer
        self._limit = limit  # bytes of a message
        self._buffer = memoryview(bytearray(min(limit, _SHORT)))  # for a short message
        # The message that is being received.
        self._long = None  # the LongMessage that it is
        self._size = 0  # bytes that have come
        self._has_begun = False  # its first frame has come
        # The frame of it that is being received.
        self._left = 0  # bytes still to come
        self._is_last = False
        self._sending = asyncio.Lock()  # held while a frame is written
        self._is_closing = False  # our close frame is out
        self._is_receiving = False
        self._unheard = 0  # bytes sent since anything came
        self._unheard_since_ms = 0  # when the first of them was sent
        self._heard = runtime.Event()  # something came since the last ping
        self._gone = runtime.Event()
        incoming.on_bytes = self._on_bytes

    def _on_bytes(self):
        self._heard.set()
        self._unheard = 0

    # receiving

    async def recv(self, message=None, size: int = 0):
        """The next text message: a memoryview, valid until the next `recv`, or a `LongMessage`, of
        which more is received as it is read: `LongMessage.fill` calls this with the message and
        how many bytes of it are to be there. Answers pings on the way. May be cancelled and called
        again. Raises `Closed`, and MemoryError for a long message."""
        if self._is_receiving:  # close() does, by now
            await self._gone.wait()
        if self.closed:
            raise Closed(*self.closed)
        self._is_receiving = True
        try:
            if message is None:
                return await self._next_message()
            await self._receive_more(message, size)
        except runtime.LINK_ERRORS as error:
            self.drop(ABNORMAL, str(error))
            raise Closed(*self.closed)
        finally:
            self._is_receiving = False

    async def _next_message(self):
        while self._long is not None:  # it was not read to its end, which must be UTF-8 too
            rest = self._long
            rest.forget(len(rest))
            await self._receive_more(rest, len(rest) + receiving.SIZE)
        if not await self._receive_until(self._limit + 1):
            return self._long
        message = self._buffer[: self._size]
        self._end_message()
        if not valid_utf8(message):
            await self._fail(INVALID_DATA, "a text message is not UTF-8")
        return message

    async def _receive_more(self, message, size):
        if message is not self._long:  # all of it is there
            return
        is_whole = await self._receive_until(size)
        if not valid_utf8(message.received(self._size, is_whole)):
            await self._fail(INVALID_DATA, "a text message is not UTF-8")
        if is_whole:
            self._end_message()

    def _end_message(self):
        self._size = 0
        self._long = None
        self._has_begun = self._is_last = False

    async def _receive_until(self, wanted):
        """Receives until so many bytes of the message are there, or it turns out to be a long one:
        False; or until all of it is there: True."""
        while self._size < wanted:
            if self._left:
                space = self._space()
                count = self._incoming.take_into(space)
                if not count and self._left < receiving.SIZE:
                    await self._incoming.need(1)  # with what follows the frame, if it is there
                elif not count:
                    count = await self._incoming.read_into(space)
                self._size += count
                self._left -= count
            elif self._is_last:
                return True
            else:
                was_short = self._long is None
                await self._read_header()
                if was_short and self._long is not None:
                    return False
        return False

    def _space(self):
        """Where the next bytes of the message are to go."""
        if self._long is None:
            return self._buffer[self._size : self._size + self._left]
        return self._long.space(self._size, self._left)

    async def _read_header(self):
        """Takes the next frame's header (RFC 6455, 5.2), and all of a control frame."""
        incoming = self._incoming
        await incoming.need(2)
        # Taken below, with what belongs to them: this may be cancelled while it waits.
        first, second = incoming.peek(2)
        opcode = first & _OPCODE
        size = second & _SIZE
        if first & _RESERVED or opcode > _PONG or _BINARY < opcode < _CLOSE:
            await self._fail(PROTOCOL_ERROR, "reserved bits or opcode")
        if second & _MASKED:  # a server must not (5.1)
            await self._fail(PROTOCOL_ERROR, "masked frame")
        if opcode >= _CLOSE:
            if not first & _FIN or size > _LONGEST_CONTROL:
                await self._fail(PROTOCOL_ERROR, "control frame too long or in fragments")
            await incoming.need(2 + size)
            await self._take_control_frame(opcode, incoming.take(2 + size)[2:])
            return
        if opcode == _BINARY:
            await self._fail(UNSUPPORTED_DATA, "binary message")
        if self._has_begun != (opcode == _CONTINUATION):
            await self._fail(PROTOCOL_ERROR, "fragments out of order")
        more = 2 if size == _SIZE_OF_2_BYTES else 8 if size == _SIZE_OF_8_BYTES else 0
        await incoming.need(2 + more)
        header = incoming.take(2 + more)
        if more:
            size = int.from_bytes(header[2:], "big")
        if self._size + size > self._limit or not self._has_space(self._size + size):
            await self._fail(TOO_BIG, "message over %d bytes" % self._limit)
        self._left = size
        self._has_begun = True
        self._is_last = first & _FIN != 0

    def _has_space(self, size):
        """Whether there is space for a message of this size, or to begin a long one."""
        if self._long is not None or size <= len(self._buffer):
            return True
        try:
            self._long = LongMessage(self, self._buffer[: self._size])
        except MemoryError:
            return False
        return True

    async def _take_control_frame(self, opcode, data):
        if opcode == _CLOSE:
            await self._take_close_frame(data)
        elif opcode == _PONG:
            self.pongs += 1
        elif not self._is_closing:
            await self._send(_PONG, [data])

    async def _take_close_frame(self, data):
        code = int.from_bytes(data[:2], "big") if data else NO_STATUS
        # RFC 6455, 7.4.2, and those registered since.
        is_known = 1000 <= code < 1004 or 1007 <= code < 1015 or 3000 <= code < 5000
        if len(data) == 1 or data and not is_known:
            await self._fail(PROTOCOL_ERROR, "bad close code")
        if not valid_utf8(memoryview(data[2:])):
            await self._fail(INVALID_DATA, "close reason is not UTF-8")
        await self._end(data[:2], code, str(data[2:], "utf-8"))

    async def _fail(self, code, reason):
        """Ends the link for what the peer has done (RFC 6455, 7.1.7)."""
        await self._end(code.to_bytes(2, "big") + reason.encode(), code, reason)

    async def _end(self, data, code, reason):
        """Sends a close frame unless that was done, and closes once the peer has had the chance
        to read it: closing with unread input would reset the connection. Raises `Closed`."""
        try:
            if not self._is_closing:
                await self._send(_CLOSE, [data])
            await asyncio.wait_for(self._incoming.discard(), _LINGER_S)
        except runtime.LINK_ERRORS:
            pass  # it ends either way
        self.drop(code, reason)
        raise Closed(code, reason)

    # sending

    async def send(self, text: str | list) -> None:
        """Sends a text message, or a list of its pieces, which is emptied. Raises `Closed`, also
        when the peer takes no bytes for the link's time-out. Cancelling it may end the link."""
        if isinstance(text, str):
            text = [text]
        for n in range(len(text)):
            text[n] = sockets.utf8(text[n])
        await self._send(_TEXT, text)

    async def _send(self, opcode, data):
        """Sends a frame; `data` is a list of its pieces, which is emptied."""
        if self.closed:
            raise Closed(*self.closed)
        size = sum([len(piece) for piece in data])
        if not self._unheard:
            self._unheard_since_ms = runtime.ticks_ms()
        self._unheard += size
        try:
            await self._write(opcode, data, size)
        except Closed:
            raise
        except runtime.LINK_ERRORS:
            self.drop(ABNORMAL, "sending: stalled")
        if self.closed:
            raise Closed(*self.closed)

    async def _write(self, opcode, data, size):
        async with self._sending:
            if self._is_closing:
                raise Closed(ABNORMAL, "closing")
            self._is_closing = opcode == _CLOSE
            key = runtime.urandom(4)  # RFC 6455, 5.3
            header = _header(opcode, size) + key
            try:
                while header or data:
                    piece = bytearray(header)
                    while data and len(piece) < _PIECE:
                        part = data[0]
                        room = _PIECE - len(piece)
                        if len(part) > room:
                            data[0] = memoryview(part)[room:]  # what is left is not copied
                            part = part[:room]
                        else:
                            data.pop(0)
                        piece.extend(part)
                    mask(memoryview(piece)[len(header) :], key)
                    used = (len(piece) - len(header)) % 4
                    key = key[used:] + key[:used]  # where the next piece goes on with it
                    header = b""
                    self._writer.write(piece)
                    await asyncio.wait_for(self._writer.drain(), self.timeout_s)
            except BaseException as error:  # half a frame is out: cancelled, or the link is lost
                self.drop(ABNORMAL, "sending: " + (str(error) or "stalled"))
                raise

    # staying and leaving

    async def keepalive(self, interval_s: int, timeout_s: int) -> None:
        """Pings every `interval_s` seconds (0: not at all), see `lives`. Returns when it finds the
        link gone; else to be cancelled. A link that has died is dropped `interval_s` plus
        `timeout_s` after the first of what was sent unheard, whatever that was and however
        much."""
        while interval_s and not self.closed:
            await asyncio.sleep(interval_s)
            await self.lives(timeout_s, interval_s + timeout_s)

    def slow_s(self) -> int:
        """Seconds that the slowest link takes for what went out since anything came, one long
        message of it at most."""
        return min(self._unheard // _SLOWEST, _SLOWEST_S)

    async def lives(self, timeout_s: int, longest_s: int = 0) -> bool:
        """Pings; whether anything at all comes within `timeout_s`. If not, the link is dropped.
        What was sent before the ping and has brought nothing yet may still be on its way on a
        slow link: it gets the time for that, up to `longest_s` from when it was sent."""
        self._heard.clear()
        now_ms = runtime.ticks_ms()
        slow_ms = min(self.slow_s(), longest_s) * 1000
        slow_ms -= runtime.ticks_diff(now_ms, self._unheard_since_ms)
        try:
            await asyncio.wait_for(self._ping(), max(timeout_s, slow_ms // 1000))
        except asyncio.TimeoutError:
            passed_ms = runtime.ticks_diff(runtime.ticks_ms(), now_ms)
            self.drop(ABNORMAL, "silent for %d s after a ping" % (passed_ms // 1000))
        except OSError:
            pass  # closed
        return not self.closed

    async def _ping(self):
        await self._send(_PING, [b""])
        await self._heard.wait()

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Says goodbye, waits at most 5 s for the peer's answer, and closes."""
        try:
            await asyncio.wait_for(self._say_goodbye(code, reason), _CLOSE_S)
        except runtime.LINK_ERRORS:
            pass  # it ends either way
        finally:
            self.drop(code, reason)

    async def _say_goodbye(self, code, reason):
        await self._send(_CLOSE, [code.to_bytes(2, "big") + reason[:_LONGEST_REASON].encode()])
        while not self.closed:
            if self._is_receiving:
                await self._gone.wait()
            else:
                await self.recv()

    def drop(self, code: int = ABNORMAL, reason: str = "") -> None:
        """Closes at once, without a close frame; `recv` raises `Closed`."""
        if not self.closed:
            self.closed = (code, reason)
            self._gone.set()
            self._heard.set()
            sockets.abort(self._writer)


def _header(opcode, size):
    """The header of an unfragmented masked frame, without its key."""
    if size < _SIZE_OF_2_BYTES:
        return bytes((_FIN | opcode, _MASKED | size))
    if size < 65536:
        return bytes((_FIN | opcode, _MASKED | _SIZE_OF_2_BYTES)) + size.to_bytes(2, "big")
    return bytes((_FIN | opcode, _MASKED | _SIZE_OF_8_BYTES)) + size.to_bytes(8, "big")
