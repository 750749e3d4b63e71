"""The station's clock: monotonic milliseconds, and the wall time once it is known. ISO 8601
date-times (OCPP 3.15) to and from Unix seconds, in integers only."""

import asyncio

from firmware.base import runtime
from firmware.base.runtime import const


def _number(data, start, count, highest):
    value = 0
    for digit in data[start : start + count]:
        if not 48 <= digit < 58:
            raise ValueError("not a date-time")
        value = value * 10 + digit - 48
    if value > highest:
        raise ValueError("out of range")
    return value


def _days(year, month, day):
    """Days since 1970-01-01, Gregorian; counts from March, so that a leap day comes last."""
    year -= month < 3
    leap = year // 4 - year // 100 + year // 400
    return year * 365 + leap + ((month + 9) % 12 * 153 + 2) // 5 + day - 719469


def parse(text: str) -> int:
    """Unix seconds of a date-time (see `parse_moment`) without its fraction. Raises ValueError."""
    return parse_moment(text)[0]


def parse_moment(text: str) -> tuple:
    """(Unix seconds, ms) of `2024-02-29T12:00:00`, then perhaps a fraction of up to 9 digits, then
    `Z`, `+01:00`, `+0100`, `+01` or nothing (UTC). A blank in the place of the T, small letters,
    and a time without seconds are read, too (RFC 3339, 5.6). Raises ValueError."""
    data = text.encode()  # MicroPython would keep each character of text[i] for ever
    end = len(data)
    if not 16 <= end <= 35 or bytes((data[4], data[7], data[13])) != b"--:":
        raise ValueError("not a date-time")
    if data[10] not in b"Tt ":
        raise ValueError("not a date-time")
    has_seconds = end >= 19 and data[16] == 58
    year = _number(data, 0, 4, 9999)
    month = _number(data, 5, 2, 12)
    day = _number(data, 8, 2, 31)
    if not (year and month and 0 < day <= _days(year, month + 1, 1) - _days(year, month, 1)):
        raise ValueError("out of range")
    epoch = _days(year, month, day) * 86400 + _number(data, 11, 2, 23) * 3600
    epoch += _number(data, 14, 2, 59) * 60
    at = 16
    if has_seconds:
        epoch += _number(data, 17, 2, 59)
        at = 19
    ms = 0
    if has_seconds and data[19:20] == b".":
        at = 20
        while at < end and 48 <= data[at] < 58:
            at += 1
        if not 20 < at <= 29:
            raise ValueError("a fraction has 1 to 9 digits")
        ms = _number(data[20:at] + b"00", 0, 3, 999)
    zone = data[at:]
    if len(zone) == 6 and zone[3] == 58:
        zone = zone[:3] + zone[4:]
    if zone in (b"", b"Z", b"z"):
        return epoch, ms
    if zone[0] not in b"+-" or len(zone) not in (3, 5):
        raise ValueError("not a zone")
    offset = _number(zone, 1, 2, 23) * 3600
    if len(zone) == 5:
        offset += _number(zone, 3, 2, 59) * 60
    return (epoch + offset if zone[0] == 45 else epoch - offset), ms


def text(epoch: int, ms: int = 0) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ` of Unix seconds; with ms, `SS.mmmZ`."""
    days, seconds = divmod(epoch, 86400)
    century, rest = divmod(4 * days + 2877875, 146097)
    year, rest = divmod(rest // 4 * 4 + 3, 1461)
    month, rest = divmod(rest // 4 * 5 + 2, 153)
    year += century * 100 + (month > 9)
    month += -9 if month > 9 else 3
    clock = (year, month, rest // 5 + 1, seconds // 3600, seconds // 60 % 60, seconds % 60)
    written = "%04d-%02d-%02dT%02d:%02d:%02d" % clock
    return written + (".%03dZ" % ms if ms else "Z")


_DAY_MS = const(86400000)
_CATCH_UP_MS = const(3600000)  # a clock that is fast by more is set back
_SMOOTH_MS = const(2000)  # a clock that is wrong by less is corrected little by little:
_SMOOTHLY = const(8)  # by one ms in so many
_STANDS_STILL = const(1)  # so that is how a clock stands still: by one ms in each
_PROMPT_MS = const(2000)  # an answer that took longer says when it was made, but not exactly


class Clock:
    """Station time. `speed` makes it run faster than real time (the bench's --speed).

    The wall clock is unknown until `set`. After that it never goes back while a transaction runs,
    so that its times never do, and no limit of a charging profile that has begun is lost.
    """

    def __init__(self, speed: int = 1, ticks=runtime.ticks_ms):
        self.speed = speed
        self._ticks = ticks
        self._last = ticks()
        self._ms = 0
        self._offset = None  # epoch milliseconds at ms() == 0
        self._knows_ms = False  # somebody has told more than whole seconds
        # The newest correction: by how many ms the clock was fast (below 0: slow), since when it
        # is being corrected, and by one ms in how many.
        self._fast_ms = 0
        self._corrected_since = 0
        self._corrected_in = _SMOOTHLY
        self._waits = []  # (when, event)
        self._ticker = None
        self._boot = 0

    def number_boot(self, number: int) -> int:
        """Returns the number of this boot, which is the first `number` that this clock was given:
        the clock goes on after a Reset, and so does the boot."""
        self._boot = self._boot or number
        return self._boot

    def ms(self) -> int:
        """Station milliseconds since start; never goes back, never wraps."""
        now = self._ticks()
        if now == self._last:
            return self._ms
        passed = runtime.ticks_diff(now, self._last)
        if passed > 0:
            self._ms += passed * self.speed
            self._last = now
        return self._ms

    def sleep_ms(self, ms: int):
        """Awaitable, at once: station milliseconds."""
        if ms > _DAY_MS * self.speed:
            return self._sleep_days(ms)
        return runtime.sleep_ms((ms + self.speed - 1) // self.speed if ms > 0 else 0)

    async def _sleep_days(self, ms):
        """32-bit ticks can't sleep longer than six days, and must be looked at, since they
        wrap."""
        while ms > _DAY_MS * self.speed:
            await runtime.sleep_ms(_DAY_MS)
            self.ms()
            ms -= _DAY_MS * self.speed
        await self.sleep_ms(ms)

    async def wait(self, event, ms: int) -> None:
        """Waits until the event is set, or for so many station milliseconds (it may be a second
        late), and clears the event. One task serves all waits, so that none needs its own."""
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
        """The task that ends the waits when they are due; it ends after the last one."""
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

    def set(
        self, epoch: int, ms: int = 0, asked_ms: int | None = None, may_go_back: bool = True
    ) -> int:
        """Tells the wall time in Unix seconds and the ms behind them (0: perhaps they are not
        known). `asked_ms`: when somebody was asked for it, of `ms()`; the answer was made between
        then and now, most likely in the middle. `may_go_back` is False while a transaction runs.
        Returns the correction in ms (0 at first).

        Up to 2 s are corrected little by little. A clock that is slower than that is set forward;
        one that is faster stands still until time has caught up, or is set back where that would
        take more than an hour."""
        now = self.ms()
        took = 0 if asked_ms is None else (now - asked_ms) // self.speed
        offset = epoch * 1000 + ms - now + took // 2
        self._knows_ms = self._knows_ms or ms > 0
        if self._offset is None:
            self._offset = offset
            return 0
        before = self._offset + self._uncorrected(now)
        # What was told leaves this much open: within it, the clock knows better.
        least = most = offset
        if not ms or took > _PROMPT_MS:
            least -= took // 2
            most += took - took // 2 + (0 if ms else 999)
        offset = min(max(before, least), most)
        fast_ms = before - offset
        self._corrected_since = now
        self._corrected_in = _STANDS_STILL
        if -_SMOOTH_MS <= fast_ms <= _SMOOTH_MS:
            self._corrected_in = _SMOOTHLY
        elif fast_ms < 0 or (may_go_back and fast_ms > _CATCH_UP_MS):
            fast_ms = 0
        self._fast_ms = fast_ms
        self._offset = offset
        return offset - before

    def _uncorrected(self, ms):
        """By how many ms the clock is still fast (below 0: slow) at a moment of `ms()`."""
        if not self._fast_ms:
            return 0
        corrected = max(0, ms - self._corrected_since) // self._corrected_in
        if self._fast_ms > 0:
            return max(0, self._fast_ms - corrected)
        return min(0, self._fast_ms + corrected)

    def epoch(self) -> int | None:
        """Unix seconds now; None while nobody told us."""
        return self.epoch_at(self.ms())

    def epoch_at(self, ms: int) -> int | None:
        """Unix seconds at a moment of `ms()`; None while the wall clock is unknown."""
        return None if self._offset is None else self._epoch_ms(ms) // 1000

    def fraction_at(self, ms: int) -> int:
        """The ms behind the Unix seconds of `epoch_at`; 0 while they are not known."""
        return self._epoch_ms(ms) % 1000 if self._knows_ms else 0

    def _epoch_ms(self, ms):
        return self._offset + self._uncorrected(ms) + ms
