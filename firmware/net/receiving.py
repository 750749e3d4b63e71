"""Receiving: a stream whose next bytes can be looked at before they are taken, and a long message
that is never in memory as a whole."""

from firmware.base import sockets
from firmware.base.runtime import const

SIZE = const(256)  # bytes that are read ahead: more than a WebSocket's header or control frame has


class ReadAhead:
    """Reads a stream through a buffer of SIZE bytes. `on_bytes()` is called when bytes come. Every
    method that waits may raise one of runtime.LINK_ERRORS; EOFError when the peer has closed the
    connection."""

    def __init__(self, reader):
        self.on_bytes = None
        self._reader = reader
        self._buffer = memoryview(bytearray(SIZE))
        self._at = 0  # where the bytes begin that have not been taken yet
        self._end = 0

    async def need(self, count: int) -> None:
        """Waits until so many bytes can be taken. It takes none, and so it may be cancelled."""
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
        """Moves bytes that have been read ahead into a memoryview, as many as fit. Returns how
        many."""
        count = min(len(view), self._end - self._at)
        if count:
            view[:count] = self._buffer[self._at : self._at + count]
            self._at += count
        return count

    async def read_into(self, view) -> int:
        """Reads at least one byte from the stream into a memoryview, without the buffer. Returns
        how many."""
        count = None
        while count is None:
            count = await sockets.read_into(self._reader, view)
        if not count:
            raise EOFError("the peer closed the connection")
        if self.on_bytes:
            self.on_bytes()
        return count

    async def discard(self) -> None:
        """Reads until the stream ends, and throws the bytes away."""
        while True:
            await self.read_into(self._buffer)


_BLOCK = const(256)  # bytes


class LongMessage:
    """A WebSocket message that is received while it is read, in blocks; blocks that have been read
    can be freed.

    It works like a memoryview of the bytes that have come so far, with `len` and slices. A slice
    over several blocks is a copy. Bytes that were forgotten raise ValueError."""

    def __init__(self, link, begun):
        self._link = link
        self._blocks = []  # without those that were forgotten
        self._forgotten = 0  # how many these are, from the second block on
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
        """Waits until so many bytes have come, or all of them. Raises `websocket.Closed`, or
        MemoryError."""
        await self._link.recv(self, size)

    def forget(self, before: int) -> None:
        """Frees the blocks before this byte, except the first one, which may be read again."""
        while self._forgotten + 1 < min(before, self._checked) // _BLOCK:
            self._blocks.pop(1)  # a list that only grows would take 1 KB in one piece
            self._forgotten += 1

    def __getitem__(self, part):
        at = part.start or 0
        end = self._size if part.stop is None else min(part.stop, self._size)
        found = self.space(at, end - at) if at < end else b""
        if at + len(found) < end:
            found = bytearray(found)
            while at + len(found) < end:
                found.extend(self.space(at + len(found), end - at - len(found)))
        return found

    # for the link that receives it

    def space(self, at: int, most: int):
        """A memoryview of the bytes from `at` on, `most` or fewer, to write to. Raises
        MemoryError."""
        number = at // _BLOCK
        if number:
            number -= self._forgotten
            if number < 1:
                raise ValueError("forgotten")
        if number == len(self._blocks):
            self._blocks.append(bytearray(_BLOCK))
        start = at % _BLOCK
        return memoryview(self._blocks[number])[start : start + most]

    def received(self, size: int, whole: bool):
        """So many bytes have come; `whole`: these are all. Returns the new ones, except the
        beginning of a UTF-8 character that is still incomplete."""
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
