"""How long tasks hold MicroPython's event loop, for scenario scripts.

    holds = Holds()            # before asyncio.run
    asyncio.run(main())
    holds.report()             # prints `figure:` lines in reference milliseconds

A hold is the time from one look at timers and streams to the next: one step of one task. It is
the processor's time in this process: a PC has other things to do in between. Even so a PC makes
single holds longer, by what it does for other processes in the same caches; `Holds(10)` tells of
each coroutine the tenth longest in the place of the longest: what comes again and again.
"""

import gc
from array import array
from asyncio import core

import ffi

from tools.bench import reference

_PROCESS_CPUTIME = 2  # clock_gettime(2)


class Holds:
    """Watches the loop; keeps the longest hold of each coroutine, by its name; with `which`, the
    so manieth longest. With `keep_free` garbage is collected between the holds, when less than so
    many bytes are free, and not in them; and it waits busily: a PC that has slept finds its caches
    full of others' work, and takes twice as long for what comes next."""

    def __init__(self, which=1, keep_free=0):
        self.unit = reference.calibrate()
        self.longest = {}  # coroutine -> microseconds
        self.longest_charged = {}  # the same with what was charged
        self.names = {}  # id of a task -> a name in the place of its coroutine's
        self._charged = 0
        self._which = which
        self._longer = {}  # coroutine -> the `which` longest, sorted
        self._start = None
        self._time = array("l", [0, 0])  # s, ns
        self._clock = ffi.open(None).func("i", "clock_gettime", "iP")
        self._keep_free = keep_free
        wait = core.IOQueue.wait_io_event

        def watched(queue, dt):
            if self._start is not None:
                self._note(self.now_us() - self._start)
            if keep_free and gc.mem_free() < keep_free:
                gc.collect()
            wait(queue, 0 if keep_free else dt)
            self._charged = 0
            self._start = self.now_us()

        core.IOQueue.wait_io_event = watched  # a station that starts anew has another queue

    def now_us(self) -> int:
        """The processor's time of this process, microseconds."""
        self._clock(_PROCESS_CPUTIME, self._time)
        return self._time[0] * 1000000 + self._time[1] // 1000

    def _note(self, took):
        task = core.cur_task
        if task:
            name = self._name(task)
            charged = took + self._charged
            if charged > self.longest_charged.get(name, 0):
                self.longest_charged[name] = charged
            if took > self.longest.get(name, 0):
                found = self._longer.setdefault(name, [])
                found.append(took)
                found.sort()
                if len(found) > self._which:
                    found.pop(0)
                if len(found) == self._which:
                    self.longest[name] = found[0]

    def _name(self, task):
        name = self.names.get(id(task))
        if not name:
            words = str(task.coro).split("'")
            name = words[1] if len(words) > 1 else words[0]
        return name

    def charge(self, milliseconds) -> None:
        """Makes the present hold longer by so many reference milliseconds, which something would
        take on a device, in `longest_charged`."""
        self._charged += int(milliseconds * self.unit)

    def apart(self, function):
        """A function that does the same as this one, whose time does not count: what only a PC
        has to do, such as its files and the other end of a serial line."""

        def called(*args):
            start = self.now_us()
            try:
                return function(*args)
            finally:
                if self._start is not None:
                    self._start += self.now_us() - start

        return called

    def clear(self) -> None:
        """Begins anew, after the present hold."""
        self.longest = {}
        self.longest_charged = {}
        self._longer = {}
        self._start = None
        if self._keep_free:
            gc.disable()

    def report(self, most: int = 5) -> None:
        """Prints the longest holds."""
        order = sorted(self.longest.items(), key=lambda item: -item[1])
        for name, took in order[:most]:
            print("figure: hold of %s: %.1f reference ms" % (name, took / self.unit))
