"""BootNotification and Heartbeat (OCPP 4.2, 4.6, errata 3.11)."""

import asyncio

from firmware.base import runtime


class Registration:
    """Whether the central system has accepted this station: `status` is none, Pending, Rejected
    or Accepted. `online` is set while the link stands and the station is accepted."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("boot")
        self.status = "none"
        self.online = asyncio.Event()
        self._wake = asyncio.Event()
        self._boot = False

    def boot_again(self) -> None:
        """TriggerMessage(BootNotification): energy managers ask for it after a restart of theirs."""
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

    async def run(self) -> None:
        """While the link stands: registers, then sends Heartbeats after silence."""
        station = self.station
        if self.status == "Accepted":
            self.accept()  # OCPP-J 5.4: no BootNotification at a reconnection
        while True:
            if self.status != "Accepted" or self._boot:
                self._boot = False
                wait = await runtime.soon("firmware.ocpp.boot", "notify", self)
            else:
                idle = station.clock.ms() - station.rpc.active_ms
                wait = station.config.int("HeartbeatInterval") - idle // 1000
                if wait <= 0:
                    await self._beat()
                    continue
            await self._sleep(wait)

    async def _sleep(self, seconds):
        await self.station.clock.wait(self._wake, seconds * 1000)

    async def _beat(self):
        await runtime.soon("firmware.ocpp.boot", "heartbeat", self)

    def accept(self) -> None:
        """Accepted, or accepted before and connected again."""
        self.online.set()
        self.station.notifier.repeat()
