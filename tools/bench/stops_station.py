"""A station whose steps are timed (MicroPython, for stops.py), with the flash's cost as time.

    micropython -m tools.bench.stops_station [options of main.py]

tools/bench/probe.py answers: `clear` begins anew, `held` tells the longest step of each task:
`NAME=COMPUTED=WITH_FLASH`, in tenths of a reference millisecond; `collect` how long a garbage
collection takes, in the same.

A file costs nothing on a PC. Here each call is charged to the step that makes it, as DESIGN's
measurements of littlefs on a chip say, mounted with reads of 512 bytes. Garbage is collected
between the steps, so that each step's own work is told; how long that takes is a figure of its
own, and any step may be longer by it.
"""

import asyncio
import gc
import sys

from firmware import program
from firmware.base.store import Files
from firmware.board.simulated import board as simulated
from firmware.station import Station
from tools.bench import probe
from tools.bench.braking_car import IDLE_MS, SAMPLE_MS
from tools.bench.holds import Holds
from tools.bench.reference import calibrate, now_us, since_us

# Milliseconds of a chip. A look-up walks the folders; what is written costs what a small append or
# an inline file does in the median, an erase included.
LOOK_UP_MS = 8
SMALL_WRITE_MS = 12  # a new file of at most INLINE bytes, which lies in its folder's block
WRITE_MS = 26
ERASE_MS = 45
FREE_MS = 171  # statvfs
INLINE = 128
BLOCK = 4096
KEEP_FREE = 65536  # bytes of the heap


class Written:
    """A file that is written: charges for it when it is flushed or closed, and for each block that
    fills up before."""

    def __init__(self, file, appends, holds):
        self._file = file
        self._appends = appends
        self._holds = holds
        self._size = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def write(self, data):
        blocks = self._size // BLOCK
        self._size += len(data)
        self._holds.charge((self._size // BLOCK - blocks) * ERASE_MS)
        return self._holds.apart(self._file.write)(data)

    def flush(self):
        if self._size:
            small = self._size <= INLINE and not self._appends
            self._holds.charge(SMALL_WRITE_MS if small else WRITE_MS)
            self._size = 0
        self._holds.apart(self._file.flush)()

    def close(self):
        self.flush()
        self._holds.apart(self._file.close)()


class Flash(Files):
    """Files whose calls cost what a chip's do, and not what a PC's do."""

    holds = None

    def _run(self, ms, function, *args):
        self.holds.charge(ms)
        return self.holds.apart(function)(*args)

    def open(self, name, mode):
        file = self._run(LOOK_UP_MS, super().open, name, mode)
        return Written(file, mode == "ab", self.holds) if mode[0] in "wa" else file

    def rename(self, old, new):
        self._run(SMALL_WRITE_MS, super().rename, old, new)

    def remove(self, name):
        self._run(SMALL_WRITE_MS, super().remove, name)

    def listdir(self, name):
        return self._run(LOOK_UP_MS, super().listdir, name)

    def size(self, name):
        return self._run(LOOK_UP_MS, super().size, name)

    def free(self):
        return self._run(FREE_MS, super().free)


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
        start = now_us()
        gc.collect()
        took = since_us(start)
        self.holds.clear()
        return "took %d" % (took * 10 // self.holds.unit)


def main(words) -> None:
    """Runs the station."""
    holds = Holds(keep_free=KEEP_FREE)
    Flash.holds = Board.holds = holds
    program.Files = Flash
    simulated.Board = Board
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
