"""The two ends of a transaction, into the journal; loaded for them."""

from firmware.base.runtime import const, load
from firmware.transactions.transactions import REASONS, Transaction

_START = const(1)
_STOP = const(3)


def start(t, connector: int, id_tag: str, meter: int, reservation_id: int | None, ms: int,
          data: bytes):  # fmt: skip
    """See Transactions.start."""
    if t.running:
        raise ValueError("a transaction is running")
    journal = t.journal
    journal.measure()
    while journal.room < -journal.reserve // 2 and t.thin():
        pass
    if journal.room < -journal.reserve // 2:
        raise OSError(28, "the flash is full of undelivered transactions")
    tag = id_tag.encode()
    known = reservation_id is not None
    numbers = (connector, meter, int(known), reservation_id if known else 0, len(tag))
    tag += data if t.endpoint else b""
    t.running = Transaction(t.append(_START, t.stamp(ms), None, numbers, tag), ms)
    return t.running


def close(t, transaction, stamp, reason: str, meter: int, id_tag: str | None, data: bytes) -> None:
    """See Transactions.stop."""
    tag = (id_tag or "").encode()
    numbers = (meter, REASONS.split().index(reason), transaction.kept, len(tag))
    if transaction.data:
        if not data:
            measurands = load("firmware.metering.measurands")
            data = measurands.pack({"energy": meter}, None, measurands.ENERGY)
        tag += data
    t.append(_STOP, stamp, transaction, numbers, tag)
    t.running = t.interrupted = None
    again = 0
    for base in t.journal.segments:  # its values are old from now on
        if base <= transaction.position:
            again = base
    t.thinned = min(t.thinned, again)
    if not transaction.endpoint:
        t.swept = 0
        t.sweep(t.queues[0])
