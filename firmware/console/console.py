"""The serial console: one command a line in; lines, then `ok` or `error: WHY`, out.

The commands are in `commands.py`, loaded for each line and dropped before its reply is written.
"""

import asyncio

from firmware.base import runtime

_LINE = 512  # bytes of a line at most
_BYTES_MS = 11  # a ms at 115200 baud
_LOST_MS = 5000  # a peer that has not read for so long loses the rest
_WAIT_MS = 20


class Console:
    """`write` takes some of the reply's text and says how many characters (None: all); `read`
    (awaitable) gives some bytes, b"" at the end."""

    echo = runtime.DEVICE  # a PC's terminal does that itself

    def __init__(self, read, write):
        self.read = read
        self.write = write
        self._line = bytearray()
        self._skip = False
        self._key = 0  # within a key that is more than a character: how far
        self._torn = False  # the end of a reply was lost

    async def run(self, station) -> None:
        """The task: until the end of file."""
        while True:
            data = await self.read()
            if not data:
                return await _forever()
            for byte in data:
                if byte in (10, 13):
                    line = bytes(self._line)
                    too_long = self._skip
                    self._line = bytearray()
                    self._skip = False
                    self._key = 0
                    if self.echo and (line or byte == 13):
                        self.write("\n")
                    if too_long:
                        await self.reply((), "a line of more than %d characters" % _LINE)
                    elif line.strip():
                        await self.execute(station, line)
                elif byte < 32 or byte == 127 or self._key:
                    self.edit(byte)
                elif len(self._line) < _LINE:
                    self._line.append(byte)
                    if self.echo and byte & 0xC0 != 0x80:
                        self.write("*" if b"login " in self._line or byte > 127 else chr(byte))
                else:
                    self._skip = True

    def edit(self, byte: int) -> None:
        """Backspace and Ctrl-U; keys that send more than a character do nothing."""
        line = self._line
        gone = 0  # characters
        if self._key == 1:
            self._key = 2 if byte in (79, 91) else 0  # ESC O and ESC [ go on
        elif self._key:
            self._key = 0 if 64 <= byte < 127 else 2
        elif byte == 27:
            self._key = 1
        elif byte == 9 and len(line) < _LINE:
            line.append(32)
            if self.echo:
                self.write(" ")
        elif byte == 21:
            gone = len(line)
            self._skip = False
        elif byte in (8, 127):
            gone = 1
        while gone and line:
            last = line[-1]
            line = self._line = line[:-1]
            if last & 0xC0 != 0x80:  # UTF-8: not within a character
                gone -= 1
                if self.echo:
                    self.write("\b \b")

    async def execute(self, station, line: bytes) -> None:
        """Runs one command and writes its reply. Nothing typed can stop the station."""
        try:
            lines = await runtime.soon(
                "firmware.console.commands", "execute", station, line.decode()
            )
            if isinstance(lines, tuple):
                await self.reply(*lines)
            else:
                await self.reply(lines or ())
        except ValueError as why:  # UnicodeError too
            await self.reply((), str(why) or "not understood")
        except Exception as error:
            station.log("console").error("%s", runtime.trace(error))
            await self.reply((), "%s: see the log" % type(error).__name__)
        finally:
            lines = None
            runtime.drop("firmware.ocpp.handlers.configuration", "firmware.ocpp.keys")

    async def reply(self, lines, error: str = "") -> None:
        """Others have their turns between the lines, however slow the peer is. One that does not
        read loses the rest."""
        told = ["error: " + error if error else "ok"]
        ended = None
        for part in ([""] if self._torn else (), lines, told):
            for line in part:
                line += "\n"
                pause = len(line) // _BYTES_MS + 1 if runtime.DEVICE else 0
                left = _LOST_MS
                self._torn = True
                while line:
                    taken = self.write(line)
                    line = "" if taken is None else line[taken:]
                    if taken == 0:
                        if ended:
                            raise ended
                        if left <= 0:
                            return
                        left -= _WAIT_MS
                        await runtime.sleep_ms(_WAIT_MS)
                self._torn = False
                try:
                    if not ended:
                        await runtime.sleep_ms(pause)
                except asyncio.CancelledError as why:  # a reset: no more turns for others
                    ended = why
        if ended:
            raise ended


async def _forever():
    await asyncio.Event().wait()
