"""After a restart: what the journal says about transactions and their messages; loaded then."""

from firmware.base.journal import ints, pack_ints
from firmware.base.runtime import const, once
from firmware.metering import measurands
from firmware.transactions.transactions import Transaction, is_message

_START = const(1)
_STOP = const(3)
_STATE = const(4)
_GIVEN_UP = const(5)
_TIME = const(6)
_CLEARED = const(7)


def replay(t) -> None:
    """Fills in what a Transactions keeps in RAM."""
    for record in t.journal.records():
        position, kind, payload = record
        if kind <= _STOP:
            (lag, boot, time, endpoint, owner), at = ints(payload, 5)
            queue = t.queue(endpoint, position)
            queue.done = max(queue.done, position - lag)
            if not boot:
                t.latest = max(t.latest, time)
            elif boot not in t.bases:
                t.baseless[boot] = max(time, t.baseless.get(boot, 0))
            t.boot = max(t.boot, boot + 1)
            if kind == _START:
                t.interrupted = Transaction(record, None)
            elif kind == _STOP:
                t.interrupted = None
            elif t.interrupted and owner == position - t.interrupted.position:
                numbers, at = ints(payload, 4, at)
                t.interrupted.kept += numbers[3] > 0
                t.interrupted.note((boot, time), measurands.energy(payload, at))
        elif kind in (_STATE, _GIVEN_UP):
            state, _ = ints(payload, 6)
            queue = t.queue(state[0], position)
            queue.restore(state)
            if kind == _STATE:
                queue.saved = position
                queue.written = tuple(state)
            else:
                t.given_up += 1
        elif kind == _TIME:
            (boot, base), _ = ints(payload, 2)
            t.bases[boot] = base
            t.baseless.pop(boot, None)
            t.boot = max(t.boot, boot + 1)
        elif kind == _CLEARED:
            t.cleared = position
            t.given_up = 0
    # A clock that has outlived a Reset still counts from the same moment.
    t.boot = t.clock.boot = t.clock.boot or t.boot
    _progress(t)
    _count(t)


def _progress(t):
    """The register may have been kept after the last record."""
    open_ = t.interrupted
    kept = open_ and t.store.read("progress")
    if kept:
        (position, boot, time, energy), _ = ints(kept, 4)
        boot_then, time_then = open_.stamp
        if position == open_.position and (boot == 0, time) >= (boot_then == 0, time_then):
            open_.stamp = (boot, time)
            open_.energy = energy


def _count(t):
    """What is pending, and the START that the oldest of it needs."""
    for position, kind, payload in t.journal.records():
        if kind <= _STOP:
            (_, _, _, endpoint, owner), _ = ints(payload, 5)
            queue = t.queues[endpoint]
            if position >= queue.done and is_message(kind, payload):
                if not queue.pending:
                    _begins(queue, position - max(owner, 0))
                queue.pending += 1
    for queue in t.queues.values():
        if not queue.pending:
            here = t.interrupted and t.interrupted.endpoint == queue.endpoint
            _begins(queue, t.interrupted.position if here else queue.done)


def _begins(queue, position):
    if position != queue.start:
        queue.start = position
        queue.transaction_id = None


def recover(t, reason: str, energy: int, reach: int) -> None:
    """See Transactions.recover."""
    open_ = t.interrupted
    last = open_.energy
    if not last <= energy <= last + reach:
        t.log.warning("the register reads %d after the restart: taking the last record", energy)
        energy = last
    once("firmware.transactions.ends", "close", t, open_, open_.stamp, reason, energy, None, b"")
    t.log.warning("the transaction of %s was closed: %s, %d Wh", open_.id_tag, reason, energy)


def date(t) -> None:
    """Fixes the times of what was recorded before the clock was known."""
    end = t.epoch(0)
    try:
        for boot in sorted(t.baseless, reverse=True):
            if boot != t.boot:  # it ended before this one began; how long before, nobody knows
                end = max(end - t.baseless[boot] - 1, t.latest)
                t.log.warning("boot %d never knew the time: its events are dated as late as they "
                              "can have been", boot)  # fmt: skip
            t.journal.append(_TIME, pack_ints(boot, end))
            t.bases[boot] = end
            t.baseless.pop(boot)
    except OSError as why:
        t.log.error("flash is full: %s", why)
