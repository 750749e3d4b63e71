"""Wi-Fi on the device: one network, kept up beside the charger and never in its way."""

import network

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.net import ntp

_ATTEMPT_MS = const(20000)  # for an attempt, DHCP included
_MAX_PAUSE_MS = const(60000)  # between attempts
_RADIO_RESTART = const(5)  # failures in a row after which the radio is switched off and on
_ASK_AGAIN_MS = const(60000)  # for the time, without an answer
_DAY_MS = const(86400000)
# What `WLAN.status()` says of a failure, in words: ESP-IDF's wifi_err_reason_t, and MicroPython's
# own 1001 (STAT_CONNECTING).
_WEAK = const("wrong password, or too weak a signal")
_REASONS = {
    15: _WEAK,
    200: "the access point fell silent",
    201: "no such network",
    202: "wrong password",
    204: _WEAK,
    210: "the network is secured in a way that this chip can't",
    211: "the network is less secure than a password asks for: an open one takes none",
    1001: "no answer, or no address by DHCP",
}


def describe() -> tuple:
    """(whether it is connected, how it is in words), for the self-test and diagnostics."""
    wlan = network.WLAN(network.STA_IF)
    if not wlan.isconnected():
        status = wlan.status()
        return False, "not connected: %s" % _REASONS.get(status, status)
    return True, "%s, %s dBm" % (wlan.ifconfig()[0], wlan.status("rssi"))


class Wifi:
    """`run(station)` is its task. `ntp`: the host asked for the time while no central system
    tells it; empty: nobody. `joined` (an Event) is set while there is a network."""

    def __init__(self, ssid: str, key: str, log, ntp: str = ""):
        self.ssid = ssid
        self.key = key
        self.log = log
        self.ntp = ntp
        self.joined = runtime.Event()
        self._ask_ms = 0  # when to ask for the time
        self._ntp_answered = False

    async def run(self, station) -> None:
        network.hostname("wallbridge")
        wlan = network.WLAN(network.STA_IF)
        failures = 0
        if not wlan.isconnected():  # it may be, after a restart of its task
            self.joined.clear()
        while True:
            if await self._connect(wlan):
                failures = 0
                self.joined.set()
                self.log.info("connected, address %s", wlan.ifconfig()[0])
                while wlan.isconnected():
                    if self.ntp:
                        await self._ask_time(station)
                    await runtime.sleep_ms(1000)
            self.joined.clear()
            failures += 1
            status = wlan.status()
            pause = min(500 << min(failures, 8), _MAX_PAUSE_MS)
            pause += pause * runtime.urandom(1)[0] // 512  # not with all the neighbours at once
            self.log.warning(
                "not connected: %s; again in %d s", _REASONS.get(status, status), pause // 1000
            )
            if failures % _RADIO_RESTART == 0:
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
        for _ in range(_ATTEMPT_MS // 100):
            if wlan.isconnected():
                return True
            await runtime.sleep_ms(100)
        return False

    async def _ask_time(self, station):
        """Asks the time server when it is due. Does nothing while the central system tells the
        time, or when the clock was set by another."""
        clock = station.clock
        known = station.registration.status == "Accepted" or (
            clock.is_set and not self._ntp_answered
        )
        if known or clock.ms() < self._ask_ms:
            return
        self._ask_ms = clock.ms() + _ASK_AGAIN_MS
        epoch = await ntp.ask(self.ntp, self.log)
        if epoch >= station.build_epoch:
            self._ask_ms += _DAY_MS
            self._ntp_answered = True
            station.set_time(epoch)
            self.log.info("the time is from %s", self.ntp)
