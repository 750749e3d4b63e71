"""Decides when a transaction starts and stops (OCPP 3.5, 4.8, 4.10; guide page 16).

A session is the use of the connector by one driver. An idTag is authorized and the car is plugged
in, in either order. Then the transaction starts and stops, and the car is unplugged.
"""

import asyncio
import json
from collections import namedtuple

from firmware.base.runtime import Event, const

NO_ID_TAG = ""  # no idTag unlocks the cable; it is unlocked when it is unplugged at the car
_CHARGED = const("used")  # the name in the store that keeps `car_already_charged` over a restart
_RESERVATION = const("reservation")  # the name in the store of the one that holds
_STOP_S = const(20)  # how long a transaction may take to stop: the car, then the meter's answer
_CONTACTOR_OPENS_MS = const(7000)  # how long the contactor may take to open
_METER_MS = const(3000)  # how long the meter may take at the beginning and end of a transaction
_METER_AFTER_START_MS = const(30000)  # how long it may take after the station's start
_ALIVE_MS = const(50)  # how often a wait for the meter tells the supervisor that this is a wait

# Why the running transaction must stop: OCPP's `reason`; the `id_tag` that stops it, or None.
StopRequest = namedtuple("StopRequest", ("reason", "id_tag"))


class Authorization:
    """An idTag that may charge and waits for the car, since `at_ms`. `on_start`: None, or a
    coroutine function that is called with the transaction once it has started."""

    def __init__(self, id_tag, parent_id_tag, at_ms, on_start):
        self.id_tag = id_tag
        self.parent_id_tag = parent_id_tag
        self.at_ms = at_ms
        self.on_start = on_start


def same_id_tag(one: str | None, other: str | None) -> bool:
    """Whether two idTags, or two parentIdTags, are known and the same. Their case does not
    matter (OCPP 7.28)."""
    return bool(one and other) and one.lower() == other.lower()


class Reservation:
    """The idTag for which the connector is reserved (OCPP 3.11, 5.13). `connector_id`: 0 where the
    central system reserved any connector; `expiry`: Unix seconds; `parent_id_tag`: "" where there
    is none."""

    def __init__(
        self,
        connector_id: int,
        reservation_id: int,
        expiry: int,
        id_tag: str,
        parent_id_tag: str = "",
    ):
        self.connector_id = connector_id
        self.reservation_id = reservation_id
        self.expiry = expiry
        self.id_tag = id_tag
        self.parent_id_tag = parent_id_tag

    def admits(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Whether it is for this idTag, or for one with this parentIdTag (None: not known)."""
        return same_id_tag(id_tag, self.id_tag) or same_id_tag(parent_id_tag, self.parent_id_tag)

    def save(self, store) -> None:
        """Raises OSError when the flash does not take it."""
        fields = [
            self.connector_id,
            self.reservation_id,
            self.expiry,
            self.id_tag,
            self.parent_id_tag,
        ]
        store.write(_RESERVATION, json.dumps(fields).encode())


class Session:
    """The connector's use by one driver after the other.

    `starts_by_itself()` says whether a car that was just plugged in charges without
    authorization. `transaction_data(reading)` returns the packed values of a transaction's begin
    or end, which StopTransaction will carry. `restart_reason` is OCPP's reason for the end of a
    transaction that was still open at the last restart.

    Facts: `transaction` (None or the running one), `authorization` (None, or whose idTag waits
    for the car), `is_authorizing` (the central system is being asked about an idTag),
    `car_already_charged` (a transaction has ended since the car was plugged in),
    `id_tag_refused` (the central system refused the running transaction's idTag, so that no
    energy flows), `reservation` (None or the one that holds), `cable_locked_for_id_tag` (None, or
    the idTag for which the cable stays locked after the transaction, or NO_ID_TAG),
    `refuses_transactions` (nothing new begins, since the station is about to restart),
    `operative` and `station_operative` (OCPP's availability of connectors 1 and 0).
    """

    alive = False  # for the station's supervisor

    def __init__(
        self,
        evse,
        meter,
        transactions,
        config,
        clock,
        log,
        starts_by_itself,
        transaction_data,
        restart_reason: str = "PowerLoss",
    ):
        self.evse = evse
        self.meter = meter
        self.transactions = transactions
        self.config = config
        self.clock = clock
        self.log = log
        self.starts_by_itself = starts_by_itself
        self.transaction_data = transaction_data
        self.restart_reason = restart_reason
        self.reservation = None
        self.authorization = None
        self.is_authorizing = False
        self.car_already_charged = config.store.read(_CHARGED) is not None
        self.id_tag_refused = False
        self.cable_locked_for_id_tag = None
        self.operative = True
        self.station_operative = True
        self._wanted_availability = None  # what it becomes once no transaction runs
        self.refuses_transactions = False
        self._parent_id_tag = None  # of the running transaction's idTag, or of the last one's
        self._stop_request = None
        self._stopped = Event()
        self._wake = Event()
        self._plugged = False  # when the evse changed last
        self._was_unplugged = False  # since the last step, however shortly

    @property
    def transaction(self):
        """The running Transaction, or None."""
        return self.transactions.running

    @property
    def stop_ordered(self) -> bool:
        """Whether the running transaction is about to end because somebody ordered that: not
        where its idTag turned out to be refused, which suspends it first."""
        request = self._stop_request
        return request is not None and request.reason != "DeAuthorized"

    # What others tell the session

    def authorize(self, id_tag: str, parent_id_tag: str | None = None, on_start=None) -> bool:
        """Lets an idTag charge: now if the car is there, else once it comes within
        ConnectionTimeOut. `on_start` as in Authorization. Returns False if it can't be accepted
        now."""
        if self.transaction or self.authorization or self.refuses_transactions:
            return False
        if not self.operative:
            return False
        if not self.reservation_admits(id_tag, parent_id_tag):
            self.log.info("%s refused: the connector is reserved", id_tag)
            return False
        self.authorization = Authorization(id_tag, parent_id_tag, self.clock.ms(), on_start)
        self._wake.set()
        return True

    def cancel_authorization(self) -> None:
        """No idTag waits for the car any more."""
        self.authorization = None
        self._wake.set()

    def authorizing_begins(self) -> None:
        """The central system is being asked whether an idTag may charge."""
        self.is_authorizing = True

    def authorizing_ended(self) -> None:
        """The central system has answered, or will not."""
        self.is_authorizing = False

    def stop_transaction(self, reason: str, id_tag: str | None = None) -> None:
        """Asks for the end of the running transaction, and ends the wait for the car."""
        self.cancel_authorization()
        if self.transaction:
            self._request_stop(reason, id_tag)

    async def stop_transaction_and_wait(self, reason: str) -> bool:
        """Stops the running transaction and waits until its end is recorded. Returns False if that
        takes more than 20 s, for example because the flash is full."""
        if self.transaction:
            self._stopped.clear()
            self.stop_transaction(reason)
            try:
                await asyncio.wait_for(self._stopped.wait(), _STOP_S)
            except asyncio.TimeoutError:
                self.log.error("the transaction did not end within %d s", _STOP_S)
                return False
        return True

    def release_cable(self) -> None:
        """Unlocks the cable, unless a transaction runs."""
        self.cable_locked_for_id_tag = None
        self.evse.hold_lock = self.transaction is not None
        self._wake.set()

    def refuse_transactions(self) -> None:
        """From now on no transaction starts: the station is about to restart, or to change to
        another central system."""
        self.refuses_transactions = True

    def accept_transactions(self) -> None:
        """From now on transactions may start again."""
        self.refuses_transactions = False

    def set_availability(self, station_operative: bool, operative: bool) -> None:
        """OCPP's availability of connectors 0 and 1, from now on or from the running transaction's
        end. An idTag that waits for its car and can't charge any more stops waiting."""
        self._wanted_availability = (station_operative, operative)
        self._take_availability()
        self._wake.set()

    def _take_availability(self):
        wanted = self._wanted_availability
        if wanted and (not self.transaction or wanted == self.availability()):
            self.station_operative, self.operative = wanted
            self._wanted_availability = None
            if not self.operative:
                self.cancel_authorization()

    def availability(self) -> tuple:
        """(of connector 0, of connector 1): whether it is operative."""
        return self.station_operative, self.operative

    def wanted_availability(self) -> tuple:
        """The same, as it will be once no transaction runs."""
        return self._wanted_availability or self.availability()

    def start_answered(self, info: dict) -> None:
        """StartTransaction.conf of the running transaction came with this idTagInfo (errata
        3.17)."""
        self._parent_id_tag = info.get("parentIdTag") or self._parent_id_tag
        if info["status"] == "Accepted":
            return
        if self.config.on("StopTransactionOnInvalidId"):
            self.stop_transaction("DeAuthorized")
        else:
            self.id_tag_refused = True
            self._wake.set()

    def evse_changed(self) -> None:
        """A fact of the evse has changed. To be called at each change, so that even a short
        unplugging is noticed."""
        plugged = self.evse.plugged
        self._was_unplugged = self._was_unplugged or (self._plugged and not plugged)
        self._plugged = plugged
        self._wake.set()

    def save_for_restart(self) -> None:
        """To be called before a restart: stores that the car has already charged, so that it is
        not mistaken for a new one."""
        if self.car_already_charged:
            self.config.store.write(_CHARGED, b"1")

    # What others ask

    def default_id_tag(self) -> str:
        """The idTag for charging without one (guide page 16). The key's default reads FreeCharge,
        but the guide sends freeCharge."""
        tag = self.config.get("DefaultIdTag")
        return "freeCharge" if tag == "FreeCharge" else tag

    def can_start_transaction(self) -> bool:
        """Whether a transaction could start now, or when the car comes."""
        return self.operative and not (
            self.transaction
            or self.authorization
            or self.is_authorizing
            or self.refuses_transactions
            or self.evse.faults.active
        )

    def id_tag_stops_transaction(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Whether presenting this idTag ends the running transaction (OCPP 3.5)."""
        running = self.transaction
        return running is not None and (
            same_id_tag(running.id_tag, id_tag) or same_id_tag(parent_id_tag, self._parent_id_tag)
        )

    def id_tag_releases_cable(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Whether presenting this idTag unlocks the cable that is still locked for it
        (OCPP 4.10)."""
        locked_for = self.cable_locked_for_id_tag
        return bool(locked_for) and (
            same_id_tag(locked_for, id_tag) or same_id_tag(parent_id_tag, self._parent_id_tag)
        )

    # The reservation

    def reservation_admits(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Whether this idTag may charge in spite of a reservation. `parent_id_tag`: None where it
        is not known."""
        return not self.reservation or self.reservation.admits(id_tag, parent_id_tag)

    def reserve(self, new: Reservation) -> None:
        """Stores a reservation; it holds from now on. Raises OSError when the flash is full."""
        new.save(self.config.store)
        self.reservation = new
        self.log.info("reserved for %s", new.id_tag)

    def end_reservation(self, why: str) -> None:
        """Ends the reservation, if there is one. `why` completes the log line "the reservation
        ..."."""
        if self.reservation:
            self.reservation = None
            self.config.store.remove(_RESERVATION)
            self.log.info("the reservation %s", why)

    def load_reservation(self) -> None:
        """To be called after a restart: the saved reservation holds again, unless the transaction
        that the restart interrupted has used it up."""
        saved = self.config.store.read(_RESERVATION)
        self.reservation = Reservation(*json.loads(saved.decode())) if saved else None
        interrupted = self.transactions.interrupted
        if self.reservation and interrupted:
            if interrupted.reservation_id == self.reservation.reservation_id:
                self.end_reservation("was used up")

    def _end_reservation_if_due(self):
        if not self.reservation:
            return
        if self.evse.faults.active or not self.operative:
            self.end_reservation("ends: out of order")
        elif (self.clock.epoch() or 0) >= self.reservation.expiry:
            self.end_reservation("expired")

    # The task

    async def run(self) -> None:
        """The task: makes a step after every change, and at least once a second."""
        self.load_reservation()
        if self.car_already_charged:
            self.config.store.remove(_CHARGED)
        if self.transactions.interrupted:
            await self._recover_transaction()
        while True:
            await self._step()
            self.alive = True
            await self.clock.wait(self._wake, 1000)

    async def _step(self):
        evse = self.evse
        if self._car_is_gone():
            await self._unplugged()
        self._take_availability()
        self._end_reservation_if_due()
        if self.transaction:
            if evse.faults.active:
                # All twelve codes hold until the unplug, or longer: this charge is over.
                self._request_stop("Other")
            if self._stop_request:
                await self._end_transaction()
        elif self.authorization:
            await self._start_or_give_up()
        elif evse.plugged and not self.car_already_charged and not evse.faults.active:
            if self.starts_by_itself() and self.can_start_transaction():
                tag = self.default_id_tag()
                if self.reservation_admits(tag, None):
                    self.authorize(tag)
        evse.enabled = self.transaction is not None and not self.id_tag_refused
        evse.hold_lock = self.transaction is not None or self.cable_locked_for_id_tag is not None

    def _car_is_gone(self):
        """Whether the car was unplugged, now or while the station was off."""
        unplugged_before = (
            self.car_already_charged and self.evse.pilot_is_known and not self.evse.plugged
        )
        return self._was_unplugged or unplugged_before

    async def _unplugged(self):
        self._was_unplugged = False
        if self.transaction and self.config.on("StopTransactionOnEVSideDisconnect"):
            self._request_stop("EVDisconnected")
            await self._end_transaction()
        if self.cable_locked_for_id_tag == NO_ID_TAG:
            self.cable_locked_for_id_tag = None
        self.car_already_charged = False

    def _request_stop(self, reason, id_tag=None):
        """Notes why the transaction must stop. The first reason counts."""
        self._stop_request = self._stop_request or StopRequest(reason, id_tag)

    async def _start_or_give_up(self):
        """Starts the transaction of the idTag that waits, or ends its wait."""
        waiting = self.authorization
        timeout_ms = self.config.int("ConnectionTimeOut") * 1000
        if self.evse.faults.active or not self.operative or self.refuses_transactions:
            self.cancel_authorization()
        elif self.evse.plugged:
            await self._start_transaction(waiting)
        elif timeout_ms and self.clock.ms() - waiting.at_ms >= timeout_ms:
            self.log.info("%s: no car within ConnectionTimeOut", waiting.id_tag)
            self.cancel_authorization()

    # The transaction's records (OCPP 4.8, 4.10)

    async def _start_transaction(self, waiting):
        """Starts a transaction for the Authorization that waits, if the meter answers and the car
        is still there."""
        await self._wait_for(self.transactions.retention.make_room_for_transaction())
        reading = await self._read_meter(_METER_MS)
        if reading is None or not self.evse.plugged or self.authorization is not waiting:
            return  # without the meter no energy may flow: the next step tries again
        try:
            running = self.transactions.start(
                1,
                waiting.id_tag,
                reading.get("energy", 0),
                self.reservation.reservation_id if self.reservation else None,
                self.clock.ms(),
                self.transaction_data(reading),
            )
        except OSError as why:
            self.log.error("no transaction: %s", why)
            self.cancel_authorization()
            return
        self.end_reservation("is used up")
        self.authorization = None
        self._parent_id_tag = waiting.parent_id_tag
        self.id_tag_refused = False
        self.cable_locked_for_id_tag = None
        if waiting.on_start:
            await waiting.on_start(running)
        self.log.info("transaction started for %s", waiting.id_tag)

    async def _end_transaction(self):
        """Ends the running transaction. Takes the last good reading if the meter is silent."""
        evse = self.evse
        reason, id_tag = self._stop_request
        evse.enabled = False
        # The car has up to 6 s to stop drawing (IEC 61851-1), and pays for what it draws.
        until = self.clock.ms() + _CONTACTOR_OPENS_MS
        while evse.contactor and self.clock.ms() < until:
            self.alive = True
            await self.clock.sleep_ms(100)
        reading = await self._read_meter(_METER_MS)
        running = self.transaction
        energy = (reading or self.meter.last or {}).get("energy", running.meter_start)
        data = self.transaction_data(reading)
        self.transactions.stop(reason, energy, self.clock.ms(), id_tag, data)
        self._stop_request = None
        self.car_already_charged = evse.plugged
        self.id_tag_refused = False
        if reason == "DeAuthorized" and evse.plugged:
            self.cable_locked_for_id_tag = NO_ID_TAG
        elif reason == "EVDisconnected":
            if not self.config.on("UnlockConnectorOnEVSideDisconnect"):
                self.cable_locked_for_id_tag = running.id_tag
        self._stopped.set()
        await self._wait_for(self.transactions.retention.tidy_after_stop())
        self.log.info("transaction stopped: %s, %d Wh", reason, energy - running.meter_start)

    async def _recover_transaction(self):
        """Closes the transaction that a power cut or restart interrupted, with the energy register
        if the meter answers."""
        reading = await self._read_meter(_METER_AFTER_START_MS)
        energy = (reading or {}).get("energy", -1)
        # A minute may have passed after the last record, with the most that can flow at 265 V.
        most_w = self.config.int("IMaxUser") * self.config.int("PhaseNumber") * 265
        reach_wh = self.meter.registers.energy_step_wh(energy) + most_w // 60
        self.transactions.recover(self.restart_reason, energy, reach_wh)

    async def _read_meter(self, wait_ms):
        """`Meter.read_now`. The supervisor watches the meter's task too, so that this wait always
        ends."""
        return await self._wait_for(self.meter.read_now(wait_ms))

    async def _wait_for(self, work):
        """Awaits a coroutine that may take longer than the supervisor lets a task be silent: sets
        `alive` meanwhile. Returns its result."""
        task = asyncio.create_task(work)
        try:
            await asyncio.sleep(0)  # there may be nothing to wait for
            while not task.done():
                self.alive = True
                await self.clock.sleep_ms(_ALIVE_MS)
            return await task
        finally:
            task.cancel()
