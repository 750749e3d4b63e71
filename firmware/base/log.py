"""Log lines: to stderr through `logging`; the last ones are kept in RAM, and in flash for
diagnostics."""

import asyncio

from firmware.base import runtime, times
from firmware.base.runtime import const

try:
    import logging
except ImportError:  # desktop MicroPython without micropython-lib
    logging = None

_MISSING = (
    "no logging module: writing to stderr only; to install it: "
    "micropython -c \"import mip; mip.install('logging')\"\n"
)
_LINE = const(400)  # characters of a line at most
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def to_stderr() -> None:
    """What is logged goes to stderr; called once by the program."""
    if logging:  # micropython-lib's handlers have a level; on CPython other libraries log, too
        level = 10 if runtime.MICROPYTHON else 30
        logging.basicConfig(level=level, format="%(message)s", stream=runtime.stderr())


def _without_controls(text):
    """The text without control characters: a text from outside must not begin a log line of its
    own, nor move a terminal's cursor."""
    data = bytearray(text.encode())
    for n in range(len(data)):
        c = data[n]
        if c != 10 and (c < 32 or c == 127):
            data[n] = 63
    return str(data, "utf-8").replace("\n", "\n  ")


class Log:
    """One log with a ring of its last lines. `log("link")` gives a writer for one part."""

    def __init__(self, clock=None, keep: int = 16):
        self.level = LEVELS["info"]
        self.keep = keep
        self.clock = clock
        self.lines = []
        self.counts = {}  # warnings and errors by part, for diagnostics
        self._unsaved = 0  # so many of the newest lines are not in flash yet (Logbook)
        self._out = logging.getLogger("wallbridge") if logging else None
        if self._out:
            self._out.setLevel(10)
        self._stream = None  # where to, without logging

    def __call__(self, part: str) -> "Writer":
        return Writer(self, part)

    def unsaved_lines(self) -> list:
        """The lines that are not in flash yet, oldest first."""
        return self.lines[-self._unsaved :] if self._unsaved else []

    def lines_saved(self) -> None:
        """All lines are in flash now."""
        self._unsaved = 0

    def write(self, part: str, level: str, text: str) -> None:
        """Writes a line and keeps it, where its level is to be logged."""
        number = LEVELS[level]
        if number < self.level:
            return
        if number > LEVELS["info"]:
            self.counts[part] = self.counts.get(part, 0) + 1
        seconds = self.clock.ms() // 1000 if self.clock else 0
        if len(text) > _LINE:  # the end of a traceback says most
            text = text[: _LINE // 4] + " ... " + text[-_LINE * 3 // 4 :]
        if len(repr(text)) != len(text) + 2:  # a character in it needs an escape
            text = _without_controls(text)
        line = "%d %s %s: %s" % (seconds, level[0].upper(), part, text)
        if len(self.lines) >= self.keep:
            self.lines.pop(0)
        self.lines.append(line)
        self._unsaved = min(self._unsaved + 1, self.keep)
        if self._out:
            self._out.log(number, line)
            return
        if not self._stream:
            self._stream = runtime.stderr()
            self._stream.write(_MISSING)
        self._stream.write(line + "\n")


class Writer:
    """Writes for one part of the station; the text is formatted only when it is kept. Where there
    is no memory left, the kept lines are given up."""

    def __init__(self, log: Log, part: str):
        self._log = log
        self._part = part

    def _write(self, level, text, args):
        if LEVELS[level] >= self._log.level:
            try:
                self._log.write(self._part, level, text % args if args else text)
            except MemoryError:  # whoever logs has to go on
                self._log.lines.clear()
                runtime.collect()

    def debug(self, text, *args):
        self._write("debug", text, args)

    def info(self, text, *args):
        self._write("info", text, args)

    def warning(self, text, *args):
        self._write("warning", text, args)

    def error(self, text, *args):
        self._write("error", text, args)


_FILE_BYTES = const(8192)
_READ = const(128)  # bytes that are read of it at a time
_DATE_TIME = len("2027-01-01T00:00:00Z")
_FOLDER = const("log")
_NEW = _FOLDER + "/new"
_OLD = _FOLDER + "/old"
_AFTER_FAULT_MS = const(10000)  # the lines of so long after a fault are saved with it
_BETWEEN_FAULTS_MS = const(3600000)  # flapping faults don't wear the flash


class Logbook:
    """Keeps the last lines of a Log in flash, for diagnostics: two files of 8 KB, the older one
    goes. A line begins with its date-time, or with `+` and the seconds since the start while the
    clock is unknown."""

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
        # At most: for the seconds that a line begins with a date-time is written.
        size = sum([len(line.encode()) + _DATE_TIME for line in lines])
        files.mkdir(_FOLDER)
        try:
            if files.size(_NEW) + size > _FILE_BYTES:
                files.rename(_NEW, _OLD)
        except OSError:
            pass  # it is the first
        with files.open(_NEW, "ab") as f:
            for line in lines:
                f.write(self._dated(line))
        self._log.lines_saved()

    async def save_after_fault(self) -> None:
        """Saves 10 s after a fault, but not more often than once an hour."""
        clock = self._log.clock
        last_ms = self._fault_saved_ms
        if last_ms is not None and clock.ms() - last_ms < _BETWEEN_FAULTS_MS:
            return
        self._fault_saved_ms = clock.ms()
        await clock.sleep_ms(_AFTER_FAULT_MS)
        async with self._files_in_use:
            self.save()

    def _dated(self, line):
        """A line as it is in the file."""
        clock = self._log.clock
        seconds, _, rest = line.partition(" ")
        epoch = clock.epoch_at(int(seconds) * 1000)
        date = "+" + seconds if epoch is None else times.text(epoch)
        return ("%s %s\n" % (date, rest)).encode()

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
                    data = f.read(_READ)
                    while data:
                        found = (rest + data).split(b"\n")
                        rest = found.pop()
                        for line in found:
                            yield line
                        data = f.read(_READ)
            except OSError:
                pass  # not there yet
