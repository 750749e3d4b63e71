"""The station's clock: monotonic milliseconds, and wall time once somebody told it."""

from firmware.base import runtime

_DAY_MS = 86400000


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

    async def wait(self, event, ms: int) -> bool:
        """Until the event is set, at most station milliseconds; clears it."""
        set_ = await runtime.wait(event, (ms + self.speed - 1) // self.speed)
        event.clear()
        return set_

    @property
    def known(self) -> bool:
        return self._offset is not None

    def set(self, epoch: int) -> int:
        """Tells the wall time in Unix seconds. Returns the correction in seconds (0 at first)."""
        offset = epoch * 1000 - self.ms()
        moved = 0 if self._offset is None else (offset - self._offset) // 1000
        self._offset = offset
        if moved < -3600:  # far wrong before: follow, there is no catching up
            self._highest = 0
        return moved

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
