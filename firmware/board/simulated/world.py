"""The simulated world: a car, a contactor, a lock, a phase relay, a meter, the mains.

It simulates physics: the current follows from the duty that the car sees, the energy from voltage,
current and time. The world moves on when somebody looks at it. Time is the station's; all numbers
are integers.
"""

from firmware.base.runtime import Event, const
from firmware.charging import faults as codes

_HEARTBEAT_MS = const(500)  # the permit drops when it is not refreshed
_CLOSES_MS = const(30)
_OPENS_MS = const(20)
_LOCK_MS = const(250)
_STOPS_MS = const(1500)  # the car opens S2 so long after the PWM went
_STARTS_MS = const(400)  # and closes it so long after the PWM came
_WAKES_MS = const(2000)  # a break of CP so long wakes a sleeping car
_UP_MA_PER_MS = const(10)  # how fast the car's current rises, and falls
_DOWN_MA_PER_MS = const(20)
_RAMP_MS = const(100)
_WH = const(36000000)  # dW x ms

# What happens by itself after a while.
HEARTBEAT_LOST = "heartbeat"
CONTACTOR_MOVES = "contactor"
LOCK_MOVES = "lock"
CAR_SWITCHES = "s2"

# The house meter's line.
TIC_OFF = "off"
TIC_HISTORIQUE = "historique"
TIC_STANDARD = "standard"


class World:
    """What is around the station, and how it goes on. `clock` is the station's, `phases` those of
    the mains (1 or 3), `path` the file that keeps the meter's register.

    To be set at any time: of the car `ask` ("B", "C" or "D"), `draw_ma`, `car_phases`, `diode`,
    and its cable's `cable_ohm`; `volt_mv`, `temp_ddeg`, `house_ma` (of the house without the
    car), `tic_mode`; `faults`, the vendor error codes whose cause is there. What the station
    tells it: `output` (the pilot, per mille), `relay` (phases). What follows: `plugged`,
    `asleep`, `s2` (the car's switch: C or D, not B), `closed` (the contactor itself), `ma` on
    each phase, and the meter's `energy` and `reactive`.
    """

    def __init__(self, clock, phases: int = 3, path: str | None = None):
        self.clock = clock
        self.mains = phases
        self.path = path
        self.plugged = self.asleep = self.s2 = False
        self.diode = True
        self.ask = "B"
        self.draw_ma = 32000
        self.car_phases = 3
        self.cable_ohm = 220
        self.volt_mv = 230000
        self.temp_ddeg = 250
        self.house_ma = 2000
        self.tic_mode = TIC_OFF
        self.faults = set()
        self.output = 1000
        self.relay = phases
        self.closed = False
        self.ma = 0
        self.energy = self.reactive = 0
        self._energy_dw_ms = self._reactive_dw_ms = 0
        self._file = None
        if path:
            self._load()
        self._saved = self.energy
        self._due = {}  # what happens next: name to ms
        self._now = clock.ms()  # until then all has happened
        self._permit_until = self._now  # the permit's heartbeat holds until then
        self._changed_ms = self._now  # when something changed last
        self._permit = False
        self.station_waits = False  # its control loop does: the permit's heartbeat goes on
        self._cp_broken_since = 0  # since when CP is broken off
        self._lock_wanted = self._lock_closed = False
        self._wake = Event()

    # What a person does to it

    def plug(self, plugged: bool) -> None:
        self.plugged = plugged
        self._car_decides()

    def car_asks(self, state: str) -> None:
        """The car goes to B, C or D as soon as it may."""
        self.ask = state
        self._car_decides()

    def _car_decides(self):
        self.s2 = self.plugged and self.ask != "B" and not self.asleep

    def car_sleeps(self) -> None:
        self.asleep = True
        self.s2 = False

    def set_fault(self, code: str, present: bool) -> None:
        """The cause of a vendor error code comes, or goes."""
        if present:
            self.faults.add(code)
        else:
            self.faults.discard(code)
            if code == codes.LOCK:  # the jammed lock moves again
                self._lock_closed = self._lock_wanted

    # The meter's register, as durable as a real one: no value is told before it is kept

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
                self._file = open(self.path, "r+b", 0)  # a buffer would take 4 KB
            self._file.seek(0)
            self._file.write(b"%-20d %-20d\n" % (self.energy, self.reactive))
            self._file.flush()
            self._saved = self.energy

    # Physics

    def _happens_in(self, name, delay):
        self._due[name] = self._now + delay
        self._note_change()

    def settle(self) -> None:
        """Somebody changed the world: a switch that just opened stops the current, and who waits
        for a change has one."""
        self._let_energy_flow(self._now)
        self._note_change()

    def _note_change(self):
        self._changed_ms = self._now
        self._wake.set()

    def advance(self) -> None:
        """Lets the world catch up with the clock, event by event."""
        now = self.clock.ms()
        if now == self._now and not self._due:
            return  # usual: a step looks several times
        while True:
            if self._permit and now > self._permit_until and not self.station_waits:
                at = max(self._now, self._permit_until)
                name = HEARTBEAT_LOST
            else:
                at = now
                name = None
            for other in self._due:
                if self._due[other] <= at and (name is None or self._due[other] < at):
                    name = other
                    at = self._due[other]
            self._let_energy_flow(at)
            if name is None:
                return
            self._due.pop(name, None)
            self._happen(name)

    def _happen(self, name):
        if name == HEARTBEAT_LOST:
            self._set_permit(False)
            return
        if name == CONTACTOR_MOVES:
            self.closed = self._permit
        elif name == LOCK_MOVES:
            self._lock_closed = self._lock_wanted
        elif name == CAR_SWITCHES:
            self.s2 = self._pwm() and self.ask != "B" and not self.asleep
        self._note_change()

    def _pwm(self):
        return self.plugged and self.output is not None and 0 < self.output < 1000

    def _target_ma(self):
        """What the car draws when it has come to rest, mA on each phase."""
        if not (self.closed and self.plugged and self.s2):
            return -1  # a switch is open: at once
        if not self._pwm() or self.output < 80:
            return 0
        if self.output <= 850:
            allowed = max(6000, self.output * 60)
        else:
            allowed = (self.output - 640) * 250
        if codes.OVERCURRENT in self.faults:
            return (allowed + 500) * 5 // 4
        return min(self.draw_ma, allowed)

    def _let_energy_flow(self, until):
        """Integrates from `_now` to `until`, during which nothing switches."""
        target = self._target_ma()
        if target < 0:
            target = self.ma = 0
        while self._now < until:
            step = until - self._now
            if self.ma != target:  # the ramp
                step = min(step, _RAMP_MS)
                if self.ma < target:
                    self.ma = min(target, self.ma + _UP_MA_PER_MS * step)
                else:
                    self.ma = max(target, self.ma - _DOWN_MA_PER_MS * step)
            if self.ma:
                power = self.ma * self._mains_mv() // 100000 * min(self.relay, self.car_phases)
                self._energy_dw_ms += power * step
                self._reactive_dw_ms += power // 5 * step
                self.energy += self._energy_dw_ms // _WH
                self._energy_dw_ms %= _WH
                self.reactive += self._reactive_dw_ms // _WH
                self._reactive_dw_ms %= _WH
            self._now += step

    def _mains_mv(self):
        if codes.OVERVOLTAGE in self.faults:
            return 280000
        return 180000 if codes.UNDERVOLTAGE in self.faults else self.volt_mv

    def meter_shows(self, counters: bool) -> tuple:
        """What the values in `reading` follow from now: while it stays the same they do, but for
        the registers of energy, if without `counters`. For less work than a reading is."""
        self.advance()
        self._save()
        drawn = (self.ma, self._mains_mv(), self.relay, self.car_phases)
        return (self.energy, self.reactive) + drawn if counters else drawn

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
        volts = self._mains_mv()
        values["power"] = 0
        for n in range(1, self.mains + 1):
            ma = more + (self.ma if n <= used else 0)
            values["v%d" % n] = volts
            values["i%d" % n] = ma
            values["p%d" % n] = ma * volts // 100000
            values["power"] += values["p%d" % n]
        return values

    # What the station does to it: the outputs of a board

    def pilot(self, permille: int | None) -> None:
        self.advance()
        if permille == self.output:
            return
        before = self._pwm()
        if permille is None:
            self._cp_broken_since = self._now
        elif self.output is None and self._now - self._cp_broken_since >= _WAKES_MS:
            self.asleep = False
        self.output = permille
        if before != self._pwm():
            self._happens_in(CAR_SWITCHES, _STOPS_MS if before else _STARTS_MS)
        self._note_change()

    def permit(self, on: bool) -> None:
        self.advance()
        self._set_permit(on)
        self.keep_permit(0)

    def _set_permit(self, on):
        if on != self._permit:
            self._permit = on
            self._happens_in(CONTACTOR_MOVES, _CLOSES_MS if on else _OPENS_MS)

    def lock(self, close: bool) -> None:
        self.advance()
        self._lock_wanted = close
        if codes.LOCK not in self.faults:
            self._happens_in(LOCK_MOVES, _LOCK_MS)

    def phases(self, n: int) -> None:
        self.advance()
        self.relay = min(n, self.mains)
        self._note_change()

    def keep_permit(self, ms: int) -> None:
        """The permit's heartbeat goes on for so long by itself: the next sample comes then."""
        if self._permit:
            self._permit_until = self._now + ms + _HEARTBEAT_MS * self.clock.speed
