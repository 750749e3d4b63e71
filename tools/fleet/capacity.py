"""How many stations a core carries: CPU time, memory and lag, of so many stations in one process.

    python -m tools.fleet.capacity 100 500 1000 --scenario all_charge
    python -m tools.fleet.capacity 3000 --processes 2       half of them in each, at the same time

The central system has a process of its own. The stations' loop counts only the time that this
process has the CPU and the time that it waits for something to do, so that other programs on the
machine don't show; a CPU that they slow down does. `reference` says how much: ms that a fixed
piece of Python takes, in the mean of tries between the stations' turns, and its least. `ratio`, of
the CPU each to that mean, is what can be compared from one run to the next.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import selectors
import subprocess
import sys
import time
from pathlib import Path

from tools.fleet.fleet import Fleet, Lag, Plan
from tools.fleet.folder import flash_folder
from tools.fleet.stations import resident_bytes

ROOT = Path(__file__).resolve().parent.parent.parent
_AT_ONCE = 10  # stations that are started together
_RAMP_S = 0.2  # between them
_MOST_WAITS = 12  # for all cars that came to be charged
_LOOPS = 10000  # of the reference; its figures are those of ten times as many
_REFERENCE_S = 0.2  # between its turns


class _Selector(selectors.DefaultSelector):
    """`now`: s that were waited for, and of CPU, at the newest turn of the loop."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self._waited_s = 0.0

    def select(self, timeout=None):
        begun = time.monotonic()
        events = super().select(timeout)
        passed = time.monotonic() - begun
        self._waited_s += passed if timeout is None else min(passed, max(timeout, 0))
        self.now = self._waited_s + time.thread_time()  # which takes too long for each look
        return events


class OwnTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still while other programs have the CPU. It is told anew at each
    turn."""

    def __init__(self):
        self.own = _Selector()
        super().__init__(self.own)

    def time(self):
        return self.own.now


class Reference:
    """How fast the CPU is while the stations run: `run` is a task, `taken_ms` the ms of CPU that a
    fixed piece of Python took each time; all that is not the stations'."""

    def __init__(self):
        self.taken_ms: list[float] = []

    async def run(self) -> None:
        while True:
            begun = time.thread_time()
            value = 0
            for n in range(_LOOPS):
                value = (value * 31 + n) & 0xFFFF
            self.taken_ms.append((time.thread_time() - begun) * 1000)
            await asyncio.sleep(_REFERENCE_S)


async def measure(count: int, scenario: str, settle_s: float, seconds: float) -> dict:
    """A row of the table."""
    command = [sys.executable, "-m", "tools.fleet.central"]
    central = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(central.stdout.readline())
        plan = Plan(said["url"], scenario, faults=0, pausing=0, control=said["control"])
        loop = asyncio.get_running_loop()
        with flash_folder() as folder:
            async with Fleet(plan, folder) as fleet:
                fleet.add(1)  # what is loaded with the first one is nobody's
                await asyncio.sleep(2)
                gc.collect()
                before = resident_bytes()
                while len(fleet.chargers) < count + 1:
                    fleet.add(min(_AT_ONCE, count + 1 - len(fleet.chargers)))
                    await asyncio.sleep(_RAMP_S)
                while fleet.counts()["online"] <= count:
                    await asyncio.sleep(0.5)
                fleet.begin()
                await asyncio.sleep(settle_s)
                charging, waits = -count, _MOST_WAITS
                while fleet.counts()["charging"] - charging > count // 100 and waits:
                    charging, waits = fleet.counts()["charging"], waits - 1
                    await asyncio.sleep(settle_s / 2)
                lag = Lag()
                reference = Reference()
                tasks = [asyncio.create_task(lag.run()), asyncio.create_task(reference.run())]
                begun, cpu = loop.time(), time.thread_time()
                await asyncio.sleep(seconds)
                passed, cpu = loop.time() - begun, time.thread_time() - cpu
                for task in tasks:
                    task.cancel()
                late = lag.take()
                taken_ms = reference.taken_ms
                cpu -= sum(taken_ms) / 1000
                mean_ms = sum(taken_ms) / len(taken_ms) * 10
                return {
                    "stations": count,
                    "charging": fleet.counts()["charging"],
                    "owed": fleet.counts()["queue"],
                    "ms of CPU a second each": round(cpu / passed / count * 1000, 3),
                    "% of a core": round(cpu / passed * 100),
                    "KB each": round((resident_bytes() - before) / count / 1024, 1),
                    "lag p50": late["p50"],
                    "lag p99": late["p99"],
                    "lag max": late["max"],
                    "reference": "%.1f %.1f" % (mean_ms, min(taken_ms) * 10),
                    "ratio": round(cpu / passed / count * 1000 / mean_ms, 4),
                }
    finally:
        central.kill()
        central.wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stations", type=int, nargs="+")
    parser.add_argument("--scenario", default="all_charge")
    parser.add_argument("--processes", type=int, default=1, help="share the stations")
    parser.add_argument("--settle", type=float, default=20, help="s before measuring, at least")
    parser.add_argument("--seconds", type=float, default=20, help="s of measuring")
    options = parser.parse_args()
    logging.getLogger("wallbridge").addHandler(logging.NullHandler())
    logging.getLogger("wallbridge").propagate = False
    for count in options.stations:
        # In a process of its own: what the one before has left in memory counts no more.
        if len(options.stations) > 1 or options.processes > 1:
            words = [str(count // options.processes), "--scenario", options.scenario]
            words += ["--settle", str(options.settle), "--seconds", str(options.seconds)]
            command = [sys.executable, "-m", "tools.fleet.capacity", *words]
            started = [subprocess.Popen(command) for _ in range(options.processes)]
            codes = [process.wait() for process in started]
            if any(codes):
                sys.exit(1)
            continue
        with asyncio.Runner(loop_factory=OwnTimeLoop) as runner:
            row = runner.run(measure(count, options.scenario, options.settle, options.seconds))
        print("  ".join(f"{name}: {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
