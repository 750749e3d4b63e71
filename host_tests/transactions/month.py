"""Weeks of virtual time with outages, power cuts and a central system in trouble, by seed.

The whole station over real websockets, and the oracle: what the central system heard must be
whole, in order, never two things for one event, and say what the meter says. With FeatureSet
`full` it orders lists, caches and availability besides (host_tests/local_authorization/orders.py).
"""

import json
import random
import time

from ocpp.exceptions import InternalError

from host_tests.behaviours.test_full_core import FULL
from host_tests.local_authorization.orders import Orders
from host_tests.station import Rig
from host_tests.transactions.oracle import ATTEMPTS, judge


class Trouble:
    """The central system's bad days: it refuses a message now and then, and some for ever."""

    NEVER = 0.1  # of what is refused at all

    def __init__(self, house, chance):
        self.house = house
        self.chance = chance
        self.share = 0.0
        self.refused = {}  # message to how often
        self.never = set()
        house.trouble = self.strike

    def strike(self, action):
        """Called for each transaction message; raises what becomes a CALLERROR."""
        said = [m for _, way, m in self.house.messages[-9:] if way == "<" and m[0] == 2]
        text = json.dumps(said[-1][2:], sort_keys=True)
        if text not in self.never:
            count = self.refused.get(text, 0)
            if count >= ATTEMPTS - 1 or self.chance.random() >= self.share:
                return
            self.refused[text] = count + 1
            if not count and self.chance.random() < self.NEVER:
                self.never.add(text)
        raise InternalError("a bad day")


async def live(rig, chance, days, idle, over, orders=None):
    """Lives through so many days, idle at most so many seconds in a row, or until `over()` says
    so between two sessions; counts what happened."""
    trouble = Trouble(rig.house, chance)
    begun = rig.house.now()
    done = {"sessions": 0, "cuts": 0, "outages": 0, "resets": 0}
    cuts = []
    while rig.house.now() < begun + days * 86400 and not over():
        trouble.share = chance.choice((0, 0, 0.3))
        await rig.console("sim link up")
        await rig.sleep(chance.uniform(60, idle))
        point = await rig.online()
        if orders:
            point = await orders.between(rig, point)
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
            await rig.sleep(chance.uniform(10, 3600))
            if chance.random() < 0.4:
                done["outages"] += 1
                await rig.console("sim link down")
                await rig.sleep(chance.uniform(5, 3000))
                await rig.console("sim link up")
            if orders and (await rig.status())["link"] == "online":
                await orders.give(rig, await rig.online(), False)
        how = chance.random()
        if how < 0.25:
            done["cuts"] += 1
            cuts.append(rig.house.now())
            await rig.kill()
            await rig.start()
        elif how < 0.4:
            done["resets"] += 1
            await rig.console("reset " + chance.choice(("soft", "hard")))
            await rig.sleep(60)
            await rig.console("sim unplug")
        else:
            await rig.console("sim unplug")
        await rig.console("sim link up")
        await rig.online()
        await rig.until(timeout=3000, queue=0, transaction=None)
        await rig.until(timeout=60, status=orders.status() if orders else "Available")
        if orders:
            await orders.look(rig)
    done["days"] = round((rig.house.now() - begun) / 86400, 2)
    return done, cuts


async def weeks(
    seed,
    days,
    folder,
    idle=12 * 3600,
    runtime="cpython",
    speed=1,
    full=False,
    over=lambda: False,
):
    """One life; in a process of its own it runs `speed` times faster than real time. `full`: with
    that FeatureSet. `over`: see `live`. Raises AssertionError when the central system heard what
    can't be."""
    chance = random.Random(seed)
    interval = chance.choice((30, 60, 300, 900))
    words = ("--key", f"MeterValueSampleInterval={interval}") + (FULL if full else ())
    orders = Orders(chance) if full else None
    async with Rig(runtime, folder, *words, speed=speed, start=False) as rig:
        if not rig.virtual:
            begun = time.monotonic()
            rig.house.now = lambda: 1800000000 + (time.monotonic() - begun) * speed
        await rig.start()
        await rig.online()
        before = (await rig.status())["energy_wh"]
        done, cuts = await live(rig, chance, days, idle, over, orders)
        if orders:
            done.update({"orders": orders.given, "orders cut short": orders.cuts})
        after = (await rig.status())["energy_wh"]
        slack = 2 if rig.virtual else 2 + speed // 4  # who is late by a moment is late by more
        heard = judge(rig.house, interval, cuts, (before, after), slack)
        assert len(heard.reasons) == done["sessions"], (heard.reasons, done)
        kept = [line for line in await rig.console("queue") if line.startswith("given up")]
        wanted = [action for action, _ in heard.given_up if action != "MeterValues"]
        assert [line.split(": ")[1].split()[0] for line in kept] == wanted, kept
        done["given up"] = len(heard.given_up)
        return done
