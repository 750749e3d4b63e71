"""The serial console: one command a line in; its reply's lines, then `ok` or `error: WHY`, out.

The commands are in `commands.py`. `Repl` is what a developer may have in the console's place.
"""

import asyncio
import sys

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.console import commands
from firmware.station import Station

_LONGEST_LINE = const(512)  # bytes
_BYTES_A_MS = const(11)  # at 115200 baud
_ROOM = const(128)  # bytes in the chip's UART: Python stands still until more have been sent
_LOST_MS = const(5000)  # a terminal that reads nothing for so long loses the rest of the reply
_WAIT_MS = const(20)  # how often a reply tries again while the terminal reads nothing

_BACKSPACE = (8, 127)  # what terminals send for it
_TAB = const(9)
_LINE_ENDS = (10, 13)
_CTRL_U = const(21)  # clears the line
_ESCAPE = const(27)  # the first character of a key that sends several (arrows, F1)
_SPACE = const(32)

# How far the characters of such a key have come.
_NO_KEY = const(0)
_KEY_BEGUN = const(1)  # after ESC
_KEY_GOES_ON = const(2)  # after ESC [ or ESC O, until a letter or a ~


class Console:
    """`await read()` returns some bytes, b"" at the end of the input. `write(text)` writes as much
    as there is room for and returns how many characters it wrote, or None for all of them."""

    echo = runtime.DEVICE  # a PC's terminal echoes by itself

    def __init__(self, read, write):
        self.read = read
        self.write = write
        self._data = b""  # what was read last
        self._at = 0  # how far it has been taken: a restart may come in the middle
        self._line = bytearray()
        self._too_long = False
        self._key = _NO_KEY
        self._torn = False  # the last reply lost its end

    async def run(self, station: Station) -> None:
        """The task: reads and runs lines until the end of the input, then waits for ever."""
        while True:
            if self._at == len(self._data):
                self._data = await self.read()
                self._at = 0
            if not self._data:
                await runtime.Event().wait()
            while self._at < len(self._data):
                byte = self._data[self._at]
                self._at += 1
                if byte in _LINE_ENDS:
                    await self._enter(station, byte)
                elif byte < _SPACE or byte == 127 or self._key != _NO_KEY:
                    self._edit(byte)
                elif len(self._line) < _LONGEST_LINE:
                    self._line.append(byte)
                    if self.echo and not _continues(byte):
                        hidden = b"login " in self._line or byte > 127
                        self.write("*" if hidden else chr(byte))
                else:
                    self._too_long = True

    async def _enter(self, station: Station, end):
        """Runs the line, which is complete. `end` is the character that ended it."""
        line = bytes(self._line)
        too_long = self._too_long
        self._line = bytearray()
        self._too_long = False
        self._key = _NO_KEY
        if self.echo and (line or end == 13):
            self.write("\n")
        if too_long:
            await self.reply((), "a line of more than %d characters" % _LONGEST_LINE)
        elif line.strip():
            await self.execute(station, line)

    def _edit(self, byte):
        """Handles backspace, Ctrl-U and tab. Keys that send more than one character (arrows, F1)
        do nothing."""
        line = self._line
        remove = 0  # characters
        if self._key == _KEY_BEGUN:
            self._key = _KEY_GOES_ON if byte in b"O[" else _NO_KEY
        elif self._key == _KEY_GOES_ON:
            self._key = _NO_KEY if 64 <= byte < 127 else _KEY_GOES_ON
        elif byte == _ESCAPE:
            self._key = _KEY_BEGUN
        elif byte == _TAB and len(line) < _LONGEST_LINE:
            line.append(_SPACE)
            if self.echo:
                self.write(" ")
        elif byte == _CTRL_U:
            remove = len(line)
            self._too_long = False
        elif byte in _BACKSPACE:
            remove = 1
        while remove and line:
            last = line[-1]
            line = self._line = line[:-1]
            if not _continues(last):
                remove -= 1
                if self.echo:
                    self.write("\b \b")

    async def execute(self, station: Station, line: bytes) -> None:
        """Runs one command and writes its reply. No command can crash the station."""
        lines = ()
        try:
            try:
                told = await commands.execute(station, line.decode()) or ()
            except asyncio.CancelledError:  # by a reset; each line has its reply all the same
                await self.reply((), "the station restarts: type it again")
                raise
            await self.reply(told)
            return
        except commands.Failed as why:
            lines = why.lines
            failed = str(why)
        except ValueError as why:  # a UnicodeError, too
            failed = str(why) or "not understood"
        except Exception as error:
            station.log("console").error(runtime.trace(error))
            failed = "%s: see the log" % type(error).__name__
        await self.reply(lines, failed)

    async def reply(self, lines, error: str = "") -> None:
        """Writes the lines, then `ok` or the error. Other tasks have their turns between the
        lines. A terminal that reads nothing for 5 s loses the rest."""
        last = ["error: " + error if error else "ok"]
        cancelled = None  # by a reset; then the reply is still written as far as there is room
        for part in ([""] if self._torn else (), lines, last):
            for line in part:
                line = "" if line is None else line + "\n"  # None: it is not found yet
                pause = len(line) // _BYTES_A_MS + 1 if line and runtime.DEVICE else 0
                if pause and len(line) > _ROOM and not cancelled:  # making it took time, too
                    cancelled = await _sleep(0)
                left = _LOST_MS
                self._torn = True
                while line:
                    taken = self.write(line)
                    line = "" if taken is None else line[taken:]
                    if taken == 0:
                        if cancelled:
                            raise cancelled
                        if left <= 0:
                            return
                        left -= _WAIT_MS
                        await runtime.sleep_ms(_WAIT_MS)
                self._torn = False
                if not cancelled:
                    cancelled = await _sleep(pause)
        if cancelled:
            raise cancelled


async def _sleep(ms):
    """Lets other tasks have their turn. Returns the cancellation that came meanwhile, or None."""
    try:
        await runtime.sleep_ms(ms)
        return None
    except asyncio.CancelledError as why:
        return why


def _continues(byte):
    """Whether a byte of UTF-8 continues the character that an earlier byte began."""
    return byte & 0xC0 == 0x80


class Repl:
    """aiorepl in the console's place, for developers: `"aiorepl": true` in provision.json. There
    `station` is the station, `await` works, and `maintenance` does what it does at the console.
    Its package: `mpremote mip install aiorepl`. Without it, or with a ConsolePassword, which it
    does not ask for, the console stays. `run(station)` is its task."""

    async def run(self, station: Station) -> None:
        log = station.log("console")
        try:
            import aiorepl  # type: ignore[import-not-found]
        except ImportError:
            log.error("no aiorepl: mpremote mip install aiorepl; here is the console")
            aiorepl = None
        if station.config.get("ConsolePassword"):
            log.error("aiorepl asks for no ConsolePassword; here is the console")
            aiorepl = None
        if not aiorepl:
            return await Console(runtime.Stdin().read, sys.stdout.write).run(station)
        names = {"station": station, "asyncio": asyncio, "maintenance": _Maintenance(station)}
        await aiorepl.task(names)


class _Maintenance:
    """A name that does something when it is typed alone, as at the console."""

    def __init__(self, station: Station):
        self.station = station

    def __repr__(self):
        if self.station.session.transaction:
            return "error: a transaction is running: stop it first"
        self.station.end("maintenance")
        return "ok"
