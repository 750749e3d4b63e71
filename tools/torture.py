"""Power cuts at every write over whole lives of the storage, and months of outages (TIME, 1800 s).

    python -m tools.torture [--time SECONDS] [--seed N]

In the first half of the time the cuts: real LittleFS on a simulated flash, cut in the middle of
every program and erase, up to 10,000 times. In the rest whole stations live through months of
virtual time with outages, cuts and a central system in trouble, in turn with days on real
MicroPython (shorter ones in a short time); each second seed has FeatureSet `full`, with lists,
caches and availability. It goes on to the end of the time, seed after seed.
"""

from __future__ import annotations

import argparse
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
SHARE = 60  # MicroPython's days are so many times fewer


def tell(life: str, done: dict) -> None:
    """A life is over."""
    said = ", ".join(f"{count} {name}" for name, count in done.items())
    print(f"{life}: {said}: all others delivered, once", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--time", type=int, default=1800, help="seconds in all")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--days", type=float, help="of each life (30, fewer in a short time)")
    words = parser.parse_args()
    logging.disable(logging.CRITICAL)
    end = time.monotonic() + words.time
    half = end - words.time / 2
    print(
        f"{words.time} s: half of it power cuts, then whole lives; seed {words.seed}", flush=True
    )
    flash.torture(
        CUTS,
        words.seed,
        lambda done: print(f"{done} cuts", flush=True),
        lambda: time.monotonic() > half,
    )
    print("nothing lost, doubled or out of order", flush=True)
    # A month takes ten minutes and more, an idle hour a second or two.
    days = words.days or min(30, words.time / 240)
    idle = min(12 * 3600, words.time * 60)
    last = end - words.time / 20  # no session begins after that: the one before has to end
    lives = [("CPython", "cpython", days, idle)]
    if runtimes.find(64):
        lives.append(("MicroPython", "micropython", days / SHARE, min(idle, 1200)))
    seed = words.seed

    def over():
        return time.monotonic() > last

    while not over():
        for name, runtime, length, pause in lives:
            if over():
                break
            with tempfile.TemporaryDirectory() as folder:
                full = seed % 2 == 1
                life = month.weeks(seed, length, Path(folder), pause, runtime, 1, full, over)
                tell(
                    f"a life on {name}{' with full' if full else ''}, seed {seed}",
                    virtual.run(life),
                )
        seed += 1


if __name__ == "__main__":
    main()
