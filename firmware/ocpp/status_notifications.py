"""The connector's status, derived from facts and never kept (OCPP 4.9, 7.7, errata 3.55,
3.64), and StatusNotifications of it (errata 3.19 to 3.22), in order and without duplicates."""

import asyncio

from firmware.base import times
from firmware.base.runtime import Event, const
from firmware.charging import faults
from firmware.charging.evse import MIN_MA
from firmware.ocpp import CallError
from firmware.ocpp.registration import VENDOR

# ChargePointStatus (OCPP 7.7)
AVAILABLE = const("Available")
PREPARING = const("Preparing")
CHARGING = const("Charging")
SUSPENDED_EV = const("SuspendedEV")
SUSPENDED_EVSE = const("SuspendedEVSE")
FINISHING = const("Finishing")
RESERVED = const("Reserved")
UNAVAILABLE = const("Unavailable")
FAULTED = const("Faulted")

# The contactor has 3 s to close after the pilot's change from B to C, and a transaction has 3 s to
# begin. Until then the status stays as it was.
_CLOSING_MS = const(3000)
# The info (OCPP 4.9) while a transaction runs without a car.
_UNPLUGGED = const("EV side disconnected")

_MOST_WAITING = const(20)  # notifications; the oldest goes first
_ATTEMPTS = const(3)
_RETRY_MS = const(15000)
_TRANSACTIONS_FIRST_S = const(10)  # how long transaction messages may go first

# What may follow each status: the table of OCPP 4.9 with B6 (errata 3.20). A change from or to
# Faulted is always allowed. It is a constant, so that it stays in flash.
_MAY_FOLLOW = (
    (AVAILABLE, (PREPARING, CHARGING, SUSPENDED_EV, SUSPENDED_EVSE, RESERVED, UNAVAILABLE)),
    (PREPARING, (AVAILABLE, CHARGING, SUSPENDED_EV, SUSPENDED_EVSE, FINISHING)),
    (CHARGING, (AVAILABLE, SUSPENDED_EV, SUSPENDED_EVSE, FINISHING, UNAVAILABLE)),
    (SUSPENDED_EV, (AVAILABLE, CHARGING, SUSPENDED_EVSE, FINISHING, UNAVAILABLE)),
    (SUSPENDED_EVSE, (AVAILABLE, CHARGING, SUSPENDED_EV, FINISHING, UNAVAILABLE)),
    (FINISHING, (AVAILABLE, PREPARING, UNAVAILABLE)),
    (RESERVED, (AVAILABLE, PREPARING, UNAVAILABLE)),
    (UNAVAILABLE, (AVAILABLE, PREPARING, CHARGING, SUSPENDED_EV, SUSPENDED_EVSE)),
)


def connector_status(evse, session, before: str, ms: int) -> str:
    """The ChargePointStatus of connector 1. `evse` is an Evse, `session` a Session, `before` the
    status until now, `ms` the station's time."""
    running = session.transaction
    if evse.faults.active:
        return FAULTED
    if not session.operative:
        return UNAVAILABLE
    if not running:
        if session.authorization:
            return PREPARING
        if session.reservation:
            return RESERVED
        if evse.plugged:
            return FINISHING if session.car_already_charged else PREPARING
        return AVAILABLE
    if not evse.plugged:
        ends = session.config.on("StopTransactionOnEVSideDisconnect")
        return FINISHING if ends else SUSPENDED_EV
    if session.stop_ordered:  # Finishing is next (4.9, C6)
        return before
    if (
        not evse.contactor
        and ms - running.started_ms < _CLOSING_MS
        and before in (PREPARING, FINISHING, RESERVED, AVAILABLE)
    ):
        return PREPARING
    if not evse.enabled or evse.switching or evse.offered_ma < MIN_MA or evse.pilot in "DE":
        return SUSPENDED_EVSE
    if evse.pilot == "B":
        return SUSPENDED_EV
    if evse.contactor:
        return CHARGING
    closing = ms - evse.pilot_since < _CLOSING_MS
    return before if closing and before != CHARGING else SUSPENDED_EVSE


class Notification:
    """A status to be sent. `fault`: a vendor error code or None; `at_ms`: since when it holds, in
    station time; `step_before`: a status that is to be sent first, or ""; `error_code`: without a
    fault."""

    def __init__(self, connector_id, status, info, fault, at_ms):
        self.connector_id = connector_id
        self.status = status
        self.info = info
        self.fault = fault
        self.at_ms = at_ms
        self.step_before = ""
        self.error_code = "NoError"


def status_between(before: str, after: str) -> str:
    """The status to be sent between two, where `after` must not follow `before` directly: the step
    between them was too short to be seen. "" where it may follow."""
    if FAULTED in (before, after) or before == after:
        return ""
    for status, followers in _MAY_FOLLOW:
        if status == before and after in followers:
            return ""
    if after == PREPARING:  # during a transaction
        return FINISHING
    return AVAILABLE if after in (RESERVED, UNAVAILABLE) else PREPARING


class StatusNotifier:
    """Watches the connector. `status` is connector 1's now, `info` the text sent with it.
    `goes_first`: a notification has just come and is about to be sent; transaction messages of the
    same moment wait for that."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("status")
        self.status = AVAILABLE
        self.info = ""
        self._status_since_ms = 0
        self._operative = True  # the availability of connector 0 that was queued last
        self._told = None  # the newest notification of connector 1, sent or waiting
        self._waiting = []
        self.goes_first = False
        self._wake = Event()
        self._cut_short = 0  # connections in a row that ended before all was told

    def update(self) -> None:
        """Derives the status and queues a notification of each change. To be called after each
        step of the evse."""
        station = self.station
        session = station.session
        now = station.clock.ms()
        status = connector_status(station.evse, session, self.status, now)
        if status != self.status:
            self.log.debug("%s", status)
            self.status = status
            self._status_since_ms = now
        car_is_gone = session.transaction and not station.evse.plugged
        shows_it = status in (FINISHING, SUSPENDED_EV)
        self.info = _UNPLUGGED if car_is_gone and shows_it else ""
        if not self._is_known():
            return
        if not self._told and station.registration.online.is_set():
            self.repeat()
        if session.station_operative != self._operative:
            self._operative = session.station_operative
            self._tell(self._present(0))
        for code, is_raised in station.evse.faults.drain():
            self._tell_change(now, code)
            if is_raised:
                if code == faults.TAMPER:
                    station.security_event("Tamper detected")
                station.spawn(station.logbook.save_after_fault())
        if self._is_settled(now):
            self._tell_change(now)

    def _is_known(self):
        """Whether the status is a fact: at first nobody knows if a car is there."""
        evse = self.station.evse
        return evse.pilot_is_known or bool(evse.faults.active)

    def _is_settled(self, now):
        """Whether the status has lasted for MinimumStatusDuration."""
        shortest = self.station.config.int("MinimumStatusDuration") * 1000
        return not shortest or now - self._status_since_ms >= shortest or self.status == FAULTED

    def _tell_change(self, now, changed_fault=None):
        """Queues connector 1's status if it differs from the newest notification."""
        told = self._told
        active = self.station.evse.faults.active
        fault = None
        if self.status == FAULTED and active:
            # A code that was just raised is sent; when one of several clears, the oldest is.
            fault = changed_fault if changed_fault in active else active[0]
            if not changed_fault and told and told.fault in active:
                return
        if not told or told.status != self.status or told.info != self.info or told.fault != fault:
            self._tell(Notification(1, self.status, self.info, fault, now))

    def _present(self, connector_id):
        """A notification of a connector's present status."""
        now = self.station.clock.ms()
        if connector_id == 0:
            status = AVAILABLE if self.station.session.station_operative else UNAVAILABLE
            return Notification(0, status, "", None, now)
        active = self.station.evse.faults.active
        return Notification(1, self.status, self.info, active[0] if active else None, now)

    def _tell(self, notification: Notification):
        if notification.connector_id:
            if self._told:
                notification.step_before = status_between(self._told.status, notification.status)
            self._told = notification
        if not self.station.registration.online.is_set():
            return  # at the next registration or reconnection the present status is sent
        if not self._waiting:
            self.goes_first = True
        self._waiting.append(notification)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.pop(0)
        self._wake.set()

    def repeat(self) -> None:
        """The station was accepted or connected again: queues the present status of both
        connectors (errata 3.22). After a connection that ended too early, connector 1 goes
        first."""
        self._told = None
        if not self._is_known():
            return  # `update` does it then
        self._operative = self.station.session.station_operative
        for connector_id in (1, 0) if self._cut_short % 3 else (0, 1):
            self._tell(self._present(connector_id))

    def trigger(self, connector_ids: tuple) -> None:
        """TriggerMessage: queues the present status; while the registration is Pending it is sent
        at once."""
        for connector_id in connector_ids:
            notification = self._present(connector_id)
            if self.station.registration.online.is_set():
                self._tell(notification)
            else:
                self.station.spawn(self._send(notification))

    def tell_local_list_conflict(self, id_tag: str) -> None:
        """The local authorization list and the central system say different things of an idTag
        (OCPP 3.5.2)."""
        notification = self._present(0)
        notification.error_code = "LocalListConflict"
        notification.info = id_tag
        self._tell(notification)

    def clear(self) -> None:
        """The connection is gone: drops what waits. The next one gets the present status."""
        if self._waiting:
            self._cut_short += 1
        self._waiting.clear()
        self.goes_first = False

    async def run(self) -> None:
        """While online: sends what waits, oldest first."""
        while True:
            await self.station.registration.online.wait()
            if self._cut_short % 3 == 1:
                # This central system may hang up early: the transactions' messages have a turn.
                self.goes_first = False
                await self.station.transaction_sender.wait_until_delivered(_TRANSACTIONS_FIRST_S)
            while self._waiting:
                await self._send_oldest()
            self._cut_short = 0
            self._wake.clear()
            await self._wake.wait()

    async def _send_oldest(self):
        notification = self._waiting[0]
        await self._send(notification)
        if self._waiting and self._waiting[0] is notification:  # nobody has cleared them meanwhile
            self._waiting.pop(0)

    async def _send(self, notification: Notification):
        if notification.step_before:
            step = Notification(
                notification.connector_id, notification.step_before, "", None, notification.at_ms
            )
            await self._send_one(step)
        await self._send_one(notification)

    async def _send_one(self, notification: Notification):
        """Sends a StatusNotification. Tries three times if it is refused or not answered, since
        nothing else would report this status."""
        station = self.station
        fault = notification.fault
        request = {
            "connectorId": notification.connector_id,
            "status": notification.status,
            "errorCode": notification.error_code,
        }
        epoch = station.clock.epoch_at(notification.at_ms)
        if epoch:
            fraction = station.clock.fraction_at(notification.at_ms)
            request["timestamp"] = times.text(epoch, fraction)
        if fault:
            row = faults.row(fault)
            request["errorCode"] = row.error_code
            request["info"] = row.info
            request["vendorId"] = VENDOR
            request["vendorErrorCode"] = fault
        elif notification.info:
            request["info"] = notification.info
        for attempts_left in range(_ATTEMPTS - 1, -1, -1):
            self.goes_first = False  # `rpc` calls in the order in which it is asked
            try:
                await station.rpc.call("StatusNotification", request)
                return
            except (CallError, asyncio.TimeoutError) as why:
                self.log.warning("StatusNotification: %s", str(why) or "no answer")
            if attempts_left:
                await station.clock.sleep_ms(_RETRY_MS)
