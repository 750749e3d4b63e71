"""The two ends of a transaction, their records and their messages; loaded for them."""

from firmware.base import times
from firmware.base.journal import ints
from firmware.base.runtime import const, once
from firmware.charging import measurands
from firmware.charging.transactions import Transaction

_START = const(1)
_STOP = const(3)

# Indices into it are in the journal: only ever append.
REASONS = (
    "Local Remote EVDisconnected PowerLoss Reboot SoftReset HardReset DeAuthorized EmergencyStop "
    "Other UnlockCommand"
)


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
        tag += data or measurands.pack({"energy": meter}, None, measurands.ENERGY)
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


def request(t, record, time: int, identity: int | None, full: bool) -> dict:
    """The payload of a StartTransaction or StopTransaction."""
    position, kind, payload = record
    if kind == _START:
        begun = Transaction(record, 0)
        request = {
            "connectorId": begun.connector,
            "idTag": begun.id_tag,
            "meterStart": begun.meter_start,
            "timestamp": times.text(time),
        }
        if begun.reservation_id is not None:
            request["reservationId"] = begun.reservation_id
        return request
    (_, _, _, _, owner), at = ints(payload, 5)
    (meter, reason, kept, size), at = ints(payload, 4, at)
    request = {
        "transactionId": -1 if identity is None else identity,  # errata 3.18
        "meterStop": meter,
        "timestamp": times.text(time),
        "reason": REASONS.split()[reason],
    }
    if size:
        request["idTag"] = str(payload[at : at + size], "utf-8")
    end = payload[at + size :]
    if full and end:
        build = "firmware.charging.stop_data"
        request["transactionData"] = once(build, "build", t, position - owner, kept, time, end)
    return request
