"""A stream whose first bytes can be looked at before they are taken."""

from firmware.base import sockets
from firmware.base.runtime import const

SIZE = const(256)  # bytes that are read ahead: more than a WebSocket's header or control frame has


class ReadAhead:
    """Reads a stream by way of a buffer of SIZE bytes. `on_bytes()` is called when some come. What
    waits raises one of runtime.LINK_ERRORS: EOFError when the peer has closed the connection."""

    def __init__(self, reader):
        self.on_bytes = None
        self._reader = reader
        self._buffer = memoryview(bytearray(SIZE))
        self._at = 0  # where the bytes begin that have not been taken yet
        self._end = 0

    async def need(self, count: int) -> None:
        """Waits until so many bytes can be taken. Takes none, so that it may be cancelled."""
        buffer, at = self._buffer, self._at
        if at and at + count > self._end:
            rest = self._end - at
            buffer[:rest] = bytes(buffer[at : self._end])
            self._at, self._end = 0, rest
        while self._end - self._at < count:
            self._end += await self.read_into(buffer[self._end :])

    def peek(self, count: int) -> bytes:
        """The next bytes, which `need` has waited for; they are not taken."""
        return bytes(self._buffer[self._at : self._at + count])

    def take(self, count: int) -> bytes:
        """The next bytes, which `need` has waited for."""
        self._at += count
        return bytes(self._buffer[self._at - count : self._at])

    def take_into(self, view) -> int:
        """Moves what has been read ahead into a memoryview, as far as there is room. How much that
        was."""
        count = min(len(view), self._end - self._at)
        if count:
            view[:count] = self._buffer[self._at : self._at + count]
            self._at += count
        return count

    async def read_into(self, view) -> int:
        """Reads at least a byte from the stream into a memoryview, past what was read ahead. How
        many bytes that was."""
        count = None
        while count is None:
            count = await sockets.read_into(self._reader, view)
        if not count:
            raise EOFError("the peer closed the connection")
        if self.on_bytes:
            self.on_bytes()
        return count

    async def discard(self) -> None:
        """Reads until the stream ends, for nothing."""
        while True:
            await self.read_into(self._buffer)
