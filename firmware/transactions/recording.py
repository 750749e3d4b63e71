"""Meter values into the journal: loaded when some are taken, and dropped again."""

from firmware.base.runtime import const
from firmware.metering import measurands

_VALUES = const(2)
_STRIDE = const(32)  # values for StopTransaction, before each further one is twice as far away


def values(t, context: str, reading: dict, mask: int, at_ms: int,
           offered_ma: int | None, stop_mask: int) -> bool:  # fmt: skip
    """See `Transactions.values`."""
    transaction = t.running
    if not (transaction.endpoint if transaction else t.endpoint):
        mask = 0
    elif not measurands.pack(reading, offered_ma, mask):
        mask = 0
    if stop_mask and transaction and transaction.data:
        # further and further apart, so that any length of charging fits
        if transaction.seen % (1 << transaction.kept // _STRIDE):
            stop_mask = 0
        transaction.seen += 1
    else:
        stop_mask = 0
    if (mask or stop_mask) and _room(t):
        wanted = mask | stop_mask | (measurands.ENERGY if transaction else 0)
        data = measurands.pack(reading, offered_ma, wanted)
        stamp = t.stamp(at_ms)
        numbers = (transaction.connector if transaction else 1,
                   measurands.CONTEXTS.index(context), mask, stop_mask)  # fmt: skip
        try:
            t.append(_VALUES, stamp, transaction, numbers, data, False)
        except OSError as why:
            t.log.error("no meter values are kept: %s", why)
        else:
            if transaction:
                transaction.kept += stop_mask > 0
                transaction.recorded_ms = at_ms
                transaction.note(stamp, measurands.energy(data))
            return True
    if transaction and "energy" in reading:
        t.progress(reading["energy"], at_ms)
    return False


def _room(t):
    """Whether there is room for values, which old ones make if need be."""
    if t.journal.room <= 0:
        t.thin()
    full = t.journal.room <= 0
    if full and not t.full:
        t.log.error("the flash is full: no meter values are kept")
    t.full = full
    return not full
