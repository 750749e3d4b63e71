"""The payloads of StartTransaction, MeterValues and StopTransaction, from the journal's events.

`epoch`: when it happened, Unix seconds. `transaction_id`: None where the central system never
told one.
"""

import asyncio

from firmware.base import times
from firmware.base.runtime import const
from firmware.metering import measurands
from firmware.transactions import records

_EVENTS_AT_ONCE = const(4)  # are read before others have a turn


def payload(event, epoch: int, transaction_id: int | None) -> dict:
    """The payload of an event's message; of StopTransaction without its transactionData."""
    if isinstance(event, records.Start):
        return start_transaction(event, epoch)
    if isinstance(event, records.Stop):
        return stop_transaction(event, epoch, transaction_id)
    return meter_values(event, epoch, transaction_id)


def start_transaction(event: records.Start, epoch: int) -> dict:
    """OCPP 6.45."""
    request = {
        "connectorId": event.connector,
        "idTag": event.id_tag,
        "meterStart": event.meter_start,
        "timestamp": times.text(epoch, records.milliseconds(event.stamp)),
    }
    if event.reservation_id is not None:
        request["reservationId"] = event.reservation_id
    return request


def meter_values(event: records.Values, epoch: int, transaction_id: int | None) -> dict:
    """OCPP 6.31."""
    request: dict = {"connectorId": event.connector}
    if event.start is not None:
        request["transactionId"] = _or_unknown(transaction_id)
    request["meterValue"] = [_meter_value(event, epoch, event.sampled_values(event.mask))]
    return request


def stop_transaction(event: records.Stop, epoch: int, transaction_id: int | None) -> dict:
    """OCPP 6.49, without transactionData."""
    request = {
        "transactionId": _or_unknown(transaction_id),
        "meterStop": event.meter_stop,
        "timestamp": times.text(epoch, records.milliseconds(event.stamp)),
        "reason": event.reason,
    }
    if event.id_tag is not None:
        request["idTag"] = event.id_tag
    return request


async def transaction_data(journal, event_times, stop: records.Stop, most: int) -> list:
    """The transactionData of a StopTransaction (OCPP 3.16, errata 3.14 and 3.91): MeterValues of
    Begin, End, and of the samples between them what fits, evenly in time. `most`: about how many
    SampledValues there may be in all. Some hundred records are read: others have their turns."""
    ended = event_times.epoch(stop.stamp)
    last = measurands.unpack(stop.end_values, measurands.ALL, "Transaction.End")
    room = most - len(last)
    data = []
    began = used = 0
    thin_out = True
    events = 0
    for event in records.read_events(journal, stop.start):
        if isinstance(event, records.Stop):
            break
        events += 1
        if events % _EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)
        epoch = event_times.epoch(event.stamp)
        if isinstance(event, records.Start):
            if event.position != stop.start:
                break
            began = epoch
            values = measurands.unpack(event.begin_values, measurands.ALL, "Transaction.Begin")
            room -= len(values)
            thin_out = stop.sample_count * len(values) > room
        else:
            if not event.stop_mask or event.start != stop.start:
                continue
            if thin_out and used >= room * (epoch - began) // (ended - began + 1):
                continue  # the room is for all of the time
            values = event.sampled_values(event.stop_mask)
            used += len(values)
            if used > room:
                break
        data.append(_meter_value(event, epoch, values))
        await asyncio.sleep(0)
    data.append(_meter_value(stop, ended, last))
    return data


def _or_unknown(transaction_id):
    return records.UNKNOWN_TRANSACTION_ID if transaction_id is None else transaction_id


def _meter_value(event, epoch, sampled_values):
    """A MeterValue (OCPP 7.33)."""
    written = times.text(epoch, records.milliseconds(event.stamp))
    return {"timestamp": written, "sampledValue": sampled_values}
