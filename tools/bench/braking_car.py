"""A station whose car stops again and again (MicroPython, for reaction.py): how long it takes
until the permit falls, and how long the event loop is held meanwhile.

    micropython -m tools.bench.braking_car RUNS [options of main.py]

Samples come as often as on the device. It begins with the same measurement in a bare loop, and
prints that as a line `took US US ...`. Then tools/bench/probe.py answers: `drive` begins anew,
`took` says what the reactions took, `held` what held the loop longest, in tenths of a reference
millisecond: `NAME=TENTHS`, the longest first, of each coroutine the tenth longest (holds.py).
"""

import asyncio
import os
import sys

from firmware.board.simulated import board as simulated
from tools.bench import probe
from tools.bench.holds import Holds
from tools.bench.reference import now_us, since_us

SAMPLE_MS = 20  # between the board's samples with the permit on
IDLE_MS = 100  # and with the permit off
MOST = 4  # coroutines that are told
WHICH = 10  # of their longest holds
OWN = "drive"  # the bench's own, which waits busily


class Car:
    """At a moment that has nothing to do with the samples, it stops."""

    def __init__(self):
        self.due = None  # when it stopped; None once that was seen
        self.took = []  # us until it was seen

    def seen(self):
        """The station has reacted."""
        if self.due is not None:
            self.took.append(since_us(self.due))
            self.due = None

    async def stops(self, stop):
        """Calls `stop` when it stops. The time counts from when that was due: a loop that is held
        just then makes it no later."""
        await asyncio.sleep_ms(300 + os.urandom(1)[0])
        late = os.urandom(1)[0] * 100  # us
        due = now_us() + late
        await asyncio.sleep_ms(late // 1000)
        while since_us(due) < 0:
            pass
        self.due = due
        stop()
        while self.due is not None:
            await asyncio.sleep_ms(10)


class Bare:
    """What takes the samples, and nothing else: it sees the car stop at the second one."""

    def __init__(self, car):
        self.car = car
        self.draws = True

    async def run(self):
        without = 0
        while True:
            without = 0 if self.draws else without + 1
            if without > 1:
                self.car.seen()
            await asyncio.sleep_ms(SAMPLE_MS)

    def stop(self):
        self.draws = False


async def bare(car, runs):
    """The bare loop's reactions."""
    loop = Bare(car)
    task = asyncio.create_task(loop.run())
    for _ in range(runs):
        loop.draws = True
        await car.stops(loop.stop)
    task.cancel()


class Board(simulated.Board):
    """Tells its car when the permit falls; samples as rarely as the device's board."""

    car = None
    made = None

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        Board.made = self

    def permit(self, on):
        super().permit(on)
        if not on:
            self.car.seen()

    async def wait(self, ms):
        await asyncio.sleep_ms(min(self.pause(ms), SAMPLE_MS if self._permit else IDLE_MS))

    def stop(self):
        self.ask = "B"
        self.s2 = False

    async def drive(self):
        """Lets the car stop and begin again, until the end."""
        while True:
            while not (self.closed and self.ma > 1000):
                await asyncio.sleep_ms(50)
            await self.car.stops(self.stop)
            await asyncio.sleep_ms(200)
            self.ask = "C"
            self.s2 = True


class Questions:
    """What probe.py is asked."""

    def __init__(self, car, holds):
        self.car = car
        self.holds = holds
        self.task = None

    def drive(self):
        if self.task is None:
            self.task = asyncio.create_task(Board.made.drive())
        self.holds.clear()
        self.car.took = []
        return "driving"

    def took(self):
        return "took " + " ".join([str(us) for us in self.car.took])

    def held(self):
        longest = self.holds.longest.items()
        order = sorted([(us, name) for name, us in longest if name != OWN])
        unit = self.holds.unit
        words = ["%s=%d" % (name, us * 10 // unit) for us, name in order[-MOST:]]
        return "held " + " ".join(reversed(words))


def main(runs, words) -> None:
    """Measures the bare loop, then runs the station."""
    car = Car()
    asyncio.run(bare(car, runs))
    print("took", " ".join([str(us) for us in car.took]))
    Board.car = car
    simulated.Board = Board
    questions = Questions(car, Holds(WHICH))
    named = {
        "drive": questions.drive,
        "took": questions.took,
        "held": questions.held,
        "used": probe.in_use,
    }
    probe.run(named, words)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
