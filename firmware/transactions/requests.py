"""The messages that are owed, from the journal's records: loaded for one and dropped again."""

from firmware.base import runtime, times
from firmware.base.journal import ints
from firmware.base.runtime import const
from firmware.metering import measurands

_VALUES = const(2)


def payload(t) -> dict:
    """The payload of the head, which is there and has its time."""
    (_, boot, time), _ = ints(t.head_record[2], 3)
    return request(t, t.head_record, t.time(boot, time), identity(t, t.head_record))


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
        return runtime.once(
            "firmware.transactions.end_messages", "request", t, record, time, identity, full
        )
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
