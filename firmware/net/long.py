"""A long message as it is received: in blocks, since one piece of 8 KB may be hard to find in a
heap that is in use, and who reads it can give back what he has read. Loaded for it."""

from firmware.base.runtime import const

_BLOCK = const(512)


class Long:
    """Takes the place of a memoryview: `len` and slices, which are copies where they lie in
    several blocks. Of what was forgotten nothing can be read."""

    def __init__(self):
        self._blocks = []
        self._size = 0

    def __len__(self):
        return self._size

    def resize(self, size: int) -> None:
        """Makes room, or drops what was too much. Raises MemoryError."""
        while len(self._blocks) * _BLOCK < size:
            self._blocks.append(memoryview(bytearray(_BLOCK)))
        self._size = size

    def room(self, at: int, most: int):
        """A memoryview of bytes from `at` on to write to, `most` or fewer."""
        start = at % _BLOCK
        return self._blocks[at // _BLOCK][start : start + most]

    def __getitem__(self, part):
        at = part.start or 0
        end = self._size if part.stop is None else min(part.stop, self._size)
        found = self.room(at, end - at) if at < end else b""
        if at + len(found) < end:
            found = bytearray(found)
            while at + len(found) < end:
                found.extend(self.room(at + len(found), end - at - len(found)))
        return found

    def forget(self, before: int) -> None:
        """What lies before that will not be read any more, but its beginning might."""
        for n in range(1, before // _BLOCK):
            self._blocks[n] = None
