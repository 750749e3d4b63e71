"""The simulated board: a car, a contactor, a lock, a phase relay, a meter, the mains.

Physics, not answers: voltages follow from resistors, currents from the duty that the car sees,
energy from volts, amperes and time. The world moves on when somebody looks at it. Time is the
station's; whole numbers throughout.
"""

import asyncio
from array import array

from firmware.board.simulated import commands

_SETTLE_MS = 1500  # after a change of the world, samples come every 20 ms for so long
_SAMPLE_MS = 20
_HEARTBEAT_MS = 500  # the permit drops when it is not refreshed
_CLOSES_MS = 30
_OPENS_MS = 20
_LOCK_MS = 250
_STOPS_MS = 1500  # the car opens S2 so long after the PWM went
_STARTS_MS = 400  # and closes it so long after the PWM came
_WAKES_MS = 2000  # a break of CP so long wakes a sleeping car
_WH = 36000000  # dW x ms


class Board:
    """The contract is in docs/architecture.md. `clock` is the station's.

    `phases` of the mains (1 or 3); `path`: the file that keeps the meter's register; `slave`:
    (request bytes, meter reading) -> answer bytes, the Modbus side of the meter; `encode`:
    ("historique" or "standard", reading of the house) -> bytes of one TIC frame; `power_off`:
    ends the process at once. The car: `draw` mA, `ask` "B", "C" or "D", `car_phases`, `asleep`,
    `diode`; its cable: `cable_ohm`.
    """

    def __init__(self, clock, phases=3, path=None, slave=None, encode=None, power_off=None):
        self.clock = clock
        self.mains = phases
        self.path = path
        self.slave = slave
        self.encode = encode
        self.power_off = power_off
        self.burst = array("h", [12000] * 8)
        self.pp_ohm = self.cable_ohm = 220
        self.contactor = self.lock_closed = False
        self.ground_ok = True
        self.residual_trip = self.tamper = False
        self.cable_ddeg = 250
        # the world
        self.plugged = self.asleep = self.s2 = False
        self.diode = True
        self.ask = "B"
        self.draw = 32000
        self.car_phases = 3
        self.volt_mv = 230000
        self.temp_ddeg = 250
        self.house_ma = 2000
        self.tic_mode = "off"
        self.faults = set()
        self.output = 1000
        self.relay = phases
        self.closed = False  # the contactor itself
        self.ma = 0  # what the car draws on each phase
        self.energy = self.reactive = 0
        self._rest = self._reactive_rest = 0
        self._file = None
        if path:
            self._load()
        self._saved = self.energy
        self._due = {}  # what happens next: name to ms
        self._now = self._alive = self._stirred = clock.ms()
        self._permit = False
        self._broken = 0  # since when CP is broken off
        self._lock_to = self._lock = False
        self._wake = asyncio.Event()

    # the meter's register, as durable as a real one: no value is told before it is kept

    def _load(self):
        try:
            with open(self.path) as file:
                text = file.read()
        except OSError:
            return  # the first start
        self.energy, self.reactive = [int(word) for word in text.split()]

    def _save(self):
        """In one write of one length, over the old: a killed process leaves the old or the new."""
        if self.path and self.energy != self._saved:
            if not self._file:
                open(self.path, "ab").close()
                self._file = open(self.path, "r+b")
            self._file.seek(0)
            self._file.write(b"%-20d %-20d\n" % (self.energy, self.reactive))
            self._file.flush()
            self._saved = self.energy

    # physics

    def _at(self, name, delay):
        self._due[name] = self._now + delay
        self._stir()

    def _stir(self):
        self._stirred = self._now
        self._wake.set()

    def advance(self) -> None:
        """Lets the world catch up with the clock, event by event."""
        now = self.clock.ms()
        while True:
            if self._permit and now > self._alive:
                at = max(self._now, self._alive)
                name = "heartbeat"
            else:
                at = now
                name = None
            for other in self._due:
                if self._due[other] <= at and (name is None or self._due[other] < at):
                    name = other
                    at = self._due[other]
            self._flow(at)
            if name is None:
                return
            self._due.pop(name, None)
            self._happen(name)

    def _happen(self, name):
        if name == "heartbeat":
            self._set_permit(False)
            return
        if name == "contactor":
            self.closed = self._permit
        elif name == "lock":
            self._lock = self._lock_to
        elif name == "s2":
            self.s2 = self._pwm() and self.ask != "B" and not self.asleep
        self._stir()

    def _pwm(self):
        return self.plugged and self.output is not None and 0 < self.output < 1000

    def _target(self):
        """What the car draws when it has come to rest, mA on each phase."""
        if not (self.closed and self.plugged and self.s2):
            return -1  # a switch is open: at once
        if not self._pwm() or self.output < 80:
            return 0
        if self.output <= 850:
            allowed = max(6000, self.output * 60)
        else:
            allowed = (self.output - 640) * 250
        if "0x100213" in self.faults:
            return (allowed + 500) * 5 // 4
        return min(self.draw, allowed)

    def _flow(self, until):
        """Integrates from `_now` to `until`, during which nothing switches."""
        while self._now < until:
            target = self._target()
            if target < 0:
                target = self.ma = 0
            step = until - self._now
            if self.ma != target:  # the ramp: 10 A/s up, 20 A/s down
                step = min(step, 100)
                if self.ma < target:
                    self.ma = min(target, self.ma + 10 * step)
                else:
                    self.ma = max(target, self.ma - 20 * step)
            if self.ma:
                power = self.ma * self._volts() // 100000 * min(self.relay, self.car_phases)
                self._rest += power * step
                self._reactive_rest += power // 5 * step
                self.energy += self._rest // _WH
                self._rest %= _WH
                self.reactive += self._reactive_rest // _WH
                self._reactive_rest %= _WH
            self._now += step
        if self._target() < 0:
            self.ma = 0

    def _volts(self):
        if "0x200206" in self.faults:
            return 280000
        return 180000 if "0x200208" in self.faults else self.volt_mv

    def reading(self) -> dict:
        """What the charger's meter shows now (a meter reading)."""
        self.advance()
        self._save()
        values = {"energy": self.energy, "reactive": self.reactive, "frequency": 50000}
        return self._phases(values, 0)

    def house(self) -> dict:
        """What the house's meter shows: as a meter reading, the car included."""
        self.advance()
        self._save()
        return self._phases({"energy": self.energy}, self.house_ma)

    def _phases(self, values, more):
        used = min(self.relay, self.car_phases)
        volts = self._volts()
        values["power"] = 0
        for n in range(1, self.mains + 1):
            ma = more + (self.ma if n <= used else 0)
            values["v%d" % n] = volts
            values["i%d" % n] = ma
            values["p%d" % n] = ma * volts // 100000
            values["power"] += values["p%d" % n]
        return values

    # the contract: facts

    def read(self) -> None:
        self.advance()
        faults = self.faults
        high = 12000
        if self.plugged:
            high = 9000 if not self.s2 else 6000 if self.ask == "C" else 3000
        low = high
        if "0x100217" in faults:
            high = low = 0  # CP touches PE
        elif self.output is None:
            high = low = 12000  # nothing hangs on this end
        elif self.output == 0:
            high = low = -12000
        elif self.output < 1000:
            low = -12000 if self.diode or not self.plugged else -high
        burst = self.burst
        if burst[0] != high or burst[7] != low:
            for n in range(8):
                burst[n] = high if n < 4 else low
        self.pp_ohm = 30 if "0x100218" in faults else self.cable_ohm
        self.contactor = self.closed != ("0x100208" in faults)
        self.lock_closed = not self._lock_to if "0x100205" in faults else self._lock
        self.ground_ok = "0x100206" not in faults
        self.residual_trip = "0x100215" in faults
        self.tamper = "0x10020C" in faults
        self.cable_ddeg = 800 if "0x100102" in faults else self.temp_ddeg

    # the contract: outputs

    def pilot(self, permille: int | None) -> None:
        self.advance()
        if permille == self.output:
            return
        before = self._pwm()
        if permille is None:
            self._broken = self._now
        elif self.output is None and self._now - self._broken >= _WAKES_MS:
            self.asleep = False
        self.output = permille
        if before != self._pwm():
            self._at("s2", _STOPS_MS if before else _STARTS_MS)
        self._stir()

    def permit(self, on: bool) -> None:
        self.advance()
        if on:
            self._alive = self._now + _HEARTBEAT_MS * self.clock.speed
        self._set_permit(on)

    def _set_permit(self, on):
        if on != self._permit:
            self._permit = on
            self._at("contactor", _CLOSES_MS if on else _OPENS_MS)

    def lock(self, close: bool) -> None:
        self.advance()
        self._lock_to = close
        if "0x100205" not in self.faults:
            self._at("lock", _LOCK_MS)

    def free_lock(self) -> None:
        """The jammed lock moves again."""
        self._lock = self._lock_to

    def phases(self, n: int) -> None:
        self.advance()
        self.relay = min(n, self.mains)
        self._stir()

    def pause(self, ms: int) -> int:
        """The ms to the next sample that shows something new, at most `ms`."""
        self.advance()
        if self._now - self._stirred < _SETTLE_MS:
            ms = min(ms, _SAMPLE_MS)
        for name in self._due:
            ms = min(ms, max(1, self._due[name] - self._now))
        if self._permit:
            self._alive = self._now + ms + _HEARTBEAT_MS * self.clock.speed
        return ms

    async def wait(self, ms: int) -> None:
        """Until the next sample; earlier when somebody changes the world."""
        self._wake.clear()
        ms = self.pause(ms)
        try:
            await asyncio.wait_for(self._wake.wait(), ms / 1000 / self.clock.speed)
        except asyncio.TimeoutError:
            pass  # nothing happened meanwhile: time for the next sample

    def feed(self, silent: str) -> None:
        """No watchdog here."""

    def tic_tune(self, baud: int):
        """The TIC line at another speed."""
        return self.port("tic", baud)

    def port(self, name: str, baud: int = 9600, parity: str = "E"):
        """The serial line of the "meter" or the "tic"."""
        return MeterPort(self) if name == "meter" else TicPort(self, baud)

    def command(self, words: list) -> list | None:
        """A `sim` command's words. Raises ValueError saying what is wrong with them."""
        self.advance()
        commands.command(self, words)
        self._flow(self._now)  # a switch that just opened stops the current
        self._stir()
        return None


class MeterPort:
    """The meter's RS-485 line: what is written is asked of the slave."""

    def __init__(self, board):
        self.board = board
        self.answer = b""

    def write(self, data) -> None:
        board = self.board
        self.answer = b""
        if board.slave and "0x10020F" not in board.faults:
            self.answer = board.slave(bytes(data), board.reading())

    def read(self, n: int) -> bytes:
        part = self.answer[:n]
        self.answer = self.answer[n:]
        return part


class TicPort:
    """The house meter's line: frame after frame at the baud rate of its mode, 10 bits a byte.
    Listening at another rate hears noise."""

    def __init__(self, board, baud):
        self.board = board
        self.baud = baud
        self._mode = "off"
        self._frame = b""
        self._at = 0  # bytes of the frame already read
        self._ms = 0  # when the frame began

    def write(self, data) -> None:
        pass

    def read(self, n: int) -> bytes:
        board = self.board
        mode = board.tic_mode
        if mode == "off" or not board.encode:
            self._mode = "off"
            return b""
        now = board.clock.ms()
        baud = 1200 if mode == "historique" else 9600
        lasts = len(self._frame) * 10000 // baud + 25  # and the gap
        if mode != self._mode or now - self._ms >= lasts:
            late = now - self._ms - lasts
            if self._mode == mode and self._at < len(self._frame):
                return self._take(n, len(self._frame))
            self._ms = now - late if mode == self._mode and late < 1000 else now
            self._mode = mode
            self._at = 0
            self._frame = board.encode(mode, board.house())
        return self._take(n, (now - self._ms) * baud // 10000)

    def _take(self, n, sent):
        part = self._frame[self._at : min(sent, self._at + n)]
        self._at += len(part)
        if self.baud != (1200 if self._mode == "historique" else 9600):
            part = bytes([(byte * 5 + 0x2F) & 0x7F for byte in part])
        return part
