"""StatusNotification (OCPP 4.9, errata 3.19 to 3.22): what is told of the connectors and in which
order, without duplicates. What the status is: `charging/connector.py`."""

import asyncio

from firmware.base import times
from firmware.charging import connector, faults
from firmware.charging.connector import (
    AVAILABLE,
    CHARGING,
    FAULTED,
    FINISHING,
    PREPARING,
    RESERVED,
    SUSPENDED_EV,
    SUSPENDED_EVSE,
    UNAVAILABLE,
)
from firmware.ocpp import CallError
from firmware.ocpp.registration import VENDOR

_MOST_WAITING = 20  # notifications; the oldest goes first
_ATTEMPTS = 3
_RETRY_MS = 15000
_TRANSACTIONS_FIRST_S = 10  # how long transaction messages may go first

# The table of OCPP 4.9 with B6 (errata 3.20). From Faulted and to Faulted goes always.
_MAY_FOLLOW = {
    AVAILABLE: (
        PREPARING,
        CHARGING,
        SUSPENDED_EV,
        SUSPENDED_EVSE,
        RESERVED,
        UNAVAILABLE,
    ),
    PREPARING: (AVAILABLE, CHARGING, SUSPENDED_EV, SUSPENDED_EVSE, FINISHING),
    CHARGING: (AVAILABLE, SUSPENDED_EV, SUSPENDED_EVSE, FINISHING, UNAVAILABLE),
    SUSPENDED_EV: (AVAILABLE, CHARGING, SUSPENDED_EVSE, FINISHING, UNAVAILABLE),
    SUSPENDED_EVSE: (AVAILABLE, CHARGING, SUSPENDED_EV, FINISHING, UNAVAILABLE),
    FINISHING: (AVAILABLE, PREPARING, UNAVAILABLE),
    RESERVED: (AVAILABLE, PREPARING, UNAVAILABLE),
    UNAVAILABLE: (AVAILABLE, PREPARING, CHARGING, SUSPENDED_EV, SUSPENDED_EVSE),
}


class Notification:
    """What is to be told. `fault`: a vendor error code or None; `at_ms`: since when it is so, in
    station time; `step_before`: a status that is to be told first, or ""."""

    def __init__(self, connector_id, status, info, fault, at_ms):
        self.connector_id = connector_id
        self.status = status
        self.info = info
        self.fault = fault
        self.at_ms = at_ms
        self.step_before = ""


def status_between(before: str, after: str) -> str:
    """The status to tell between two of which the second may not follow the first: a step that was
    too short to be seen. "" where it may."""
    if FAULTED in (before, after) or before == after or after in _MAY_FOLLOW[before]:
        return ""
    if after == PREPARING:  # during a transaction
        return FINISHING
    return AVAILABLE if after in (RESERVED, UNAVAILABLE) else PREPARING


class StatusNotifier:
    """Watches the connector. `status` is connector 1's now, `info` what is to be said with it."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("status")
        self.status = AVAILABLE
        self.info = ""
        self._status_since_ms = 0
        self._operative = True  # what connector 0 was told to be
        self._told = None  # the newest notification of connector 1, sent or waiting
        self._waiting = []
        self._wake = asyncio.Event()
        self._cut_short = 0  # connections in a row that ended before all was told

    def update(self) -> None:
        """Derives the status, and has told what changed; to be called after each step of the
        evse."""
        station = self.station
        session = station.session
        now = station.clock.ms()
        status = connector.status(station.evse, session, self.status, now)
        if status != self.status:
            self.log.debug("%s", status)
            self.status = status
            self._status_since_ms = now
        car_is_gone = session.transaction and not station.evse.plugged
        shows_it = status in (FINISHING, SUSPENDED_EV)
        self.info = connector.UNPLUGGED if car_is_gone and shows_it else ""
        if session.operative != self._operative:
            self._operative = session.operative
            self._tell(self._present(0))
        for code, is_raised in station.evse.faults.drain():
            self._tell_change(now, code)
            if is_raised:
                if code == faults.TAMPER:
                    station.security_event("Tamper detected")
                station.spawn(station.logbook.save_after_fault())
        if self._is_settled(now):
            self._tell_change(now)

    def _is_settled(self, now):
        """Whether the status has lasted for MinimumStatusDuration."""
        shortest = self.station.config.int("MinimumStatusDuration") * 1000
        return not shortest or now - self._status_since_ms >= shortest or self.status == FAULTED

    def _tell_change(self, now, changed_fault=None):
        """Tells connector 1's status if it is not what was told last."""
        told = self._told
        active = self.station.evse.faults.active
        fault = None
        if self.status == FAULTED and active:
            # a code just raised is told; when one of several clears, the oldest that remains
            fault = changed_fault if changed_fault in active else active[0]
            if not changed_fault and told and told.fault in active:
                return
        if not told or told.status != self.status or told.info != self.info or told.fault != fault:
            self._tell(Notification(1, self.status, self.info, fault, now))

    def _present(self, connector_id):
        """What is true of a connector now."""
        now = self.station.clock.ms()
        if connector_id == 0:
            status = AVAILABLE if self.station.session.operative else UNAVAILABLE
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
        self._waiting.append(notification)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.pop(0)
        self._wake.set()

    def repeat(self) -> None:
        """Accepted or connected again: the present status of both connectors (errata 3.22). The
        one that did not get its turn goes first."""
        self._told = None
        for connector_id in (1, 0) if self._cut_short % 3 else (0, 1):
            self._tell(self._present(connector_id))

    def trigger(self, connector_ids: tuple) -> None:
        """TriggerMessage: sent while the registration is Pending, too; else in its turn."""
        for connector_id in connector_ids:
            notification = self._present(connector_id)
            if self.station.registration.online.is_set():
                self._tell(notification)
            else:
                self.station.spawn(self._send(notification))

    def clear(self) -> None:
        """The connection is gone: history is not told, the present status will be."""
        if self._waiting:
            self._cut_short += 1
        self._waiting.clear()

    async def run(self) -> None:
        """While online: sends what waits, oldest first."""
        while True:
            await self.station.registration.online.wait()
            if self._cut_short % 3 == 1:
                # This central system may hang up early: the transactions' messages have a turn.
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
        """What is refused, or not answered on a link that lives, is told again a few times:
        nothing else would tell it."""
        station = self.station
        fault = notification.fault
        request = {
            "connectorId": notification.connector_id,
            "status": notification.status,
            "errorCode": "NoError",
        }
        epoch = station.clock.epoch_at(notification.at_ms)
        if epoch:
            request["timestamp"] = times.text(epoch)
        if fault:
            row = faults.row(fault)
            request["errorCode"] = row.error_code
            request["info"] = row.info
            request["vendorId"] = VENDOR
            request["vendorErrorCode"] = fault
        elif notification.info:
            request["info"] = notification.info
        for attempts_left in range(_ATTEMPTS - 1, -1, -1):
            try:
                await station.rpc.call("StatusNotification", request)
                return
            except (CallError, asyncio.TimeoutError) as why:
                self.log.warning("StatusNotification: %s", str(why) or "no answer")
            if attempts_left:
                await station.clock.sleep_ms(_RETRY_MS)
