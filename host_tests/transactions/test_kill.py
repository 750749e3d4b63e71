"""SIGKILL at random moments of real processes over a real central system: nothing lost, nothing
billed twice (issue: every StartTransaction has its StopTransaction, every Wh is told once)."""

import asyncio
import random

import pytest

from host_tests.station import BITS, RUNTIMES, Rig
from host_tests.transactions.oracle import judge
from tools import runtimes


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_killed_at_any_moment(runtime, tmp_path):
    if runtime in BITS and runtimes.find(BITS[runtime]) is None:
        pytest.skip(runtimes.why_missing(BITS[runtime]))
    chance = random.Random(5)

    async def session():
        words = ("--key", "MeterValueSampleInterval=5")
        async with Rig(runtime, tmp_path, *words, speed=20) as rig:
            house = rig.house
            before = (await rig.status())["energy_wh"]
            kills = 5
            for round_ in range(kills):
                await rig.charge(f"DRIVER-{round_}")
                await asyncio.sleep(chance.random())
                if round_ % 2:
                    await rig.console("sim link down")
                    await asyncio.sleep(chance.random())
                await rig.kill()
                await rig.start()
                await rig.online()
                await rig.until(queue=0, transaction=None)
            after = (await rig.status())["energy_wh"]
            heard = judge(house, register=(before, after))
            assert heard.reasons == ["PowerLoss"] * kills and not heard.given_up
            assert house.errors() == []

    asyncio.run(session())
