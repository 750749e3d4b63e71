"""The authorization cache (OCPP 3.5.1): what the central system said of the last idTags.

    u32        whom it belongs to; little-endian
    records    see records.py, the one that was used last comes first
    u32        CRC-32 of all before

It is in one file, which is replaced in one step; in memory is only what was heard of or used since
that was written. To spare the flash, that happens ten minutes after the first change that is not
in it yet, or where no more have room in memory, and at once when an idTag that could charge can't
any more. A power cut loses what the file has not got; then the central system is asked again.
"""

import binascii
from struct import pack

from firmware.base.runtime import const
from firmware.local_authorization.records import (
    ACCEPTED,
    HEAD_BYTES,
    Known,
    key,
    key_of,
    pack_record,
)

MOST = 64  # idTags

_FEWER = const(56)  # so many stay at most where there is no room for one more
_IN_MEMORY = const(8)  # records
_FILE = const("cache")
_NEW = const("cache.new")  # one that is being written; void after a power cut
_WRITE_AFTER_MS = const(600000)
_OWNER_BYTES = const(4)
_CRC_BYTES = const(4)
_PIECE = const(512)  # bytes that are read at once, more than a record has


class AuthorizationCache:
    """`count`: how many idTags are in it. `endpoint_id` as for a LocalList: another central system
    finds nothing here."""

    def __init__(self, files, folder: str, clock, log, endpoint_id):
        self._files = files
        self._folder = folder + "/"
        self._clock = clock
        self._log = log
        self._endpoint_id = endpoint_id
        self._owner = endpoint_id()
        self._newest = []  # the records in memory, the one that was used last comes first
        self._due_ms = None  # when the file is to be written
        self._writes = 0
        self._forget_file()
        try:
            self._load()
        except OSError:
            pass  # there is none

    def _forget_file(self):
        self._end = _OWNER_BYTES  # of its records
        self.count = len(self._newest)

    def _load(self):
        """Checks the whole file, since a byte may have flipped."""
        end = self._files.size(self._folder + _FILE) - _CRC_BYTES
        left = end
        crc = 0
        owner = b""
        with self._files.open(self._folder + _FILE, "rb") as f:
            while left > 0:
                piece = f.read(min(_PIECE, left))
                if not piece:
                    break
                owner = owner or piece[:_OWNER_BYTES]
                crc = binascii.crc32(piece, crc)
                left -= len(piece)
            is_sound = end >= _OWNER_BYTES and f.read(_CRC_BYTES) == pack("<I", crc)
        if not is_sound:
            self._log.error("the authorization cache is damaged: it is empty now")
            return
        self._owner = int.from_bytes(owner, "little")
        self._end = end
        self.count = sum([1 for _ in self._in_file()])

    def _in_file(self):
        """Generator: (bytes, where a record begins in them) of each record in the file; it ends
        where the file is written anew meanwhile. Raises OSError."""
        writes = self._writes
        at = _OWNER_BYTES
        while at < self._end and writes == self._writes:
            with self._files.open(self._folder + _FILE, "rb") as f:
                f.seek(at)
                piece = f.read(min(_PIECE, self._end - at))
            i = 0
            while i + HEAD_BYTES <= len(piece):
                size = HEAD_BYTES + piece[i] + piece[i + 2]
                if i + size > len(piece):
                    break
                yield piece, i
                i += size
            if not i:
                raise OSError("not whole")
            at += i

    def records(self):
        """Generator: all records, the one that was used last comes first."""
        newest = self._newest[:]
        yield from newest
        keys = [key_of(record) for record in newest]
        lengths = [len(one) for one in keys]
        try:
            for piece, at in self._in_file():
                record = piece[at : at + HEAD_BYTES + piece[at] + piece[at + 2]]
                if piece[at] not in lengths or key_of(record) not in keys:
                    yield record
        except OSError as why:
            self._log.error("the authorization cache can't be read: %s", why)

    def _find(self, wanted):
        """The record that has this key; None where there is none."""
        if self._owner != self._endpoint_id():
            self._newest.clear()
            self._forget_file()
            self._owner = self._endpoint_id()
        for record in self._newest:
            if key_of(record) == wanted:
                return record
        length = len(wanted)
        last = wanted[-1] | 0x20 if wanted else 0  # its case does not count
        try:
            for piece, at in self._in_file():
                start = at + HEAD_BYTES
                # its last byte tells of most that they are not it, without new objects
                if piece[at] == length and (
                    not length or piece[start + length - 1] | 0x20 == last
                ):
                    if piece[start : start + length].lower() == wanted:
                        return piece[at : start + length + piece[at + 2]]
        except OSError as why:
            self._log.error("the authorization cache can't be read: %s", why)
        return None

    def find(self, id_tag: str) -> Known | None:
        """What was said last of an idTag; None where it is not known."""
        wanted = key(id_tag)
        record = self._find(wanted)
        if record is None:
            return None
        self._use(wanted, record)
        return Known(record)

    def _use(self, wanted, record):
        """This record is the newest, and there is no other with its key."""
        self._newest = [record] + [other for other in self._newest if key_of(other) != wanted]
        if len(self._newest) > _IN_MEMORY:
            self.write()

    def put(self, id_tag: str, info: dict) -> None:
        """The central system has said this of an idTag: an idTagInfo that the schemas have
        checked."""
        record = pack_record(id_tag, info)
        wanted = key_of(record)
        before = self._find(wanted)
        if before is None:
            if self.count >= MOST:
                self.write(_FEWER)
            self.count += 1
        self._use(wanted, record)
        if record == before or not self._newest:
            return
        if before is not None and before[1] == ACCEPTED and record[1] != ACCEPTED:
            self.write()
        elif self._due_ms is None:
            self._due_ms = self._clock.ms() + _WRITE_AFTER_MS

    def maintain(self) -> None:
        """To be called every few seconds."""
        if self._due_ms is not None and self._clock.ms() >= self._due_ms:
            self.write()

    def write(self, most: int = MOST) -> None:
        """Writes the file, where it lacks something or somebody asks for it. Where not all are to
        stay, first those go that may not charge (OCPP 3.5.1), then those that were not used for
        longest."""
        self._due_ms = None
        now = self._clock.epoch()
        count = 0
        end = _OWNER_BYTES
        try:
            with self._files.open(self._folder + _NEW, "wb") as f:
                piece = pack("<I", self._owner)
                crc = binascii.crc32(piece)
                f.write(piece)
                for record in self.records():
                    if count < most and (most == MOST or _may_charge(record, now)):
                        crc = binascii.crc32(record, crc)
                        f.write(record)
                        count += 1
                        end += len(record)
                f.write(pack("<I", crc))
            self._files.rename(self._folder + _NEW, self._folder + _FILE)
        except OSError as why:
            self._log.error("the authorization cache is not kept: %s", why)
            self._remove_file()  # what it said may hold no more
            self._newest = self._newest[:_IN_MEMORY]
            self._forget_file()
            return
        self._writes += 1
        self._newest.clear()
        self._end = end
        self.count = count

    def flush(self) -> None:
        """Writes what waits for its time: before an orderly restart."""
        if self._due_ms is not None:
            self.write()

    def clear(self) -> bool:
        """Forgets all. False, and the log says why, where the flash does not take that."""
        self._newest.clear()
        self._due_ms = None
        self._forget_file()
        return self._remove_file()

    def _remove_file(self):
        try:
            self._files.size(self._folder + _FILE)
        except OSError:
            return True  # it is not there
        try:
            self._files.remove(self._folder + _FILE)
        except OSError as why:
            self._log.error("the authorization cache may come back: %s", why)
            return False
        return True


def _may_charge(record, now):
    known = Known(record)
    known.expire(now)
    return known.is_accepted()
