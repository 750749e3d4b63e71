"""One StatusNotification (OCPP 4.9)."""

import asyncio

from firmware.base import times
from firmware.charging import faults
from firmware.ocpp.frames import CallError

VENDOR = "Schneider Electric"


async def send(notifier, note: tuple) -> None:
    """`note`: connectorId, status, info, vendor error code or None, when (ms)."""
    station = notifier.station
    connector_id, status, info, fault, ms = note
    request = {"connectorId": connector_id, "status": status, "errorCode": "NoError"}
    epoch = station.clock.epoch_at(ms)
    if epoch:
        request["timestamp"] = times.text(epoch)
    if fault:
        row = faults.row(fault)
        request["errorCode"] = row[4]
        request["info"] = row[1]
        request["vendorId"] = VENDOR
        request["vendorErrorCode"] = fault
    elif info:
        request["info"] = info
    try:
        await station.rpc.call("StatusNotification", request)
    except (CallError, asyncio.TimeoutError) as why:
        notifier.log.warning("StatusNotification: %s", why or "no answer")
