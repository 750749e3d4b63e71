"""When a transaction starts and stops (OCPP 3.5, 4.8, 4.10; guide page 16)."""

import asyncio


class Authorised:
    """An id that may charge and waits for the car."""

    def __init__(self, id_tag, parent, ms):
        self.id_tag = id_tag
        self.parent = parent
        self.ms = ms


class Session:
    """The connector's use by one driver after the other.

    Facts: `transaction` (None or the running one), `authorised` (None or who waits for the car),
    `used` (a transaction ended since the car was plugged in), `denied` (the central system
    refused the id, and energy with it).
    """

    def __init__(self, evse, meter, transactions, config, clock, log):
        self.evse = evse
        self.meter = meter
        self.transactions = transactions
        self.config = config
        self.clock = clock
        self.log = log
        self.reservation = None
        self.authorised = None
        self.used = False
        self.denied = False
        self.operative = True
        self.cause = "PowerLoss"  # why a transaction may have been left open
        self.profile = None  # what to do with a profile once its transaction runs
        self.wake = asyncio.Event()
        self._plugged = False
        self._parent = None
        self._stops = None
        self._done = asyncio.Event()
        # said by the station: free to start without asking, once for each plugging-in?
        self.by_itself = lambda: False
        self.on_unplugged = lambda: None  # a transaction ended by unplugging
        self.stop_data = lambda reading: b""  # what StopTransaction tells of begin and end

    @property
    def transaction(self):
        return self.transactions.running

    @property
    def reserved(self) -> bool:
        return self.reservation is not None

    def free_tag(self) -> str:
        """The idTag where nobody presents one (guide page 16). The key's default reads FreeCharge,
        the guide's wire says freeCharge."""
        tag = self.config.get("DefaultIdTag")
        return "freeCharge" if tag == "FreeCharge" else tag

    def may_start(self, id_tag: str) -> bool:
        """Whether this id could start a transaction now or when the car comes."""
        return not (
            self.transaction
            or self.authorised
            or self.evse.faults.active
            or not self.operative
            or (self.reservation and not self.reservation.might_admit(id_tag))
        )

    def authorise(self, id_tag: str, parent: str | None = None) -> bool:
        """This id may charge: now if the car is there, else for ConnectionTimeOut."""
        if self.transaction or self.authorised:
            return False
        if self.reservation and not self.reservation.admits(id_tag, parent):
            self.log.info("%s refused: the connector is reserved", id_tag)
            return False
        self.authorised = Authorised(id_tag, parent, self.clock.ms())
        self.wake.set()
        return True

    def stop(self, reason: str, id_tag: str | None = None) -> None:
        """Ends the running transaction, or the wait for the car."""
        self.authorised = None
        if self.transaction and not self._stops:
            self._stops = (reason, id_tag)
        self.wake.set()

    async def stopped(self, reason: str) -> None:
        """Ends the running transaction and waits for its last record."""
        if self.transaction:
            self._done.clear()
            self.stop(reason)
            await self._done.wait()

    def stops_for(self, id_tag: str, parent: str | None) -> bool:
        """Whether presenting this id ends the running transaction (OCPP 3.5)."""
        running = self.transaction
        return bool(running) and (
            running.id_tag.lower() == id_tag.lower() or (parent and parent == self._parent)
        )

    def answered(self, info: dict) -> None:
        """The idTagInfo of StartTransaction.conf of the running transaction (errata 3.17)."""
        self._parent = info.get("parentIdTag") or self._parent
        if info.get("status") == "Accepted" or not self.transaction:
            return
        if self.config.on("StopTransactionOnInvalidId"):
            self.stop("DeAuthorized")
        else:
            self.denied = True
            self.wake.set()

    async def run(self) -> None:
        """The task: looks at every change, and at least once a second."""
        await self._recover()
        while True:
            await self._step()
            try:
                await asyncio.wait_for(self.wake.wait(), 1 / self.clock.speed)
            except asyncio.TimeoutError:
                pass
            self.wake.clear()

    async def _recover(self):
        """Closes what the last power cut or restart left open, with the register if it answers."""
        if self.transactions.interrupted:
            reading = await self.meter.read_now(30000)
            self.transactions.recover(self.cause, (reading or {}).get("energy"))

    async def _step(self):
        evse = self.evse
        if evse.plugged != self._plugged:
            self._plugged = evse.plugged
            if not evse.plugged:
                await self._unplugged()
                self.used = False
        if self.transaction:
            if evse.faults.active and not self._stops:
                # All twelve codes hold until the unplug, or longer: this charge is over.
                self._stops = ("Other", None)
            if self._stops:
                await self._stop(*self._stops)
        elif self.authorised:
            await self._authorised()
        elif (
            evse.plugged
            and not self.used
            and self.by_itself()
            and self.may_start(self.free_tag())
            and not self.reservation
        ):
            self.authorise(self.free_tag())
        evse.enabled = bool(self.transaction) and not self.denied

    async def _unplugged(self):
        if self.transaction and self.config.on("StopTransactionOnEVSideDisconnect"):
            self.on_unplugged()
            await self._stop("EVDisconnected", None)

    async def _authorised(self):
        who = self.authorised
        timeout = self.config.int("ConnectionTimeOut") * 1000
        if self.evse.faults.active or not self.operative:
            self.authorised = None
        elif not self.evse.plugged:
            if timeout and self.clock.ms() - who.ms >= timeout:
                self.log.info("%s: no car within ConnectionTimeOut", who.id_tag)
                self.authorised = None
        else:
            await self._start(who)

    async def _start(self, who):
        reading = await self.meter.read_now()
        if reading is None or not self.evse.plugged or self.authorised is not who:
            return  # no energy is given away unmeasured; the meter's fault says the rest
        reservation = self.reservation
        number = reservation.use() if reservation else None
        try:
            running = self.transactions.start(
                1,
                who.id_tag,
                reading.get("energy", 0),
                number,
                self.clock.ms(),
                self.stop_data(reading),
            )
        except OSError as why:
            self.log.error("no transaction: %s", why)
            self.authorised = None
            return
        self._parent = who.parent
        self.authorised = None
        self.denied = False
        if self.profile:
            self.profile(running)
            self.profile = None
        self.log.info("transaction started for %s", who.id_tag)

    async def _stop(self, reason, id_tag):
        self.evse.enabled = False
        reading = await self.meter.read_now()
        running = self.transaction
        energy = (reading or self.meter.last or {}).get("energy", running.meter_start)
        data = self.stop_data(reading)
        self.transactions.stop(reason, energy, self.clock.ms(), id_tag, data)
        self._stops = None
        self.used = self.evse.plugged
        self.denied = False
        self._done.set()
        self.log.info("transaction stopped: %s, %d Wh", reason, energy - running.meter_start)
