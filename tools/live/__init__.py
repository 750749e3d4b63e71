"""The live view: one page on localhost that shows a station and the central system it talks to.

`make demo` serves it. The page (`page.html`) is told everything over one event stream, types at
the station's console, sends calls of the central system, and cuts the station's power; it needs
no network and no build step.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import time
from collections import deque
from pathlib import Path

from aiohttp import web

from firmware.charging import faults
from tools.live.switches import Switches

PAGE = Path(__file__).with_name("page.html")
PORT = 8016
_KEEP = 300  # messages, and lines of the log, that a page which comes late is given
_POINTS = 7200  # of the plot: an hour of them
_LOOK_S = 0.5
_PLAN_S = 2  # the composite schedule is asked for so often
_AHEAD_S = 3 * 3600  # of the composite schedule
_OWN = "live-"  # ids of calls that the view makes for itself begin so
_NO_ANSWER = "the station does not answer"


class Live:
    """`console(line)` -> (lines, error) is the station's, `send(text)` puts a message on the wire
    to it, or raises ConnectionError. `power(on)` cuts the station's power, or restores it.
    `clock()` is the station's, in Unix seconds, and runs `speed` times faster than real time."""

    def __init__(self, console, send, power=None, clock=time.time, box_id="", speed=1):
        self.console = console
        self.send = send
        self.power = power
        self.clock = clock
        self.about = {"box_id": box_id, "speed": speed}
        self.switches = Switches()
        self.messages = deque(maxlen=_KEEP)
        self.log = deque(maxlen=_KEEP)
        self.points = deque(maxlen=_POINTS)
        self.state = {}
        self.plan = None
        self.faults = []
        self.last_session = None
        self.gone = ""  # why nobody answers
        self.url = ""
        self._features = ""  # FeatureSet; "": to be asked for
        self._names = {}  # id of a call: its action
        self._starts = {}  # id of a StartTransaction call, then of its transaction: its payload
        self._waiting = {}  # id of a call of ours: a future of its answer
        self._numbers = itertools.count(1)
        self._soon = asyncio.Event()  # something has changed: look at once
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
        if way == "<":
            self.switches.link = "up"
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
        name = self._names.get(uid, "?")
        body = message[3] if kind == 2 else message[2] if kind == 3 else message[2:4]
        self._learn(kind, uid, name, body)
        entry = {"at": self.clock(), "way": way, "kind": kind, "name": name, "body": body}
        self.messages.append(entry)
        self.tell("message", entry)

    def _learn(self, kind, uid, name, body):
        """What a message tells of the station."""
        if name == "BootNotification" and kind == 2:
            self.about["model"] = body.get("chargePointModel")
            self.about["vendor"] = body.get("chargePointVendor")
            self.about["version"] = body.get("firmwareVersion")
            self.tell("about", self.about)
        elif name == "StartTransaction" and kind == 2:
            self._starts[uid] = body
            if len(self._starts) > _KEEP:
                self._starts.pop(next(iter(self._starts)))
        elif name == "StartTransaction" and kind == 3 and uid in self._starts:
            self._starts[body.get("transactionId")] = self._starts.pop(uid)
        elif name == "StopTransaction" and kind == 2 and body["transactionId"] in self._starts:
            start = self._starts.pop(body["transactionId"])
            self.last_session = {
                "id_tag": start["idTag"],
                "energy_wh": body["meterStop"] - start["meterStart"],
                "seconds": _seconds(body["timestamp"]) - _seconds(start["timestamp"]),
                "reason": body.get("reason", "Local"),
            }
        if name in ("BootNotification", "ChangeConfiguration"):
            self._features = ""
        if name != "MeterValues":
            self._soon.set()

    def typed(self, line: str) -> None:
        """The station has answered a console line with ok."""
        self.switches.typed(line)
        if line.split()[:1] == ["config"] and len(line.split()) > 2:
            self._features = ""
        if line not in ("status", "faults"):
            self._soon.set()

    def logged(self, line: str) -> None:
        """The station has written a line of its log."""
        self.log.append(line)
        self.tell("log", line)

    def powered(self, on: bool) -> None:
        """The station's power was cut, or is back."""
        self.switches.power = on
        if on:
            self.switches.start()
        else:
            self.plan = None
            self.points.append((self.clock(), None, None))
        self._soon.set()

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
        """Looks at the station every now and then, and at once when something has changed."""
        while True:
            try:
                await asyncio.wait_for(self._soon.wait(), _LOOK_S)
                await asyncio.sleep(0.05)  # more of it may come
            except asyncio.TimeoutError:
                pass
            self._soon.clear()
            try:
                if self.switches.power:
                    await self._ask()
            except (OSError, ValueError, asyncio.TimeoutError) as why:
                if self.switches.power:
                    self._lost(str(why).split("\n")[0] or _NO_ANSWER)
            if not self.switches.power:
                self._lost("the power is cut")

    def _lost(self, why):
        """Nobody answers."""
        self.gone = why
        self._fail_calls(why)
        self.tell("gone", self._told_of_loss())

    def _told_of_loss(self):
        return {"why": self.gone, "clock": self.clock(), "switches": self.switches.told()}

    def _fail_calls(self, why):
        """What was asked gets no answer any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError(why))

    async def _ask(self):
        lines, error = await self.console("status")
        if error or not lines:
            raise ValueError(error or _NO_ANSWER)
        state = json.loads(lines[0])
        self.faults = []
        if state["vendor_error"]:
            self.faults = (await self.console("faults"))[0]
        if not self._features:
            lines = (await self.console("config FeatureSet"))[0]
            self._features = lines[0].partition("=")[2] if lines else "?"
        self.gone = ""
        if state["link"] != "online":
            self._fail_calls("the link to the station is lost")
        if any(line.startswith(faults.METERING) for line in self.faults):
            state["power_w"] = None  # what it told last is no longer true
        running = state["transaction"] or {}
        started = running.get("started")
        self.state = {
            **state,
            "faults": self.faults,
            "clock": self.clock(),
            "elapsed_s": max(0, self.clock() - _seconds(started)) if started else None,
            "last_session": self.last_session,
            "features": self._features,
            "switches": self.switches.told(),
        }
        self.points.append((self.clock(), state["power_w"], running.get("energy_wh")))
        self.tell("state", self.state)

    async def _look_ahead(self):
        """Asks for the composite schedule every now and then."""
        while True:
            await asyncio.sleep(_PLAN_S)
            online = self.state.get("link") == "online" and not self.gone
            if online and self.state["registration"] == "Accepted":
                try:
                    await self._plan_ahead()
                except (OSError, asyncio.TimeoutError):
                    pass  # the plan stays, until there is a newer one

    async def _plan_ahead(self):
        payload = {"connectorId": 1, "duration": _AHEAD_S, "chargingRateUnit": "W"}
        answer = await self.call("GetCompositeSchedule", payload, "plan")
        schedule = answer[2].get("chargingSchedule") if answer[0] == 3 else None
        if schedule:
            periods = schedule["chargingSchedulePeriod"]
            plan = [[period["startPeriod"], period["limit"]] for period in periods]
            self.plan = {"from": self.clock(), "periods": plan}
            self.tell("plan", self.plan)

    # the server

    async def open(self, port: int = PORT) -> str:
        """Starts; returns the page's URL. Another port when this one is taken."""
        app = web.Application(middlewares=[_guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/events", self._events)
        app.router.add_post("/console", self._type)
        app.router.add_post("/call", self._call)
        app.router.add_post("/power", self._power)
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
        self._tasks.append(asyncio.create_task(self._look_ahead()))
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
                "about": self.about,
                "messages": list(self.messages),
                "lines": list(self.log),
                "points": list(self.points),
                "plan": self.plan,
                "state": self.state or None,
                "gone": self._told_of_loss() if self.gone else None,
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
            lines, error = [], str(why) or _NO_ANSWER
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

    async def _power(self, request):
        on = (await _asked(request, on=bool))["on"]
        if not self.power:
            raise _bad("there is no switch for the power here")
        try:
            await self.power(on)
        except OSError as why:
            return web.json_response({"error": str(why)})
        return web.json_response({"error": None})


def _seconds(text):
    """An OCPP dateTime in Unix seconds."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


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
