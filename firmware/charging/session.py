"""When a transaction starts and stops (OCPP 3.5, 4.8, 4.10; guide page 16)."""

import asyncio

from firmware.base import runtime

_COLD = "firmware.charging.start_stop"


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
        self.parent = None
        self.stops = None
        self.done = asyncio.Event()
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
        if self.transaction and not self.stops:
            self.stops = (reason, id_tag)
        self.wake.set()

    async def stopped(self, reason: str) -> None:
        """Ends the running transaction and waits for its last record."""
        if self.transaction:
            self.done.clear()
            self.stop(reason)
            await self.done.wait()

    def stops_for(self, id_tag: str, parent: str | None) -> bool:
        """Whether presenting this id ends the running transaction (OCPP 3.5)."""
        running = self.transaction
        return bool(running) and (
            running.id_tag.lower() == id_tag.lower() or (parent and parent == self.parent)
        )

    def answered(self, info: dict) -> None:
        """The idTagInfo of StartTransaction.conf of the running transaction (errata 3.17)."""
        self.parent = info.get("parentIdTag") or self.parent
        if info.get("status") == "Accepted" or not self.transaction:
            return
        if self.config.on("StopTransactionOnInvalidId"):
            self.stop("DeAuthorized")
        else:
            self.denied = True
            self.wake.set()

    async def run(self) -> None:
        """The task: looks at every change, and at least once a second."""
        if self.transactions.interrupted:
            await runtime.soon(_COLD, "recover", self)
        while True:
            await self._step()
            await self.clock.wait(self.wake, 1000)

    async def _step(self):
        evse = self.evse
        if evse.plugged != self._plugged:
            self._plugged = evse.plugged
            if not evse.plugged:
                await self._unplugged()
                self.used = False
        if self.transaction:
            if evse.faults.active and not self.stops:
                # All twelve codes hold until the unplug, or longer: this charge is over.
                self.stops = ("Other", None)
            if self.stops:
                await runtime.soon(_COLD, "stop", self, *self.stops)
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
            await runtime.soon(_COLD, "stop", self, "EVDisconnected", None)

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
            await runtime.soon(_COLD, "start", self, who)
