"""The local authorization list (OCPP 3.5.2, 5.10, 5.15, errata 3.52), in a file in which an idTag
is looked up by position.

    records    see records.py, sorted by their idTags without regard to case
    offsets    u16 for each fourth record, from the first on: where it begins
    foot       i64 the list's version, u32 whom it belongs to, u16 the number of records,
               u16 the bytes of all records, u32 CRC-32 of all before

Numbers are little-endian. An update merges the old file and what has changed into a new file,
which then replaces the old one in one step. Neither is ever in memory as a whole, and of what has
changed not much either: it waits in files of its own.
"""

import asyncio
import binascii
from array import array
from struct import pack, unpack

from firmware.base.runtime import const
from firmware.local_authorization.records import (
    HEAD_BYTES,
    REMOVED,
    Known,
    key,
    key_of,
    length_of,
)

MOST = 500  # records: the key LocalAuthListMaxLength
MOST_CHANGES = 200  # in an update: the key SendLocalListMaxLength

# UpdateStatus (OCPP 7.47)
ACCEPTED = "Accepted"
FAILED = "Failed"
VERSION_MISMATCH = "VersionMismatch"

_FILE = const("list")
_NEW = const("list.new")  # the list that is being written; void after a power cut
_CHANGES = const("list.changes")  # and a number: of an update; void after a power cut, too
_FOOT = const("<qIHH")
_FOOT_BYTES = const(16)
_CRC_BYTES = const(4)
_MOST_BYTES = const(65535)  # of all records: as far as the offsets reach
_AT_ONCE = const(8)  # records that are read before others have a turn
_WRITE_AT_ONCE = const(2)  # records that are merged and written
_PIECE = const(512)  # bytes that are read at once
_RUN = const(512)  # bytes of the records of an update that are in memory
_BLOCK = const(4096)  # of LittleFS: a file within one is appended to with one erase
_GROUP = const(4)  # records for each of which there is an offset
_LATEST_VERSION = const(0x7FFFFFFFFFFFFFFF)


class Changes:
    """The records of an update, which wait in files in sorted runs; the last run is in memory.
    `count`: how many records there were; `has_removed`: one of them was REMOVED.

    A record's place is a number: that of its run times _RUN, and where it begins there. A file has
    as many runs as a block of LittleFS has room for, so that each costs one erase.
    """

    def __init__(self, files, name: str, is_busy):
        self.count = 0
        self.has_removed = False
        self._files = files
        self._name = name
        self._is_busy = is_busy  # returns whether the files belong to an update before this one
        self._places = array("H")  # of each run in a file, its next record,
        self._left = array("B")  # and how many it still has
        self._records = []  # the run in memory
        self._size = 0  # its bytes

    def heap(self) -> int:
        """About how many bytes of the heap they take."""
        return 2 * _RUN

    def add(self, record: bytes) -> None:
        """Takes one more record. Raises OSError where the flash does not take it."""
        self.count += 1
        self.has_removed = self.has_removed or record[1] == REMOVED
        if self.count > MOST_CHANGES:
            return  # they are refused
        if self._size + len(record) > _RUN:
            self._write_run()
        wanted = key_of(record)
        low = 0
        high = len(self._records)
        while low < high:
            middle = (low + high) // 2
            if key_of(self._records[middle]) < wanted:
                low = middle + 1
            else:
                high = middle
        self._records.insert(low, record)
        self._size += len(record)

    def _write_run(self):
        if self._is_busy():
            raise OSError("the update before is still being written")
        place = _RUN * len(self._places)
        with self._files.open(self._file(place), "ab" if place % _BLOCK else "wb") as f:
            for record in self._records:
                f.write(record)
            f.write(bytes(_RUN - self._size))
        self._places.append(place)
        self._left.append(len(self._records))
        self._records = []
        self._size = 0

    def _file(self, place):
        return "%s%d" % (self._name, place // _BLOCK)

    async def look(self) -> list:
        """The idTags with which the runs begin, for `in_order`. Lets others have turns. Raises
        OSError."""
        keys = []
        for place in self._places:
            await asyncio.sleep(0)
            with self._files.open(self._file(place), "rb") as f:
                f.seek(place % _BLOCK)
                keys.append(key_of(_read(f)))
        if self._records:
            keys.append(key_of(self._records[0]))
        return keys

    def in_order(self, keys: list):
        """Generator: all records by their idTags, then b"". Raises OSError; ValueError where an
        idTag comes twice."""
        last = None
        while True:
            best = -1
            for n in range(len(keys)):
                if keys[n] is not None and (best < 0 or keys[n] < keys[best]):
                    best = n
            if best < 0:
                yield b""
                return
            if keys[best] == last:
                raise ValueError("an idTag is in it twice")
            last = keys[best]
            record, keys[best] = self._take(best)
            yield record

    def _take(self, run):
        """The next record of a run, and the idTag of the one after it, None where there is
        none."""
        if run == len(self._places):
            record = self._records.pop(0)
            return record, key_of(self._records[0]) if self._records else None
        place = self._places[run]
        with self._files.open(self._file(place), "rb") as f:
            f.seek(place % _BLOCK)
            record = _read(f)
            self._places[run] += len(record)
            self._left[run] -= 1
            return record, key_of(_read(f)) if self._left[run] else None

    async def remove(self) -> None:
        """They are not needed any more. Lets others have turns."""
        for place in range(0, _RUN * len(self._places), _BLOCK):
            await asyncio.sleep(0)
            try:
                self._files.remove(self._file(place))
            except OSError:
                pass  # the next start removes it


class LocalList:
    """The list in a folder of `files`. `version` and `count` are of the list that counts: 0 where
    there is none, or where it belongs to another endpoint.

    `endpoint_id()` returns the number of the endpoint with which the station works: a list belongs
    to the central system that sent it.
    """

    def __init__(self, files, folder: str, log, endpoint_id):
        self._files = files
        self._folder = folder + "/"
        self._log = log
        self._endpoint_id = endpoint_id
        self._busy = asyncio.Lock()  # held while the file is replaced
        self._none()
        for name in files.listdir(folder):  # of an update that a power cut ended
            if name.startswith(_CHANGES):
                self._remove(name)
        try:
            self._load()
        except OSError:
            pass  # there is none

    def _none(self):
        self._version = 0
        self._owner = 0
        self._count = 0
        self._size = 0  # of all records: where the offsets begin

    def _load(self):
        """Reads the foot; checks the whole file, since a byte may have flipped."""
        left = whole = self._files.size(self._folder + _FILE) - _CRC_BYTES
        crc = 0
        foot = b""
        with self._files.open(self._folder + _FILE, "rb") as f:
            while left > 0:
                # the last piece is the foot
                piece = f.read(min(_PIECE, left - _FOOT_BYTES) if left > _FOOT_BYTES else left)
                if not piece:
                    break
                crc = binascii.crc32(piece, crc)
                left -= len(piece)
                foot = piece
            if len(foot) != _FOOT_BYTES or f.read(_CRC_BYTES) != pack("<I", crc):
                self._log.error("the local authorization list is damaged: there is none now")
                return
        version, owner, count, size = unpack(_FOOT, foot)
        if whole != size + (count + _GROUP - 1) // _GROUP * 2 + _FOOT_BYTES:
            self._log.error("the local authorization list is another firmware's: it is void")
            return
        self._version, self._owner, self._count, self._size = version, owner, count, size

    def _is_ours(self):
        return self._owner == self._endpoint_id()

    @property
    def version(self) -> int:
        return self._version if self._is_ours() else 0

    @property
    def count(self) -> int:
        return self._count if self._is_ours() else 0

    def describe(self) -> str:
        """The list in a few words."""
        return "version %d, %d of at most %d idTags" % (self.version, self.count, MOST)

    # looking up

    def find(self, id_tag: str) -> Known | None:
        """What the list says of an idTag; None where it is not in it."""
        if not self.count:
            return None
        wanted = key(id_tag)
        low = 0  # the first group in which it may be
        high = (self._count - 1) // _GROUP  # and the last one
        try:
            with self._files.open(self._folder + _FILE, "rb") as f:
                while low < high:
                    middle = (low + high + 1) // 2
                    if key_of(self._first_of(f, middle)) <= wanted:
                        low = middle
                    else:
                        high = middle - 1
                record = self._first_of(f, low)
                for n in range(_GROUP * low + 1, min(_GROUP * (low + 1), self._count) + 1):
                    if key_of(record) == wanted:
                        return Known(record)
                    if n < self._count:
                        record = _read(f)
        except OSError as why:
            self._log.error("the local authorization list can't be read: %s", why)
        return None

    def _first_of(self, f, group):
        f.seek(self._size + 2 * group)
        f.seek(int.from_bytes(f.read(2), "little"))
        return _read(f)

    def all(self):
        """Generator: what is Known, in the order of the list; it ends where the list is replaced
        meanwhile. Raises OSError."""
        for record in self._records():
            yield Known(record)

    def _records(self):
        """Generator: the records, some of them read at once, so that no file stays open."""
        version = self.version
        at = 0
        left = self.count
        while left and self.version == version:
            some = []
            with self._files.open(self._folder + _FILE, "rb") as f:
                f.seek(at)
                for _ in range(min(left, _AT_ONCE)):
                    some.append(_read(f))
                    at += len(some[-1])
            left -= len(some)
            yield from some

    # changing

    def begin(self) -> Changes:
        """For the records of the next update."""
        return Changes(self._files, self._folder + _CHANGES, self._busy.locked)

    async def update(self, version: int, changes: Changes, is_full: bool) -> str:
        """A SendLocalList, whose idTags `changes` has. Returns its UpdateStatus; the list is as
        before where it is not Accepted."""
        async with self._busy:
            try:
                wrong = self._why_not(version, changes, is_full)
                if wrong:
                    raise ValueError(wrong)
                if not is_full and version <= self.version:
                    self._log.warning("version %d does not come after %d", version, self.version)
                    return VERSION_MISMATCH
                changed = changes.in_order(await changes.look())
                merged = self._merged(changed, is_full or not self.count)
                await self._replace(version, merged)
            except (OSError, ValueError) as why:
                self._log.error("the local authorization list stays as it is: %s", why)
                self._remove(_NEW)
                return FAILED
            finally:
                await changes.remove()
            self._log.info("the local authorization list: %s", self.describe())
            return ACCEPTED

    def _why_not(self, version, changes, is_full):
        if not 0 < version <= _LATEST_VERSION:
            return "its version would be %d" % version
        if changes.count > MOST_CHANGES:
            return "more than %d idTags at once" % MOST_CHANGES
        if is_full and changes.has_removed:
            return "an idTag without idTagInfo"
        return ""

    async def _replace(self, version, merged):
        """Raises OSError where the flash has no room, ValueError where the list has none."""
        owner = self._endpoint_id()
        offsets = array("H")
        count = 0
        size = 0
        crc = 0
        with self._files.open(self._folder + _NEW, "wb") as f:
            for record in merged:
                if count == MOST or size + len(record) > _MOST_BYTES:
                    raise ValueError("it would have more than %d idTags" % MOST)
                if count % _GROUP == 0:
                    offsets.append(size)
                count += 1
                size += len(record)
                crc = binascii.crc32(record, crc)
                f.write(record)
                if count % _WRITE_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
            foot = pack(_FOOT, version, owner, count, size)
            f.write(offsets)
            f.write(foot)
            f.write(pack("<I", binascii.crc32(foot, binascii.crc32(offsets, crc))))
        await asyncio.sleep(0)
        if count:
            self._files.rename(self._folder + _NEW, self._folder + _FILE)
            self._version, self._owner, self._count, self._size = unpack(_FOOT, foot)
        else:  # an empty list has no version
            self._remove(_FILE)
            self._remove(_NEW)
            self._none()

    def _merged(self, changed, from_nothing):
        """Generator: the records of the new list, in order. `changed`: `Changes.in_order()`."""
        new = next(changed)
        for old in () if from_nothing else self._records():
            old_key = key_of(old)
            while new and key_of(new) < old_key:
                if new[1] != REMOVED:
                    yield new
                new = next(changed)
            if not new or key_of(new) != old_key:  # else what is new comes in its place
                yield old
        while new:
            if new[1] != REMOVED:
                yield new
            new = next(changed)

    def forget(self) -> None:
        """There is no list any more."""
        self._remove(_FILE)
        self._none()

    def _remove(self, name):
        try:
            self._files.remove(self._folder + name)
        except OSError:
            pass  # it was not there


def _read(f):
    """The record that begins here."""
    head = f.read(HEAD_BYTES)
    return head + f.read(length_of(head) - HEAD_BYTES)
