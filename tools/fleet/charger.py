"""One charging station of a fleet: the firmware with its simulated board, the cars that come, and
the power that fails. What it says to its central system is watched on its own side of the wire.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import deque
from dataclasses import dataclass
from typing import Any

from firmware import program
from firmware.net.dial import Addresses
from firmware.ocpp import CALL, CALLERROR, CALLRESULT, CallError, authorization, schemas
from firmware.ocpp.json_reader import read_head
from firmware.ocpp.rpc import Rpc
from firmware.options import Options
from tools.fleet.ledger import ACTIONS, Ledger

NO_ANSWER = "no answer in time"
LINK_LOST = "link lost"
_LONG_OFFLINE_MS = 60000
_SETTLED_S = 5  # nothing more to tell for so long: it was all
_DIARY = 30  # entries that are kept
_BETWEEN_TRIES_S = 60  # of a driver whose idTag was not accepted


@dataclass(frozen=True)
class Car:
    """What drives in. `minutes`: how long it stays, `pauses`: it stops for a while in between;
    `fault`: the vendor error code whose cause comes while it charges, or ""."""

    id_tag: str = "DRIVER"
    phases: int = 3
    draw_ma: int = 16000
    minutes: float = 30
    pauses: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Request:
    """A CALL of a station and how it ended. `failure`: "" or what went wrong."""

    action: str
    ms: float
    size: int
    failure: str


class _Tap:
    """The link that the station's Rpc gets: the WebSocket, watched."""

    def __init__(self, socket, watch):
        self._socket = socket
        self._watch = watch
        self.slow_s = socket.slow_s
        self.lives = socket.lives
        self.drop = socket.drop

    async def send(self, text):
        self._watch.sends("".join(text))
        await self._socket.send(text)


class _WatchedRpc(Rpc):
    """The station's Rpc, whose messages a Watch sees as they go out and come in."""

    watch: Watch

    def attach(self, link):
        self.watch.tap = _Tap(link, self.watch)
        super().attach(self.watch.tap)

    def detach(self):
        self.watch.link_lost()
        super().detach()

    async def received(self, message):
        self.watch.hears(message)
        await super().received(message)


class Watch:
    """Sees a station's messages: tells `report(Request)` of each call that ended, and the ledger
    of each that belongs to a transaction. `now()`: seconds."""

    def __init__(self, ledger: Ledger, report, now):
        self.ledger = ledger
        self.tap: Any = None  # the newest link
        self._report = report
        self._now = now
        self._call: Any = None  # (uid, action, seconds, size) of the call that is out

    def sends(self, text: str) -> None:
        """A message goes out."""
        message = json.loads(text)
        if message[0] != CALL:
            return
        if self._call:
            self._ends(NO_ANSWER)
        _, uid, action, payload = message
        self._call = (uid, action, self._now(), len(text))
        if action == "BootNotification":
            self.ledger.boot()
        elif action in ACTIONS:
            self.ledger.told(uid, action, payload)

    def hears(self, message) -> None:
        """A message came in, as WebSocket.recv returns it."""
        if not self._call:
            return
        if isinstance(message, memoryview):
            try:
                frame = json.loads(bytes(message))
                kind, uid = frame[:2]
            except (ValueError, TypeError):
                return  # the station refuses it
        else:  # a long one: answers to our calls that matter are short
            kind, uid, _ = read_head(message)
            frame = [kind, uid, {}]
        if uid != self._call[0] or kind not in (CALLRESULT, CALLERROR):
            return
        _, action, _, _ = self._call
        if kind == CALLERROR:
            self.ledger.refused(uid)
            self._ends("CALLERROR " + " ".join(str(part) for part in frame[2:4]), answered=True)
            return
        try:
            schemas.check(action, "conf", frame[2], False)
        except CallError as why:
            self.ledger.refused(uid)
            self._ends("schema: %s" % why, answered=True)
            return
        self.ledger.answered(uid, frame[2])
        self._ends("", answered=True)

    def link_lost(self) -> None:
        """The link is gone, and with it the answer."""
        if self._call:
            self._ends(LINK_LOST)

    def _ends(self, failure, answered=False):
        uid, action, begun, size = self._call
        self._call = None
        if not answered:
            self.ledger.unanswered(uid)
        self._report(Request(action, (self._now() - begun) * 1000, size, failure))


class Charger:
    """A station and what happens to it. `options` are the firmware's, with a folder of its own as
    `state`; `report` as for Watch. `cars` counts those that came."""

    def __init__(self, name: str, options: Options, report):
        self.name = name
        self.options = options
        self.cars = 0
        self.ledger = Ledger()
        self.car: Car | None = None
        self.is_on = False
        self.station: Any = None
        self.diary: deque = deque(maxlen=_DIARY)  # (s of the loop, what was done to the station)
        self.addresses: Any = None  # in the place of the station's: the way over a relay
        self._report = report
        self._parts: Any = None
        self._task: Any = None
        self._watch: Any = None
        self._visit: Any = None  # the task of the car that is here

    def _note(self, what):
        self.diary.append((round(asyncio.get_running_loop().time()), what))

    # the power

    def power_on(self) -> None:
        """The mains are there: the station starts, and a car that is plugged in is there too."""
        if self.is_on:
            return
        self._parts = program.Parts(self.options)
        self._parts.console = self
        if self.car:
            self._plug(self.car)
        self.is_on = True
        self._note("power on")
        self._task = asyncio.create_task(program.serve(self._parts))

    async def run(self, station) -> None:
        """In the console's place: gets hold of each station that starts, and watches it."""
        self.station = station
        loop = asyncio.get_running_loop()
        rpc = station.rpc
        self._watch = Watch(self.ledger, self._report, loop.time)
        station.rpc = _WatchedRpc(rpc.handler, rpc.log, rpc.timeout_s, station.clock.ms)
        station.rpc.watch = self._watch
        if self.addresses:
            station.connection.addresses = self.addresses
        await asyncio.Event().wait()

    async def power_off(self) -> None:
        """The mains fail: nothing that happens from now on reaches the flash, and nobody says
        goodbye."""
        if not self.is_on:
            return
        self.is_on = False
        self._note("power off")
        state, then = self.options.state, self.options.state + ".then"
        os.rename(state, then)
        if self._watch and self._watch.tap:
            self._watch.tap.drop()
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()  # it could not save what it wanted to: there was no flash
        shutil.rmtree(state, ignore_errors=True)
        os.rename(then, state)
        self.station = self._parts = self._watch = None

    async def quit(self) -> None:
        """Ends the station in an orderly way."""
        if self._visit:
            self._visit.cancel()
        if self.is_on:
            self.is_on = False
            if self.station:
                self.station.end("quit")
            await asyncio.wait((self._task,), timeout=30)
            self._task.cancel()
            self.station = self._parts = self._watch = None

    def take_way(self, addresses) -> None:
        """From now on the station dials over a relay's Detour; None: straight."""
        self.addresses = addresses
        if self.station:
            self.station.connection.addresses = addresses or Addresses()
            self.station.connection.redial()

    # cars

    def _plug(self, car):
        board = self._parts.board
        board.command(["phases", str(car.phases)])
        board.command(["draw", str(car.draw_ma)])
        board.command(["plug"])
        board.command(["ready"])

    def _command(self, *words):
        if self._parts:
            self._parts.board.command(list(words))

    def car_comes(self, car: Car) -> None:
        """A car drives in, charges, and drives away in its time; unless there is one already."""
        if not self._visit or self._visit.done():
            self._visit = asyncio.create_task(self._stay(car))

    async def _stay(self, car):
        self.car = car
        self.cars += 1
        self._note(car)
        if self._parts:
            self._plug(car)
        left_s = car.minutes * 60
        thirds = (left_s / 3, left_s / 3, left_s / 3)
        try:
            for third, part_s in enumerate(thirds):
                if third == 1 and car.pauses:
                    self._command("pause")
                elif third == 2 and car.pauses:
                    self._command("ready")
                if third == 1 and car.fault:
                    self._command("fault", car.fault, "on")
                await self._charge_for(part_s, car)
        finally:
            if car.fault:
                self._command("fault", car.fault, "off")
            self.car_leaves()

    async def _charge_for(self, seconds, car):
        """Charges for so many seconds of station time. A driver whose car does not charge shows
        the card again, once a minute."""
        while seconds > 0:
            step_s = min(seconds, _BETWEEN_TRIES_S)
            if self._wants_card():
                authorization.present_id_tag(self.station, car.id_tag)
            await asyncio.sleep(step_s / self.options.speed)
            seconds -= step_s

    def _wants_card(self):
        station = self.station
        return (
            station
            and not station.session.car_already_charged
            and station.session.can_start_transaction()
        )

    def car_leaves(self) -> None:
        """Unplugs the car, if there is one."""
        if self.car:
            self._note("the car leaves")
        self.car = None
        self._command("unplug")
        for fault in list(self._parts.board.faults) if self._parts else ():
            self._command("fault", fault, "off")

    # the end

    def queue(self) -> int:
        """How many messages the station still owes."""
        return self.station.transactions.outbox.pending if self.station else 0

    def is_charging(self) -> bool:
        return bool(self.station and self.station.evse.contactor)

    def is_online(self) -> bool:
        return bool(self.station and self.station.registration.online.is_set())

    async def finish(self, until: float) -> None:
        """The car leaves, the power is there; waits until all is told, at most until `until` of
        the loop's time, and closes the ledger."""
        if self._visit:
            self._visit.cancel()
            await asyncio.wait((self._visit,))
        if self._is_long_offline():
            self.station.connection.redial()  # it may be in the middle of a long pause
        self.power_on()
        self.car_leaves()
        loop = asyncio.get_running_loop()
        settled = 0.0  # s of station time for which all has been told
        while loop.time() < until and settled < _SETTLED_S:
            await asyncio.sleep(0.5)
            settled = settled + 0.5 * self.options.speed if self._has_told_all() else 0
        queue, flowed = self.queue(), self._parts.board.reading()["energy"]
        self.ledger.close(queue, flowed)

    def _is_long_offline(self):
        if not self.station:
            return False
        lost_ms = self.station.connection.lost_ms
        return lost_ms is not None and self.station.clock.ms() - lost_ms > _LONG_OFFLINE_MS

    def _has_told_all(self):
        station = self.station
        return (
            station
            and self.is_online()
            and station.meter.last  # before, a transaction that a power cut ended is not closed
            and not station.evse.plugged
            and not station.session.transaction
            and not self.queue()
        )
