"""BootNotification and Heartbeat (OCPP 4.2, 4.6, errata 3.11)."""

import asyncio

from firmware.base import times
from firmware.ocpp.frames import CallError

VENDOR = "Schneider Electric"
_RETRY_S = 60  # where the central system gives no interval of its own


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
            self._accepted()  # OCPP-J 5.4: no BootNotification at a reconnection
        while True:
            if self.status != "Accepted" or self._boot:
                self._boot = False
                wait = await self._boot_notification()
            else:
                idle = station.clock.ms() - station.rpc.active_ms
                wait = station.config.int("HeartbeatInterval") - idle // 1000
                if wait <= 0:
                    await self._beat()
                    continue
            await self._sleep(wait)

    async def _sleep(self, seconds):
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), seconds / self.station.clock.speed)
        except asyncio.TimeoutError:
            pass

    async def _boot_notification(self):
        station = self.station
        request = {
            "chargePointModel": station.reference.name,
            "chargePointVendor": VENDOR,
            "chargePointSerialNumber": station.config.get("BoxIdentifier")[:25],
            "firmwareVersion": station.version,
        }
        if station.meter.model:
            request["meterType"] = station.meter.model[:25]
        try:
            answer = await station.rpc.call("BootNotification", request)
        except (CallError, asyncio.TimeoutError) as why:
            self.log.warning("BootNotification: %s", why or "no answer")
            return _RETRY_S
        interval = answer["interval"]
        self.status = answer["status"]
        self._clock(answer["currentTime"])
        self.log.info("registration %s, interval %d s", self.status, interval)
        if self.status == "Accepted":
            if interval > 0:
                station.config.put("HeartbeatInterval", str(min(interval, 86400)))
            station.booted()
            self._accepted()
            return 0
        self.online.clear()
        return interval if interval > 0 else _RETRY_S

    def _accepted(self):
        self.online.set()
        self.station.notifier.repeat()

    async def _beat(self):
        try:
            self._clock((await self.station.rpc.call("Heartbeat", {}))["currentTime"])
        except (CallError, asyncio.TimeoutError) as why:
            self.log.warning("Heartbeat: %s", why or "no answer")

    def _clock(self, text):
        epoch = times.parse(text)
        if epoch < self.station.build_epoch:
            self.log.warning("%s is before this firmware was built: clock not set", text)
            return
        moved = self.station.clock.set(epoch)
        if moved not in (0, -1, 1):
            self.log.info("clock corrected by %d s", moved)


