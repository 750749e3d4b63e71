"""What is received: a stream whose first bytes can be looked at before they are taken, and a long
message, which need never be in memory as a whole."""

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


_BLOCK = const(256)  # bytes


class LongMessage:
    """A WebSocket message, received as it is read, in blocks: what has been read can be given
    back. Takes the place of a memoryview of what has come so far: `len` and slices, which are
    copies where they lie in several blocks. Of what was forgotten nothing can be read."""

    def __init__(self, link, begun):
        self._link = link
        self._blocks = []  # None for one that was forgotten
        self._size = 0  # bytes that have come
        self._checked = 0  # bytes of them that `received` has handed out
        at = 0
        while at < len(begun):
            space = self.space(at, len(begun) - at)
            space[:] = begun[at : at + len(space)]
            at += len(space)
        self._size = at

    def __len__(self):
        return self._size

    async def fill(self, size: int) -> None:
        """Waits until so many bytes are there, or all. Raises net's `Closed`, and MemoryError."""
        await self._link.receive_more(self, size)

    def forget(self, before: int) -> None:
        """What lies before that will not be read any more, but its beginning might."""
        for n in range(1, min(before, self._checked) // _BLOCK):
            self._blocks[n] = None

    def __getitem__(self, part):
        at = part.start or 0
        end = self._size if part.stop is None else min(part.stop, self._size)
        found = self.space(at, end - at) if at < end else b""
        if at + len(found) < end:
            found = bytearray(found)
            while at + len(found) < end:
                found.extend(self.space(at + len(found), end - at - len(found)))
        return found

    # what the link that receives it calls

    def space(self, at: int, most: int):
        """A memoryview of the bytes from `at` on, `most` or fewer, to write to. Raises
        MemoryError."""
        if at // _BLOCK == len(self._blocks):
            self._blocks.append(bytearray(_BLOCK))
        start = at % _BLOCK
        return memoryview(self._blocks[at // _BLOCK])[start : start + most]

    def received(self, size: int, whole: bool):
        """So many bytes have come. Returns those that are new, without the beginning of a UTF-8
        character that more is to come of."""
        self._size = end = size
        for back in range(1, 0 if whole else min(size, 3) + 1):
            c = self[size - back : size - back + 1][0]
            if c >= 0xC0:
                if back < 2 + (c >= 0xE0) + (c >= 0xF0):
                    end = size - back
                break
            if c < 0x80:
                break
        begin, self._checked = self._checked, end
        return memoryview(self[begin:end])
