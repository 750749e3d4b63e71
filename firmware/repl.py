"""aiorepl in the console's place, for developers: `"aiorepl": true` in provision.json. There
`station` is the station, and `await` works. Its package: `mpremote mip install aiorepl`."""

import asyncio


class Repl:
    """`run(station)` is its task."""

    async def run(self, station) -> None:
        try:
            import aiorepl  # type: ignore[import-not-found]
        except ImportError:
            station.log("console").error("no aiorepl: mpremote mip install aiorepl")
            await asyncio.Event().wait()
        await aiorepl.task({"station": station, "asyncio": asyncio})
