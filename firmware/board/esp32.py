"""The board on an ESP32: the circuit of docs/wiring.md behind the contract of
docs/architecture.md. Nothing here waits. Its pins are made once, by `esp32_fit.py`.
"""

import time
from array import array

import machine

from firmware.base import runtime

_SAMPLE_MS = 20  # while the contactor may be closed, or the lock moves
_IDLE_MS = 100
_LOCK_MS = 300
_COLD_DDEG = -300  # of the first point of the NTC's table; 5 degC to the next
_HOT_DDEG = 1250  # beyond the last, or the sensor is broken: as bad
_LIVED = 150  # feeds (one each 4 s) after which earlier crashes don't count any more
_RX = 2048  # bytes: what comes during a TLS handshake


def nothing(value=0) -> int:
    """In the place of a line that isn't fitted."""
    return 0


class Port:
    """A serial line. `uart` None: not fitted, silent."""

    def __init__(self, uart):
        self._uart = uart

    def read(self, n: int) -> bytes:
        return self._uart and self._uart.read(n) or b""

    def write(self, data) -> None:
        if self._uart:
            self._uart.write(data)


class Board:
    """`fit(table, log)` of `esp32_fit.py` makes it with its lines, the permit first, and off."""

    burst: array  # one of the next two: pilot voltage, mV
    wave: array  # for PWM: at least 100 reads, over several periods
    steady: array
    cp: machine.ADC
    cp_zero: int  # uV at the pin for 0 V of CP
    cp_gain: int  # mV of CP for a uV at the pin, times 2**15
    cp_pwm: machine.PWM
    cp_flip: int  # 65535 where the driver inverts
    cp_break: machine.Signal  # this and the other lines: `nothing` when not fitted
    permit_line: machine.Signal
    beat: machine.Signal
    lock_close: machine.Signal
    lock_open: machine.Signal
    three: machine.Signal
    inputs: tuple  # (name of the fact, its line)
    pp: machine.ADC | None
    pp_pull: int  # ohm
    ntc: machine.ADC | None
    ntc_pull: int
    ntc_ohm: tuple
    supply: int  # mV
    uarts: dict  # name to (number, tx, rx, inverted), None: not fitted
    rtc: machine.RTC
    watchdog: machine.WDT

    def __init__(self, log):
        self.log = log
        self.residual_trip = self.tamper = self.lock_closed = self.contactor = False
        self.ground_ok = True
        self.cable_ddeg = None
        self.pp_ohm = 99999
        self._at = runtime.ticks_ms()  # the newest sample
        self._turn = 0
        self._on = self._level = False
        self._pulse = None  # when the lock's pulse began
        self._tic = None
        self._baud = 0
        self._silent = ""
        self._fed = 0

    # facts

    def read(self) -> None:
        self._at = runtime.ticks_ms()
        read = self.cp.read_uv
        zero = self.cp_zero
        gain = self.cp_gain
        burst = self.burst
        for n in range(len(burst)):
            burst[n] = (read() - zero) * gain >> 15
            if not n & 15:
                time.sleep_us(n)  # type: ignore[attr-defined]  # never in step with the PWM
        for name, line in self.inputs:
            setattr(self, name, line() == 1)
        if self.pp:
            self.pp_ohm = self._ohm(self.pp, self.pp_pull)
        if self.ntc and not self._turn & 7:
            self.cable_ddeg = self._temperature()
        self._turn += 1

    def _ohm(self, adc, pull):
        """A resistor to ground, with another to the supply."""
        read = adc.read_uv
        mv = (read() + read() + read() + read()) // 4000
        return pull * mv // (self.supply - mv) if mv < self.supply - 220 else 99999

    def _temperature(self):
        ohm = self._ohm(self.ntc, self.ntc_pull)
        points = self.ntc_ohm
        if ohm == 99999 or ohm < points[-1]:
            if self.cable_ddeg != _HOT_DDEG:
                self.log.error("cable sensor: %d ohm: broken, or too hot", ohm)
            return _HOT_DDEG
        at = 1
        while points[at] > ohm:
            at += 1
        above = points[at - 1]
        return _COLD_DDEG + at * 50 - 50 + (above - ohm) * 50 // (above - points[at])

    async def wait(self, ms: int) -> None:
        most = _IDLE_MS if self._pulse is None and not self._on else _SAMPLE_MS
        passed = runtime.ticks_diff(runtime.ticks_ms(), self._at)
        await runtime.sleep_ms(max(min(ms, most) - passed, 1))
        if self._pulse is not None:
            if runtime.ticks_diff(runtime.ticks_ms(), self._pulse) >= _LOCK_MS:
                self._rest()

    # outputs

    def pilot(self, permille: int | None) -> None:
        """Without a relay that breaks CP off, state F stands in for the break."""
        self.burst = self.wave if permille and permille < 1000 else self.steady
        self.cp_break(permille is None)
        if permille is None:
            permille = 0 if self.cp_break is nothing else 1000
        self.cp_pwm.duty_u16(min(permille * 65536 // 1000, 65535) ^ self.cp_flip)

    def permit(self, on: bool) -> None:
        self._on = on
        self.permit_line(on)
        if on:
            self._level = not self._level
            self.beat(self._level)

    def lock(self, close: bool) -> None:
        self._rest()
        (self.lock_close if close else self.lock_open)(1)
        self._pulse = runtime.ticks_ms()

    def _rest(self):
        self.lock_close(0)
        self.lock_open(0)
        self._pulse = None

    def phases(self, n: int) -> None:
        self.three(n == 3)

    # lines and the supervisor

    def port(self, name: str, baud: int = 9600, parity: str = "E") -> Port:
        fitted = self.uarts[name]
        if not fitted:
            return Port(None)
        number, tx, rx, invert = fitted
        bits = 7 if name == "tic" else 8
        even_odd = {"N": None, "E": 0, "O": 1}[parity]
        return Port(
            machine.UART(number, baud, bits, even_odd, 1, tx=tx, rx=rx, rxbuf=_RX, invert=invert)
        )

    def tic_tune(self, baud: int) -> Port:
        """The TIC line; what it has heard is lost only when the speed changes."""
        if baud != self._baud:
            self._baud = baud
            self._tic = self.port("tic", baud)
        return self._tic

    def feed(self, silent: str) -> None:
        """Feeds the watchdog unless a part of the station is silent; RTC memory keeps which, for
        boot.py (its docstring has the format)."""
        if silent != self._silent or self._fed == _LIVED:
            crashes = b"0" if self._fed == _LIVED else self.rtc.memory()[:1]
            self.rtc.memory(crashes + (b" bad %s silent" % silent.encode() if silent else b" run"))
            self._silent = silent
        if not silent:
            self._fed += 1
            self.watchdog.feed()
