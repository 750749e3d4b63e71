"""The records of charging profiles in flash: in few files, and with few erases.

A record is kept in a frame, its numbers little-endian:
    u32   the frame's number, which counts up: of two frames of a slot the later one counts
    u8    the profile's slot
    u16   the length of the record
    ...   the record (see profile.py)
    u32   CRC-32 of all this

Frames are appended to segments, files that fit a block of the flash: that costs one erase, however
many profiles there are. A small frame goes first into a small file of its own, which is
overwritten later: LittleFS keeps such files among its metadata, where a write costs a tenth of an
erase. When all small files are in use, their frames are moved to a segment together.

The first small file has one bit for each slot that has a profile. A frame of any other slot counts
only if it is later than that file. `tidy` removes a segment without frames that count, and moves
the frames that count out of a segment that has few of them.
"""

import binascii
from array import array
from struct import pack, unpack

from firmware.base.runtime import const
from firmware.base.store import Store

_HEAD = const("<IBH")
_HEAD_BYTES = const(7)
_CRC_BYTES = const(4)
_SEGMENT_BYTES = const(4096)  # a block of the flash
_SMALL_FILES = const(8)
_SMALL_BYTES = const(500)  # of each of them; at most 512, LittleFS's limit
_SMALL_BYTES_IN_ALL = const(1200)  # else their metadata would be rewritten too often
_FOLDERS = const(2)  # of segments: LittleFS's work on a folder grows with the square of its files
_IN_USE = const(0)  # the number of that file; small files follow, and then the segments
_MOST_SLOTS = const(256)
_SLOTS_AT_ONCE = const(16)  # by which the arrays grow
_CONVERTED_TOGETHER = const(4)  # the largest fit a segment
_MOVED_FIRST = const(8)  # so many blocks are enough for the folders and the first segments


def _crc(head, record):
    return binascii.crc32(record, binascii.crc32(head))


def _frame(number, slot, record):
    """The pieces of a frame: it is written without being put together."""
    head = pack(_HEAD, number, slot, len(record))
    return head, record, pack("<I", _crc(head, record))


def _bytes(frame):
    """The length of a frame in pieces."""
    return sum([len(piece) for piece in frame])


def _record(f, offset, size):
    """The record of the frame at an offset of an open file; None where it is damaged."""
    f.seek(offset)
    head = f.read(_HEAD_BYTES)
    record = f.read(size - _HEAD_BYTES - _CRC_BYTES)
    return record if f.read(_CRC_BYTES) == pack("<I", _crc(head, record)) else None


class ProfileFiles:
    """The records of profiles by their slots, 0 to 255, in a folder of `files`. What `write` and
    `remove` did is safe when they return; they raise OSError, and all is as before, when the
    flash is full."""

    def __init__(self, files, folder: str = "profiles"):
        self._files = files
        self._folder = folder + "/"
        self._number = 0  # of the newest frame
        self._segments = []  # the numbers of these files, ascending
        self._newest_size = _SEGMENT_BYTES  # of the last one; so many: it is not appended to
        self._file_of = array("I")  # for each slot: the number of the file that its frame is in,
        self._offset_of = array("H")  # where it begins there,
        self._size_of = array("H")  # and its bytes; 0 where a slot has none
        self._tidy_to = None  # there is no more garbage than so many bytes, or it can't be helped
        files.mkdir(folder)
        old = Store(files, folder)
        old_names = [name for name in old.names() if name.isdigit()]
        records = []
        try:
            self._make_folders()
        except OSError:  # the flash is full, with a block for each old file
            together = old_names[:_MOVED_FIRST]
            records = [(int(name), old.read(name)) for name in together]
            for name in together:
                old.remove(name)
            self._make_folders()
        self._find_segments()
        self._find_frames()
        self._take_over(records)
        self._convert(old, old_names)

    # at start-up

    def _make_folders(self):
        for number in range(_FOLDERS):
            self._files.mkdir(self._segment_folder(number))

    def _find_segments(self):
        for folder in range(_FOLDERS):
            for name in self._files.listdir(self._segment_folder(folder)):
                try:
                    number = int(name, 16)
                except ValueError:
                    continue  # somebody else's
                if number > _SMALL_FILES:
                    self._segments.append(number)
        self._segments.sort()

    def _find_frames(self):
        """Finds out which frames there are, and which of them count."""
        in_use = bytes(_MOST_SLOTS // 8)
        in_use_at = 0  # the number of the newest frame at that time
        for number, _, size in self._heads(_IN_USE, self._size(_IN_USE)):
            known = self._read(_IN_USE, 0, size)
            if known and len(known) == len(in_use):
                in_use = known
                in_use_at = self._number = number
        numbers = array("I")  # of the frame of each slot
        for file in self._all_files():
            file_size = self._size(file)
            offset = 0
            for number, slot, size in self._heads(file, file_size):
                self._number = max(self._number, number)
                self._extend_to(slot)
                while len(numbers) <= slot:
                    numbers.append(0)
                is_there = number > in_use_at or in_use[slot >> 3] >> (slot & 7) & 1
                if is_there and number >= numbers[slot]:
                    numbers[slot] = number
                    self._place(slot, file, offset, size)
                offset += size
                if file <= _SMALL_FILES:
                    break  # it has one
            if file > _SMALL_FILES:
                self._newest_size = offset if offset == file_size else _SEGMENT_BYTES

    def _all_files(self):
        return list(range(1, _SMALL_FILES + 1)) + self._segments

    def _size(self, file):
        """The bytes of a file; 0 where it was never written."""
        try:
            return self._files.size(self._path(file))
        except OSError:
            return 0

    def _heads(self, file, left):
        """Yields (number, slot, bytes) of the frames of a file of so many bytes, as their heads
        tell."""
        if not left:
            return
        offset = 0
        with self._files.open(self._path(file), "rb") as f:
            while left >= _HEAD_BYTES:
                f.seek(offset)
                number, slot, size = unpack(_HEAD, f.read(_HEAD_BYTES))
                size += _HEAD_BYTES + _CRC_BYTES
                if size > left:  # these bytes are no frame
                    return
                yield number, slot, size
                offset += size
                left -= size

    def _convert(self, old, names):
        """Takes over what a firmware before this one has kept, a file for each profile. Whatever
        it finds of that after a power cut was not taken over yet, or was and is to be removed."""
        while names:
            together = names[:_CONVERTED_TOGETHER]
            self._take_over([(int(name), old.read(name)) for name in together])
            for name in together:
                old.remove(name)
            names = names[_CONVERTED_TOGETHER:]

    def _take_over(self, records):
        """Keeps old records, each with its slot; None where one is damaged."""
        frames = []
        for slot, record in records:
            is_one = record and len(record) < _SEGMENT_BYTES and slot < _MOST_SLOTS
            if is_one and not self.has(slot):
                self._number += 1
                frames.append((slot, _frame(self._number, slot, record)))
        for first in range(0, len(frames), _CONVERTED_TOGETHER):
            some = frames[first : first + _CONVERTED_TOGETHER]
            self._append(some, sum([_bytes(frame) for _, frame in some]))

    # what is there

    def has(self, slot: int) -> bool:
        """Whether there is a record of a slot."""
        return slot < len(self._size_of) and self._size_of[slot] > 0

    def records(self):
        """Yields (slot, its record, or None where that is damaged) for all of them."""
        for file in self._all_files():
            slots = self._slots_in(file)
            if slots:
                with self._files.open(self._path(file), "rb") as f:
                    for slot in slots:
                        yield slot, _record(f, self._offset_of[slot], self._size_of[slot])

    def _slots_in(self, file):
        """The slots whose frames are in a file."""
        slots = range(len(self._file_of))
        return [slot for slot in slots if self._size_of[slot] and self._file_of[slot] == file]

    def read(self, slot: int) -> bytes | None:
        """The record of a slot; None: there is none, or it is damaged."""
        if not self.has(slot):
            return None
        return self._read(self._file_of[slot], self._offset_of[slot], self._size_of[slot])

    def _read(self, file, offset, size):
        try:
            with self._files.open(self._path(file), "rb") as f:
                return _record(f, offset, size)
        except OSError:
            return None

    # changes

    def write(self, slot: int, record: bytes | bytearray) -> None:
        """Keeps a record instead of the one that the slot has had."""
        self._number += 1  # also where the flash does not take it: it may have half of it
        self._extend_to(slot)
        frame = _frame(self._number, slot, record)
        size = _bytes(frame)
        if size <= _SMALL_BYTES:
            file, others = self._small_file(slot, size)
            if not file:
                self._move(others)
                file = self._small_file(slot, size)[0]
            self._overwrite(file, frame)
            self._place(slot, file, 0, size)
        else:
            self._append([(slot, frame)], size)
        self._tidy_to = None

    def make_room(self, slot: int, size: int) -> bool:
        """Where what is in the small files has to be moved before a record of so many bytes is
        written, moves it, so that others may have a turn before the record is. Returns whether
        there was something to do; raises OSError when the flash is full."""
        size += _HEAD_BYTES + _CRC_BYTES
        if size > _SMALL_BYTES:
            return False
        file, others = self._small_file(slot, size)
        if not file:
            self._move(others)
        return not file

    def remove(self, slots) -> None:
        """Forgets the records of these slots, in one step."""
        removed = [slot for slot in slots if self.has(slot)]
        if not removed:
            return
        in_use = bytearray(_MOST_SLOTS // 8)
        for slot in range(len(self._size_of)):
            if self._size_of[slot]:
                in_use[slot >> 3] |= 1 << (slot & 7)
        for slot in removed:
            in_use[slot >> 3] &= ~(1 << (slot & 7))
        self._overwrite(_IN_USE, _frame(self._number, 0, in_use))
        for slot in removed:
            self._size_of[slot] = 0
        self._tidy_to = None

    def _small_file(self, slot, size):
        """(the small file that a frame of so many bytes of this slot may overwrite, or 0: there is
        no room for one more before what is in the others has been moved; the slots in the
        others)"""
        free = list(range(1, _SMALL_FILES + 1))
        others = []
        own = 0
        for other in range(len(self._file_of)):
            file = self._file_of[other]
            if self._size_of[other] and file <= _SMALL_FILES:
                free.remove(file)
                if other == slot:
                    own = file
                else:
                    others.append(other)
                    size += self._size_of[other]
        has_room = size <= _SMALL_BYTES_IN_ALL and (own or free)
        return (own or free[0]) if has_room else 0, others

    def _move(self, slots):
        """Appends the frames of these slots to a segment."""
        self._append(self._frames_of(slots), sum([self._size_of[slot] for slot in slots]))

    def _frames_of(self, slots):
        """Yields (slot, frame), one after the other: together they may be long."""
        for slot in slots:
            with self._files.open(self._path(self._file_of[slot]), "rb") as f:
                f.seek(self._offset_of[slot])
                frame = (f.read(self._size_of[slot]),)
            yield slot, frame

    def _append(self, frames, size):
        """Appends (slot, frame), one or several of so many bytes in all, to a segment: one
        erase."""
        if self._newest_size + size > _SEGMENT_BYTES:
            newest = self._segments[-1] if self._segments else _SMALL_FILES
            self._segments.append(newest + 1)
            self._newest_size = 0
        file = self._segments[-1]
        places = []  # (slot, offset, size), which count once all of it is in flash
        try:
            with self._files.open(self._path(file), "ab") as f:
                for slot, frame in frames:
                    for piece in frame:
                        f.write(piece)
                    places.append((slot, self._newest_size, _bytes(frame)))
                    self._newest_size += _bytes(frame)
        except OSError:
            self._newest_size = _SEGMENT_BYTES  # nobody knows what is in it now
            raise
        for slot, offset, size in places:
            self._extend_to(slot)
            self._place(slot, file, offset, size)

    def _overwrite(self, file, frame):
        with self._files.open(self._path(file), "wb") as f:
            for piece in frame:
                f.write(piece)

    # making room

    def tidy(self, garbage: int) -> bool:
        """One short step towards no more garbage than so many bytes. False: there is nothing to be
        done. Raises OSError when the flash is full."""
        if self._tidy_to is not None and self._tidy_to <= garbage:
            return False
        counting = {}  # bytes that count, of each segment
        for file in self._segments:
            counting[file] = 0
        for slot in range(len(self._file_of)):
            if self._size_of[slot] and self._file_of[slot] > _SMALL_FILES:
                counting[self._file_of[slot]] += self._size_of[slot]
        wasted = 0
        least = _SEGMENT_BYTES // 2
        chosen = None
        for file in self._segments[:-1]:  # the newest is still appended to
            if not counting[file]:
                self._files.remove(self._path(file))
                self._segments.remove(file)
                return True
            wasted += _SEGMENT_BYTES - counting[file]
            if counting[file] <= least:
                least = counting[file]
                chosen = file
        self._tidy_to = garbage  # also where there is no room for it: not before something changes
        if wasted <= garbage or chosen is None:
            return False
        self._move(self._slots_in(chosen))
        self._tidy_to = None
        return True

    # where a slot's frame is

    def _path(self, file):
        if file <= _SMALL_FILES:
            return "%ssmall%d" % (self._folder, file)
        return "%s/%x" % (self._segment_folder(file % _FOLDERS), file)

    def _segment_folder(self, number):
        return "%ssegments%d" % (self._folder, number)

    def _extend_to(self, slot):
        while len(self._file_of) <= slot:
            more = [0] * _SLOTS_AT_ONCE
            self._file_of.extend(array("I", more))
            self._offset_of.extend(array("H", more))
            self._size_of.extend(array("H", more))

    def _place(self, slot, file, offset, size):
        self._file_of[slot] = file
        self._offset_of[slot] = offset
        self._size_of[slot] = size
