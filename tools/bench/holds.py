"""How long tasks hold MicroPython's event loop, for scenario scripts.

    holds = Holds()            # before asyncio.run
    asyncio.run(main())
    holds.report()             # prints `figure:` lines in reference milliseconds

A hold is the time from one look at timers and streams to the next: one step of one task. It is
the processor's time in this process: a PC has other things to do in between. Even so a PC makes
single holds longer, by what it does for other processes in the same caches; `Holds(10)` tells of
each coroutine the tenth longest in the place of the longest: what comes again and again.
"""

from array import array
from asyncio import core

import ffi

from tools.bench import reference

_PROCESS_CPUTIME = 2  # clock_gettime(2)


class Holds:
    """Watches the loop; keeps the longest hold of each coroutine, by its name; with `which`, the
    so manieth longest."""

    def __init__(self, which=1):
        self.unit = reference.calibrate()
        self.longest = {}  # coroutine -> microseconds
        self._which = which
        self._longer = {}  # coroutine -> the `which` longest, sorted
        self._start = None
        self._time = array("l", [0, 0])  # s, ns
        self._clock = ffi.open(None).func("i", "clock_gettime", "iP")
        queue = core._io_queue
        wait = queue.wait_io_event

        def watched(dt):
            if self._start is not None:
                self._note(self._now_us() - self._start)
            wait(dt)
            self._start = self._now_us()

        queue.wait_io_event = watched

    def _now_us(self):
        self._clock(_PROCESS_CPUTIME, self._time)
        return self._time[0] * 1000000 + self._time[1] // 1000

    def _note(self, took):
        task = core.cur_task
        if task:
            words = str(task.coro).split("'")
            name = words[1] if len(words) > 1 else words[0]
            if took > self.longest.get(name, 0):
                found = self._longer.setdefault(name, [])
                found.append(took)
                found.sort()
                if len(found) > self._which:
                    found.pop(0)
                if len(found) == self._which:
                    self.longest[name] = found[0]

    def clear(self) -> None:
        """Begins anew."""
        self.longest = {}
        self._longer = {}

    def report(self, most: int = 5) -> None:
        """Prints the longest holds."""
        order = sorted(self.longest.items(), key=lambda item: -item[1])
        for name, took in order[:most]:
            print("figure: hold of %s: %.1f reference ms" % (name, took / self.unit))
