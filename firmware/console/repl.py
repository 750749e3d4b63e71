"""aiorepl in the console's place, for developers: `"aiorepl": true` in provision.json. There
`station` is the station, `await` works, and `maintenance` does what it does at the console. Its
package: `mpremote mip install aiorepl`. Without it, or with a ConsolePassword, which it does not
ask for, the console stays."""

import asyncio
import sys

from firmware.base import runtime
from firmware.console.console import Console
from firmware.station import Station


class Repl:
    """`run(station)` is its task."""

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
