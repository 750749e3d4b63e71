"""A long message, received as it is read, in blocks: what has been read can be given back, so that
it need never be in memory as a whole. Loaded for it."""

from firmware.base.runtime import const

_BLOCK = const(256)


class Long:
    """Takes the place of a memoryview of what has come so far: `len` and slices, which are copies
    where they lie in several blocks. Of what was forgotten nothing can be read."""

    def __init__(self, link, begun):
        self._link = link
        self._blocks = []
        self._checked = 0  # bytes of it were handed out by `come`
        at = 0
        while at < len(begun):
            room = self.room(at, len(begun) - at)
            room[:] = begun[at : at + len(room)]
            at += len(room)
        self._size = at

    def __len__(self):
        return self._size

    async def fill(self, size: int) -> None:
        """Waits until so many bytes are there, or all. Raises net's `Closed`, and MemoryError."""
        await self._link.more(self, size)

    def room(self, at: int, most: int):
        """A memoryview of bytes from `at` on to write to, `most` or fewer. Raises MemoryError."""
        if at // _BLOCK == len(self._blocks):
            self._blocks.append(bytearray(_BLOCK))
        start = at % _BLOCK
        return memoryview(self._blocks[at // _BLOCK])[start : start + most]

    def __getitem__(self, part):
        at = part.start or 0
        end = self._size if part.stop is None else min(part.stop, self._size)
        found = self.room(at, end - at) if at < end else b""
        if at + len(found) < end:
            found = bytearray(found)
            while at + len(found) < end:
                found.extend(self.room(at + len(found), end - at - len(found)))
        return found

    def come(self, size: int, whole: bool):
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

    def forget(self, before: int) -> None:
        """What lies before that will not be read any more, but its beginning might."""
        for n in range(1, min(before, self._checked) // _BLOCK):
            self._blocks[n] = None
