"""BootNotification and Heartbeat (OCPP 4.2, 4.6, errata 3.11)."""

import asyncio

from firmware.base import runtime

_CLOCK_MS = 86400000


class Registration:
    """Whether the central system has accepted this station: `status` is none, Pending, Rejected
    or Accepted. `online` is set while the link stands and the station is accepted. `due_ms`: while
    Pending or Rejected, nothing is sent before, reconnections included. `asked_ms`: when the
    central system was last asked for the time."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("boot")
        self.online = asyncio.Event()
        self._wake = asyncio.Event()
        self._boot = False
        self.asked_ms = 0
        self.forget()

    def boot_again(self) -> None:
        """TriggerMessage(BootNotification): energy managers ask for it after their restart."""
        self._boot = True
        self._wake.set()

    def wake(self) -> None:
        """HeartbeatInterval changed."""
        self._wake.set()

    def beat(self) -> None:
        """TriggerMessage(Heartbeat)."""
        self.station.spawn(self._beat())

    def forget(self) -> None:
        """A new place or identity: what another central system said is void."""
        self.status = "none"
        self.due_ms = 0

    def renew(self) -> None:
        """Accepted as one who has another password by now: registers anew."""
        if self.status == "Accepted":
            self.forget()

    async def run(self) -> None:
        """While the link stands: registers, then sends Heartbeats after silence, and once a day in
        any case, for the clock (OCPP 4.6)."""
        station = self.station
        clock = station.clock
        if self.status == "Accepted":
            self.accept()  # OCPP-J 5.4: no BootNotification at a reconnection
        while True:
            now = clock.ms()
            if self._boot or (self.status != "Accepted" and now >= self.due_ms):
                self._boot = False
                await runtime.soon("firmware.ocpp.boot", "notify", self)
                continue
            if self.status != "Accepted":
                wait = self.due_ms - now
            else:
                wait = station.rpc.active_ms + station.config.int("HeartbeatInterval") * 1000
                wait = min(wait, self.asked_ms + _CLOCK_MS) - now
                if wait <= 0:
                    await self._beat()
                    continue
            await clock.wait(self._wake, wait)

    async def _beat(self):
        await runtime.soon("firmware.ocpp.boot", "heartbeat", self)

    def accept(self) -> None:
        """Accepted, or accepted before and connected again."""
        self.online.set()
        self.station.notifier.repeat()
