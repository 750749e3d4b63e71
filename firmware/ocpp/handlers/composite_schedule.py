"""GetCompositeSchedule (OCPP 5.7)."""

import asyncio
from array import array

from firmware.base import times
from firmware.charging.limits import power_dw
from firmware.smart_charging.profile import EPOCH, NEVER

_MAX_PERIODS = 100  # in an answer
_MAX_PIECES = 1000  # that are looked at for it: not each of them changes the limit
_PIECES_AT_ONCE = 8


async def GetCompositeSchedule(station, payload):
    """What is planned from now on, in at most _MAX_PERIODS periods: `duration` says how far they
    go. Connector 0 consumes what its one connector does."""
    if payload["connectorId"] > 1:
        return {"status": "Rejected"}
    unit = payload.get("chargingRateUnit", "A")
    table = station.profiles.table
    changes = None
    while changes != table.changes:  # again, when profiles changed while others ran
        changes = table.changes
        maximum = station.max_ma
        phases = station.evse.phases
        # what `plan` goes on from
        station.profile_limit.now(station.transactions.running, phases, maximum)
        await asyncio.sleep(0)
        plan = station.profile_limit.plan(station.transactions.running, phases)
        if unit == "W":
            maximum = power_dw(maximum, phases)
        periods, covered = await _periods(plan, maximum, payload["duration"], unit == "W")
    return {
        "status": "Accepted",
        "connectorId": payload["connectorId"],
        "scheduleStart": times.text(plan.t + EPOCH),
        "chargingSchedule": {
            "duration": covered,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        },
    }


async def _periods(plan, maximum, duration, in_watts):
    """(chargingSchedulePeriod, equal neighbours merged; the seconds that they cover). Others run
    after each search for the profile that wins, which takes longest."""
    t = plan.t
    end = min(t + duration, NEVER)
    starts = array("i")
    limits = array("i")  # 0.1 A or 0.1 W
    pieces = 0
    searches = plan.searches
    for piece in plan.pieces(maximum, in_watts):
        limit = piece.limit if in_watts else piece.limit // 100
        if not limits or limit != limits[-1]:
            if len(limits) == _MAX_PERIODS:
                break
            starts.append(t - plan.t)
            limits.append(limit)
        t = min(piece.until, end)
        pieces += 1
        if t >= end or pieces == _MAX_PIECES:
            break
        if plan.searches != searches or pieces % _PIECES_AT_ONCE == 0:
            searches = plan.searches
            await asyncio.sleep(0)
    periods = (  # a generator: they are made as they are written
        {"startPeriod": start, "limit": limit // 10 if limit % 10 == 0 else limit / 10}
        for start, limit in zip(starts, limits)
    )
    return periods, t - plan.t
