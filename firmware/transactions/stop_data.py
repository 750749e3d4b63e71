"""The transactionData of a StopTransaction (OCPP 3.16, errata 3.14 and 3.91); loaded for it."""

from firmware.base.journal import ints
from firmware.base.runtime import const
from firmware.metering import measurands
from firmware.transactions import requests

_START = const(1)
_VALUES = const(2)
_BEGIN = const(3)  # Transaction.Begin in measurands.CONTEXTS
_END = const(4)


def build(t, start: int, kept: int, ended: int, end: bytes) -> list:
    """MeterValues: Begin, End, and of the `kept` between them what fits, evenly in time.
    `start`: position of the START, `ended`: Unix seconds, `end`: the End values."""
    last = requests.sample(ended, _END, end, measurands.ALL)
    room = t.data_values - len(last["sampledValue"])
    data = []
    begun = used = 0
    thin = True
    records = t.journal.records(start)
    for position, kind, payload in records:
        if kind > _VALUES:
            if kind == 3:
                break
            continue
        (_, boot, time, _, owner), at = ints(payload, 5)
        time = t.time(boot, time)
        if kind == _START:
            if position != start:
                break
            begun = time
            numbers, at = ints(payload, 5, at)
            item = requests.sample(time, _BEGIN, payload[at + numbers[4] :], measurands.ALL)
            size = len(item["sampledValue"])
            room -= size
            thin = kept * size > room
        else:
            (_, context, _, mask), at = ints(payload, 4, at)
            if not mask or position - owner != start:
                continue
            if thin and used >= room * (time - begun) // (ended - begun + 1):
                continue  # the room is for all of the time
            item = requests.sample(time, context, payload[at:], mask)
            used += len(item["sampledValue"])
            if used > room:
                break
        data.append(item)
    records.close()
    return data + [last]
