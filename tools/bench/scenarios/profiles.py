"""Charging profiles: 8 of 24 periods against 200 of 100

Three recipes, the same for the small and the full set: `all day`: each runs for 24 hours, and the
highest stack level wins; `mixed`: each runs for some hours at some time of the day, over all
purposes; `in turn`: each runs for its share of the day and wins then, which no index can help.
Times are reference milliseconds (reference.py). The values are in files, as on a PC: what the
flash of a device takes for its reads is not in here, but how much is read is.
"""

import asyncio
import gc
import os

from firmware.base.store import Files
from firmware.ocpp import schemas
from firmware.ocpp.handlers import smart_charging
from firmware.smart_charging.controller import ProfileLimit
from firmware.smart_charging.profile import EPOCH
from firmware.smart_charging.profile_files import ProfileFiles
from firmware.smart_charging.store import ProfileStore
from host_tests.both.profile_records import pack_record
from tools.bench import reference

try:
    from tools.bench.holds import Holds
except ImportError:  # CPython has no such loop
    Holds = None  # type: ignore

NOW = 1800000000
DAY = 86400
RUNS = 15  # of which the best counts: a PC has other things to do
RECIPES = ("all day", "mixed", "in turn")


class Clock:
    """Stands still."""

    at = 0

    def ms(self):
        return self.at

    def epoch(self):
        return NOW

    def epoch_at(self, ms):
        return NOW


class Counting(ProfileFiles):
    """Counts what is read."""

    reads = 0
    octets = 0

    def read(self, slot):
        data = super().read(slot)
        self.reads += 1
        self.octets += len(data or b"")
        return data


class Thing:
    """Has attributes."""


class Station:
    """What the handlers see."""

    def __init__(self, values):
        self.clock = Clock()
        self.profiles = ProfileStore(values, self.clock, self)
        self.transactions = Thing()
        self.transactions.running = None
        self.evse = Thing()
        self.evse.phases = 3
        self.max_ma = 32000
        self.profile_limit = ProfileLimit(self.profiles, self.clock)
        self.limit_controller = self

    def log(self, part):
        return self

    def warning(self, text, *args):
        print(text % args)

    error = warning

    def reconsider(self):
        """Nobody limits here."""

    async def limit(self, maximum):
        """The limit now, computed anew for another maximum."""
        self.profile_limit.now(None, 3, maximum)


async def longest(holds, work):
    """Awaits; the longest hold of the loop, us."""
    await asyncio.sleep(0)
    if holds:
        holds.clear()
        await asyncio.sleep(0)  # holds count from the next one on
    await work
    await asyncio.sleep(0)
    return max(holds.longest.values()) if holds else 0


async def ask(station, asked, answer):
    given = await smart_charging.GetCompositeSchedule(station, asked)
    schedule = given["chargingSchedule"]
    schedule["chargingSchedulePeriod"] = list(schedule["chargingSchedulePeriod"])
    answer.append(given)


def spread(n):
    """A number below 1000 for n that looks like chance, the same everywhere."""
    return (n * 7919 + n * n * 104729) % 1000


def message(recipe, n, count, size):
    """The nth SetChargingProfile of a set of `count` profiles of `size` periods each."""
    purpose, connector, level = "TxDefaultProfile", 1, n
    start, duration = 0, DAY
    if recipe == "mixed":
        group = n % 3
        level = n // 3
        purpose = "TxDefaultProfile" if group else "ChargePointMaxProfile"
        connector = 0 if group < 2 else 1
        start = spread(n) * DAY // 1000
        duration = 3600 + spread(n + 500) * (DAY - 3600) // 1000
    elif recipe == "in turn":
        start = n * DAY // count
        duration = DAY // count
    step = DAY // size
    periods = []
    for i in range(size):
        limit = 6 + (spread(n * 131 + i) % 260) / 10
        periods.append({"startPeriod": i * step, "limit": limit, "numberPhases": 3})
    schedule = {
        "duration": duration,
        "startSchedule": "2026-01-01T%02d:%02d:%02dZ"
        % (start // 3600, start // 60 % 60, start % 60),
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": periods,
    }
    profile = {
        "chargingProfileId": n + 1,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
        "chargingSchedule": schedule,
    }
    payload = {"connectorId": connector, "csChargingProfiles": profile}
    return schemas.check("SetChargingProfile", "req", payload)


def least(best, took):
    return took if best is None or took < best else best


def empty(folder):
    """Removes what an earlier run left."""
    for part in ("/segments0", "/segments1", ""):
        try:
            for name in os.listdir(folder + part):
                os.remove(folder + part + "/" + name)
        except OSError:
            pass  # it is not there, or a folder


async def measure(folder, recipe, count, size, unit, holds):
    """Installs a set and prints its figures; returns the time of a composite schedule."""
    empty(folder + "/profiles")
    values = Counting(Files(folder))
    station = Station(values)
    for n in range(count):
        gc.collect()
        answer = await smart_charging.SetChargingProfile(station, message(recipe, n, count, size))
        assert answer["status"] == "Accepted"
    best_pack = None
    for _ in range(RUNS):
        payload = message(recipe, count // 2, count, size)
        gc.collect()
        start = reference.now_us()
        pack_record(payload["csChargingProfiles"], payload["connectorId"], -1, NOW - EPOCH)
        best_pack = least(best_pack, reference.since_us(start))
    station.profiles.flush()
    assert len(station.profiles.slots()) == count

    best_limit = None
    for n in range(RUNS):
        gc.collect()
        values.reads = values.octets = 0
        held = await longest(holds, station.limit(32000 + n * 1000))
        best_limit = least(best_limit, held)
    limit_octets = values.octets

    asked = {"connectorId": 1, "duration": DAY}
    best = held = None
    used = 0
    for _ in range(RUNS):
        gc.collect()
        values.reads = values.octets = 0
        roomy = holds and gc.mem_free() > 1 << 20
        if roomy:
            gc.disable()
            used = gc.mem_alloc()
        answer = []
        start = reference.now_us()
        holding = await longest(holds, ask(station, asked, answer))
        best = least(best, reference.since_us(start))
        if roomy:
            used = gc.mem_alloc() - used
            gc.enable()
        held = least(held, holding)
    schedule = answer[0]["chargingSchedule"]
    periods = len(schedule["chargingSchedulePeriod"])
    print(
        "figure: %s, %d x %d: composite %.1f ms, %d periods over %d s; %d bytes in %d reads; "
        "%d allocated; held %.1f ms; limit now held %.1f ms, %d bytes; pack %.1f ms"
        % (
            recipe, count, size, best / unit, periods, schedule["duration"], values.octets,
            values.reads, used, held / unit, best_limit / unit, limit_octets, best_pack / unit,
        )
    )  # fmt: skip
    return best


async def compare(folder, unit, holds):
    """The small set and the full one, by each recipe."""
    for recipe in RECIPES:
        small = await measure(folder, recipe, 8, 24, unit, holds)
        full = await measure(folder, recipe, 200, 100, unit, holds)
        print("figure: %s: the full set takes %.1f times the small one" % (recipe, full / small))


def main():
    """Prints `figure:` lines."""
    unit = reference.calibrate()
    holds = Holds() if Holds else None
    if holds:
        gc.collect()
        before = gc.mem_alloc()
        rows = [bytearray(800) for _ in range(8)]
        gc.collect()
        print("figure: rows of 200 profiles: %d bytes" % (gc.mem_alloc() - before))
        del rows
    folder = "/tmp/wallbridge-bench-profiles"
    asyncio.run(compare(folder, unit, holds))
    empty(folder + "/profiles")


main()
