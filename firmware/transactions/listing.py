"""The console's `queue`; loaded for it."""

import json

from firmware.base import times
from firmware.base.journal import ints
from firmware.base.runtime import const
from firmware.transactions import requests
from firmware.transactions.transactions import ACTIONS, is_message

_VALUES = const(2)
_STOP = const(3)
_GIVEN_UP = const(5)


def lines(t):
    """Yields what was given up and what waits, oldest first."""
    for record in t.journal.records():
        position, kind, payload = record
        if kind == _GIVEN_UP and position > t.cleared:
            (kind, time, failures, identity), at = ints(payload, 4, ints(payload, 6)[1])
            line = _line(t, (position, kind, payload[at:]), time, identity)
            yield "given up after %d attempts: %s" % (failures, line)
        elif kind <= _STOP and is_message(kind, payload):
            (_, boot, time, endpoint, _), _ = ints(payload, 5)
            queue = t.queues.get(endpoint)
            if queue and position >= queue.done:
                line = _line(t, record, t.time(boot, time), requests.identity(t, record))
                if position == queue.done and queue.failures:
                    line += " (failed %d times)" % queue.failures
                if endpoint != t.endpoint:
                    line += " (for another central system)"
                yield line


def _line(t, record, time, identity):
    """`StartTransaction {...}` with all figures; of MeterValues only when they were taken."""
    request = requests.request(t, record, time or 0, identity, False)
    if record[1] == _VALUES:
        request = {}
    elif identity is None:
        request.pop("transactionId", None)
    request["timestamp"] = "not known yet" if time is None else times.text(time)
    return ACTIONS[record[1]] + " " + json.dumps(request)
