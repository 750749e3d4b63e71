"""What RTC memory tells the next start of a device (boot.py's docstring has the format)."""

from machine import RTC

_RUNNING = b" run"
_MEANT_TO_RESET = b"0 ok"
_WRONG = b" bad "


class CrashRecord:
    """The crashes in a row, and what the last one was. RTC memory survives all but the loss of
    power."""

    def __init__(self):
        self._memory = RTC().memory

    def read(self) -> tuple:
        """(crashes in a row, what the last one was, in words)."""
        words = self._memory().split(None, 2)
        crashes = int(words[0]) if words and words[0].isdigit() else 0
        return crashes, str(words[2], "utf-8") if len(words) > 2 else ""

    def text(self) -> str:
        """All of it, as it is kept."""
        return str(self._memory(), "utf-8")

    def expect_reset(self) -> None:
        """The next reset is meant, and there were no crashes."""
        self._memory(_MEANT_TO_RESET)

    def expect_crash(self, why: str) -> None:
        """The next reset is one that was not meant."""
        self._memory(self._crashes() + _WRONG + why.encode())

    def run_on(self) -> None:
        """All is well: a reset by the watchdog or by the chip itself would be a crash."""
        self._memory(self._crashes() + _RUNNING)

    def forget_crashes(self) -> None:
        """The crashes before were not in a row with what may come."""
        self._memory(b"0" + self._memory()[1:])

    def _crashes(self):
        return self._memory()[:1] or b"0"
