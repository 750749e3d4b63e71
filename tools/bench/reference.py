"""A unit of work that means the same on every machine: the reference millisecond.

It is what a stock ESP32 at 240 MHz does in about a millisecond of MicroPython. Published results
of Pystone 1.2 on one lie between 1000 and 1660 passes a second, as builds vary; 1200 is taken,
and `ROUNDS` rounds of the loop below take desktop MicroPython (32 bits) as long as 1.2 passes.
So times come out as "about this many milliseconds on the device", as the ratio of two times of
the same process. What switches between tasks comes out too long: a switch is 0.45 here, and 0.2
on a device (322 us at 160 MHz were published), since a PC's poll is a system call. What it can't
know: flash (see flash_costs.py), TLS, and what Wi-Fi takes.
"""

import time

ROUNDS = 9


class _Thing:
    def __init__(self):
        self.count = 0
        self.names = {"a": 1, "b": 2}
        self.cells = [0] * 8

    def step(self, n):
        self.count += self.names["b"] * n // 3
        self.cells[n & 7] = self.count & 0xFF
        return self.count > n


def work(milliseconds: int) -> None:
    """Does so many reference milliseconds' work."""
    thing = _Thing()
    for _ in range(milliseconds):
        for n in range(ROUNDS):
            if thing.step(n):
                thing.count = n ^ len(str(n))


def now_us() -> int:
    """Microseconds of a clock that never goes back."""
    return time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter_ns() // 1000


def since_us(start: int) -> int:
    """Microseconds since a `now_us()`."""
    if hasattr(time, "ticks_diff"):
        return time.ticks_diff(now_us(), start)
    return now_us() - start


def calibrate(milliseconds: int = 200) -> float:
    """Microseconds that one reference millisecond takes in this process: the best of three."""
    best = None
    for _ in range(3):
        start = now_us()
        work(milliseconds)
        took = since_us(start)
        best = took if best is None or took < best else best
    return best / milliseconds
