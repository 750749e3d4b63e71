"""Wi-Fi on the device: one network, kept up beside the charger and never in its way."""

import network

from firmware.base import runtime

_PATIENCE_MS = 20000  # for an attempt, DHCP included
_LONGEST_MS = 60000  # between attempts
_AFRESH = 5  # failures in a row after which the radio is switched off and on
_DAY_MS = 86400000
_WHY = {200: "the access point fell silent", 201: "no such network", 202: "wrong password"}


class Wifi:
    """`run(station)` is its task. `ntp`: the host asked for the time while no central system
    tells it; empty: nobody."""

    def __init__(self, ssid: str, key: str, log, ntp: str = ""):
        self.ssid = ssid
        self.key = key
        self.log = log
        self.ntp = ntp
        self._due = 0  # when to ask for the time
        self._told = False

    async def run(self, station) -> None:
        network.hostname("wallbridge")
        wlan = network.WLAN(network.STA_IF)
        failures = 0
        while True:
            if await self._connect(wlan):
                failures = 0
                self.log.info("connected, address %s", wlan.ifconfig()[0])
                while wlan.isconnected():
                    if self.ntp:
                        await self._time(station)
                    await runtime.sleep_ms(1000)
            failures += 1
            status = wlan.status()
            pause = min(500 << min(failures, 8), _LONGEST_MS)
            pause += pause * runtime.urandom(1)[0] // 512  # not with all the neighbours at once
            self.log.warning(
                "not connected: %s; again in %d s", _WHY.get(status, status), pause // 1000
            )
            if failures % _AFRESH == 0:
                wlan.active(False)
            await runtime.sleep_ms(pause)

    async def _connect(self, wlan) -> bool:
        try:
            if not wlan.active():
                wlan.active(True)
                # Saving power costs a second now and then; connecting again is our job.
                wlan.config(pm=network.WLAN.PM_NONE, reconnects=0)
            if not wlan.isconnected():  # it is, after a restart of its task
                wlan.disconnect()
                wlan.connect(self.ssid, self.key)
        except OSError as why:
            self.log.error("%s", why)
            return False
        for _ in range(_PATIENCE_MS // 100):
            if wlan.isconnected():
                return True
            await runtime.sleep_ms(100)
        return False

    async def _time(self, station):
        clock = station.clock
        better = station.registration.status == "Accepted" or (clock.known and not self._told)
        if better or clock.ms() < self._due:
            return
        self._due = clock.ms() + 60000
        epoch = await runtime.soon("firmware.net.ntp", "ask", self.ntp, self.log)
        if epoch >= station.build_epoch:
            self._due += _DAY_MS
            self._told = True
            clock.set(epoch)
            station.set_host_clock(epoch)
            station.transactions.event_times.date_boots()
            self.log.info("the time is from %s", self.ntp)
