"""The local authorization list (OCPP 3.5.2, 5.10, 5.15, errata 3.52), in a file in which an idTag
is looked up by position.

    records    see records.py, sorted by their idTags without regard to case
    offsets    u16 for each record: where it begins
    foot       i64 the list's version, u32 whom it belongs to, u16 the number of records,
               u16 the bytes of all records, u32 CRC-32 of all before

Numbers are little-endian. An update merges the old file and what has changed into a new file,
which then replaces the old one in one step. Neither is ever in memory as a whole.
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

_FILE = "list"
_NEW = "list.new"  # an update that is being written; void after a power cut
_FOOT = "<qIHH"
_FOOT_BYTES = const(16)
_CRC_BYTES = const(4)
_MOST_BYTES = const(65535)  # of all records: as far as the offsets reach
_AT_ONCE = const(8)  # records that are written before others have a turn
_PIECE = const(512)  # bytes; larger ones are hard to find room for
_LATEST_VERSION = const(0x7FFFFFFFFFFFFFFF)


class Changes:
    """The records of an update, sorted, in pieces of memory that are found easily."""

    def __init__(self):
        self.has_duplicates = False  # an idTag came twice
        self._pieces = []
        self._used = _PIECE  # bytes of the last one
        self._places = []  # of the records in their order: the piece's number and the offset in it

    def __len__(self):
        return len(self._places)

    def heap(self) -> int:
        """About how many bytes of the heap they take."""
        return len(self._pieces) * (_PIECE + 32) + 8 * len(self._places)

    def record(self, n: int):
        """The n-th record, in a memoryview."""
        place = self._places[n]
        piece = memoryview(self._pieces[place // _PIECE])
        at = place % _PIECE
        return piece[at : at + length_of(piece[at : at + HEAD_BYTES])]

    def add(self, record: bytes) -> None:
        """Takes one more record."""
        wanted = key_of(record)
        low = 0
        high = len(self._places)
        while low < high:
            middle = (low + high) // 2
            found = key_of(self.record(middle))
            if found == wanted:
                self.has_duplicates = True
                return
            if found < wanted:
                low = middle + 1
            else:
                high = middle
        if self._used + len(record) > _PIECE:
            self._pieces.append(bytearray(_PIECE))
            self._used = 0
        self._pieces[-1][self._used : self._used + len(record)] = record
        self._places.insert(low, (len(self._pieces) - 1) * _PIECE + self._used)
        self._used += len(record)


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
        left = self._files.size(self._folder + _FILE) - _CRC_BYTES
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
        self._version, self._owner, self._count, self._size = unpack(_FOOT, foot)

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
        low = 0
        high = self._count
        try:
            with self._files.open(self._folder + _FILE, "rb") as f:
                while low < high:
                    middle = (low + high) // 2
                    f.seek(self._size + 2 * middle)
                    f.seek(int.from_bytes(f.read(2), "little"))
                    record = _read(f)
                    found = key_of(record)
                    if found == wanted:
                        return Known(record)
                    if found < wanted:
                        low = middle + 1
                    else:
                        high = middle
        except OSError as why:
            self._log.error("the local authorization list can't be read: %s", why)
        return None

    def all(self):
        """Generator: what is Known, in the order of the list; it ends where the list is replaced
        meanwhile. Raises OSError."""
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
            for record in some:
                yield Known(record)

    # changing

    async def update(self, version: int, changes: Changes, is_full: bool) -> str:
        """A SendLocalList, whose idTags `changes` has. Returns its UpdateStatus; the list is as
        before where it is not Accepted."""
        async with self._busy:
            wrong = self._why_not(version, changes, is_full)
            if wrong:
                self._log.warning("the local authorization list stays as it is: %s", wrong)
                return FAILED
            if not is_full and version <= self.version:
                self._log.warning("version %d comes after %d", self.version, version)
                return VERSION_MISMATCH
            try:
                await self._replace(version, changes, is_full or not self.count)
            except (OSError, ValueError) as why:
                self._log.error("the local authorization list stays as it is: %s", why)
                self._remove(_NEW)
                return FAILED
            self._log.info("the local authorization list: %s", self.describe())
            return ACCEPTED

    def _why_not(self, version, changes, is_full):
        if not 0 < version <= _LATEST_VERSION:
            return "its version would be %d" % version
        if changes.has_duplicates:
            return "an idTag is in it twice"
        if len(changes) > MOST_CHANGES:
            return "more than %d idTags at once" % MOST_CHANGES
        for n in range(len(changes) if is_full else 0):
            if changes.record(n)[1] == REMOVED:
                return "an idTag without idTagInfo"
        return ""

    async def _replace(self, version, changes, from_nothing):
        """Raises OSError where the flash has no room, ValueError where the list has none."""
        owner = self._endpoint_id()
        offsets = array("H")
        size = 0
        crc = 0
        with self._files.open(self._folder + _NEW, "wb") as f:
            for record in self._merged(changes, from_nothing):
                if len(offsets) == MOST or size + len(record) > _MOST_BYTES:
                    raise ValueError("it would have more than %d idTags" % MOST)
                offsets.append(size)
                size += len(record)
                crc = binascii.crc32(record, crc)
                f.write(record)
                if len(offsets) % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            foot = pack(_FOOT, version, owner, len(offsets), size)
            f.write(offsets)
            f.write(foot)
            f.write(pack("<I", binascii.crc32(foot, binascii.crc32(offsets, crc))))
        await asyncio.sleep(0)
        if offsets:
            self._files.rename(self._folder + _NEW, self._folder + _FILE)
            self._version, self._owner, self._count, self._size = unpack(_FOOT, foot)
        else:  # an empty list has no version
            self._remove(_FILE)
            self._remove(_NEW)
            self._none()

    def _merged(self, changes, from_nothing):
        """Generator: the records of the new list, in order."""
        n = 0
        if not from_nothing:
            with self._files.open(self._folder + _FILE, "rb") as f:
                for _ in range(self._count):
                    old = _read(f)
                    wanted = key_of(old)
                    while n < len(changes) and key_of(changes.record(n)) < wanted:
                        if changes.record(n)[1] != REMOVED:
                            yield changes.record(n)
                        n += 1
                    if n < len(changes) and key_of(changes.record(n)) == wanted:
                        continue  # it comes with the next one, or after the last
                    yield old
        while n < len(changes):
            if changes.record(n)[1] != REMOVED:
                yield changes.record(n)
            n += 1

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
