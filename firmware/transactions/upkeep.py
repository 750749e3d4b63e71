"""What can go: which of the transactions' records are still needed, and what is given up.

Loaded when a segment can be tidied or a message is given up.
"""

from firmware.base import runtime
from firmware.base.journal import ints, pack_ints
from firmware.base.runtime import const
from firmware.transactions import requests
from firmware.transactions.transactions import ACTIONS

_START = const(1)
_VALUES = const(2)
_STOP = const(3)
_STATE = const(4)
_GIVEN_UP = const(5)
_TIME = const(6)
_CLEARED = const(7)


def _compact(t, index, keep):
    if not t.save():  # what the records that go have told
        return False
    name = "firmware.base.compaction"
    try:
        runtime.load(name).compact(t.journal, index, keep)
        return True
    except OSError as why:
        t.log.error("no room to tidy the journal: %s", why)
        return False
    finally:
        runtime.drop(name)


def sweep(t, index: int) -> None:
    """Drops from a segment what is delivered and of no use to what is not. Segments are swept
    from the oldest on: a START goes before its STOP, a record before the STATE that says it is
    delivered."""
    _compact(t, index, lambda record: _needed(t, record))


def _needed(t, record):
    position, kind, payload = record
    open_ = t.running or t.interrupted
    if kind <= _STOP:
        (_, _, _, endpoint, owner), at = ints(payload, 5)
        queue = t.queues.get(endpoint)
        if open_ and position == open_.position:
            return True
        if not queue:  # left by a cut in the middle of tidying, and dropped already
            return False
        if kind == _START:
            return position >= queue.start
        if kind == _VALUES and position - owner >= queue.start and ints(payload, 4, at)[0][3]:
            return True
        return position >= queue.done
    if kind == _STATE:
        endpoint = ints(payload, 1)[0][0]
        queue = t.queues.get(endpoint)
        if not queue or position != queue.saved:
            return False
        here = open_ and open_.endpoint == endpoint
        return queue.pending > 0 or endpoint == t.endpoint or here
    if kind == _GIVEN_UP:
        return position > t.cleared
    if kind == _TIME:
        return any(position >= queue.start for queue in t.queues.values())
    return kind != _CLEARED or position == t.cleared


def thin(t, index: int) -> None:
    """Flash is full: from a segment, the periodic values of old transactions go."""
    dropped = []
    if _compact(t, index, lambda record: not _old(t, record, dropped)) and dropped:
        for endpoint in dropped:
            t.queues[endpoint].pending -= 1
        t.log.error("the flash is full: %d old MeterValues are dropped", len(dropped))


def _old(t, record, dropped):
    position, kind, payload = record
    if kind != _VALUES or (t.head_record and t.head_record[0] == position):
        return False
    (_, _, _, endpoint, owner), at = ints(payload, 5)
    open_ = t.running or t.interrupted
    if ints(payload, 4, at)[0][3] or (open_ and open_.position == position - owner):
        return False
    queue = t.queues.get(endpoint)
    if queue and position >= queue.done:
        dropped.append(endpoint)
    return True


def given_up(t) -> bytes:
    """What is kept of the head as it is given up: for a START or STOP all that it says."""
    position, kind, payload = t.head_record
    queue = t.queues[ints(payload, 4)[0][3]]
    t.log.error("%s given up after %d attempts", ACTIONS[kind], queue.failures)
    if kind == _VALUES:
        return b""
    (_, boot, time), _ = ints(payload, 3)
    identity = requests.identity(t, t.head_record)
    identity = -1 if identity is None else identity
    return pack_ints(kind, t.time(boot, time), queue.failures, identity) + payload


def clear(t) -> int:
    """See Transactions.clear_given_up."""
    count = t.given_up
    t.cleared = t.journal.append(_CLEARED, b"")
    t.given_up = t.swept = 0
    return count
