"""Calls that change profiles while others are under way: each takes several turns."""

import asyncio

from firmware.smart_charging import profile as records
from host_tests.both.profiles_rig import Station, Values, profile

LONG = [(60 * n, 6 + n % 20) for n in range(100)]


class Moving(Values):
    """Has to make room several times before it takes its first record."""

    left = 6

    def make_room(self, slot, size):
        self.left -= 1
        return self.left >= 0


async def begun(work):
    """A task whose first turn is over."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def test_the_profile_that_came_last_stays():
    station = Station(Moving())
    first = await begun(station.set(profile(LONG, identity=1)))
    second = await begun(station.set(profile(16, identity=1)))
    assert await first == await second == "Accepted"
    assert station.limit() == (16000, None)
    station.profiles.flush()
    assert station.restart().limit() == (16000, None)


async def test_to_clear_all_removes_a_profile_that_came_before():
    station = Station(Moving())
    first = await begun(station.set(profile(LONG, identity=1)))
    second = await begun(station.clear())
    assert (await first, await second) == ("Accepted", "Accepted")
    assert not station.profiles.slots()
    assert not station.restart().profiles.slots()


async def test_a_profile_that_came_after_a_clearing_stays():
    station = Station()
    await station.set(profile(LONG, identity=1))
    first = await begun(station.clear())
    second = await begun(station.set(profile(10, identity=2)))
    assert (await first, await second) == ("Accepted", "Accepted")
    assert station.limit() == (10000, None)


async def test_a_transaction_that_ends_while_its_profile_is_read():
    """The profile is refused then, also when another transaction has begun."""
    for follows in (False, True):
        station = Station()
        station.start(7, position=40)
        task = await begun(station.set(profile(LONG, purpose="Tx", kind="Relative", start=None)))
        station.stop()
        if follows:
            station.start(8, position=60)
        assert await task == "Rejected"
        assert not station.profiles.slots()


async def test_the_answer_comes_when_the_record_is_in_flash():
    station = Station()
    assert await station.set(profile(LONG, identity=3)) == "Accepted"
    (kept,) = station.values.values.values()
    found = [records.period_limit(kept, n) for n in range(100)]
    assert found == [10 * limit for _, limit in LONG]
