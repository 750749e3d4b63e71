"""Weeks of virtual time with outages, power cuts and a central system in trouble, by seed.

The whole station over real websockets, and the oracle of test_kill.py: what the central system
heard must be whole, in order, and never two things for one event.
"""

import asyncio
import random

from ocpp.exceptions import InternalError

from host_tests.station import Rig
from host_tests.test_kill import judge


class Trouble:
    """The central system's bad days: two refusals in a row at most, so nothing is given up."""

    def __init__(self, house, chance):
        self.chance = chance
        self.row = 0
        self.share = 0.0
        house.trouble = self.strike

    def strike(self, action):
        """Called for each transaction message; raises what becomes a CALLERROR."""
        if self.row < 2 and self.chance.random() < self.share:
            self.row += 1
            raise InternalError("a bad day")
        self.row = 0


async def live(rig, chance, days, idle):
    """Lives through so many days, idle at most so many seconds in a row; counts what happened."""
    trouble = Trouble(rig.house, chance)
    loop = asyncio.get_running_loop()
    end = loop.time() + days * 86400
    done = {"sessions": 0, "cuts": 0, "outages": 0, "resets": 0}
    while loop.time() < end:
        trouble.share = chance.choice((0, 0, 0.3))
        await rig.console("sim link up")
        await asyncio.sleep(chance.uniform(60, idle))
        point = await rig.online()
        await rig.console("sim plug")
        await rig.console("sim ready")
        if chance.random() < 0.3:
            done["outages"] += 1
            await rig.console("sim link down")  # it starts by itself after a minute
        else:
            await rig.until(status="Preparing")
            await point.ask("RemoteStartTransaction", id_tag="DRIVER", connector_id=1)
        await rig.until(timeout=600, status="Charging")
        done["sessions"] += 1
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(chance.uniform(10, 3600))
            if chance.random() < 0.4:
                done["outages"] += 1
                await rig.console("sim link down")
                await asyncio.sleep(chance.uniform(5, 3000))
                await rig.console("sim link up")
        how = chance.random()
        if how < 0.25:
            done["cuts"] += 1
            await rig.kill()
            await rig.start()
        elif how < 0.4:
            done["resets"] += 1
            await rig.console("reset " + chance.choice(("soft", "hard")))
            await asyncio.sleep(60)
            await rig.console("sim unplug")
        else:
            await rig.console("sim unplug")
        await rig.console("sim link up")
        await rig.online()
        await rig.until(timeout=3000, queue=0, transaction=None)
        await rig.until(timeout=60, status="Available")
    return done


async def weeks(seed, days, folder, idle=12 * 3600):
    """One life; raises AssertionError when the central system heard what can't be."""
    chance = random.Random(seed)
    words = ("--key", f"MeterValueSampleInterval={chance.choice((30, 60, 300, 900))}")
    async with Rig("cpython", folder, *words) as rig:
        done = await live(rig, chance, days, idle)
        reasons = judge(rig.house)
        assert len(reasons) == done["sessions"], (reasons, done)
        meter = (await rig.status())["energy_wh"]
        stops = rig.house.calls("StopTransaction")
        assert max((p["meterStop"] for p in stops), default=0) <= meter
        return done
