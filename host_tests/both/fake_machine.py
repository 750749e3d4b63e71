"""An ESP32 in software: `machine` as micropython-esp32-stubs declare it and as it was measured to
behave (time passes while the ADC reads, sleeps end on 10 ms ticks, UARTs give None when nothing
came), and the circuit of docs/wiring.md around it.

    chip = fake_machine.Chip()      # in sys.modules as `machine`, its time in the board's module
    circuit = fake_machine.Circuit(chip)
"""

import sys

chip = None  # the newest Chip: the classes below are its parts

_ADC1 = range(32, 40)
_ADC2 = (0, 2, 4, 12, 13, 14, 15, 25, 26, 27)
_NONE = (6, 7, 8, 9, 10, 11, 20, 24, 28, 29, 30, 31)  # the flash's, or not there


class Pin:
    IN = 1
    OUT = 3
    PULL_DOWN = 1
    PULL_UP = 2

    def __init__(self, number, mode=-1, pull=-1, *, value=None):
        if number in _NONE or not 0 <= number < 40:
            raise ValueError("invalid pin %r" % number)
        if number > 33 and (mode == Pin.OUT or pull == Pin.PULL_UP):
            raise ValueError("pin can only be input")
        self.number = number
        if pull == Pin.PULL_UP:
            chip.pulled.add(number)
        if mode == Pin.OUT:
            chip.out(number, value or 0)
        self.mode = mode

    def value(self, *value):
        if value:
            assert self.mode == Pin.OUT, "writes to the input %d" % self.number
            chip.out(self.number, 1 if value[0] else 0)
            return None
        return chip.level(self.number)

    __call__ = value


class Signal:
    def __init__(self, pin, *, invert=False):
        self.pin = pin
        self.invert = invert

    def value(self, *value):
        if value:
            return self.pin.value(bool(value[0]) != self.invert)
        return int(bool(self.pin.value()) != self.invert)

    __call__ = value


class ADC:
    ATTN_0DB = 0
    ATTN_11DB = 3

    def __init__(self, pin, *, atten=ATTN_0DB):
        if pin.number not in _ADC1 and pin.number not in _ADC2:
            raise ValueError("invalid pin")
        self.number = pin.number
        self.most = 3134 if atten == ADC.ATTN_11DB else 1078
        self.least = 142 if atten == ADC.ATTN_11DB else 75

    def read_uv(self):
        """In steps of 1 mV; at the ends it sticks."""
        if self.number not in _ADC1:
            raise OSError(116)  # ETIMEDOUT: Wi-Fi has the other one
        mv = chip.analogue(self.number)
        chip.us += chip.read_us
        return max(self.least, min(self.most, mv)) * 1000


class PWM:
    def __init__(self, pin, *, freq=5000, duty_u16=32768):
        self.number = pin.number
        self.period = 1000000 // freq
        chip.pwm[self.number] = self
        self.duty_u16(duty_u16)

    def duty_u16(self, value):
        if not 0 <= value <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65536")
        self.duty = 65536 if value == 65535 else value

    def high(self, us):
        return (us % self.period) * 65536 < self.duty * self.period


class UART:
    INV_RX = 4
    INV_TX = 32

    def __init__(self, number, baud, bits, parity, stop, *, tx, rx, rxbuf=256, invert=0):
        assert tx not in _NONE and rx not in _NONE, "the default pins are the flash's"
        chip.uarts[number] = self
        self.setup = (number, baud, bits, parity, stop, tx, rx, rxbuf, invert)
        self.rxbuf = rxbuf
        self.heard = b""  # an init throws away what came before
        self.sent = b""

    def hear(self, data):
        """The wire's side; what does not fit is lost."""
        self.heard = (self.heard + data)[: self.rxbuf]

    def read(self, n):
        data = self.heard[:n]
        self.heard = self.heard[n:]
        return data or None

    def write(self, data):
        self.sent += bytes(data)
        return len(data)


class WDT:
    def __init__(self, *, id=0, timeout=5000):
        chip.timeout_ms = timeout
        self.feed()

    def feed(self):
        chip.fed_us = chip.us


class RTC:
    def memory(self, *data):
        if not data:
            return chip.memory
        assert len(data[0]) <= 2048
        chip.memory = bytes(data[0])
        return None

    def datetime(self, *when):
        if when:
            chip.date = when[0]
        return chip.date


class Reset(BaseException):
    """The chip starts again."""


class Chip:
    """`machine`, and this chip's time: `us`. `inputs`: levels of pins from outside, None open;
    `analogue(pin)` gives mV; `on_out(pin, level)` sees the outputs change."""

    PWRON_RESET = 1
    HARD_RESET = 2
    WDT_RESET = 3
    SOFT_RESET = 5
    Pin, Signal, ADC, PWM, UART, WDT, RTC = Pin, Signal, ADC, PWM, UART, WDT, RTC

    def __init__(self):
        global chip
        chip = self
        self.us = 1000000
        self.read_us = 70
        self.hz = 160000000
        self.late_ms = 0  # how long the next sleep is held up by somebody else
        self.outputs = {}
        self.inputs = {}
        self.pulled = set()
        self.pwm = {}
        self.uarts = {}
        self.memory = b""
        self.date = (2000, 1, 1, 5, 0, 0, 0, 0)
        self.cause = self.PWRON_RESET
        self.timeout_ms = None
        self.fed_us = None
        self.on_out = None
        self.analogue = lambda pin: 0
        sys.modules["machine"] = self  # type: ignore

    def freq(self, *hz):
        if hz:
            assert hz[0] in (80000000, 160000000, 240000000)
            self.hz = hz[0]
        return self.hz

    def reset_cause(self):
        return self.cause

    def reset(self):
        raise Reset

    def out(self, number, level):
        changed = self.outputs.get(number) != level
        self.outputs[number] = level
        if changed and self.on_out:
            self.on_out(number, level)

    def level(self, number):
        """An output's own level; an input's: from outside, else pulled up, else chance."""
        if number in self.outputs:
            return self.outputs[number]
        level = self.inputs.get(number)
        if level is None:
            assert number in self.pulled, "pin %d floats" % number
            level = 1
        return level

    # the time, as `runtime` and `time` have it

    def ticks_ms(self):
        return self.us // 1000

    def ticks_diff(self, end, start):
        return end - start

    def sleep_us(self, us):
        self.us += us

    async def sleep_ms(self, ms):
        self.us += self.late_ms * 1000
        self.late_ms = 0
        self.us = -(-(self.us + ms * 1000) // 10000) * 10000  # wakes on a tick of 10 ms

    def board(self, changes=None, log=None):
        """The firmware's board on this chip, in this chip's time."""
        from firmware.board import esp32, pins  # they import `machine`

        esp32.runtime = esp32.time = self
        return esp32.Board(pins.load("devkit", changes), log)


class Circuit:
    """What docs/wiring.md puts around the chip, with the pins of "devkit", and a car.

    The monostable holds the permit for `HOLD_US` after a rising edge of the heartbeat, the pilot
    window follows CP after `WINDOW_US`. The car: `ohm` from CP to PE behind its diode (2740 B, 882
    C, 246 D; None unplugged). `window` False: that part of the interlock is stuck closed.
    """

    HOLD_US = 1500000
    WINDOW_US = 15000
    CLOSES_US = 30000
    OPENS_US = 20000

    def __init__(self, chip, window=True):
        self.chip = chip
        self.window = window
        self._ohm = None
        self._in_window = False
        self._window_us = 0  # since when
        self.diode = True
        self.pp_ohm = None
        self.ntc_ohm = 10000
        self.rcd = self.tamper = self.earth_lost = self.stuck = self.jammed = False
        self.locked = False
        self.noise_mv = 0
        self.events = []  # (us, what, value)
        self._triggered = None  # when the monostable was
        self._closed = False
        self._due = None  # (us, whether the contactor is closed from then on)
        self._driven = {}  # the lock's lines: since when
        chip.on_out = self._out
        chip.analogue = self.mv
        chip.level = self._level
        self._plain = Chip.level

    @property
    def ohm(self):
        return self._ohm

    @ohm.setter
    def ohm(self, ohm):
        self.contactor()  # what was until now
        self._ohm = ohm
        self.contactor()

    # what the chip drives

    def _out(self, number, level):
        us = self.chip.us
        self.contactor()
        if number == 26 and level and self.chip.outputs.get(25):
            self._triggered = us
        if number == 25:
            self.events.append((us, "permit", level))
            if not level:
                self._triggered = None
        if number in (18, 19):
            if level:
                self._driven[number] = us
            elif number in self._driven:
                took = us - self._driven.pop(number)
                self.events.append((us, "lock" if number == 18 else "unlock", took // 1000))
                if took >= 200000 and not self.jammed:
                    self.locked = number == 18
            assert not (self.chip.outputs.get(18) and self.chip.outputs.get(19)), "both at once"
        if number in (21, 22):
            self.events.append((us, "phases" if number == 21 else "break", level))
        self.contactor()

    def permitted(self):
        return self._triggered is not None and self.chip.us - self._triggered < self.HOLD_US

    def _windowed(self):
        """Whether the pilot window sees C with a diode: the low side counts only under PWM."""
        pwm = self.chip.pwm.get(27)
        high = self._at(12000) if pwm and pwm.duty else -12000
        steady = pwm and pwm.duty == 65536
        inside = 4500 <= high <= 7500 and (steady or self._at(-12000) < -10000)
        if inside != self._in_window:
            self._in_window = inside
            self._window_us = self.chip.us
        settled = self.chip.us - self._window_us >= self.WINDOW_US
        return not self.window or inside == settled  # until then, the other way round

    def contactor(self):
        """Whether it is closed; follows the interlock: permit and nothing tripped."""
        us = self.chip.us
        if self._due and us >= self._due[0]:
            self._closed = self._due[1]
            self.events.append((self._due[0], "contactor", self._closed))
            self._due = None
        held = self.permitted() and not self.rcd
        wanted = held and self._windowed()
        heading = self._due[1] if self._due else self._closed
        if wanted != heading and not self.stuck:
            since = us
            if held:
                since = self._window_us + self.WINDOW_US
            elif not self.rcd and self._triggered is not None:
                since = self._triggered + self.HOLD_US
            self._due = (since + (self.CLOSES_US if wanted else self.OPENS_US), wanted)
        if self._due and us >= self._due[0]:
            return self.contactor()
        return self._closed

    # what it sees

    def _level(self, number):
        chip = self.chip
        closed = self.contactor()
        facts = {
            35: int(closed),  # a normally closed mirror contact to ground
            13: None if self.rcd else 0,
            33: None if self.earth_lost else 0,
            32: None if self.tamper else 0,
            23: 0 if self.locked else None,
        }
        if number in facts:
            chip.inputs[number] = facts[number]
        return self._plain(chip, number)

    def cp(self):
        """mV at the CP pin: the +-12 V of the pilot behind 1 kohm, the car's resistor."""
        chip = self.chip
        pwm = chip.pwm.get(27)
        return self._at(12000 if pwm is None or pwm.high(chip.us) else -12000)

    def _at(self, source):
        if self.chip.outputs.get(22) or self.ohm is None:
            return source
        drop = 700 if self.diode else 0
        if source < 0 and self.diode:
            return source
        return (source - drop) * self.ohm // (self.ohm + 1000) + drop

    def mv(self, number):
        """What a pin of the ADC sees, by the resistors of docs/wiring.md."""
        if number == 36:  # CP over 200k, 33k to ground, 43k to 3.3 V
            noise = self.noise_mv and (self.chip.us * 7919 // 64) % (2 * self.noise_mv + 1)
            return 1311 + self.cp() * 8538 // 100000 + noise - self.noise_mv
        ohm, pull = (self.pp_ohm, 1000) if number == 39 else (self.ntc_ohm, 10000)
        return 3300 if ohm is None else 3300 * ohm // (ohm + pull)

    def plug(self, ohm=2740, pp=220):
        self.ohm = ohm
        self.pp_ohm = pp


def finish(coroutine):
    """Runs a coroutine that waits for the chip's time only."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something else")
