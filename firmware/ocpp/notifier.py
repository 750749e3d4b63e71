"""StatusNotification (OCPP 4.9, errata 3.19 to 3.22): what changed, in order, no duplicates."""

import asyncio

from firmware.base import runtime
from firmware.charging import connector

_SEND = "firmware.ocpp.status"
_OTHERS_S = 10  # how long transaction messages may go first
_KEEP = 20  # notifications waiting at most; the oldest goes first


class Notifier:
    """Watches the connector. `status` is connector 1's now."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("status")
        self.status = "Available"
        self.info = ""
        self.since = 0
        self._operative = True
        self._told = None  # what the central system was told last of connector 1
        self._queue = []
        self._behind = 0  # connections in a row that went before all was told
        self._wake = asyncio.Event()

    def look(self) -> None:
        """Derives the status; called after each step of the evse."""
        station = self.station
        ms = station.clock.ms()
        session = station.session
        status = connector.status(station.evse, session, self.status, ms)
        if status != self.status:
            self.log.debug("%s", status)
            self.status = status
            self.since = ms
        gone = session.transaction and not station.evse.plugged
        gone = gone and status in ("Finishing", "SuspendedEV")
        self.info = connector.UNPLUGGED if gone else ""
        if station.session.operative != self._operative:
            self._operative = not self._operative
            self._put(*self._now(0))
        for code, raised in station.evse.faults.drain():
            self._note(ms, code)
            if raised:
                if code == "0x10020C":
                    station.security_event("Tamper detected")
                station.spawn(
                    runtime.soon("firmware.base.logbook", "soon", station.files, station.log)
                )
        if self._settled(ms):
            self._note(ms)

    def _settled(self, ms):
        shortest = self.station.config.int("MinimumStatusDuration") * 1000
        return not shortest or ms - self.since >= shortest or self.status == "Faulted"

    def _note(self, ms, changed=None):
        active = self.station.evse.faults.active
        fault = None
        if self.status == "Faulted" and active:
            # a code just raised is told; when one of several clears, the oldest that remains
            fault = changed if changed in active else active[0]
            if not changed and self._told and self._told[2] in active:
                return
        told = (self.status, self.info, fault)
        if told != self._told:
            self._put(1, self.status, self.info, fault, ms)

    def _put(self, connector_id, status, info, fault, ms):
        before = ""
        if connector_id:
            before = self._told[0] if self._told else ""
            self._told = (status, info, fault)
        if not self.station.registration.online.is_set():
            return  # at the next registration or reconnection the current status is sent
        self._queue.append((connector_id, status, info, fault, ms, before))
        while len(self._queue) > _KEEP:
            self._queue.pop(0)
        self._wake.set()

    def _now(self, connector_id):
        ms = self.station.clock.ms()
        if connector_id == 0:
            operative = self.station.session.operative
            return 0, "Available" if operative else "Unavailable", "", None, ms
        active = self.station.evse.faults.active
        return 1, self.status, self.info, active[0] if active else None, ms

    def repeat(self) -> None:
        """Accepted or connected again: the current status of both connectors (errata 3.22). The
        one that did not get its turn goes first."""
        self._told = None
        for number in (1, 0) if self._behind % 3 else (0, 1):
            self._put(*self._now(number))

    def trigger(self, connectors: tuple) -> None:
        """TriggerMessage: sent while the registration is Pending, too; else in its turn."""
        online = self.station.registration.online.is_set()
        for number in connectors:
            if online:
                self._put(*self._now(number))
            else:
                note = self._now(number) + ("",)
                self.station.spawn(runtime.soon(_SEND, "send", self, note))

    def clear(self) -> None:
        """The link is gone: history is not told, the current status will be."""
        if self._queue:
            self._behind += 1
        self._queue.clear()

    async def run(self) -> None:
        """While online: sends what waits, oldest first."""
        while True:
            await self.station.registration.online.wait()
            if self._behind % 3 == 1:  # a server that hangs up early: who waits has turns, too
                await self.station.delivery.emptied(_OTHERS_S)
            while self._queue:
                note = self._queue[0]
                await runtime.soon(_SEND, "send", self, note)
                if self._queue and self._queue[0] is note:
                    self._queue.pop(0)
            self._behind = 0
            self._wake.clear()
            await self._wake.wait()
