"""An append-only log of checksummed records in bounded space.

A record is `length, kind, position (4), payload, CRC-32 (4)`. Its position counts up by one for
ever and is its name. New records go each into a small file of its own, a slot, that is overwritten
later: on LittleFS that is atomic and costs a twentieth of an erase, where an append costs a whole
one. When the slots are used up they are appended to the newest segment in one go. A segment is a
file named after the first position that it may hold. What is not sound (a torn tail, a flipped
bit) is skipped; positions say what is double after a power cut, and it is skipped too.
"""

import binascii

from firmware.base.runtime import const

_SLOTS = const(16)  # records that wait for one append
_SPARE = const(4)  # slots that only records which must not be lost may use when the flash is full
_BATCH = const(8)  # records read at once
_HEAD = const(6)


def pack_ints(*numbers) -> bytes:
    """Integers of any sign and size, small ones in one byte (zigzag, 7 bits a byte)."""
    out = bytearray()
    for n in numbers:
        n = n << 1 if n >= 0 else -(n << 1) - 1
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        out.append(n)
    return bytes(out)


def ints(data: bytes, count: int, at: int = 0) -> tuple:
    """(list of `count` integers packed from `at` on, where they end)."""
    found = []
    while len(found) < count:
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found.append(-(n + 1 >> 1) if n & 1 else n >> 1)
    return found, at


def _crc(data):
    return binascii.crc32(data).to_bytes(4, "little")


def raw(position: int, kind: int, payload: bytes) -> bytes:
    """A record as it is in the files."""
    data = bytes((len(payload), kind)) + position.to_bytes(4, "little") + payload
    return data + _crc(data)


class Journal:
    """`limit`: bytes that the segments may take; `reserve`: free bytes of the flash that `room`
    leaves to records that must not be lost; `seal`: bytes beyond which a segment is not appended
    to, so that it fits one flash block. `generation` changes when old records went."""

    def __init__(
        self,
        files,
        log,
        folder: str = "journal",
        limit: int = 393216,
        reserve: int = 65536,
        seal: int = 3072,
    ):
        self.files = files
        self._log = log
        self.folder = folder + "/"
        self.limit = limit
        self.reserve = reserve
        self.seal = seal
        self.generation = 0
        files.mkdir(folder)
        files.mkdir(folder + "/tail")
        self.segments = []
        self.size = 0
        for name in files.listdir(folder):
            if name[8:] == ".log":
                self.segments.append(int(name[:8], 16))
                self.size += files.size(self.folder + name)
        self.segments.sort()
        self.next = 1
        if self.segments:
            self.next = self.segments[-1]
            batch, offset = self.batch(self.next, 0)
            while batch:
                self.next = max([self.next] + [record[0] + 1 for record in batch])
                batch, offset = self.batch(self.segments[-1], offset)
        self.flushed = self.next - 1  # the last position that is in a segment
        for number in range(_SLOTS):
            record = self._slot(number)
            if record and record[0] >= self.next:
                self.next = record[0] + 1
        self.measure()

    def name(self, base: int) -> str:
        return "%s%08x.log" % (self.folder, base)

    def measure(self) -> None:
        """`room`: bytes that may still be written before the limit or the reserve is touched."""
        self.room = min(self.limit - self.size, self.files.free() - self.reserve)

    def _record(self, f):
        """(position, kind, payload) of the sound record that a file goes on with, else None;
        EOFError at its end."""
        head = f.read(_HEAD)
        if len(head) < _HEAD:
            raise EOFError
        body = f.read(head[0] + 4)
        if len(body) < head[0] + 4 or _crc(head + body[:-4]) != body[-4:]:
            return None
        return int.from_bytes(head[2:], "little"), head[1], body[:-4]

    def batch(self, base: int, offset: int) -> tuple:
        """The next sound records of a segment: (list, empty at its end; where to go on)."""
        batch = []
        try:
            with self.files.open(self.name(base), "rb") as f:
                f.seek(offset)
                while len(batch) < _BATCH:
                    record = self._record(f)
                    if record:
                        batch.append(record)
                        offset += _HEAD + len(record[2]) + 4
                    else:
                        offset += 1  # torn or damaged: the next sound one may begin anywhere
                        f.seek(offset)
        except EOFError:
            pass  # the segment's end
        return batch, offset

    def _slot(self, position):
        try:
            with self.files.open("%stail/%d" % (self.folder, position % _SLOTS), "rb") as f:
                return self._record(f)
        except (OSError, EOFError):
            return None

    def append(self, kind: int, payload: bytes, spare: bool = True) -> int:
        """Writes a record of at most 255 bytes, safe when this returns; returns its position.
        Raises OSError when the flash is full; without `spare`, a little earlier."""
        if len(payload) > 255:
            raise ValueError("a record is at most 255 bytes long")
        used = self.next - 1 - self.flushed
        if used >= _SLOTS - _SPARE:
            try:
                self.flush()
            except OSError:
                self.measure()
                if used >= _SLOTS or not spare:
                    raise
        position = self.next
        with self.files.open("%stail/%d" % (self.folder, position % _SLOTS), "wb") as f:
            f.write(raw(position, kind, payload))
        self.next += 1
        return position

    def flush(self) -> None:
        """Moves what is in the slots to the newest segment: one erase."""
        first = self.flushed + 1
        if first == self.next:
            return
        base = self.segments[-1] if self.segments else 0
        size = self.files.size(self.name(base)) if base else self.seal
        if size >= self.seal:
            base = first
            size = 0
        with self.files.open(self.name(base), "ab") as f:
            for position in range(first, self.next):
                record = self._slot(position)
                if record and record[0] == position:
                    f.write(raw(*record))
                else:
                    self._log.error("record %d is damaged and left out", position)
        if base not in self.segments:
            self.segments.append(base)
        self.size += self.files.size(self.name(base)) - size
        self.flushed = self.next - 1
        self.measure()

    def records(self, position: int = 1, cursor=None):
        """Yields (position, kind, payload) from a position on, in order, up to the newest. Goes on
        rightly when records are appended or compacted meanwhile. `cursor`: a list, empty at first,
        for who goes on later from no earlier position, without having to read all before it. To
        be closed by who does not read to the end: its code is loaded until then."""
        while position < self.next:
            if position > self.flushed or not self.segments:
                record = self._slot(position)
                position += 1
                if record and record[0] == position - 1:
                    yield record
                continue
            generation = self.generation
            index = len(self.segments) - 1
            while index > 0 and self.segments[index] > position:
                index -= 1
            offset = 0
            if cursor and cursor[:2] == [generation, index]:
                offset = cursor[2]
            while generation == self.generation:
                if cursor is not None:
                    cursor[:] = [generation, index, offset]
                batch, offset = self.batch(self.segments[index], offset)
                for record in batch:
                    if record[0] >= position and generation == self.generation:
                        position = record[0] + 1
                        yield record
                if not batch:
                    index += 1
                    offset = 0
                    if index >= len(self.segments):
                        position = self.flushed + 1
                        break

    def segment(self, after: int) -> tuple:
        """(index, next one's first position) of the first segment from position `after` on; the
        latter is None where that is the newest segment, or there is none."""
        index = 0
        while index < len(self.segments) and self.segments[index] < after:
            index += 1
        return index, self.segments[index + 1] if index + 1 < len(self.segments) else None
