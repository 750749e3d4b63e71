"""The record of crashes in RTC memory, for the next start of a device (boot.py's docstring has the
format)."""

from machine import RTC

from firmware.base.runtime import const

_RUNNING = const(b" run")
_MEANT_TO_RESET = const(b"0 ok")
_WRONG = const(b" bad ")


class CrashRecord:
    """The number of crashes in a row, and the cause of the last one. RTC memory survives
    everything but a power cut."""

    def __init__(self):
        self._memory = RTC().memory

    def read(self) -> tuple:
        """(crashes in a row, the cause of the last one in words)."""
        words = self._memory().split(None, 2)
        crashes = int(words[0]) if words and words[0].isdigit() else 0
        return crashes, str(words[2], "utf-8") if len(words) > 2 else ""

    def text(self) -> str:
        """All of it, as it is kept."""
        return str(self._memory(), "utf-8")

    def expect_reset(self) -> None:
        """The next reset is intended, and the crashes before no longer count."""
        self._memory(_MEANT_TO_RESET)

    def expect_crash(self, why: str) -> None:
        """The next reset is a crash, for this reason."""
        self._memory(self._crashes() + _WRONG + why.encode())

    def run_on(self) -> None:
        """The station runs: a reset by the watchdog or by the chip itself counts as a crash."""
        self._memory(self._crashes() + _RUNNING)

    def forget_crashes(self) -> None:
        """The station has run for long: the next crash is the first in a row."""
        self._memory(b"0" + self._memory()[1:])

    def _crashes(self):
        return self._memory()[:1] or b"0"
