"""The clock of a station in another process, moved by the test's loop (host_tests/virtual.py)."""

import asyncio
import time

import pytest

from host_tests.station import BITS, Rig, play


@pytest.fixture(params=BITS)
def process(request):
    return request.param


def test_its_time_is_exactly_the_tests(process, tmp_path):
    async def session():
        async with Rig(process, tmp_path) as rig:
            await rig.charge()
            begun = (await rig.status())["uptime_s"]
            for seconds in (60, 180, 0.5, 359.5):
                await rig.sleep(seconds)
            assert (await rig.status())["uptime_s"] - begun == 600

    play(process, session())


def test_heartbeats_come_when_they_are_due(process, tmp_path):
    async def session():
        async with Rig(process, tmp_path, start=False) as rig:
            rig.house.interval = 100
            await rig.start()
            await rig.online()
            times = []
            for count in range(1, 5):
                await rig.house.heard_of("Heartbeat", count=count, timeout=200)
                times.append(asyncio.get_running_loop().time())
            for before, after in zip(times, times[1:]):
                assert round(after - before, 3) == 100, times

    play(process, session())


def test_a_peer_that_is_busy_costs_no_time(process, tmp_path):
    """What takes the test long in real time takes the station none."""

    async def session():
        async with Rig(process, tmp_path) as rig:
            await rig.online()
            before = (await rig.status())["uptime_s"]
            time.sleep(1.2)
            assert (await rig.status())["uptime_s"] - before <= 1

    play(process, session())


def test_a_killed_station_does_not_hold_the_test(process, tmp_path):
    async def session():
        async with Rig(process, tmp_path) as rig:
            await rig.online()
            await rig.kill()
            await asyncio.sleep(1000)
            await rig.start()
            await rig.online()

    play(process, session())
