"""BootNotification and Heartbeat, and the clock that they set (OCPP 4.2, 4.6, errata 3.11)."""

import asyncio

from firmware.base import runtime
from firmware.ocpp import CallError

VENDOR = "Schneider Electric"
_LATEST = 2777000000  # 2058: later, profiles' times would be no small integers on 32 bits
_RETRY_S = 60  # where the central system gives no interval of its own


async def notify(registration) -> None:
    """Registers; unless accepted, says when to try again."""
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
    registration.asked_ms = station.clock.ms()
    registration.due_ms = 0  # a link that goes now did not bring an answer
    try:
        answer = await station.rpc.call("BootNotification", request)
    except (CallError, asyncio.TimeoutError) as why:
        log.warning("BootNotification: %s", str(why) or "no answer")
        _again(registration, 0)
        return
    registration.status = answer["status"]
    interval = min(answer["interval"], 86400)
    _clock(station, log, answer["currentTime"])
    log.info("registration %s, interval %d s", registration.status, interval)
    station.link.answered()
    if registration.status != "Accepted":
        registration.online.clear()
        station.notifier.clear()
        _again(registration, interval)
        return
    if interval > 0:
        station.config.put("HeartbeatInterval", str(interval))
    station.booted()
    registration.accept()


def _again(registration, seconds):
    wait = seconds if seconds > 0 else _RETRY_S
    registration.due_ms = registration.station.clock.ms() + wait * 1000


async def heartbeat(registration) -> None:
    """Sends one; its answer corrects the clock."""
    station = registration.station
    registration.asked_ms = station.clock.ms()
    try:
        answer = await station.rpc.call("Heartbeat", {})
        _clock(station, registration.log, answer["currentTime"])
    except (CallError, asyncio.TimeoutError) as why:
        registration.log.warning("Heartbeat: %s", str(why) or "no answer")


def _clock(station, log, epoch):
    if not station.build_epoch <= epoch < _LATEST:
        text = runtime.load("firmware.base.times").text(epoch)
        log.warning("%s is before this firmware was built, or far off: clock not set", text)
        return
    moved = station.clock.set(epoch)
    station.set_host_clock(epoch)
    if moved not in (0, -1, 1):
        log.info("clock corrected by %d s", moved)
