"""Which meter values the keys ask for: in the journal, at a transaction's begin and end, and for
TriggerMessage (OCPP 3.16, 4.7). When they are taken: `sampler.py`."""

import asyncio

from firmware.base import times
from firmware.metering import measurands
from firmware.ocpp import CallError


def measurands_of(config, key: str) -> int:
    """The measurands that a key lists, as a mask (see `metering.measurands`). An empty list means
    the register for MeterValues, and nothing for StopTransaction (OCPP 3.16.5)."""
    none_listed = 0 if key.startswith("StopTxn") else measurands.ENERGY
    return measurands.parse(config.get(key)) or none_listed


def transaction_data(station, reading: dict | None) -> bytes:
    """The packed values that StopTransaction tells of a transaction's begin or end (errata
    3.14)."""
    config = station.config
    wanted = measurands_of(config, "StopTxnSampledData")
    wanted |= measurands_of(config, "StopTxnAlignedData")
    return measurands.pack(reading or {}, station.evse.offered_ma, wanted)


async def send_now(station) -> None:
    """Sends a MeterValues of connector 1 as it is now; it is never queued."""
    log = station.log("meter")
    reading = await station.meter.read_now()
    wanted = measurands_of(station.config, "MeterValuesSampledData")
    packed = measurands.pack(reading or {}, station.evse.offered_ma, wanted)
    values = measurands.unpack(packed, wanted, "Trigger")
    epoch = station.clock.epoch()
    if not values or epoch is None:
        log.warning("no meter values to send")
        return
    sample = {"timestamp": times.text(epoch), "sampledValue": values}
    request = {"connectorId": 1, "meterValue": [sample]}
    transaction = station.session.transaction
    if transaction and transaction.transaction_id is not None:
        request["transactionId"] = transaction.transaction_id
    try:
        await station.rpc.call("MeterValues", request)
    except (CallError, asyncio.TimeoutError) as why:
        log.warning("MeterValues: %s", str(why) or "no answer")
