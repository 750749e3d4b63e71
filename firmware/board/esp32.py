"""The board on an ESP32: the circuit of docs/wiring.md behind the contract of
docs/architecture.md. Nothing here waits.
"""

import time
from array import array
from collections import namedtuple

from machine import ADC, PWM, UART, WDT, Pin, Signal

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.board.crash_record import CrashRecord

_SAMPLE_MS = const(20)  # while the contactor may be closed, or the lock moves
_IDLE_MS = const(100)
_LOCK_MS = const(300)
_COLD_DDEG = const(-300)  # of the first point of the NTC's table; 5 degC to the next
_HOT_DDEG = const(1250)  # hotter than the table goes, or a broken sensor
_LASTING_FEEDS = const(150)  # feeds, one each 4 s, after which earlier crashes no longer count
_RX = const(2048)  # bytes of a UART's buffer: a TLS handshake stops the loop for so long
_WATCHDOG_MS = const(30000)
_DAY_MS = const(86400000)
_PWM_READS = const(112)  # of the pilot's voltage: several periods of the PWM
_STEADY_READS = const(16)  # where there is no PWM
_FACTS = (  # the attribute, and the pin's name in pins.py
    ("contactor", "contactor"),
    ("residual_trip", "rcd"),
    ("ground_ok", "ground"),
    ("tamper", "tamper"),
    ("lock_closed", "lock"),
)

# A UART's number, its pins, and which of the two are inverted (`machine.UART`'s `invert`).
SerialPins = namedtuple("SerialPins", ("number", "tx", "rx", "invert"))


def not_fitted(value=0) -> int:
    """Stands in for a line that isn't fitted."""
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
    """`pins` is from `pins.load`. The permit's pin is set first, and off. Starts the watchdog; for
    a developer (`dev`) it waits a day.

    `burst` is one of `_pwm_burst` and `_steady_burst`: pilot voltage, mV. The lines are called
    with 1 for what their name says; those that are missing are `not_fitted`.
    """

    def __init__(self, pins: dict, log, dev: bool = False):
        self.log = log
        self.residual_trip = self.tamper = self.lock_closed = self.contactor = False
        self.ground_ok = True
        self.cable_ddeg = None
        self.pp_ohm = 99999
        self.adc_error = ""
        self._adc_failed = False  # at least once
        self._sampled_ms = runtime.ticks_ms()
        self._samples = 0
        self._permitted = self._beat_level = False
        self._lock_pulse_ms = None  # since when the lock is driven
        self._tic = None
        self._tic_baud = 0
        self._silent = ""
        self._feeds = 0
        self._permit = _line(pins["permit"], True)
        self._beat = _line(pins["beat"], True)
        self._crash_record = CrashRecord()
        self._watchdog = WDT(timeout=_DAY_MS if dev else _WATCHDOG_MS)
        self._cp_break = _line(pins["cp_break"], True)
        self._lock_close = _line(pins["lock_close"], True)
        self._lock_open = _line(pins["lock_open"], True)
        self._three_phases = _line(pins["phases"], True)
        self._inputs = tuple(  # (the fact's name, its line)
            [(fact, _line(pins[name], False)) for fact, name in _FACTS if pins[name] != "-"]
        )
        self._cp = _adc(pins["cp"])
        self._pp = _adc(pins["pp"])
        self._ntc = _adc(pins["ntc"])
        low_mv, high_mv = int(pins["cp_minus_mv"]), int(pins["cp_plus_mv"])
        self._cp_zero_uv = (low_mv + high_mv) * 500  # at the pin, for 0 V of CP
        # mV of CP for a uV at the pin, times 2**15, rounded: 24 V lie between the two
        self._cp_gain = (24 * 65536 // (high_mv - low_mv) + 1) // 2
        self._cp_inverted = 65535 if "!" in pins["cp_pwm"] else 0  # by its driver
        self._pwm_burst = array("h", bytes(2 * _PWM_READS))
        self._steady_burst = array("h", bytes(2 * _STEADY_READS))
        self._supply_mv = int(pins["supply_mv"])
        self._pp_pull_ohm = int(pins["pp_pull_ohm"])
        self._ntc_pull_ohm = int(pins["ntc_pull_ohm"])
        self._ntc_ohm = tuple([int(part) for part in pins["ntc_ohm"].split(",")])
        self._cp_pwm = PWM(
            Pin(_number(pins["cp_pwm"])), freq=1000, duty_u16=65535 ^ self._cp_inverted
        )
        self.pilot(1000)
        self._uarts = {"meter": _uart(2, pins, "meter"), "tic": _uart(1, pins, "tic")}

    # facts

    def read(self) -> None:
        self._sampled_ms = runtime.ticks_ms()
        for name, line in self._inputs:
            setattr(self, name, line() == 1)
        try:
            self._read_pilot()
            if self._pp:
                self.pp_ohm = self._ohm(self._pp, self._pp_pull_ohm)
            if self._ntc and not self._samples & 7:
                self.cable_ddeg = self._temperature()
            self.adc_error = ""
        except OSError as why:
            self._take_adc_error(why)
        self._samples += 1

    def _read_pilot(self):
        read = self._cp.read_uv
        zero = self._cp_zero_uv
        gain = self._cp_gain
        burst = self.burst
        for n in range(len(burst)):
            burst[n] = (read() - zero) * gain >> 15
            if not n & 15:
                time.sleep_us(n)  # type: ignore[attr-defined]  # never in step with the PWM

    def _take_adc_error(self, why):
        """The ADC can't be read: reports 0 V, which is no state of the pilot, so that there is a
        fault (0x100217) and no energy. MicroPython needs a calibration in the chip's eFuse, which
        some early chips don't have."""
        burst = self.burst
        for n in range(len(burst)):
            burst[n] = 0
        self.adc_error = "the ADC can't be read: %s" % why
        if not self._adc_failed:
            self._adc_failed = True
            self.log.error("%s: no charging on this chip", self.adc_error)

    def _ohm(self, adc, pull):
        """A resistor to ground, with another to the supply."""
        read = adc.read_uv
        mv = (read() + read() + read() + read()) // 4000
        return pull * mv // (self._supply_mv - mv) if mv < self._supply_mv - 220 else 99999

    def _temperature(self):
        ohm = self._ohm(self._ntc, self._ntc_pull_ohm)
        points = self._ntc_ohm
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
        most = _IDLE_MS if self._lock_pulse_ms is None and not self._permitted else _SAMPLE_MS
        passed = runtime.ticks_diff(runtime.ticks_ms(), self._sampled_ms)
        await runtime.sleep_ms(max(min(ms, most) - passed, 1))
        if self._lock_pulse_ms is not None:
            if runtime.ticks_diff(runtime.ticks_ms(), self._lock_pulse_ms) >= _LOCK_MS:
                self._release_lock()

    # outputs

    def pilot(self, permille: int | None) -> None:
        """Without a relay that breaks CP off, state F stands in for the break."""
        self.burst = self._pwm_burst if permille and permille < 1000 else self._steady_burst
        self._cp_break(permille is None)
        if permille is None:
            permille = 0 if self._cp_break is not_fitted else 1000
        self._cp_pwm.duty_u16(min(permille * 65536 // 1000, 65535) ^ self._cp_inverted)

    def permit(self, on: bool) -> None:
        self._permitted = on
        self._permit(on)
        if on:
            self._beat_level = not self._beat_level
            self._beat(self._beat_level)

    def lock(self, close: bool) -> None:
        self._release_lock()
        (self._lock_close if close else self._lock_open)(1)
        self._lock_pulse_ms = runtime.ticks_ms()

    def _release_lock(self):
        self._lock_close(0)
        self._lock_open(0)
        self._lock_pulse_ms = None

    def phases(self, n: int) -> None:
        self._three_phases(n == 3)

    # lines and the supervisor

    def port(self, name: str, baud: int = 9600, parity: str = "E") -> Port:
        fitted = self._uarts[name]
        if not fitted:
            return Port(None)
        bits = 7 if name == "tic" else 8
        even_odd = {"N": None, "E": 0, "O": 1}[parity]
        return Port(
            UART(
                fitted.number,
                baud,
                bits,
                even_odd,
                1,
                tx=fitted.tx,
                rx=fitted.rx,
                rxbuf=_RX,
                invert=fitted.invert,
            )
        )

    def tic_tune(self, baud: int) -> Port:
        """The TIC line at this speed. Bytes that were received are lost only when the speed
        changes."""
        if baud != self._tic_baud:
            self._tic_baud = baud
            self._tic = self.port("tic", baud)
        return self._tic

    def feed(self, silent: str) -> None:
        """Feeds the watchdog unless parts of the station are silent; the next start is told
        which."""
        if self._feeds == _LASTING_FEEDS:
            self._crash_record.forget_crashes()
        if silent != self._silent:
            if silent:
                self._crash_record.expect_crash(silent + " silent")
            else:
                self._crash_record.run_on()
            self._silent = silent
        if not silent:
            self._feeds += 1
            self._watchdog.feed()

    def crash_record(self) -> str:
        """What RTC memory keeps for boot.py: the crashes in a row, and the last one's cause."""
        return self._crash_record.text()


def _number(text):
    """A pin's number, without the marks for inverted and pulled up."""
    return int(text.lstrip("!^"))


def _line(text, output):
    """A digital line that reads and takes 1 for what its name says; an output is off at first."""
    if text == "-":
        return not_fitted
    inverted = "!" in text
    if output:
        pin = Pin(_number(text), Pin.OUT, value=int(inverted))
    else:
        pin = Pin(_number(text), Pin.IN, Pin.PULL_UP if "^" in text else -1)
    return Signal(pin, invert=inverted)


def _adc(text):
    return None if text == "-" else ADC(Pin(int(text)), atten=ADC.ATTN_11DB)


def _uart(number, pins, name):
    """The line's UART; None where it is not fitted."""
    tx, rx = pins[name + "_tx"], pins[name + "_rx"]
    if rx == "-":
        return None
    invert = (UART.INV_TX if "!" in tx else 0) | (UART.INV_RX if "!" in rx else 0)
    return SerialPins(number, _number(tx), _number(rx), invert)
