"""Power cuts at every write over whole lives of the storage, and months of outages, by seed.

    python -m tools.torture [--time SECONDS] [--seed N]

First the cuts: real LittleFS on a simulated flash, cut in the middle of every program and erase,
10,000 times at least; then whole stations live through months of virtual time with outages,
cuts and a central system in trouble, in turn with days on real MicroPython, 100 times faster than
real time. It goes on to the end of the time, seed after seed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from host_tests import flash, virtual
from host_tests.transactions import month
from tools import runtimes

CUTS = 10000
SPEED = 100
SHARE = 60  # MicroPython's days are so many times fewer


def tell(life: str, done: dict) -> None:
    """A life is over."""
    said = ", ".join(f"{count} {name}" for name, count in done.items())
    print(f"{life}: {said}: all others delivered, once", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--time", type=int, default=1800, help="seconds in all (at least)")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--days", type=float, default=30, help="of each life")
    words = parser.parse_args()
    logging.disable(logging.CRITICAL)
    begun = time.monotonic()
    flash.torture(CUTS, words.seed, lambda done: print(f"{done} cuts", flush=True))
    print("nothing lost, doubled or out of order", flush=True)
    seed = words.seed
    while True:
        with tempfile.TemporaryDirectory() as folder:
            done = virtual.run(month.weeks(seed, words.days, Path(folder)))
        tell(f"{words.days:g} days, seed {seed}", done)
        if runtimes.find(64):
            days = words.days / SHARE
            with tempfile.TemporaryDirectory() as folder:
                life = month.weeks(seed, days, Path(folder), 1200, "micropython", SPEED)
                tell(f"{days:g} days on MicroPython, seed {seed}", asyncio.run(life))
        seed += 1
        if time.monotonic() - begun > words.time:
            return


if __name__ == "__main__":
    main()
