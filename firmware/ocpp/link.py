"""The connection to the central system: kept up, served, found again (OCPP-J 3, 5, errata 3.4)."""

import asyncio

from firmware.base import runtime
from firmware.net import websocket
from firmware.ocpp import LinkDown

_TRIAL_MS = 600000  # a new place has so long to answer BootNotification before it goes back
_FLUSH_S = 10
_DROP = ("firmware.net.tls", "firmware.ocpp.security")


class Link:
    """One WebSocket at a time. `state` is off, connecting or online (the socket stands);
    `lost_ms` since when there has been no link, None while there is one."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("link")
        self.state = "off"
        self.lost_ms = station.clock.ms()  # which goes on after a Reset
        self.endpoint = 0  # of the connection that stands
        self.connections = 0  # since the start, for diagnostics
        self.ca = None  # CA certificates, DER or PEM
        self.insecure = False  # the operator's word that TLS needs no CA
        self.by_old = True  # the connection says nothing about the present AuthorizationKey
        self.profile = 0  # the SecurityProfile of the connection
        self.known = {}  # the addresses that names last had
        self._cut = getattr(station.board, "cut", False)  # the bench's world outlives a reset
        self._parked = False
        self._socket = None
        self._wake = asyncio.Event()
        self._alive = None  # the task that pings
        self._trial = None  # until when (ms) a new place may take to answer

    def url(self) -> str:
        """The URL to dial; empty where there is none. The guide's default is somebody's server:
        it is reported, and dialled only when somebody set it."""
        return self.station.config.given("SupervisionUrl") or ""

    def _place(self, job, *words):
        """A job of `dialing.py`."""
        done = runtime.once("firmware.ocpp.dialing", job, *words)
        runtime.drop(*_DROP)
        return done

    def place(self) -> bytes:
        """Where and as whom; the store's "place" is where we were accepted last."""
        config = self.station.config
        return (config.get("SupervisionUrl") + "\n" + config.get("BoxIdentifier")).encode()

    def accepted_here(self) -> bool:
        """Whether this place once accepted this station."""
        return self.station.config.store.read("place") == self.place()

    def answered(self) -> None:
        """BootNotification was answered: somebody is there, unless the place changed since, and
        talks to who we are now."""
        if self.endpoint == self.station.endpoint():
            self._trial = None
        store = self.station.config.store
        if store.read("auth-old") or store.read("profile-old"):
            self._place("worked", self)

    def accepted(self) -> None:
        """The central system accepted the station: this is the place to come back to."""
        self._place("remember", self)

    def move(self) -> None:
        """SupervisionUrl or BoxIdentifier changed: dials the new place, on trial."""
        self._try()
        self.redial()

    def _try(self):
        before = self.station.config.store.read("place")
        if before and before != self.place() and self.url():
            self._trial = self.station.clock.ms() + _TRIAL_MS
        else:
            self._trial = None

    def redial(self) -> None:
        """Closes the connection, and dials without waiting."""
        self._wake.set()

    def ping_changed(self) -> None:
        """WebSocketPingInterval or MessageTimeout has another value."""
        if self._socket:
            config = self.station.config
            if self._alive:
                self._alive.cancel()
            every = config.int("WebSocketPingInterval")
            alive = self._socket.keepalive(every, config.int("MessageTimeout"))
            self._alive = asyncio.create_task(alive)

    def sever(self, cut: bool) -> None:
        """The bench's "sim link": the network is gone, or back."""
        if cut != self._cut:
            self._cut = self.station.board.cut = cut
            self._wake.set()

    async def park(self) -> None:
        """Gives the connection up for a transfer that needs its memory, until `resume`."""
        self._parked = True
        self._wake.set()
        while self._socket:
            await asyncio.sleep(0.1)

    def resume(self) -> None:
        """The transfer is over: dials without waiting."""
        self._parked = False
        self._wake.set()

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket:
            await socket.close(1001, "going away")

    async def run(self) -> None:
        """The task: dials, serves, and after any failure waits longer each time."""
        attempt = 0
        station = self.station
        self._down()  # what a crash has left
        if "SupervisionUrl" not in station.config.run:
            self._try()  # a restart does not end a trial
        while True:
            self._wake.clear()
            if self._trial_over():
                self._trial = None
                self._place("go_back", self)
            endpoint = station.endpoint()
            if endpoint != station.transactions.endpoint:
                station.transactions.endpoint = endpoint
                station.registration.forget()
            station.session.accept_transactions()
            if self._cut or self._parked or not self.url():
                self.state = "off"
                await self._wake.wait()
                continue
            self.state = "connecting"
            begun = runtime.ticks_ms()
            owed = station.transactions.pending
            try:
                await self._connect()
                await self._serve()
            except runtime.LINK_ERRORS + (MemoryError,) as why:
                self.log.warning("%s", str(why) or "no answer in time")
            self._down()
            if self._wake.is_set():  # asked for: at once
                attempt = 0
                continue
            lasted = runtime.ticks_diff(runtime.ticks_ms(), begun)
            if lasted > 60000 or station.transactions.pending < owed:  # it was of use
                attempt = 0
            pause = websocket.backoff(attempt, runtime.urandom(1)[0])
            attempt += 1
            if station.registration.status != "Accepted" or attempt > 1:
                self._place("failed", self, attempt)
            if self._trial is not None:
                left = (self._trial - station.clock.ms()) // station.clock.speed
                pause = max(0, min(pause, left))
            self.log.info("next attempt in %d s", pause // 1000)
            await runtime.wait(self._wake, pause)

    def _trial_over(self):
        return self._trial is not None and self.station.clock.ms() >= self._trial

    async def _connect(self):
        self.endpoint = self.station.transactions.endpoint
        try:
            self._socket = await runtime.soon("firmware.ocpp.dialing", "dial", self)
        finally:
            runtime.drop(*_DROP)
        self.connections += 1
        self.log.info("connected")
        store = self.station.config.store
        if store.read("profile-old") or not self.by_old and store.read("auth-old"):
            # whether the new one works is for BootNotification.conf to say
            self.station.registration.renew()

    async def _serve(self):
        station = self.station
        socket = self._socket
        self.state = "online"
        self.lost_ms = None
        station.rpc.attach(socket)
        works = (
            station.registration.run(),
            station.notifier.run(),
            station.delivery.run(),
            self._watch(),
        )
        tasks = [asyncio.create_task(self._guard(work, socket)) for work in works]
        self.ping_changed()
        try:
            while True:
                await station.rpc.received([await socket.recv()])
        finally:
            station.rpc.detach()
            await runtime.stop(tasks + [self._alive])

    async def _guard(self, work, socket):
        """A part of the connection that ends takes the connection with it."""
        try:
            await work
        except LinkDown:  # said by whoever took the link down
            pass
        except runtime.LINK_ERRORS as why:
            self.log.warning("%s", str(why) or "no answer in time")
        except Exception as error:
            socket.drop()  # in any case: to say it may take more memory than there is
            self.log.error("%s", runtime.trace(error))
        socket.drop()

    async def _watch(self):
        """Ends the connection when the place changed, the trial is over or the bench cuts it."""
        while not self._trial_over():
            if self._trial is None:
                await self._wake.wait()
            else:
                await runtime.wait(self._wake, 1000)
            if self._cut:
                return
            if self._wake.is_set():
                await self.station.delivery.emptied(_FLUSH_S)  # what belongs to this place
                await self._socket.close(1000, "reconnecting")
                return

    def _down(self):
        self.state = "connecting"
        if self._socket:
            self._socket.drop()
            self._socket = None
        self.station.registration.online.clear()
        self.station.notifier.clear()
        if self.lost_ms is None and not self._parked:  # which is no loss
            self.lost_ms = self.station.clock.ms()
