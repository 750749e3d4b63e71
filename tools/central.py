"""A central system on loopback, built on the `ocpp` package with its JSON schemas switched on.

The demo and the tests use it. It accepts every station and every idTag unless told otherwise,
and keeps what it received. For the workbench: it has no security of its own.
"""

import asyncio
import base64
import datetime
import http
import json
import logging

import ocpp.messages
import websockets
from ocpp.exceptions import InternalError
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action

log = logging.getLogger("central")
log.addHandler(logging.NullHandler())
ocpp.messages.ASYNC_VALIDATION = False  # in a thread, answers would overtake each other


def iso(epoch: float | None = None, exact: bool = False) -> str:
    """Now, or Unix seconds, as OCPP writes it; `exact`: with milliseconds."""
    when = datetime.datetime.fromtimestamp(epoch, datetime.UTC) if epoch else None
    when = when or datetime.datetime.now(datetime.UTC)
    fraction = ".%03d" % (when.microsecond // 1000) if exact else ""
    return when.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


class Wire:
    """The websocket, with every message told to the house."""

    def __init__(self, socket, house, box_id):
        self.socket = socket
        self.house = house
        self.box_id = box_id

    async def recv(self):
        text = await self.socket.recv()
        self.house.heard(self.box_id, "<", text)
        return text

    async def send(self, text):
        self.house.heard(self.box_id, ">", text)
        await self.socket.send(text)


class Point(ChargePoint):
    """One connected station, seen from the central system."""

    def __init__(self, box_id, wire, house):
        super().__init__(box_id, wire, response_timeout=house.timeout_s, logger=log)
        self.house = house

    @on(Action.boot_notification)
    def _boot(self, **request):
        house = self.house
        status = house.registrations.pop(0) if house.registrations else "Accepted"
        if status == "CALLERROR":
            raise InternalError("a bad day")
        return call_result.BootNotification(
            current_time=house.current_time(), interval=house.interval, status=status
        )

    @after(Action.boot_notification)
    def _booted(self, **request):
        self.house.booted.set()

    @on(Action.heartbeat)
    def _heartbeat(self):
        return call_result.Heartbeat(current_time=self.house.current_time())

    @on(Action.status_notification)
    def _status(self, **request):
        if self.house.refused_statuses:
            self.house.refused_statuses -= 1
            raise InternalError("a bad day")
        return call_result.StatusNotification()

    @on(Action.authorize)
    def _authorize(self, id_tag):
        return call_result.Authorize(id_tag_info=self.house.tag(id_tag))

    @on(Action.start_transaction)
    def _start(self, **request):
        house = self.house
        house.trouble("StartTransaction")
        key = (self.id, request["id_tag"], request["timestamp"], request["meter_start"])
        if key not in house.transactions:  # a repeated StartTransaction is the same one
            house.transactions[key] = house.next_transaction
            house.next_transaction += 1
        return call_result.StartTransaction(
            transaction_id=house.transactions[key], id_tag_info=house.tag(request["id_tag"])
        )

    @on(Action.stop_transaction)
    def _stop(self, **request):
        house = self.house
        house.trouble("StopTransaction")
        if house.tells_of_stops and "id_tag" in request:
            return call_result.StopTransaction(id_tag_info=house.tag(request["id_tag"]))
        return call_result.StopTransaction()

    @on(Action.meter_values)
    def _meter(self, **request):
        self.house.trouble("MeterValues")
        return call_result.MeterValues()

    @on(Action.diagnostics_status_notification)
    def _diagnostics(self, **request):
        return call_result.DiagnosticsStatusNotification()

    @on(Action.firmware_status_notification)
    def _firmware(self, **request):
        return call_result.FirmwareStatusNotification()

    @on(Action.data_transfer)
    def _data(self, **request):
        return call_result.DataTransfer(status="UnknownVendorId")

    async def ask(self, action: str, **request):
        """A call to the station; returns the answer's object. Raises what the package raises."""
        return await self.call(getattr(call, action)(**request), suppress=False)


class House:
    """The central system: every station that is connected, and all that was said.

    `messages` holds (box_id, direction, message list): "<" from the station, ">" to it.
    """

    def __init__(self, interval=300, timeout_s=30, watch=None, now=None):
        self.interval = interval
        self.timeout_s = timeout_s
        self.watch = watch
        self.now = now or (lambda: datetime.datetime.now().timestamp())
        self.exact = False  # whether currentTime has milliseconds
        self.registrations = []  # answers to the next BootNotifications, then Accepted; CALLERROR
        self.refused = {}  # idTag -> status
        self.refused_statuses = 0  # how many StatusNotifications get a CALLERROR
        self.parents = {}  # idTag -> parentIdTag
        self.expiries = {}  # idTag -> expiryDate, Unix seconds
        self.tells_of_stops = False  # StopTransaction.conf has an idTagInfo
        self.transactions = {}
        self.next_transaction = 1001
        self.messages = []
        self.points = {}
        self.headers = []
        self.passwords = None  # box_id -> passwords (bytes) that are let in; None: everybody
        self.turned_away = []  # the passwords that were not
        self.connections = 0
        self.booted = asyncio.Event()
        self.trouble = lambda action: None  # may raise what becomes a CALLERROR
        self._changed = asyncio.Event()
        self.port = 0  # where it listens, once it is open
        self._server = None

    def tag(self, id_tag):
        info = {"status": self.refused.get(id_tag, "Accepted")}
        if id_tag in self.parents:
            info["parent_id_tag"] = self.parents[id_tag]
        if id_tag in self.expiries:
            info["expiry_date"] = iso(self.expiries[id_tag])
        return info

    def heard(self, box_id, direction, text):
        try:
            message = json.loads(text)
        except ValueError:
            message = ["?", text]
        self.messages.append((box_id, direction, message))
        if self.watch:
            self.watch(box_id, direction, message)
        self._changed.set()

    def current_time(self) -> str:
        """For currentTime."""
        return iso(self.now(), self.exact)

    # what was said, for the tests and the demo

    def calls(self, action: str) -> list:
        """The payloads of the station's calls of an action, in order."""
        said = [m for _, way, m in self.messages if way == "<" and m[:1] == [2]]
        return [m[3] for m in said if m[2] == action]

    def errors(self) -> list:
        """Every CALLERROR that the central system sent: a message of ours that broke a schema."""
        return [m for _, way, m in self.messages if way == ">" and m[:1] == [4]]

    async def heard_of(self, action: str, match=lambda payload: True, count=1, timeout=30):
        """Waits until the station has sent `count` calls of an action that match."""

        async def look():
            while True:
                found = [p for p in self.calls(action) if match(p)]
                if len(found) >= count:
                    return found[count - 1]
                self._changed.clear()
                await self._changed.wait()

        return await asyncio.wait_for(look(), timeout)

    # the server

    async def open(self, host="127.0.0.1", port=0, ssl=None) -> str:
        """Starts; returns the URL without the station's identity."""
        self._server = await websockets.serve(
            self._connected,
            host,
            port,
            subprotocols=["ocpp1.6"],  # type: ignore[list-item]
            ssl=ssl,
            ping_interval=None,
            process_request=self._door,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return "%s://%s:%d/ocpp" % ("wss" if ssl else "ws", host, self.port)

    def _door(self, socket, request):
        """HTTP Basic authentication, where `passwords` asks for it."""
        if self.passwords is None:
            return None
        box_id = request.path.rsplit("/", 1)[-1]
        word = request.headers.get("Authorization", "Basic ").split(" ", 1)[1]
        user, _, password = base64.b64decode(word).partition(b":")
        if user.decode() == box_id and password in self.passwords.get(box_id, ()):
            return None
        self.turned_away.append(password)
        return socket.respond(http.HTTPStatus.UNAUTHORIZED, "who are you?\n")

    async def _connected(self, socket):
        box_id = socket.request.path.rsplit("/", 1)[-1]
        self.headers.append({k.lower(): v for k, v in socket.request.headers.raw_items()})
        self.connections += 1
        point = Point(box_id, Wire(socket, self, box_id), self)
        self.points[box_id] = point
        self._changed.set()
        try:
            await point.start()
        except websockets.ConnectionClosed:
            pass
        finally:
            if self.points.get(box_id) is point:
                del self.points[box_id]
            self._changed.set()

    async def point(self, box_id, timeout=30) -> Point:
        """The station, once it is connected."""

        async def look():
            while box_id not in self.points:
                self._changed.clear()
                await self._changed.wait()
            return self.points[box_id]

        return await asyncio.wait_for(look(), timeout)

    async def close(self):
        if self._server:
            self._server.close()
            await self._server.wait_closed()
