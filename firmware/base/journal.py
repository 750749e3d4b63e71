"""An append-only log of checksummed records in bounded space.

A record is `length, kind, position (4), payload, CRC-32 (4)`. Its position counts up by one for
ever and is its name. New records go each into a small file of its own, a slot, that is overwritten
later: on LittleFS that is atomic and costs a twentieth of an erase, where an append costs a whole
one. When the slots are used up they are appended to the newest segment in one go. A segment is a
file named after the first position that it may hold. What is not sound (a torn tail, a flipped
bit) is skipped; positions say what is double after a power cut, and it is skipped too.
"""

from binascii import crc32
from collections import namedtuple

from firmware.base.runtime import const


def pack_ints(*numbers) -> bytes:
    """The integers one after the other: 7 bits a byte, the lowest first, the eighth bit set where
    more follow. The sign is the lowest bit (zigzag), so that -64 to 63 take one byte."""
    out = bytearray()
    for n in numbers:
        n = n << 1 if n >= 0 else -(n << 1) - 1
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        out.append(n)
    return bytes(out)


def unpack_ints(data: bytes, count: int, at: int = 0) -> tuple:
    """(list of `count` integers packed from the offset `at` on, the offset behind them). Raises
    IndexError where the data ends before."""
    found = [0] * count
    for i in range(count):
        n = data[at]
        at += 1
        if n > 127:
            n &= 127
            shift = 7
            while True:
                byte = data[at]
                at += 1
                n |= (byte & 127) << shift
                if byte < 128:
                    break
                shift += 7
        found[i] = -(n + 1 >> 1) if n & 1 else n >> 1
    return found, at


_SLOTS = const(16)  # records that wait for one append
_VITAL_SLOTS = const(4)  # of them, only for vital records when the flash is full
_PIECE = const(1024)  # bytes of a segment that are read at once
_SMALL_PIECE = const(512)  # where one record is looked for; no record is longer than that
_BLOCK = const(4096)  # of the flash
_CHANGES = const(8)  # so many have changed little of its free space
_HEAD = const(6)
_CHECKSUM = const(4)
# The CRC-32 of bytes that their own CRC-32 follows is always this.
_CRC_WITH_CHECKSUM = const(0x2144DF1C)

Record = namedtuple("Record", ("position", "kind", "payload"))


class Bookmark:
    """Where a reader of the journal is. Who reads on later hands it in again, from the same
    position or a later one, and need not read all that lies before."""

    def __init__(self):
        self.generation = -1  # of no journal
        self.segment = 0
        self.offset = 0

    def put(self, generation: int, segment: int, offset: int) -> None:
        """The record that was read last begins there."""
        self.generation = generation
        self.segment = segment
        self.offset = offset


def _blocks(size):
    return (size + _BLOCK - 1) // _BLOCK


def _crc(data):
    return crc32(data).to_bytes(_CHECKSUM, "little")


def encode(record: Record) -> bytes:
    """A record as it is in the files."""
    data = bytes((len(record.payload), record.kind))
    data += record.position.to_bytes(4, "little") + record.payload
    return data + _crc(data)


def _end(data, at: int) -> int:
    """Where the record ends that begins at an offset of these bytes, behind `len(data)` where not
    all of it is among them; 0 where it is not sound."""
    end = at + _HEAD + data[at] + _CHECKSUM
    if end > len(data) or crc32(data[at:end]) == _CRC_WITH_CHECKSUM:
        return end
    return 0


def _record(data, at: int, end: int) -> Record:
    """The sound record at an offset of these bytes."""
    position = int.from_bytes(data[at + 2 : at + _HEAD], "little")
    return Record(position, data[at + 1], data[at + _HEAD : end - _CHECKSUM])


class Journal:
    """`limit`: bytes that the segments may take; `reserve`: free bytes of the flash that `room`
    leaves to vital records; `segment_size`: bytes from which on a segment is not appended to, so
    that it fits one flash block.

    To be read: `next`, the position of the next record; `segments`, the first positions of all
    segments, oldest first; `size`, their bytes; `room`: bytes that may still be written before the
    limit or the reserve is touched, negative where they are. To know what is free takes a walk
    over the whole flash: `room` is as at the last one, but for what the journal itself has taken
    and freed since then."""

    def __init__(
        self,
        files,
        log,
        folder: str = "journal",
        limit: int = 393216,
        reserve: int = 65536,
        segment_size: int = 3072,
    ):
        self._files = files
        self._log = log
        self._folder = folder + "/"
        self.limit = limit
        self.reserve = reserve
        self._segment_size = segment_size
        self._generation = 0  # counts the compactions
        files.mkdir(folder)
        files.mkdir(folder + "/tail")
        self.segments = []
        self.size = 0
        for name in files.listdir(folder):
            if name[8:] == ".log":
                self.segments.append(int(name[:8], 16))
                self.size += files.size(self._folder + name)
        self.segments.sort()
        self.next = 1
        self._flushed = 0  # the last position that is in a segment
        if self.segments:
            self.next = self.segments[-1]
            for record, _ in self.segment_records(self.segments[-1]):
                self.next = max(self.next, record.position + 1)
        self._flushed = self.next - 1
        for number in range(_SLOTS):
            record = self._slot(number)
            if record and record.position >= self.next:
                self.next = record.position + 1
        # what is in the slots, so that it need not be read when it is moved; None: it is damaged
        self._tail = []
        for position in range(self._flushed + 1, self.next):
            record = self._slot(position)
            is_sound = record is not None and record.position == position
            self._tail.append(encode(record) if is_sound else None)
        self.measure_room()

    def measure_room(self) -> None:
        """Brings `room` up to date."""
        self._free = self._files.free()
        self._measured_at = self._files.changes
        self._compute_room()

    def measure_room_after_changes(self) -> None:
        """Brings `room` up to date where something has been written since it was. To be called
        now and then while no energy flows, since it may take long."""
        if self._files.changes - self._measured_at > _CHANGES:
            self.measure_room()

    def has_room(self, least: int) -> bool:
        """Whether `room` is `least` bytes or more, also when everything that was written since it
        was measured, by whom ever, took a block; else it is measured."""
        unknown = (self._files.changes - self._measured_at) * _BLOCK
        if self.room - unknown < least:
            self.measure_room()
        return self.room >= least

    def _compute_room(self):
        self.room = min(self.limit - self.size, self._free - self.reserve)

    def _grew(self, before, after):
        """A segment of so many bytes has so many now."""
        self.size += after - before
        self._free -= (_blocks(after) - _blocks(before)) * _BLOCK
        self._compute_room()

    # writing

    def append(self, kind: int, payload: bytes, vital: bool = True) -> int:
        """Writes a record of at most 255 bytes, safe when this returns; returns its position.
        `vital`: it must not be lost. Raises OSError when the flash is full, a little earlier for
        records that are not vital."""
        if len(payload) > 255:
            raise ValueError("a record is at most 255 bytes long")
        used = self.next - 1 - self._flushed
        if used >= _SLOTS - _VITAL_SLOTS:
            try:
                self.flush()
            except OSError:
                self.measure_room()
                if used >= _SLOTS or not vital:
                    raise
        data = encode(Record(self.next, kind, payload))
        with self._files.open(self._slot_path(self.next), "wb") as f:
            f.write(data)
        self._tail.append(data)
        self.next += 1
        return self.next - 1

    def flush(self) -> None:
        """Moves what is in the slots to the newest segment: one erase."""
        first = self._flushed + 1
        if first == self.next:
            return
        base = self.segments[-1] if self.segments else 0
        size = self._files.size(self._path(base)) if base else self._segment_size
        if size >= self._segment_size:
            base = first
            size = 0
        with self._files.open(self._path(base), "ab") as f:
            for data in self._tail:
                if data:
                    f.write(data)
                else:
                    self._log.error("a record is damaged and left out")
        if base not in self.segments:
            self.segments.append(base)
        self._grew(size, self._files.size(self._path(base)))
        self._flushed = self.next - 1
        self._tail = []

    # reading

    def records(self, position: int = 1, bookmark: Bookmark | None = None, piece: int = _PIECE):
        """Yields the records from a position on, in order, up to the newest. Goes on rightly when
        records are appended or segments compacted meanwhile; once it has ended it is over.
        `piece`: so many bytes are read at once; a file is opened for each piece."""
        size = _SMALL_PIECE if bookmark else piece
        while position < self.next:
            if position > self._flushed or not self.segments:
                record = self._slot(position)
                position += 1
                if record and record.position == position - 1:
                    yield record
                continue
            generation = self._generation
            index = len(self.segments) - 1
            while index > 0 and self.segments[index] > position:
                index -= 1
            offset = 0
            if bookmark and bookmark.generation == generation and bookmark.segment == index:
                offset = bookmark.offset
            while index < len(self.segments) and generation == self._generation:
                for record, begin in self.segment_records(self.segments[index], offset, size):
                    if record.position >= position:
                        position = record.position + 1
                        if bookmark:
                            bookmark.put(generation, index, begin)
                        yield record
                        if generation != self._generation:
                            break
                else:
                    index += 1
                    offset = 0
                    if index >= len(self.segments):
                        position = self._flushed + 1

    def _path(self, base):
        """The file of the segment that begins at a position."""
        return "%s%08x.log" % (self._folder, base)

    def _slot_path(self, position):
        return "%stail/%d" % (self._folder, position % _SLOTS)

    def _slot(self, position):
        """The record in the slot of a position, which may be an older one's; None without."""
        try:
            with self._files.open(self._slot_path(position), "rb") as f:
                data = f.read()
        except OSError:
            return None
        end = _end(data, 0) if data else 0
        return _record(data, 0, end) if 0 < end <= len(data) else None

    def segment_records(self, base: int, offset: int = 0, size: int = _PIECE):
        """Yields (record, offset where it begins) of each sound record of the segment that begins
        at the position `base`, from an offset on. Reads `size` bytes of it first, then pieces
        that are mostly all of it."""
        while True:
            flushed = self._flushed
            with self._files.open(self._path(base), "rb") as f:
                f.seek(offset)
                try:
                    data = f.read(size)
                except MemoryError:  # not in one piece
                    size = _SMALL_PIECE
                    f.seek(offset)
                    data = f.read(size)
            is_last = len(data) < size
            at = 0
            length = len(data)
            while at + _HEAD <= length:
                end = _end(data, at)
                if 0 < end <= length:
                    yield _record(data, at, end), offset + at
                    at = end
                elif end and not is_last:
                    break  # the rest of it is in the next piece
                else:
                    at += 1  # torn or damaged: the next sound one may begin anywhere
            if is_last and flushed == self._flushed:  # nothing was appended meanwhile
                return
            offset += at
            size = _PIECE

    # making room

    def full_segment(self, position: int) -> int | None:
        """The index of the first segment that begins at `position` or later, if it can be
        compacted. None: it is the newest, which is still appended to, or there is none."""
        for index in range(len(self.segments) - 1):
            if self.segments[index] >= position:
                return index
        return None

    def compaction(self, index: int, is_needed):
        """Rewrites one segment (not the newest) with those records that `is_needed(record)` is
        true of, and joins it to the one before where both fit: as a generator, which yields often,
        so that others can have their turns. Records may be appended meanwhile, but one compaction
        has to end before the next begins. Returns the bytes won. Raises OSError when there is no
        room for the copy; nothing is lost then, nor where it is not gone through to its end."""
        files = self._files
        base = into = self.segments[index]
        base_size = old_size = files.size(self._path(base))
        before = self.segments[index - 1] if index else base
        joined = []  # the records of the segment before, as they are in its file
        last = 0  # the position of the newest of them
        if index:
            size_before = files.size(self._path(before))
            for record, _ in self.segment_records(before):
                last = record.position
                if size_before < self._segment_size:
                    joined.append(encode(record))
                yield
        needed = []
        for record, _ in self.segment_records(base):
            # Earlier records are copies, left by a power cut between the two steps below.
            if record.position > last and is_needed(record):
                needed.append(encode(record))
            yield
        if needed and joined and _size(joined) + _size(needed) <= self._segment_size:
            into = before
            old_size += size_before
            needed = joined + needed
        size = _size(needed)
        if size == old_size:
            return 0
        if needed:
            copy = self._folder + "tmp"
            with files.open(copy, "wb") as f:
                for data in needed:
                    f.write(data)
            files.rename(copy, self._path(into))
        if into != base or not size:
            files.remove(self._path(base))
            self.segments.remove(base)
        self._generation += 1
        self._grew(base_size, 0)
        self._grew(old_size - base_size, size)
        return old_size - size


def _size(pieces):
    """The bytes of all of them."""
    return sum([len(piece) for piece in pieces])
