"""The authorization cache (OCPP 3.5.1): what the central system said of the last idTags.

It is in RAM, and in one file, which is replaced in one step. To spare the flash, that is written
ten minutes after the first change that is not in it yet, and at once when an idTag that could
charge can't any more. A power cut loses what the file has not got; then the central system is
asked again.
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
    length_of,
    pack_record,
)

MOST = 64  # records

_FILE = const("cache")
_NEW = const("cache.new")  # one that is being written; void after a power cut
_WRITE_AFTER_MS = const(600000)
_OWNER_BYTES = const(4)  # u32 at its beginning: whom it belongs to; records, and a CRC-32 follow
_CRC_BYTES = const(4)


class AuthorizationCache:
    """`entries`: the records, see records.py, of the idTags that were heard of last, the newest
    first. `endpoint_id` as for a LocalList: another central system finds nothing here."""

    def __init__(self, files, folder: str, clock, log, endpoint_id):
        self.entries = []
        self._files = files
        self._folder = folder + "/"
        self._clock = clock
        self._log = log
        self._endpoint_id = endpoint_id
        self._owner = endpoint_id()
        self._due_ms = None  # when the file is to be written
        try:
            self._load()
        except OSError:
            pass  # there is none

    def _load(self):
        left = self._files.size(self._folder + _FILE) - _CRC_BYTES - _OWNER_BYTES
        entries = []
        with self._files.open(self._folder + _FILE, "rb") as f:
            owner = f.read(_OWNER_BYTES)
            crc = binascii.crc32(owner)
            while left >= HEAD_BYTES and len(entries) < MOST:
                record = f.read(HEAD_BYTES)
                record += f.read(length_of(record) - HEAD_BYTES)
                crc = binascii.crc32(record, crc)
                left -= len(record)
                entries.append(record)
            if left or f.read(_CRC_BYTES) != pack("<I", crc):
                self._log.error("the authorization cache is damaged: it is empty now")
                return
        self._owner = int.from_bytes(owner, "little")
        self.entries = entries

    def _find(self, id_tag):
        """The position of an idTag; None where it is not there."""
        if self._owner != self._endpoint_id():
            self.entries.clear()
            self._owner = self._endpoint_id()
        wanted = key(id_tag)
        for n in range(len(self.entries)):
            record = self.entries[n]
            if record[0] == len(wanted) and key_of(record) == wanted:
                return n
        return None

    def find(self, id_tag: str) -> Known | None:
        """What was said last of an idTag; None where it is not known."""
        n = self._find(id_tag)
        if n is None:
            return None
        self.entries.insert(0, self.entries.pop(n))  # it was used last
        return Known(self.entries[0])

    def put(self, id_tag: str, info: dict) -> None:
        """The central system has said this of an idTag: an idTagInfo that the schemas have
        checked."""
        record = pack_record(id_tag, info)
        n = self._find(id_tag)
        before = self.entries.pop(n) if n is not None else None
        if before is None and len(self.entries) >= MOST:
            self._make_room()
        self.entries.insert(0, record)
        if record == before:
            return
        if before is not None and before[1] == ACCEPTED and record[1] != ACCEPTED:
            self.write()
        elif self._due_ms is None:
            self._due_ms = self._clock.ms() + _WRITE_AFTER_MS

    def _make_room(self):
        """First those go that may not charge, then the one that was not used for longest (OCPP
        3.5.1)."""
        now = self._clock.epoch()
        kept = []
        for record in self.entries:
            known = Known(record)
            known.expire(now)
            if known.is_accepted():
                kept.append(record)
        self.entries = kept[: MOST - 1]

    def maintain(self) -> None:
        """To be called every few seconds."""
        if self._due_ms is not None and self._clock.ms() >= self._due_ms:
            self.write()

    def write(self) -> None:
        """Writes the file, where it lacks something or somebody asks for it."""
        self._due_ms = None
        try:
            with self._files.open(self._folder + _NEW, "wb") as f:
                piece = pack("<I", self._owner)
                crc = binascii.crc32(piece)
                f.write(piece)
                for piece in self.entries:
                    crc = binascii.crc32(piece, crc)
                    f.write(piece)
                f.write(pack("<I", crc))
            self._files.rename(self._folder + _NEW, self._folder + _FILE)
        except OSError as why:
            self._log.error("the authorization cache is not kept: %s", why)

    def flush(self) -> None:
        """Writes what waits for its time: before an orderly restart."""
        if self._due_ms is not None:
            self.write()

    def clear(self) -> bool:
        """Forgets all. False, and the log says why, where the flash does not take that."""
        self.entries.clear()
        self._due_ms = None
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
