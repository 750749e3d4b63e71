"""What is known about an idTag, as a record of some bytes (OCPP 7.1, 7.27).

u8    the length of the idTag in UTF-8
u8    the status: an index of `STATUSES`, or REMOVED
u8    the length of the parentIdTag in UTF-8
u32   the expiryDate, Unix seconds; 0 for none; little-endian
...   the idTag, the parentIdTag
"""

from struct import pack, unpack

from firmware.base.runtime import const

STATUSES = ("Accepted", "Blocked", "ConcurrentTx", "Expired", "Invalid")
ACCEPTED = 0  # its index
EXPIRED = 3
REMOVED = 255  # an idTag without idTagInfo, which a differential update removes from the list

_HEAD = const("<BBBI")
HEAD_BYTES = const(7)
_LATEST = const(0xFFFFFFFF)


def pack_record(id_tag: str, info: dict | None) -> bytes:
    """A record. `info`: an idTagInfo that the schemas have checked, None for REMOVED."""
    tag = id_tag.encode()
    if info is None:
        return pack(_HEAD, len(tag), REMOVED, 0, 0) + tag
    parent = info.get("parentIdTag", "").encode()
    expiry = info.get("expiryDate")
    expiry = 0 if expiry is None else max(1, min(expiry, _LATEST))
    status = STATUSES.index(info["status"])
    return pack(_HEAD, len(tag), status, len(parent), expiry) + tag + parent


def length_of(head: bytes | bytearray | memoryview) -> int:
    """The bytes of the record that begins with this head."""
    return HEAD_BYTES + head[0] + head[2]


def key_of(record) -> bytes:
    """What the records are found and sorted by: the idTag without regard to case."""
    return bytes(record[HEAD_BYTES : HEAD_BYTES + record[0]]).lower()


def key(id_tag: str) -> bytes:
    """The same of an idTag."""
    return id_tag.encode().lower()


class Known:
    """What a record says: `id_tag`, `status` (one of STATUSES), `parent_id_tag` ("" for none),
    `expiry` (Unix seconds, 0 for none)."""

    def __init__(self, record):
        size, status, parent_size, self.expiry = unpack(_HEAD, bytes(record[:HEAD_BYTES]))
        end = HEAD_BYTES + size
        self.id_tag = str(bytes(record[HEAD_BYTES:end]), "utf-8")
        self.status = STATUSES[status]
        self.parent_id_tag = str(bytes(record[end : end + parent_size]), "utf-8")

    def info(self) -> dict:
        """As an idTagInfo."""
        return {"status": self.status, "parentIdTag": self.parent_id_tag}

    def is_accepted(self) -> bool:
        return self.status == STATUSES[ACCEPTED]

    def expire(self, now: int | None) -> bool:
        """Makes the status Expired where its time is over at `now` (Unix seconds, None while
        nobody knows the time). False where nobody can tell."""
        if not self.is_accepted() or not self.expiry:
            return True
        if now is None:
            return False
        if now >= self.expiry:
            self.status = STATUSES[EXPIRED]
        return True
