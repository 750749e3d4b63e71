"""When a transaction starts and stops (OCPP 3.5, 4.8, 4.10; guide page 16)."""

import asyncio

from firmware.base import runtime

_COLD = "firmware.charging.start_stop"
_RESERVATION = "firmware.charging.reservation"
_STOP_S = 20  # the car's time to stop, and the meter's to answer
_SEEN_MS = 2000  # after a start, the pilot has told by then whether a car is there


class Authorised:
    """An id that may charge and waits for the car; `profile`: (Governor.take, record) where a
    TxProfile came with it, or None."""

    def __init__(self, id_tag, parent, ms, profile):
        self.id_tag = id_tag
        self.parent = parent
        self.ms = ms
        self.profile = profile


class Session:
    """The connector's use by one driver after the other.

    Facts: `transaction` (None or the running one), `authorised` (None or who waits for the car),
    `asking` (an id is being authorised), `used` (a transaction ended since the car was plugged
    in), `denied` (the central system refused the id, and energy with it), `reservation` (see
    charging/reservation.py), `kept` (None, or the id whose cable stays locked until it is
    presented; "": until the car is unplugged).

    Wishes: `operative`, and `held`: nothing new begins, since the station is about to go.
    """

    alive = False  # for the station's supervisor

    def __init__(self, evse, meter, transactions, config, clock, log):
        self.evse = evse
        self.meter = meter
        self.transactions = transactions
        self.config = config
        self.clock = clock
        self.log = log
        self.reservation = None
        self.authorised = None
        self.asking = False
        self.used = config.store.read("used") is not None
        self.denied = False
        self.kept = None
        self.operative = True
        self.held = False
        self.cause = "PowerLoss"  # why a transaction may have been left open
        self.wake = asyncio.Event()
        self.parent = None
        self.stops = None
        self.done = asyncio.Event()
        # said by the station: free to start without asking, once for each plugging-in?
        self.by_itself = lambda: False
        self.stop_data = lambda reading: b""  # what StopTransaction tells of begin and end
        self._plugged = self._gone = False
        self._seen_ms = clock.ms() + _SEEN_MS

    @property
    def transaction(self):
        return self.transactions.running

    def free_tag(self) -> str:
        """The idTag where nobody presents one (guide page 16). The key's default reads FreeCharge,
        the guide's wire says freeCharge."""
        tag = self.config.get("DefaultIdTag")
        return "freeCharge" if tag == "FreeCharge" else tag

    def admits(self, id_tag: str, parent: str | None) -> bool:
        """Whether no reservation keeps this id away; its parentIdTag is known or None."""
        held = self.reservation
        return not held or id_tag.lower() == held[3].lower() or same(parent, held[4])

    def may_start(self) -> bool:
        """Whether a transaction could start now, or when the car comes."""
        return self.operative and not (
            self.transaction
            or self.authorised
            or self.asking
            or self.held
            or self.evse.faults.active
        )

    def authorise(self, id_tag: str, parent: str | None = None, profile=None) -> bool:
        """This id may charge: now if the car is there, else for ConnectionTimeOut."""
        if self.transaction or self.authorised or self.held:
            return False
        if not self.admits(id_tag, parent):
            self.log.info("%s refused: the connector is reserved", id_tag)
            return False
        self.authorised = Authorised(id_tag, parent, self.clock.ms(), profile)
        self.wake.set()
        return True

    def forget(self) -> None:
        """Nobody waits for the car any more."""
        self.authorised = None
        self.wake.set()

    def stop(self, reason: str, id_tag: str | None = None) -> None:
        """Ends the running transaction, or the wait for the car."""
        self.forget()
        if self.transaction and not self.stops:
            self.stops = (reason, id_tag)

    async def stopped(self, reason: str) -> bool:
        """Ends the running transaction and waits for its last record; whether that came in time:
        a flash that takes nothing, say, never lets it come."""
        if self.transaction:
            self.done.clear()
            self.stop(reason)
            try:
                await asyncio.wait_for(self.done.wait(), _STOP_S)
            except asyncio.TimeoutError:
                self.log.error("the transaction did not end within %d s", _STOP_S)
                return False
        return True

    def stops_for(self, id_tag: str, parent: str | None) -> bool:
        """Whether presenting this id ends the running transaction (OCPP 3.5)."""
        running = self.transaction
        return running is not None and (
            running.id_tag.lower() == id_tag.lower() or same(parent, self.parent)
        )

    def frees(self, id_tag: str, parent: str | None) -> bool:
        """Whether presenting this id frees the cable that is still locked for it (OCPP 4.10)."""
        return bool(self.kept) and (
            self.kept.lower() == id_tag.lower() or same(parent, self.parent)
        )

    def free(self) -> None:
        """The cable need not stay locked without a transaction."""
        self.kept = None
        self.evse.hold_lock = self.transaction is not None
        self.wake.set()

    def answered(self, info: dict) -> None:
        """The idTagInfo of StartTransaction.conf of the running transaction (errata 3.17)."""
        self.parent = info.get("parentIdTag") or self.parent
        if info["status"] == "Accepted":
            return
        if self.config.on("StopTransactionOnInvalidId"):
            self.stop("DeAuthorized")
        else:
            self.denied = True
            self.wake.set()

    def look(self) -> None:
        """The evse has changed: a short unplugging counts too."""
        plugged = self.evse.plugged
        self._gone = self._gone or (self._plugged and not plugged)
        self._plugged = plugged
        self.wake.set()

    async def run(self) -> None:
        """The task: looks at every change, and at least once a second."""
        runtime.once(_RESERVATION, "load", self)
        if self.used:
            self.config.store.remove("used")
        if self.transactions.interrupted:
            await runtime.soon(_COLD, "recover", self)
        while True:
            await self._step()
            self.alive = True
            await self.clock.wait(self.wake, 1000)

    async def _step(self):
        evse = self.evse
        if self._gone or (self.used and not evse.plugged and self.clock.ms() > self._seen_ms):
            self._gone = False
            if self.transaction and self.config.on("StopTransactionOnEVSideDisconnect"):
                self.stops = self.stops or ("EVDisconnected", None)
                await runtime.soon(_COLD, "stop", self)
            if self.kept == "":
                self.kept = None
            self.used = False
        held = self.reservation
        if held:
            if evse.faults.active or not self.operative:
                runtime.once(_RESERVATION, "end", self, "ends: out of order")
            elif (self.clock.epoch() or 0) >= held[2]:
                runtime.once(_RESERVATION, "end", self, "expired")
        if self.transaction:
            if evse.faults.active and not self.stops:
                # All twelve codes hold until the unplug, or longer: this charge is over.
                self.stops = ("Other", None)
            if self.stops:
                await runtime.soon(_COLD, "stop", self)
        elif self.authorised:
            await self._authorised()
        elif evse.plugged and not self.used and not evse.faults.active and self.by_itself():
            if self.may_start() and self.admits(self.free_tag(), None):
                self.authorise(self.free_tag())
        evse.enabled = self.transaction is not None and not self.denied
        evse.hold_lock = self.transaction is not None or self.kept is not None

    async def _authorised(self):
        who = self.authorised
        timeout = self.config.int("ConnectionTimeOut") * 1000
        if self.evse.faults.active or not self.operative or self.held:
            self.forget()
        elif self.evse.plugged:
            await runtime.soon(_COLD, "start", self, who)
        elif timeout and self.clock.ms() - who.ms >= timeout:
            self.log.info("%s: no car within ConnectionTimeOut", who.id_tag)
            self.forget()


def same(parent: str | None, other: str | None) -> bool:
    """Whether two parentIdTags are known and the same (OCPP 3.10; compared as idTags are)."""
    return bool(parent and other) and parent.lower() == other.lower()
