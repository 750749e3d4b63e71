"""Meter values as the keys want them: for the journal, and for TriggerMessage (OCPP 3.16, 4.7).

Loaded when some are taken, and dropped again.
"""

import asyncio

from firmware.base import runtime
from firmware.metering import measurands
from firmware.ocpp import CallError


def mask(station, key: str) -> int:
    """The measurands of a key. An empty list means the register for MeterValues, and nothing for
    StopTransaction (OCPP 3.16.5)."""
    empty = 0 if key.startswith("StopTxn") else measurands.ENERGY
    return measurands.parse(station.config.get(key)) or empty


def masks(station, kind: str) -> tuple:
    """What of SampledData or AlignedData is sent at once, and what is kept for the end."""
    return mask(station, "MeterValues" + kind), mask(station, "StopTxn" + kind)


def stop_data(station, reading: dict | None) -> bytes:
    """What StopTransaction tells of a transaction's begin or end (errata 3.14)."""
    wanted = mask(station, "StopTxnSampledData") | mask(station, "StopTxnAlignedData")
    return measurands.pack(reading or {}, station.evse.offered_ma, wanted)


async def trigger(station) -> None:
    """Connector 1 as it is now, never queued."""
    log = station.log("meter")
    reading = await station.meter.read_now()
    wanted = mask(station, "MeterValuesSampledData")
    data = measurands.pack(reading or {}, station.evse.offered_ma, wanted)
    values = measurands.unpack(data, wanted, "Trigger")
    epoch = station.clock.epoch()
    if not values or epoch is None:
        log.warning("no meter values to send")
        return
    sample = {"timestamp": runtime.load("firmware.base.times").text(epoch), "sampledValue": values}
    request = {"connectorId": 1, "meterValue": [sample]}
    running = station.session.transaction
    if running and running.transaction_id is not None:
        request["transactionId"] = running.transaction_id
    try:
        await station.rpc.call("MeterValues", request)
    except (CallError, asyncio.TimeoutError) as why:
        log.warning("MeterValues: %s", str(why) or "no answer")
