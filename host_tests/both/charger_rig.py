"""A charger on a simulated board in stepped time: no loop, no sleep. For the tests of the evse,
the faults and the board, on every runtime."""

from firmware.board.simulated.board import Board
from firmware.charging.evse import Evse, Limits
from firmware.charging.faults import Faults
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryStore


class Clock:
    """Time that a test moves by hand."""

    speed = 1

    def __init__(self):
        self.now = 0

    def ms(self):
        return self.now


class Watched(Board):
    """A board that writes down what happens to it, as (ms, what, value)."""

    def __init__(self, clock, **options):
        self.events = []
        self.stubborn = False  # a car that never opens S2 by itself
        super().__init__(clock, **options)

    def note(self, what, value):
        self.events.append((self._now, what, value))

    def _happen(self, name):
        if name == "s2" and self.stubborn:
            return
        before = self.closed
        loaded = self.ma
        super()._happen(name)
        if self.closed != before:
            self.note("contactor", self.closed)
            if loaded:
                self.note("under load", loaded)

    def pilot(self, permille):
        changed = permille != self.output
        super().pilot(permille)
        if changed:
            self.note("pilot", permille)

    def _set_permit(self, on):
        changed = on != self._permit
        super()._set_permit(on)
        if changed:
            self.note("permit", on)

    def lock(self, close):
        super().lock(close)
        self.note("lock", close)

    def phases(self, n):
        super().phases(n)
        self.note("phases", n)


class Rig:
    """A charger. `sample` 0: samples as the simulated board wants them; else every so many ms,
    as on the device."""

    def __init__(self, socket=True, phases=3, store=None, sample=0, ma=32000, **options):
        self.clock = Clock()
        self.socket = socket
        self.mains = phases
        self.sample = sample
        self.store = MemoryStore() if store is None else store
        self.log = Log()
        self.board = Watched(self.clock, phases=phases, **options)
        self.steps = 0
        self.meter = True  # a reading a second
        self.blind = False  # of a meter that tells no current and no voltage
        self._read_ms = 0
        self.next = 0  # when the next sample is due
        self.start(ma)

    def start(self, ma=32000):
        """The station starts (again): the world stays as it is."""
        self.board.permit(False)
        self.limits = Limits()
        self.limits.set("imax_user", ma)
        self.faults = Faults(self.log, self.store)
        self.evse = Evse(
            self.board, self.clock.ms, self.log, self.limits, self.faults, self.socket, self.mains
        )

    def sim(self, *lines):
        for line in lines:
            self.board.command(line.split())
            self.stir()

    def stir(self):
        """The world changed: the simulated board's wait returns."""
        if not self.sample:
            self.next = self.clock.now

    def step(self):
        """One sample; returns the ms to the next."""
        self.steps += 1
        pause = self.evse.step()
        assert pause > 0
        now = self.clock.now
        if self.meter and now - self._read_ms >= 1000:
            self._read_ms = now
            lost = "0x10020F" in self.board.faults
            self.evse.set_meter_error(lost)
            if not lost:
                values = self.board.reading()
                if self.blind:
                    values = {name: values[name] for name in ("energy", "power")}
                self.evse.check_reading(values)
        return self.sample or self.board.pause(pause)

    def run(self, ms):
        """Lets `ms` pass."""
        end = self.clock.now + ms
        while self.next <= end:
            self.clock.now = self.next
            self.next += self.step()
        self.clock.now = end
        self.board.advance()

    def until(self, condition, most=120000):
        """Runs until the condition holds; returns the ms that it took."""
        begun = self.clock.now
        while not condition():
            self.run(10)
            assert self.clock.now - begun <= most, "not within %d ms" % most
        return self.clock.now - begun

    def until_faulted(self):
        return self.until(lambda: self.faults.active, 15000)

    def charge(self):
        """A car charges."""
        self.sim("plug", "ready")
        self.evse.enabled = True
        self.until(lambda: self.board.closed and self.board.ma > 0, 10000)
        self.run(8000)
        self.board.events.clear()
        return self

    def times(self, what, *values):
        """When it happened, ms; with a value, when it became that."""
        return [
            at
            for at, name, v in self.board.events
            if name == what and (not values or v == values[0])
        ]

    def outputs(self):
        """What the pilot was told, oldest first."""
        return [value for _, name, value in self.board.events if name == "pilot"]
