"""GetCompositeSchedule (OCPP 5.7)."""

import asyncio
from array import array

from firmware.base import runtime
from firmware.base.runtime import const

_MOST = const(100)  # periods in an answer
_STEPS = const(1000)  # changes that are looked at for it, with and without effect
_EPOCH = const(1735689600)  # profiles.EPOCH
_NEVER = const(1073741823)


async def GetCompositeSchedule(station, payload):
    """What is planned from now on. At most _MOST periods: `duration` says how far they go.
    Connector 0 consumes what its one connector does."""
    if payload["connectorId"] > 1:
        return {"status": "Rejected"}
    # Loading holds the loop: one after the other, and once for all that is to be read.
    limit = runtime.load("firmware.smart_charging.profile_limit")
    await asyncio.sleep(0)
    profiles = runtime.load("firmware.smart_charging.profiles")
    await asyncio.sleep(0)
    store = station.profiles
    unit = payload.get("chargingRateUnit", "A")
    orders = None
    while orders is not store.orders:  # again, when they changed while others ran
        orders = store.orders
        running = station.transactions.running
        phases = station.evse.phases
        top = station.max_ma
        if not store.known(running, phases, top):
            limit.find(store, running, phases, top, profiles)  # brings store.wake up to now
            await asyncio.sleep(0)
        moment = limit.moment(store, running)
        if unit == "W":
            top = top * 23 * phases // 10
        how = (phases, top, unit == "W", array("i", store.wake))
        read = limit.reader(store)
        pieces = profiles.limits(store.table, orders, read, *(moment + how))
        periods, covered = await _plan(pieces, moment[0], payload["duration"], unit == "A")
    text = runtime.load("firmware.base.times").text
    return {
        "status": "Accepted",
        "connectorId": payload["connectorId"],
        "scheduleStart": text(moment[0] + _EPOCH),
        "chargingSchedule": {
            "duration": covered,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        },
    }


async def _plan(pieces, t, duration, in_ma):
    """(chargingSchedulePeriod, equal neighbours merged; the seconds that it covers). Lets other
    tasks run after each piece, and builds the answer in one go at the end: in steps it would
    lie scattered over the whole heap, between what was garbage soon after."""
    begin = t
    end = min(t + duration, _NEVER)
    steps = _STEPS
    starts = array("i", bytes(4 * _MOST))
    limits = array("i", starts)
    count = 0
    for until, limit, _, _ in pieces:
        if in_ma:
            limit //= 100
        if not count or limit != limits[count - 1]:
            if count == _MOST:
                break
            starts[count] = t - begin
            limits[count] = limit
            count += 1
        t = min(until, end)
        steps -= 1
        if t >= end or not steps:
            break
        await asyncio.sleep(0)
    periods = []
    for i in range(count):
        limit = limits[i]
        limit = limit // 10 if limit % 10 == 0 else limit / 10
        periods.append({"startPeriod": starts[i], "limit": limit})
    return periods, t - begin
