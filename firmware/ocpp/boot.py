"""BootNotification and Heartbeat, and the clock that they set (OCPP 4.2, 4.6, errata 3.11)."""

import asyncio

from firmware.base import times
from firmware.ocpp.frames import CallError

VENDOR = "Schneider Electric"
_RETRY_S = 60  # where the central system gives no interval of its own


async def notify(registration) -> int:
    """Registers; returns the seconds until the next try, 0 once accepted."""
    station = registration.station
    log = registration.log
    request = {
        "chargePointModel": station.reference.name,
        "chargePointVendor": VENDOR,
        "chargePointSerialNumber": station.config.get("BoxIdentifier")[:25],
        "firmwareVersion": station.version,
    }
    if station.meter.model:
        request["meterType"] = station.meter.model[:25]
    try:
        answer = await station.rpc.call("BootNotification", request)
    except (CallError, asyncio.TimeoutError) as why:
        log.warning("BootNotification: %s", why or "no answer")
        return _RETRY_S
    interval = answer["interval"]
    registration.status = answer["status"]
    _clock(station, log, answer["currentTime"])
    log.info("registration %s, interval %d s", registration.status, interval)
    if registration.status == "Accepted":
        if interval > 0:
            station.config.put("HeartbeatInterval", str(min(interval, 86400)))
        station.booted()
        registration.accept()
        return 0
    registration.online.clear()
    return interval if interval > 0 else _RETRY_S


async def heartbeat(registration) -> None:
    """Sends one; its answer corrects the clock."""
    station = registration.station
    try:
        answer = await station.rpc.call("Heartbeat", {})
        _clock(station, registration.log, answer["currentTime"])
    except (CallError, asyncio.TimeoutError) as why:
        registration.log.warning("Heartbeat: %s", why or "no answer")


def _clock(station, log, text):
    epoch = times.parse(text)
    if epoch < station.build_epoch:
        log.warning("%s is before this firmware was built: clock not set", text)
        return
    moved = station.clock.set(epoch)
    if moved not in (0, -1, 1):
        log.info("clock corrected by %d s", moved)
