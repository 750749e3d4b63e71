"""The process with the stations of one locust worker.

Locust is built on gevent, the firmware on asyncio, so the stations have a process of their own. It
takes orders on stdin and reports on stdout, a line of JSON each:

    {"do": "begin", "plan": {...}, "name": "0"}     once, first
    {"do": "add", "count": 1}   {"do": "retire", "count": 1}
    {"do": "story"}                                 all are there: the scenario begins
    {"do": "finish", "within_s": 60}                answered by {"verdict": {...}}

Each half second comes {"requests": [[action, ms, bytes, failure], ...], "lag": {...}, "counts":
{...}}. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
import traceback
from pathlib import Path

from tools.fleet.fleet import Fleet, Lag, Plan
from tools.fleet.folder import flash_folder
from tools.fleet.orders import RemoteOrders

_REPORT_S = 0.5


def resident_bytes() -> int:
    """What this process takes of the machine's memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Worker:
    """One process of stations. `say(dict)` reports."""

    def __init__(self, say):
        self.say = say
        self.requests: list = []
        self.fleet: Fleet | None = None
        self.lag = Lag()

    def _call_ended(self, request):
        self.requests.append([request.action, round(request.ms, 2), request.size, request.failure])

    async def report(self) -> None:
        """The task that reports."""
        while True:
            await asyncio.sleep(_REPORT_S)
            requests, self.requests = self.requests, []
            counts = self.fleet.counts() if self.fleet else {}
            counts["bytes"] = resident_bytes()
            counts["story"] = self.fleet.story if self.fleet else ""
            self.say({"requests": requests, "lag": self.lag.take(), "counts": counts})

    async def obey(self, order: dict) -> None:
        """One order."""
        fleet = self.fleet
        if order["do"] == "add":
            fleet.add(order["count"])
        elif order["do"] == "story":
            fleet.begin()
        elif order["do"] == "retire":
            await fleet.retire(order["count"])
        elif order["do"] == "finish":
            verdict = await fleet.finish(order["within_s"])
            self.say({"verdict": verdict})

    async def run(self, next_order) -> None:
        """Lives from the first order to the last; `await next_order()` is None at the end."""
        first = await next_order()
        if not first:
            return
        plan = Plan(**first["plan"])
        central = RemoteOrders(plan.control) if plan.control else None
        with flash_folder() as folder:
            async with Fleet(plan, folder, self._call_ended, central, first["name"]) as fleet:
                self.fleet = fleet
                tasks = [asyncio.create_task(self.report()), asyncio.create_task(self.lag.run())]
                while order := await next_order():
                    task = asyncio.create_task(self.obey(order))
                    task.add_done_callback(self._failed)
                    tasks.append(task)
                    tasks = [task for task in tasks if not task.done()]
                for task in tasks:
                    task.cancel()

    def _failed(self, task):
        if not task.cancelled() and task.exception():
            text = "".join(traceback.format_exception(task.exception()))
            self.say({"error": text})


async def main() -> None:
    """Serves stdin and stdout."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    out = sys.stdout

    def say(report):
        out.write(json.dumps(report) + "\n")
        out.flush()

    async def next_order():
        line = await reader.readline()
        return json.loads(line) if line else None

    await Worker(say).run(next_order)


if __name__ == "__main__":
    # The stations' logs say what happens to each; what matters here is in the verdict.
    logging.getLogger("wallbridge").addHandler(logging.NullHandler())
    logging.getLogger("wallbridge").propagate = False
    asyncio.run(main())
