"""The serial console: one command a line in; lines, then `ok` or `error: WHY`, out.

The commands are in `commands.py`, loaded for each line and dropped after it.
"""

import sys

from firmware.base import runtime

_LINE = 512  # bytes of a line at most


class Console:
    """`write` takes the reply's text; `read` (awaitable) gives some bytes, b"" at the end."""

    def __init__(self, read, write=sys.stdout.write):
        self.read = read
        self.write = write
        self._line = bytearray()
        self._skip = False

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
                    if too_long:
                        self.reply((), "a line of more than %d characters" % _LINE)
                    elif line.strip():
                        await self.execute(station, line)
                elif len(self._line) < _LINE:
                    self._line.append(byte)
                else:
                    self._skip = True

    async def execute(self, station, line: bytes) -> None:  # cold
        """Runs one command and writes its reply. Nothing typed can stop the station."""
        try:
            lines = await runtime.load("firmware.commands").execute(station, line.decode())
            if isinstance(lines, tuple):
                self.reply(*lines)
            else:
                self.reply(lines or ())
        except ValueError as why:  # UnicodeError too
            self.reply((), str(why) or "not understood")
        except Exception as error:
            station.log("console").error("%s", runtime.trace(error))
            self.reply((), "%s: see the log" % type(error).__name__)
        finally:
            lines = None
            runtime.drop("firmware.commands", "firmware.ocpp.configuration", "firmware.ocpp.keys")

    def reply(self, lines, error: str = "") -> None:  # cold
        for line in lines:
            self.write(line + "\n")
        self.write("error: %s\n" % error if error else "ok\n")
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()


async def _forever():
    import asyncio

    await asyncio.Event().wait()
