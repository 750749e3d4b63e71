"""The central system of `make fleet`, in a process of its own: that of `tools/central.py`, which
checks each message against OCPP's schemas, and takes orders for the scenarios.

    python -m tools.fleet.central --port 9000 --control 9001

Orders are POSTs to the control port: /restart?down_s=20, /trouble?share=0.1. On loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys

from aiohttp import web
from ocpp.exceptions import InternalError

from tools.central import House
from tools.fleet.fleet import allow_many_sockets


class Crowd(House):
    """A House that keeps no messages, since there are too many."""

    def heard(self, box_id, direction, text):
        pass


class Orders:
    """What a scenario may ask of a House: the `central` of a Fleet in the same process."""

    def __init__(self, house: House, seed: int = 1):
        self.house = house
        self.restarts = 0
        self._chance = random.Random(seed)
        self._share = 0.0
        self._restarting: asyncio.Task | None = None
        house.trouble = self._strike

    def _strike(self, action):
        if self._chance.random() < self._share:
            raise InternalError("a bad day")

    async def trouble(self, share: float) -> None:
        """So much of what is said of transactions gets a CALLERROR from now on."""
        self._share = share

    async def restart(self, down_s: float) -> None:
        """Hangs up on everybody, and is not there for so long. Returns at once. Several who ask
        for it at the same time get one."""
        if not self._restarting or self._restarting.done():
            self._restarting = asyncio.create_task(self._restart(down_s))

    async def _restart(self, down_s):
        self.restarts += 1
        port = self.house.port
        await self.house.close()
        await asyncio.sleep(down_s)
        await self.house.open(port=port)


async def serve(port: int, control: int, until_eof: bool) -> None:
    """Runs both until it is ended, or until the end of stdin. Prints a line of JSON with their
    ports."""
    allow_many_sockets()
    house = Crowd()
    url = await house.open(port=port)
    orders = Orders(house)

    async def restart(request):
        await orders.restart(float(request.query["down_s"]))
        return web.Response()

    async def trouble(request):
        await orders.trouble(float(request.query["share"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/restart", restart)
    app.router.add_post("/trouble", trouble)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", control).start()
    where = "http://127.0.0.1:%d" % runner.addresses[0][1]
    print(json.dumps({"url": url, "control": where}), flush=True)
    if until_eof:  # whoever started it has gone
        await asyncio.to_thread(sys.stdin.read)
    else:
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control", type=int, default=0)
    parser.add_argument("--until-eof", action="store_true", help="ends with its stdin")
    options = parser.parse_args()
    try:
        asyncio.run(serve(options.port, options.control, options.until_eof))
    except KeyboardInterrupt:
        pass
