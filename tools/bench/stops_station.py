"""A station whose steps are timed (MicroPython, for stops.py), with the flash's cost as time.

    micropython -m tools.bench.stops_station [options of main.py]

tools/bench/probe.py answers: `clear` begins anew, `held` tells the longest step of each task:
`NAME=COMPUTED=WITH_FLASH`, in tenths of a reference millisecond; `collect` how long a garbage
collection takes, in the same.

A file costs here what it does on a chip (flash_time.py). Garbage is collected between the steps,
so that each step's own work is told, and what the firmware collects itself does not count either;
how long that takes is a figure of its own, and any step may be longer by it.
"""

import asyncio
import gc
import hashlib
import sys

from firmware import program
from firmware.base import runtime
from firmware.board.simulated import board as simulated
from firmware.station import Station
from tools.bench import probe
from tools.bench.braking_car import IDLE_MS, SAMPLE_MS
from tools.bench.flash_time import Flash
from tools.bench.holds import Holds
from tools.bench.reference import calibrate

KEEP_FREE = 65536  # bytes of the heap


class Port:
    """A serial line whose other end is not the station's work."""

    def __init__(self, port, holds):
        self.read = holds.apart(port.read)
        self.write = holds.apart(port.write)


class Board(simulated.Board):
    """The world of the simulated board is not the station's work either."""

    holds = None

    def read(self):
        self.holds.apart(super().read)()

    def permit(self, on):
        self.holds.apart(super().permit)(on)

    async def wait(self, ms):
        pause = self.holds.apart(self.pause)(ms)
        await asyncio.sleep_ms(min(pause, SAMPLE_MS if self._permit else IDLE_MS))

    def port(self, *args):
        return Port(super().port(*args), self.holds)


class Questions:
    """What probe.py is asked."""

    def __init__(self, holds):
        self.holds = holds

    def clear(self):
        gc.threshold(-1)  # the firmware's own would collect in the middle of a step
        self.holds.unit = calibrate(50)  # what else the machine does changes it
        self.holds.clear()
        return "cleared"

    def held(self):
        unit = self.holds.unit
        words = ["held"]
        for name, hold in self.holds.longest.items():
            charged = self.holds.longest_charged.get(name, hold)
            words.append("%s=%d=%d" % (name, hold * 10 // unit, charged * 10 // unit))
        self.holds.clear()
        return " ".join(words)

    def collect(self):
        self.holds.unit = calibrate(50)
        start = self.holds.now_us()
        gc.collect()
        took = self.holds.now_us() - start
        self.holds.clear()
        return "took %d" % (took * 10 // self.holds.unit)


def main(words) -> None:
    """Runs the station."""
    holds = Holds(keep_free=KEEP_FREE)
    Flash.holds = Board.holds = holds
    program.Files = Flash
    simulated.Board = Board
    runtime.collect = holds.apart(runtime.collect)
    hashlib.sha1 = holds.apart(hashlib.sha1)  # a stand-in: a device has one in C
    keep_running = Station._keep_running

    async def named(station, name, *work):
        holds.names[id(asyncio.current_task())] = name
        return await keep_running(station, name, *work)

    Station._keep_running = named
    questions = Questions(holds)
    probe.run(
        {"clear": questions.clear, "held": questions.held, "collect": questions.collect}, words
    )


if __name__ == "__main__":
    main(sys.argv[1:])
