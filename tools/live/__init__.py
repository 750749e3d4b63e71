"""The live view: one page on localhost that shows a station and the central system it talks to.

`make demo` serves it. The page (`page.html`) is told everything over one event stream and types at
the station's console or sends calls of the central system; it needs no network and no build step.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import deque
from pathlib import Path

from aiohttp import web

PAGE = Path(__file__).with_name("page.html")
PORT = 8016
_KEEP = 300  # messages that a page which comes late is given
_POINTS = 7200  # of the plot: an hour of them
_LOOK_S = 0.5
_AHEAD_S = 3 * 3600  # of the composite schedule
_OWN = "live-"  # ids of calls that the view makes for itself begin so


class Live:
    """`console(line)` -> (lines, error) is the station's, `send(text)` puts a message on the wire
    to it, or raises ConnectionError."""

    def __init__(self, console, send):
        self.console = console
        self.send = send
        self.messages = deque(maxlen=_KEEP)
        self.points = deque(maxlen=_POINTS)
        self.state = {}
        self.plan = None
        self.faults = []
        self.gone = ""  # why nobody answers
        self.url = ""
        self._names = {}  # id of a call: its action
        self._waiting = {}  # id of a call of ours: a future of its answer
        self._numbers = itertools.count(1)
        self._pages = set()
        self._tasks = []
        self._runner = None

    # what the page is told

    def tell(self, what: str, value) -> None:
        """One event to every page."""
        for queue in self._pages:
            if queue.qsize() < 1000:
                queue.put_nowait({what: value})

    def message(self, way: str, message: list) -> None:
        """An OCPP message went by: "<" from the station, ">" to it."""
        kind, uid = message[0], str(message[1])
        if kind == 2:
            self._names[uid] = message[2]
            if len(self._names) > 2 * _KEEP:
                self._names.pop(next(iter(self._names)))
        else:
            future = self._waiting.pop(uid, None)
            if future and not future.done():
                future.set_result(message)
        if uid.startswith(_OWN + "plan"):
            return
        body = message[3] if kind == 2 else message[2] if kind == 3 else message[2:4]
        entry = {
            "at": time.time(),
            "way": way,
            "kind": kind,
            "name": self._names.get(uid, "?"),
            "body": body,
        }
        self.messages.append(entry)
        self.tell("message", entry)

    async def call(self, action: str, payload: dict, purpose: str = "call") -> list:
        """A call of the central system; the CALLRESULT or CALLERROR."""
        uid = "%s%s-%d" % (_OWN, purpose, next(self._numbers))
        future = self._waiting[uid] = asyncio.get_running_loop().create_future()
        try:
            await self.send(json.dumps([2, uid, action, payload]))
            return await asyncio.wait_for(future, 30)
        finally:
            self._waiting.pop(uid, None)

    async def _look(self):
        """Looks at the station, for as long as it is there."""
        for turn in itertools.count():
            await asyncio.sleep(_LOOK_S)
            try:
                lines, error = await self.console("status")
                if error or not lines:
                    continue
                self.state = json.loads(lines[0])
                if turn % 4 == 0 or self.state["vendor_error"]:
                    lines = (await self.console("faults"))[0]
                    self.faults = [] if lines == ["none"] else lines
            except (OSError, ValueError, asyncio.TimeoutError) as why:
                self.gone = str(why).split("\n")[0] or "the station does not answer"
                self.tell("gone", self.gone)
                continue
            self.gone = ""
            running = self.state["transaction"] or {}
            point = (
                self.state["uptime_s"],
                self.state["power_w"],
                running.get("energy_wh"),
            )
            self.points.append(point)
            self.tell("state", {**self.state, "faults": self.faults})
            if turn % 4 == 0 and self.state["registration"] == "Accepted":
                await self._ahead()

    async def _ahead(self):
        payload = {"connectorId": 1, "duration": _AHEAD_S, "chargingRateUnit": "W"}
        try:
            answer = await self.call("GetCompositeSchedule", payload, "plan")
        except (OSError, asyncio.TimeoutError):
            return
        schedule = answer[2].get("chargingSchedule") if answer[0] == 3 else None
        if schedule:
            periods = schedule["chargingSchedulePeriod"]
            plan = [[period["startPeriod"], period["limit"]] for period in periods]
            self.plan = {"from": self.state["uptime_s"], "periods": plan}
            self.tell("plan", self.plan)

    # the server

    async def open(self, port: int = PORT) -> str:
        """Starts; returns the page's URL. Another port when this one is taken."""
        app = web.Application(middlewares=[_guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/events", self._events)
        app.router.add_post("/console", self._type)
        app.router.add_post("/call", self._call)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        for number in (port, 0):
            site = web.TCPSite(self._runner, "127.0.0.1", number)
            try:
                await site.start()
                break
            except OSError:
                if not number:
                    raise
        port = self._runner.addresses[0][1]
        self.url = "http://127.0.0.1:%d/" % port
        self._tasks.append(asyncio.create_task(self._look()))
        return self.url

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for queue in self._pages:
            queue.put_nowait(None)
        if self._runner:
            await self._runner.cleanup()

    async def _page(self, request):
        return web.Response(text=PAGE.read_text(), content_type="text/html")

    async def _events(self, request):
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        queue = asyncio.Queue()
        self._pages.add(queue)
        try:
            event = {
                "messages": list(self.messages),
                "points": list(self.points),
                "plan": self.plan,
                "state": {**self.state, "faults": self.faults} if self.state else None,
                "gone": self.gone,
            }
            while event:
                await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
                event = await queue.get()
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._pages.discard(queue)
        return response

    async def _type(self, request):
        line = (await _asked(request, line=str))["line"]
        if not line.strip() or any(ord(c) < 32 or ord(c) == 127 for c in line):
            raise _bad("line: one line of text")
        try:
            lines, error = await self.console(line)
        except (OSError, asyncio.TimeoutError) as why:
            lines, error = [], str(why) or "the station does not answer"
        return web.json_response({"lines": lines, "error": error})

    async def _call(self, request):
        asked = await _asked(request, action=str, payload=dict)
        try:
            answer = await self.call(asked["action"], asked["payload"])
        except (OSError, asyncio.TimeoutError) as why:
            return web.json_response({"error": str(why) or "no answer"})
        if answer[0] == 4:
            return web.json_response({"error": "%s %s" % tuple(answer[2:4])})
        return web.json_response({"answer": answer[2]})


def _bad(why):
    return web.HTTPBadRequest(text=json.dumps({"error": why}), content_type="application/json")


async def _asked(request, **kinds):
    """The request's JSON object, which has these entries."""
    try:
        asked = await request.json()
    except ValueError:
        raise _bad("no JSON") from None
    for name, kind in kinds.items():
        if not isinstance(asked, dict) or not isinstance(asked.get(name), kind):
            raise _bad("an object with %s" % ", ".join(kinds))
    return asked


@web.middleware
async def _guard(request, handler):
    """No other site's page may use this one: neither under another name nor by a form."""
    if request.host.rpartition(":")[0] not in ("127.0.0.1", "localhost"):
        raise web.HTTPForbidden(text="only as localhost")
    if request.method == "POST" and request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    return await handler(request)
