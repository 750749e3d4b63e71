"""The stations of one process, and what a scenario does to them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from firmware.charging import faults, models
from firmware.options import Options, checked_key
from tools.fleet import scenarios
from tools.fleet.charger import Car, Charger, Request
from tools.fleet.relay import Detour, Relay

SOCKETS = 65536  # open files that are asked of the system: two for each station
_LAG_MS = 20  # how often the loop's lag is looked at
# Objects that were made and not freed, after which Python looks for garbage. With its own 700 a
# thousand stations have it look several times a second, each time at all that they have renewed.
_COLLECT_AFTER = 10000


@dataclass
class Plan:
    """What kind of fleet it is. Shares are from 0 to 1; `models`: commercial references, a row of
    them in which each has its share; `interval_s`: MeterValueSampleInterval."""

    url: str = ""
    scenario: str = "evening_peak"
    seed: int = 1
    speed: int = 1
    models: str = "Evh5A22N2S,Evh5A22N2S,Evh5A07N2C7,Evh5A11N2C5"
    faults: float = 0.02
    one_phase: float = 0.3
    pausing: float = 0.2
    id_tag: str = "DRIVER"
    interval_s: int = 60
    keys: dict = field(default_factory=dict)  # more configuration keys for each station
    control: str = ""  # where the demo's central system takes orders, "" for another one


class CantDoThat(Exception):
    """The scenario needs what is not there; says what."""


def allow_many_sockets() -> int:
    """Raises the system's limit of open files as far as it may; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOCKETS if hard == resource.RLIM_INFINITY else min(SOCKETS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


class Lag:
    """How late the loop of this process is: what a station's answer waits for us, and not for the
    central system. `run` is its task; `take` returns what was since the last time."""

    def __init__(self):
        self._late_ms: list[float] = []
        self._cpu_s = time.process_time()
        self._wall_s = time.monotonic()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_MS / 1000
            await asyncio.sleep(_LAG_MS / 1000)
            self._late_ms.append((loop.time() - due) * 1000)

    def take(self) -> dict:
        """ms `p50`, `p99` and `max`; `cpu`: the share of a core that this process used."""
        late = sorted(self._late_ms) or [0.0]
        self._late_ms = []
        cpu_s, wall_s = time.process_time(), time.monotonic()
        share = (cpu_s - self._cpu_s) / max(wall_s - self._wall_s, 0.001)
        self._cpu_s, self._wall_s = cpu_s, wall_s
        return {
            "p50": round(late[len(late) // 2], 1),
            "p99": round(late[min(len(late) - 1, len(late) * 99 // 100)], 1),
            "max": round(late[-1], 1),
            "cpu": round(share, 3),
        }


class Fleet:
    """`async with Fleet(plan, folder, report) as fleet`. `folder` keeps the stations' flash;
    `report(Request)` is told of each call that ended; `central` may do what a scenario asks of
    the central system: `restart(down_s)`, `trouble(share)`, or is None.

    Everything that chance decides comes from the plan's seed and the station's name, so that the
    same cars come again to the same stations.
    """

    def __init__(self, plan: Plan, folder, report=lambda request: None, central=None, name="S"):
        self.plan = plan
        self.folder = Path(folder)
        self.central = central
        self.name = name
        self.chargers: list[Charger] = []
        self.chance = random.Random(f"{plan.seed}-{name}")
        self.failures: Counter = Counter()
        self.calls: Counter = Counter()
        self.story = ""  # why the scenario has ended, if it has
        self._report = report
        self._made = 0
        self._retired: list[Charger] = []
        self._relay: Relay | None = None
        self._tasks: list[asyncio.Task] = []
        self._chapter: asyncio.Task | None = None
        self._cars: list[asyncio.Task] = []
        self._collects_after = (0, 0, 0)

    async def __aenter__(self):
        allow_many_sockets()
        scenarios.find(self.plan.scenario)
        gc.freeze()  # modules and their like: a collection need not look at them again
        self._collects_after = gc.get_threshold()
        gc.set_threshold(_COLLECT_AFTER, *self._collects_after[1:])
        return self

    async def __aexit__(self, *error):
        for task in [*self._tasks, *self._cars, self._chapter]:
            if task:
                task.cancel()
        await asyncio.gather(*(charger.quit() for charger in self.chargers))
        if self._relay:
            await self._relay.close()
        gc.set_threshold(*self._collects_after)

    # the stations

    def _call_ended(self, request: Request):
        self.calls[request.action] += 1
        if request.failure:
            self.failures[f"{request.action}: {request.failure}"] += 1
        self._report(request)

    def add(self, count: int = 1, power=True) -> None:
        """More stations; the power is there at once."""
        for _ in range(count):
            self._made += 1
            charger = self._make(self._made)
            self.chargers.append(charger)
            if power:
                charger.power_on()

    def _make(self, number):
        plan = self.plan
        name = f"FLEET-{self.name}-{number:05d}"
        chance = random.Random(f"{plan.seed}-{name}")
        options = Options()
        options.model = models.find(chance.choice(plan.models.split(","))).name
        options.state = str(self.folder / name)
        options.speed = plan.speed
        keys = {
            "SupervisionUrl": plan.url,
            "BoxIdentifier": name,
            "MeterValueSampleInterval": str(plan.interval_s),
            "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import",
            **plan.keys,
        }
        options.run_keys = dict(checked_key(key, value) for key, value in keys.items())
        return Charger(name, options, self._call_ended)

    async def retire(self, count: int = 1, within_s: float = 30) -> None:
        """The newest stations leave the fleet, once they have told all."""
        leaving, self.chargers = self.chargers[-count:], self.chargers[:-count]
        self._retired += leaving
        until = asyncio.get_running_loop().time() + within_s
        await asyncio.gather(*(charger.finish(until) for charger in leaving))
        await asyncio.gather(*(charger.quit() for charger in leaving))

    # the story

    def begin(self) -> None:
        """The scenario begins; it is told again and again until `finish`."""
        if self._chapter:
            return  # more stations came to a run that has begun
        self._chapter = asyncio.create_task(self._tell())

    async def _tell(self):
        try:
            while True:
                await scenarios.find(self.plan.scenario)(self)
        except CantDoThat as why:
            self.story = f"{self.plan.scenario}: {why}"

    async def sleep(self, seconds: float) -> None:
        """Seconds of station time."""
        await asyncio.sleep(seconds / self.plan.speed)

    def some(self, share: float) -> list[Charger]:
        """A share of the stations, by chance."""
        return self.chance.sample(self.chargers, round(len(self.chargers) * share))

    def a_car(self, charger: Charger, minutes: float) -> Car:
        """A car of the mix that the plan asks for, which stays for about so long."""
        plan = self.plan
        # (A generator of its own for each station would take 2.5 KB.)
        chance = random.Random(f"{plan.seed}-{charger.name}-{charger.cars}")
        codes = [row.code for row in faults.rows() if row.unplugging_recovers]
        return Car(
            id_tag=plan.id_tag,
            phases=1 if chance.random() < plan.one_phase else 3,
            draw_ma=chance.choice((10000, 16000, 32000)),
            minutes=minutes * chance.uniform(0.7, 1.3),
            pauses=chance.random() < plan.pausing,
            fault=chance.choice(codes) if chance.random() < plan.faults else "",
        )

    async def cars_come(self, share: float, within_s: float, minutes: float) -> None:
        """A share of the stations each gets a car, one after the other in so many seconds."""
        chosen = self.some(share)
        for charger in chosen:
            charger.car_comes(self.a_car(charger, minutes))
            await self.sleep(within_s / len(chosen))

    async def cars_leave(self) -> None:
        """All that are here, at once."""
        for charger in self.chargers:
            charger.car_leaves()

    async def power_fails(self, share: float = 1) -> list[Charger]:
        """The mains of a share of the stations fail, at once; returns these."""
        dark = self.some(share)
        await asyncio.gather(*(charger.power_off() for charger in dark))
        return dark

    async def power_returns(self, dark: list[Charger], within_s: float = 0) -> None:
        """It is there again, for all at once or for one quarter of the town after the other."""
        for charger in dark:
            charger.power_on()
            if within_s:
                await self.sleep(within_s / len(dark))

    @contextlib.asynccontextmanager
    async def bad_link(self, share: float, **how):
        """A share of the stations talks over a bad link meanwhile; `how` as for Relay."""
        parts = urlsplit(self.plan.url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        self._relay = Relay(parts.hostname, port, random.Random(self.plan.seed), **how)
        detour = Detour(await self._relay.open())
        changed = self.some(share)
        try:
            for charger in changed:
                charger.take_way(detour)
            yield
        finally:
            for charger in changed:
                charger.take_way(None)
            await self._relay.close()
            self._relay = None

    async def central_restarts(self, down_s: float) -> None:
        """The central system hangs up on everybody, and is not there for so long. Raises
        CantDoThat where this fleet can't give it orders."""
        await self._need_central().restart(down_s / self.plan.speed)

    async def central_refuses(self, share: float) -> None:
        """From now on it answers so much of what it hears of transactions with CALLERRORs."""
        await self._need_central().trouble(share)

    def _need_central(self):
        if not self.central:
            raise CantDoThat("needs the demo's own central system, which takes orders")
        return self.central

    # the end

    def counts(self) -> dict:
        """What there is now."""
        return {
            "stations": len(self.chargers),
            "online": sum(charger.is_online() for charger in self.chargers),
            "charging": sum(charger.is_charging() for charger in self.chargers),
            "queue": sum(charger.queue() for charger in self.chargers),
        }

    async def finish(self, within_s: float) -> dict:
        """The story ends: all cars leave, all stations tell what they owe, for so many seconds at
        most. Returns the verdict."""
        if self._chapter:
            self._chapter.cancel()
            await asyncio.wait((self._chapter,))
            if not self._chapter.cancelled() and self._chapter.exception():
                raise self._chapter.exception()  # a scenario must not fail unseen
        until = asyncio.get_running_loop().time() + within_s
        await asyncio.gather(*(charger.finish(until) for charger in self.chargers))
        return self.verdict()

    def verdict(self) -> dict:
        """Who told what; `violations`: (station, text) of each."""
        everybody = self._retired + self.chargers
        return {
            "stations": len(everybody),
            "transactions": sum(charger.ledger.transactions for charger in everybody),
            "wh": sum(charger.ledger.wh for charger in everybody),
            "given_up": sum(charger.ledger.given_up for charger in everybody),
            "calls": dict(self.calls),
            "failures": dict(self.failures),
            "story": self.story,
            "diaries": {
                charger.name: [(at, str(what)) for at, what in charger.diary]
                for charger in everybody
                if charger.ledger.violations
            },
            "violations": [
                (charger.name, text) for charger in everybody for text in charger.ledger.violations
            ],
        }
