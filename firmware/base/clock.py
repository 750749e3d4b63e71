"""The station's clock: monotonic milliseconds, and wall time once somebody told it."""

import asyncio

from firmware.base import runtime
from firmware.base.runtime import const

_DAY_MS = const(86400000)
_CATCH_UP_S = (
    3600  # a clock that was wrong by more goes back; by less, it stands still for so long
)


class Clock:
    """Station time. `speed` makes it run faster than real time (the bench's --speed).

    The wall clock is unknown until `set`; after that `epoch` never goes back by small
    corrections: it waits until time has caught up (a transaction's times never run backwards).
    """

    def __init__(self, speed: int = 1, ticks=runtime.ticks_ms):
        self.speed = speed
        self._ticks = ticks
        self._last = ticks()
        self._ms = 0
        self._offset = None  # epoch milliseconds at ms() == 0
        self._highest = 0
        self._waits = []  # (when, event)
        self._ticker = None
        self._boot = 0

    def number_boot(self, number: int) -> int:
        """The number that the journal gave to this clock's `ms()`: the first that is handed in,
        since the clock goes on after a Reset."""
        self._boot = self._boot or number
        return self._boot

    def ms(self) -> int:
        """Station milliseconds since start; never goes back, never wraps."""
        now = self._ticks()
        passed = runtime.ticks_diff(now, self._last)
        if passed > 0:
            self._ms += passed * self.speed
            self._last = now
        return self._ms

    async def sleep_ms(self, ms: int) -> None:
        """Sleeps station milliseconds."""
        while ms > _DAY_MS * self.speed:  # 32-bit ticks can't sleep longer than six days
            await runtime.sleep_ms(_DAY_MS)
            self.ms()  # ticks wrap: they must be looked at more often
            ms -= _DAY_MS * self.speed
        await runtime.sleep_ms((ms + self.speed - 1) // self.speed if ms > 0 else 0)

    async def wait(self, event, ms: int) -> None:
        """Waits until the event is set, or about so many station milliseconds (a second late at
        most), and clears it. One task wakes all who wait, so that none needs a task of its own."""
        entry = (self.ms() + ms, event)
        self._waits.append(entry)
        if not self._ticker or self._ticker.done():
            self._ticker = asyncio.create_task(self._tick())
        try:
            await event.wait()
        finally:
            self._waits.remove(entry)
        event.clear()

    async def _tick(self):
        """The task that wakes who waits; it ends when nobody does."""
        while self._waits:
            now = self.ms()
            pause = 1000
            for due, event in self._waits:
                if due <= now:
                    event.set()
                else:
                    pause = min(pause, due - now)
            await self.sleep_ms(pause)

    @property
    def is_set(self) -> bool:
        """Whether somebody has told the wall time."""
        return self._offset is not None

    def set(self, epoch: int) -> int:
        """Tells the wall time in Unix seconds. Returns the correction in seconds (0 at first)."""
        offset = epoch * 1000 - self.ms()
        moved_s = 0 if self._offset is None else (offset - self._offset) // 1000
        self._offset = offset
        if moved_s < -_CATCH_UP_S:
            self._highest = 0
        return moved_s

    def epoch(self) -> int | None:
        """Unix seconds now; None while nobody told us."""
        if self._offset is None:
            return None
        now = (self._offset + self.ms()) // 1000
        if now < self._highest:
            return self._highest
        self._highest = now
        return now

    def epoch_at(self, ms: int) -> int | None:
        """Unix seconds at a moment of `ms()`; None while the wall clock is unknown."""
        return None if self._offset is None else (self._offset + ms) // 1000
