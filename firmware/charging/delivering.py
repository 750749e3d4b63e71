"""The messages that are owed, from the journal's records: loaded for one and dropped again."""

from firmware.base import runtime, times
from firmware.base.journal import ints, pack_ints
from firmware.base.runtime import const
from firmware.charging import measurands
from firmware.charging.transactions import ACTIONS, Message, is_message

_START = const(1)
_VALUES = const(2)
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
    time = t.time(boot, time)
    if time is None:
        return None
    whose = identity(t, t.head_record)
    return Message(ACTIONS[kind], request(t, t.head_record, time, whose))


def _switch(t, queue):
    """From now on this queue is read."""
    t.save()
    t.swept = 0
    t.reading = queue
    t.records = t.head_record = None
    t.read_to = queue.start
    _wait(t, t.clock.ms())


def _wait(t, now_ms):
    t.next_attempt_ms = now_ms + t.retry_s * 1000 * t.reading.failures


def _find(t, queue):
    """Reads on to the next message."""
    if not t.records:
        t.records = t.journal.records(t.read_to)
    for record in t.records:
        position, kind, payload = record
        if (
            position >= queue.done
            and kind <= _STOP
            and ints(payload, 4)[0][3] == queue.endpoint
            and is_message(kind, payload)
        ):
            t.head_record = record
            return True
    t.read_to = t.journal.next
    t.records = None
    return False


def identity(t, record) -> int | None:
    """The transactionId of a record's transaction; None while it is not known."""
    numbers, _ = ints(record[2], 5)
    queue = t.queues[numbers[3]]
    return queue.transaction_id if queue.start == record[0] - numbers[4] else None


def request(t, record, time: int, identity: int | None, full: bool = True) -> dict:
    """The payload of a record's message, happened at `time` (Unix seconds). Not `full`: with
    the figures, without the values."""
    position, kind, payload = record
    if kind != _VALUES:
        return runtime.once("firmware.charging.ends", "request", t, record, time, identity, full)
    (_, _, _, _, owner), at = ints(payload, 5)
    (connector, context, mask, _), at = ints(payload, 4, at)
    request = {"connectorId": connector}
    if owner >= 0:
        request["transactionId"] = -1 if identity is None else identity  # errata 3.18
    if full:
        request["meterValue"] = [sample(time, context, payload[at:], mask)]
    return request


def sample(time: int, context: int, data: bytes, mask: int) -> dict:
    """A MeterValue (OCPP 7.33)."""
    sampled = measurands.unpack(data, mask, measurands.CONTEXTS[context])
    return {"timestamp": times.text(time), "sampledValue": sampled}


def failed(t, now_ms: int) -> None:
    """See `Transactions.failed`."""
    queue = t.reading
    queue.failures += 1
    if queue.failures < t.attempts:
        _wait(t, now_ms)
        t.save()
        return
    advance(t, -1, runtime.once("firmware.charging.upkeep", "given_up", t))


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
