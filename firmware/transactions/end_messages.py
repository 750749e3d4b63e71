"""StartTransaction and StopTransaction from the journal's records; loaded for one."""

from firmware.base import times
from firmware.base.journal import ints
from firmware.base.runtime import const, once
from firmware.transactions.transactions import REASONS, Transaction

_START = const(1)


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
        build = "firmware.transactions.stop_data"
        request["transactionData"] = once(build, "build", t, position - owner, kept, time, end)
    return request
