"""Which message is owed next, and what becomes of it: loaded for that and dropped again."""

from firmware.base import runtime
from firmware.base.journal import ints, pack_ints
from firmware.base.runtime import const
from firmware.transactions.transactions import ACTIONS, Message, is_message

_START = const(1)
_STOP = const(3)
_GIVEN_UP = const(5)


def head(t, queue) -> Message | None:
    """See `Transactions.head`."""
    if queue is not t.reading:
        _switch(t, queue)
    t.clock_set()
    if not t.head_record and not _find(t, queue):
        if queue.pending:
            t.log.error("%d messages were damaged and are lost", queue.pending)
            queue.pending = 0
        return None
    queue.pending = max(1, queue.pending)
    _, kind, payload = t.head_record
    (_, boot, time), _ = ints(payload, 3)
    if t.time(boot, time) is None:
        return None
    return Message(t, ACTIONS[kind])


def _switch(t, queue):
    """From now on this queue is read."""
    t.save()
    t.swept = 0
    t.reading = queue
    t.head_record = None
    t.cursor = []
    t.read_to = queue.start
    _wait(t, t.clock.ms())


def _wait(t, now_ms):
    t.next_attempt_ms = now_ms + t.retry_s * 1000 * t.reading.failures


def _find(t, queue):
    """Reads on to the next message."""
    records = t.journal.records(t.read_to, t.cursor)
    for record in records:
        position, kind, payload = record
        if (
            position >= queue.done
            and kind <= _STOP
            and ints(payload, 4)[0][3] == queue.endpoint
            and is_message(kind, payload)
        ):
            t.head_record = record
            t.read_to = position
            records.close()
            return True
    t.read_to = t.journal.next
    return False


def failed(t, now_ms: int) -> None:
    """See `Transactions.failed`."""
    queue = t.reading
    queue.failures += 1
    if queue.failures < t.attempts:
        _wait(t, now_ms)
        t.save()
        return
    advance(t, -1, runtime.once("firmware.transactions.upkeep", "given_up", t))


def advance(t, transaction_id=None, given_up=b""):
    """The head is delivered or given up; flash says so before the next one goes."""
    queue = t.reading
    position, kind, payload = t.head_record
    before = queue.state()
    queue.done = position + 1
    queue.failures = 0
    if kind == _START:
        queue.start = position
        queue.transaction_id = transaction_id
    elif kind == _STOP or ints(payload, 5)[0][4] < 0:
        queue.start = queue.done
        queue.transaction_id = None
    try:
        if given_up:
            t.journal.append(_GIVEN_UP, pack_ints(*queue.state()) + given_up)
            t.given_up += 1
        elif kind == _START or before[3] or (kind == _STOP and queue.pending == 1):
            t.keep(queue)
    except OSError as why:
        t.log.error("flash is full (%s): sending again in 10 s", why)
        queue.restore(before)
        t.next_attempt_ms = t.clock.ms() + 10000
        return
    queue.pending -= 1
    t.head_record = None
    t.next_attempt_ms = 0
    if kind == _STOP:
        t.swept = 0
    elif t.running and t.running.position == position:
        t.running.transaction_id = transaction_id
    t.sweep(queue)
