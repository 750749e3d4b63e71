"""The connection to the central system: opened, kept up, and found again after each loss (OCPP-J 3
and 5, errata 3.4).

An endpoint is where and as whom the station talks: the SupervisionUrl and the BoxIdentifier. The
messages of a transaction belong to the endpoint under which it began. A new endpoint is on trial:
if it has not answered a BootNotification within ten minutes, the station goes back to the last one
that accepted it.

`Connection.run` is the task. How a connection is secured, with which password and certificates,
is in `security.py`; name resolution, TCP and TLS are in `net/`.
"""

import asyncio
import binascii

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.net import websocket
from firmware.net.dial import Addresses
from firmware.net.url import station_url
from firmware.ocpp import LinkDown

OFF = "off"
CONNECTING = "connecting"
ONLINE = "online"

_ACCEPTED_ENDPOINT = const("place")  # the name in the store of the endpoint that accepted us last
_TRIAL_MS = const(600000)
_DELIVER_S = const(10)  # how long a new connection waits for messages to the old endpoint
_OF_USE_MS = const(60000)  # a connection that lasted so long was no failure


class Connection:
    """The WebSocket to the central system, one at a time.

    `state`: OFF, CONNECTING or ONLINE (the socket is open). `lost_ms`: since when there has been
    no connection, None while there is one. `connections`: how many there were since the start.
    `endpoint_id`: the endpoint of the newest one. `addresses`: the addresses of the host names."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("link")
        self.state = OFF
        self.lost_ms = station.clock.ms()
        self.connections = 0
        self.endpoint_id = 0
        self.addresses = Addresses()
        self._severed = station.parts.network_severed
        self._suspended = False
        self._socket = None
        self._wake = runtime.Event()  # ends the connection, or the pause before the next one
        self._pings = None  # the task that sends pings
        self._trial_until_ms = None

    # endpoints

    def url(self) -> str:
        """The URL to dial, "" for none. The key's default, which the guide prescribes, is a server
        in use: the station reports it, but dials it only when somebody has set it."""
        return self.station.config.without_default("SupervisionUrl")

    def present_endpoint_id(self) -> int:
        """The number of the endpoint that the keys name now; 0 where there is no central
        system."""
        if not self.station.config.get("SupervisionUrl"):
            return 0
        return binascii.crc32(self._present_endpoint())

    def _present_endpoint(self):
        """The endpoint as it is stored: the URL, a line break, the identity."""
        config = self.station.config
        return (config.get("SupervisionUrl") + "\n" + config.get("BoxIdentifier")).encode()

    def _accepted_endpoint(self):
        """The endpoint that accepted this station last, as stored; None before any did."""
        return self.station.config.store.read(_ACCEPTED_ENDPOINT)

    def is_accepted_endpoint(self) -> bool:
        """Whether the present endpoint is the one that accepted this station last."""
        return self._accepted_endpoint() == self._present_endpoint()

    def boot_answered(self) -> None:
        """BootNotification was answered, so the endpoint works: its trial is over, unless the keys
        name another one by now."""
        if self.endpoint_id == self.present_endpoint_id():
            self._trial_until_ms = None
        self.station.security.proved()

    def accepted(self) -> None:
        """The central system accepted the station: stores the endpoint to come back to."""
        if self.endpoint_id == self.present_endpoint_id() and not self.is_accepted_endpoint():
            self.station.config.store.write(_ACCEPTED_ENDPOINT, self._present_endpoint())

    def change_endpoint(self) -> None:
        """SupervisionUrl or BoxIdentifier changed: dials the new endpoint, on trial."""
        self._begin_trial()
        self.redial()

    def _begin_trial(self):
        before = self._accepted_endpoint()
        if before and before != self._present_endpoint() and self.url():
            self._trial_until_ms = self.station.clock.ms() + _TRIAL_MS
        else:
            self._trial_until_ms = None

    def is_on_trial(self) -> bool:
        """Whether the endpoint is a new one, from which the station may have to go back: what
        begins now could never be delivered."""
        return self._trial_until_ms is not None

    def _trial_failed(self):
        return self._trial_until_ms is not None and self.station.clock.ms() >= self._trial_until_ms

    def _return_to_accepted_endpoint(self):
        config = self.station.config
        url, _, box = self._accepted_endpoint().decode().partition("\n")
        self.log.error("%s did not answer this station: back to %s", self.url(), url)
        config.change("SupervisionUrl", url)
        config.change("BoxIdentifier", box)
        self._trial_until_ms = None

    # what others ask for

    def dialling_begins(self) -> None:
        """The journal is read, so that the task can begin: to be without a connection counts from
        now on."""
        self.lost_ms = self.station.clock.ms()

    def redial(self) -> None:
        """Closes the connection and dials again at once."""
        self._wake.set()

    def pings_changed(self) -> None:
        """WebSocketPingInterval or MessageTimeout has another value."""
        if self._socket:
            if self._pings:
                self._pings.cancel()
                self._pings = None
            config = self.station.config
            interval_s = config.int("WebSocketPingInterval")
            if interval_s:
                pings = self._socket.keepalive(interval_s, config.int("MessageTimeout"))
                self._pings = asyncio.create_task(self._guard(pings, self._socket))

    def sever(self, severed: bool) -> None:
        """The console's `sim link`: cuts the network off, or connects it again."""
        if severed != self._severed:
            self._severed = severed
            self.station.parts.sever_network(severed)
            self._wake.set()

    async def suspend(self) -> None:
        """Closes the connection, for a transfer that needs its memory, until `resume`."""
        self._suspended = True
        self._wake.set()
        while self._socket:
            await asyncio.sleep(0.1)

    def resume(self) -> None:
        """The transfer is over: dials again at once."""
        self._suspended = False
        self._wake.set()

    async def close(self) -> None:
        """Closes the connection with a close frame: the station is about to end."""
        socket, self._socket = self._socket, None
        if socket:
            await socket.close(websocket.GOING_AWAY, "going away")

    # the task

    async def run(self) -> None:
        """Connects, serves the connection, and waits longer after each failure in a row."""
        station = self.station
        failures = 0  # in a row
        self._disconnected()  # tidies up after a crash of this task
        if not station.config.is_for_this_run("SupervisionUrl"):
            self._begin_trial()  # a restart does not end a trial
        while True:
            self._wake.clear()
            if self._trial_failed():
                self._return_to_accepted_endpoint()
            self._take_present_endpoint()
            station.session.accept_transactions()
            if self._severed or self._suspended or not self.url():
                self.state = OFF
                await self._wake.wait()
                continue
            self.state = CONNECTING
            if not station.network_joined.is_set():
                self.log.info("waiting for the network")
                await station.network_joined.wait()
                failures = 0
                continue  # the keys may name another endpoint by now
            begun = runtime.ticks_ms()
            owed = station.transactions.outbox.pending
            try:
                await self._connect()
                await self._serve()
            except runtime.LINK_ERRORS + (MemoryError,) as why:
                self.log.warning("%s", str(why) or "no answer in time")
            self._disconnected()
            if self._wake.is_set():  # somebody asked to dial at once
                failures = 0
                continue
            lasted = runtime.ticks_diff(runtime.ticks_ms(), begun)
            if lasted > _OF_USE_MS or station.transactions.outbox.pending < owed:
                failures = 0
            pause = self._pause_ms(failures)
            failures += 1
            if not station.registration.is_accepted() or failures > 1:
                station.security.connections_failed(failures)
            self.log.info("next attempt in %d s", pause // 1000)
            await runtime.wait(self._wake, pause)

    def _pause_ms(self, failures):
        """Real milliseconds until the next attempt; it comes before a trial ends."""
        pause = websocket.backoff(failures, runtime.urandom(1)[0])
        if self._trial_until_ms is not None:
            clock = self.station.clock
            left = (self._trial_until_ms - clock.ms()) // clock.speed
            pause = max(0, min(pause, left))
        return pause

    def _take_present_endpoint(self):
        """From now on new messages belong to the endpoint that the keys name."""
        station = self.station
        endpoint_id = self.present_endpoint_id()
        if endpoint_id != station.transactions.outbox.endpoint_id:
            station.transactions.outbox.set_endpoint(endpoint_id)
            station.registration.forget()

    async def _connect(self):
        station = self.station
        self.endpoint_id = station.transactions.outbox.endpoint_id
        url = station_url(self.url(), station.config.get("BoxIdentifier"))
        self.log.info("dialling %s", url)
        self._socket = await station.security.connect(url, self.addresses)
        self.connections += 1
        self.log.info("connected")
        if station.security.awaits_proof():
            station.registration.renew()

    async def _serve(self):
        """Serves the connection until it ends, which raises one of runtime.LINK_ERRORS."""
        station = self.station
        socket = self._socket
        self.state = ONLINE
        self.lost_ms = None
        station.rpc.attach(socket)
        works = (
            station.registration.run(),
            station.notifier.run(),
            station.transaction_sender.run(),
            self._watch(),
        )
        tasks = [asyncio.create_task(self._guard(work, socket)) for work in works]
        self.pings_changed()
        try:
            while True:
                await station.rpc.received(await socket.recv())
        finally:
            station.rpc.detach()
            if self._pings:
                tasks.append(self._pings)
                self._pings = None
            await runtime.stop(tasks)

    async def _guard(self, work, socket):
        """Runs a part of the connection, and drops the connection when that part ends."""
        try:
            await work
        except Exception as error:
            socket.drop()  # first, since there may be no memory for a log line
            self._log_end(error)
        socket.drop()

    def _log_end(self, error):
        """Logs why a part of the connection has ended."""
        if isinstance(error, runtime.LINK_ERRORS):
            if not isinstance(error, LinkDown):  # else the reason has been logged
                self.log.warning("%s", str(error) or "no answer in time")
        else:
            self.log.error(runtime.trace(error))

    async def _watch(self):
        """Returns, and so ends the connection, when somebody asks for that, the trial has failed,
        or `sim link` cuts it."""
        while not self._trial_failed():
            if self._trial_until_ms is None:
                await self._wake.wait()
            else:
                await runtime.wait(self._wake, 1000)
            if self._severed:
                return
            if self._wake.is_set():
                # the messages for this endpoint are delivered first
                await self.station.transaction_sender.wait_until_delivered(_DELIVER_S)
                await self._socket.close(websocket.NORMAL, "reconnecting")
                return

    def _disconnected(self):
        self.state = CONNECTING
        if self._socket:
            self._socket.drop()
            self._socket = None
        self.station.registration.online.clear()
        self.station.notifier.clear()
        if self.lost_ms is None and not self._suspended:  # to be suspended is no loss
            self.lost_ms = self.station.clock.ms()
