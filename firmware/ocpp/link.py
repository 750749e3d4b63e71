"""The connection to the central system: dialling, serving, coming back (OCPP-J 3, 5, errata 3.4)."""

import asyncio

from firmware.base import runtime
from firmware.net import address, tls, websocket
from firmware.ocpp import keys
from firmware.ocpp.rpc import LinkDown

_TRIAL_MS = 600000  # a new place has so long to accept the station before it goes back
_FLUSH_S = 10


class Link:
    """One WebSocket at a time. `state` is off, connecting or online (the socket stands);
    `lost_ms` since when there has been no link, None while there is one."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("link")
        self.state = "off"
        self.lost_ms = 0
        self.cut = False  # the bench's "sim link down"
        self.endpoint = 0  # of the connection that stands
        self.ca = None  # CA certificates, DER or PEM
        self._socket = None
        self._known = {}  # the addresses that names last had
        self._wake = asyncio.Event()
        self._ping_changed = asyncio.Event()
        self._trial = None  # until when (ms) a new place may take to accept us

    # where to

    def url(self) -> str:
        """The URL to dial; empty where there is none. The guide's default is somebody's server:
        it is reported, and dialled only when somebody set it."""
        config = self.station.config
        url = config.get("SupervisionUrl")
        default = keys.row("SupervisionUrl")[3]
        told = (config.run, config.stored, config.provisioned)
        if url == default and not any("SupervisionUrl" in layer for layer in told):
            return ""
        return url

    def _place(self):
        config = self.station.config
        return config.get("SupervisionUrl") + "\n" + config.get("BoxIdentifier")

    def accepted_here(self) -> bool:
        """Whether this place once accepted this station."""
        return self.station.config.store.read("place") == self._place().encode()

    def remember(self) -> None:
        self._trial = None
        if not self.accepted_here():
            self.station.config.store.write("place", self._place().encode())

    async def move(self) -> None:
        """SupervisionUrl or BoxIdentifier changed: the transaction ends and is delivered as far as
        it goes, then the new place is dialled."""
        station = self.station
        await station.session.stopped("Other")
        if self.station.config.store.read("place"):
            self._trial = station.clock.ms() + _TRIAL_MS
        station.registration.forget()
        self.redial()

    def _back(self):
        """The new place did not accept us: back to the last that did."""
        self._trial = None
        url, _, box = self.station.config.store.read("place").decode().partition("\n")
        self.log.error("%s did not accept this station: back to %s", self.url(), url)
        config = self.station.config
        config.put("SupervisionUrl", url)
        config.put("BoxIdentifier", box)
        self.station.registration.forget()
        self.redial()

    def redial(self) -> None:
        """Closes the connection, and dials without waiting."""
        self._wake.set()

    def ping_changed(self) -> None:
        """WebSocketPingInterval or MessageTimeout has another value."""
        self._ping_changed.set()

    def sever(self, cut: bool) -> None:
        """The bench's "sim link": the network is gone, or back."""
        self.cut = cut
        self._wake.set()

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket:
            await socket.close(1001, "going away")

    # dialling and serving

    async def run(self) -> None:
        attempt = 0
        while True:
            self._wake.clear()
            if self._trial is not None and self.station.clock.ms() >= self._trial:
                self._back()
            if not self.url() or self.cut:
                self.state = "off"
                await self._pause(None)
                continue
            self.state = "connecting"
            begun = runtime.ticks_ms()
            try:
                await self._connect()
                attempt = 0
                await self._serve()
            except runtime.LINK_ERRORS as why:
                self.log.warning("%s", why or "no answer in time")
            await self._down()
            if runtime.ticks_diff(runtime.ticks_ms(), begun) > 60000:
                attempt = 0
            pause = websocket.backoff(attempt, runtime.urandom(1)[0])
            attempt += 1
            self.log.info("next attempt in %d s", pause // 1000)
            await self._pause(pause)

    async def _pause(self, real_ms):
        if real_ms is None:
            await self._wake.wait()
            return
        if self._trial is not None:
            left = (self._trial - self.station.clock.ms()) // self.station.clock.speed
            real_ms = max(0, min(real_ms, left))
        try:
            await asyncio.wait_for(self._wake.wait(), real_ms / 1000)
        except asyncio.TimeoutError:
            pass

    async def _connect(self):
        config = self.station.config
        url = address.station_url(self.url(), config.get("BoxIdentifier"))
        self.log.info("dialling %s", url)
        self.endpoint = self.station.transactions.endpoint = self.station.endpoint()
        secure = tls.context(self.ca) if url.lower().startswith("wss:") else None
        self._socket = await websocket.connect(url, self._headers(), secure, known=self._known)
        self.log.info("connected")

    def _headers(self):
        return ()

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
            self._keepalive(socket),
            self._watch(),
        )
        tasks = [asyncio.create_task(self._guard(work, socket)) for work in works]
        try:
            while True:
                await station.rpc.received(await socket.recv())
        finally:
            station.rpc.detach()
            await runtime.stop(tasks)

    async def _guard(self, work, socket):
        """A part of the connection that ends takes the connection with it."""
        try:
            await work
        except LinkDown:
            pass
        except runtime.LINK_ERRORS as why:
            self.log.warning("%s", why or "no answer in time")
        except Exception as error:
            self.log.error("%s", runtime.trace(error))
        socket.drop()

    async def _keepalive(self, socket):
        config = self.station.config
        while not socket.closed:
            every = config.int("WebSocketPingInterval")
            alive = asyncio.create_task(socket.keepalive(every, config.int("MessageTimeout")))
            try:
                self._ping_changed.clear()
                await self._ping_changed.wait()
            finally:
                alive.cancel()

    async def _watch(self):
        """Ends the connection when the place changed, the trial is over or the bench cuts it."""
        while True:
            await self._pause(60000 if self._trial is None else 1000)
            if self._wake.is_set() and not self.cut:
                await self.station.delivery.emptied(_FLUSH_S)  # what belongs to this place
                await self._socket.close(1000, "reconnecting")
                return
            if self.cut or (
                self._trial is not None and self.station.clock.ms() >= self._trial
            ):
                return

    async def _down(self):
        if self._socket:
            self._socket.drop()
            self._socket = None
        self.station.transactions.endpoint = self.station.endpoint()
        self.station.registration.online.clear()
        self.station.notifier.clear()
        if self.lost_ms is None:
            self.lost_ms = self.station.clock.ms()
