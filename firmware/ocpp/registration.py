"""BootNotification and Heartbeat, and the clock that they set (OCPP 4.2, 4.6, errata 3.11)."""

import asyncio

from firmware.base import times
from firmware.base.runtime import Event, const
from firmware.ocpp import CallError

VENDOR = "Schneider Electric"  # chargePointVendor (guide page 16)
NONE = "none"  # the central system has not answered yet
ACCEPTED = "Accepted"
REJECTED = "Rejected"

_ASK_TIME_MS = const(86400000)  # the central system is asked for the time once a day at least
# 2058: later times of charging profiles would be no small integers on 32 bits.
_LATEST_EPOCH = const(2777000000)
_RETRY_S = const(60)  # where the central system gives no interval
_LONGEST_INTERVAL_S = const(86400)
_WORTH_A_LINE_MS = const(2000)  # in the log


class Registration:
    """Whether the central system has accepted this station: `status` is NONE, Pending, REJECTED
    or ACCEPTED. `online` is set while the connection stands and the station is accepted."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("boot")
        self.online = Event()
        self._wake = Event()
        self._boot_requested = False
        self._time_asked_ms = 0  # when the central system was last asked for the time
        self.forget()

    def is_accepted(self) -> bool:
        """Whether the central system has accepted the station, be it connected now or not."""
        return self.status == ACCEPTED

    def request_boot(self) -> None:
        """TriggerMessage(BootNotification): energy managers ask for it after their restart."""
        self._boot_requested = True
        self._wake.set()

    def request_heartbeat(self) -> None:
        """TriggerMessage(Heartbeat)."""
        self.station.spawn(self._send_heartbeat())

    def interval_changed(self) -> None:
        """HeartbeatInterval has another value."""
        self._wake.set()

    def forget(self) -> None:
        """Forgets the answer of another central system: the endpoint is new."""
        self.status = NONE
        # While Pending or Rejected nothing is sent before this time, even after a reconnection.
        self._next_boot_ms = 0

    def renew(self) -> None:
        """Registers again, since the station was accepted with another password."""
        if self.is_accepted():
            self.forget()

    async def run(self) -> None:
        """The task while the connection stands: registers; then sends a Heartbeat after each
        HeartbeatInterval of silence, and once a day in any case, for the clock (OCPP 4.6)."""
        station = self.station
        clock = station.clock
        if self.is_accepted():
            self._go_online()  # OCPP-J 5.4: no BootNotification at a reconnection
        while True:
            now = clock.ms()
            if self._boot_requested or (not self.is_accepted() and now >= self._next_boot_ms):
                self._boot_requested = False
                await self._register()
                continue
            if not self.is_accepted():
                wait = self._next_boot_ms - now
            else:
                wait = station.rpc.active_ms + station.config.int("HeartbeatInterval") * 1000
                wait = min(wait, self._time_asked_ms + _ASK_TIME_MS) - now
                if wait <= 0:
                    await self._send_heartbeat()
                    continue
            await clock.wait(self._wake, wait)

    async def _register(self):
        """Sends a BootNotification and takes its answer."""
        station = self.station
        request = {
            "chargePointModel": station.reference.name,
            "chargePointVendor": VENDOR,
            "chargePointSerialNumber": station.config.get("BoxIdentifier")[:25],
            "firmwareVersion": station.version,
        }
        if station.meter.model:
            request["meterType"] = station.meter.model[:25]
        self._time_asked_ms = station.clock.ms()
        self._next_boot_ms = 0  # if the connection ends before the answer: at once, on the next
        try:
            answer = await station.rpc.call("BootNotification", request)
        except (CallError, asyncio.TimeoutError) as why:
            self.log.warning("BootNotification: %s", str(why) or "no answer")
            self._retry_after(0)
            return
        self.status = answer["status"]
        interval = min(answer["interval"], _LONGEST_INTERVAL_S)
        self._set_clock(answer["currentTime"])
        self.log.info("registration %s, interval %d s", self.status, interval)
        station.connection.boot_answered()
        if not self.is_accepted():
            self.online.clear()
            station.notifier.clear()
            self._retry_after(interval)
            return
        if interval > 0:  # the flash is written in a step of its own, also when the link is lost
            station.spawn(self._keep_interval(interval))
        station.connection.accepted()
        station.transactions.event_times.date_boots()
        station.transaction_sender.wake.set()
        self._go_online()

    async def _keep_interval(self, seconds):
        """HeartbeatInterval, as the central system wants it."""
        try:
            self.station.config.change("HeartbeatInterval", str(seconds))
        except OSError as why:
            self.log.warning("no room to keep HeartbeatInterval: %s", why)
        self.interval_changed()

    def _retry_after(self, seconds):
        wait = seconds if seconds > 0 else _RETRY_S
        self._next_boot_ms = self.station.clock.ms() + wait * 1000

    async def _send_heartbeat(self):
        station = self.station
        self._time_asked_ms = station.clock.ms()
        try:
            answer = await station.rpc.call("Heartbeat", {})
            self._set_clock(answer["currentTime"])
        except (CallError, asyncio.TimeoutError) as why:
            self.log.warning("Heartbeat: %s", str(why) or "no answer")

    def _set_clock(self, current_time):
        """Takes the currentTime of the answer that has just come: (Unix seconds, ms)."""
        station = self.station
        epoch, ms = current_time
        if not station.build_epoch <= epoch < _LATEST_EPOCH:
            self.log.warning(
                "%s is before this firmware was built, or far off: clock not set",
                times.text(epoch),
            )
            return
        moved_ms = station.set_time(epoch, ms, station.rpc.sent_ms)
        if not -_WORTH_A_LINE_MS < moved_ms < _WORTH_A_LINE_MS:
            self.log.info("clock corrected by %d s", moved_ms // 1000)

    def _go_online(self):
        """The station is accepted and connected: others may send now."""
        self.online.set()
        self.station.notifier.repeat()
