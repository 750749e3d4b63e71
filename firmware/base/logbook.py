"""The last log lines in flash, for diagnostics: two files of 8 KB, the older one goes.

A line begins with its date-time, or with `+` and the seconds since the start while the clock is
unknown.
"""

import asyncio

from firmware.base import times
from firmware.base.runtime import const

_FILE_BYTES = const(8192)
_DATE_TIME = len("2027-01-01T00:00:00Z")
_FOLDER = "log"
_NEW = _FOLDER + "/new"
_OLD = _FOLDER + "/old"
_AFTER_FAULT_MS = const(10000)  # what follows a fault is saved with it
_BETWEEN_FAULTS_MS = const(3600000)  # flapping faults don't wear the flash


class Logbook:
    """Keeps the lines of a Log in files."""

    def __init__(self, files, log):
        self._files = files
        self._log = log
        self._files_in_use = asyncio.Lock()  # by what lets others run meanwhile
        self._fault_saved_ms = None  # when lines were saved because of a fault

    def save(self) -> None:
        """Appends the lines that are not there yet. Raises OSError when the flash is full."""
        files = self._files
        lines = self._log.unsaved_lines()
        if not lines:
            return
        text = "\n".join([self._dated(line) for line in lines] + [""]).encode()
        files.mkdir(_FOLDER)
        try:
            if files.size(_NEW) + len(text) > _FILE_BYTES:
                files.rename(_NEW, _OLD)
        except OSError:
            pass  # it is the first
        with files.open(_NEW, "ab") as f:
            f.write(text)
        self._log.lines_saved()

    async def save_after_fault(self) -> None:
        """Saves a little later, and not each time."""
        clock = self._log.clock
        last_ms = self._fault_saved_ms
        if last_ms is not None and clock.ms() - last_ms < _BETWEEN_FAULTS_MS:
            return
        self._fault_saved_ms = clock.ms()
        await clock.sleep_ms(_AFTER_FAULT_MS)
        async with self._files_in_use:
            self.save()

    def _dated(self, line):
        clock = self._log.clock
        seconds, _, rest = line.partition(" ")
        epoch = clock.epoch_at(int(seconds) * 1000)
        return ("+" + seconds if epoch is None else times.text(epoch)) + " " + rest

    async def copy(self, file, first: str, last: str) -> None:
        """Writes the saved lines between two date-times into an open binary file; "" is no limit.
        Lines from before the clock was known are among them. Others run after each line."""
        begin, end = first.encode(), last.encode()
        async with self._files_in_use:
            for line in self.lines():
                date = line[:_DATE_TIME]
                if date[:1] == b"+" or (date >= begin and (not end or date <= end)):
                    file.write(line + b"\n")
                await asyncio.sleep(0)

    def lines(self):
        """Yields the saved lines, oldest first, as bytes."""
        for name in (_OLD, _NEW):
            try:
                with self._files.open(name, "rb") as f:
                    rest = b""
                    data = f.read(512)
                    while data:
                        found = (rest + data).split(b"\n")
                        rest = found.pop()
                        for line in found:
                            yield line
                        data = f.read(512)
            except OSError:
                pass  # not there yet
