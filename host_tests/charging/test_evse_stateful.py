"""Whatever car, mains, people and a busy loop do: the contactor is never closed where it must not
be. The invariants are checked on the world, not on what the evse thinks of it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from firmware.charging import faults
from host_tests.both.charger_rig import Rig

CODES = [row.code for row in faults.rows()]
TICK = 10
SLACK = 20  # a sample


class Charger(RuleBasedStateMachine):
    @initialize(
        socket=st.booleans(), phases=st.sampled_from([1, 3]), sample=st.sampled_from([0, 20])
    )
    def build(self, socket, phases, sample):
        self.rig = Rig(socket=socket, phases=phases, sample=sample)
        self.rig.evse.switch_ms = 15000
        self.c_ms = self.not_c_ms = 0  # when the car's C began, and ended
        self.in_c = False
        self.open_lock_ms = None
        self.faulty_ms = None
        self.f_ms = None
        self.changed_ms = -5000
        self.pwm_ms = None
        self.output = 1000
        self.stalled = 0
        self.seen = 0
        self.charged = False

    # what happens

    @rule(command=st.sampled_from(["plug", "unplug", "ready", "pause", "ventilate", "sleep"]))
    def car(self, command):
        self.rig.sim(command)
        self.look()

    @rule(wait=st.sampled_from([30, 700, 5000]))
    def car_comes_and_charges(self, wait):
        self.rig.sim("plug", "ready")
        self.rig.evse.enabled = True
        self.look()
        self.pass_time(wait)

    @rule(ma=st.sampled_from([0, 5000, 6000, 16000, 32000, 80000]))
    def draw(self, ma):
        self.rig.sim("draw %d" % ma)

    @rule(code=st.sampled_from(CODES), state=st.sampled_from(["on", "off", "off"]))
    def fault(self, code, state):
        self.rig.sim("fault %s %s" % (code, state))
        self.look()

    @rule()
    def all_well(self):
        for code in list(self.rig.board.faults):
            self.rig.sim("fault %s off" % code)
        self.rig.sim("temp 25", "volt 230", "unplug")
        self.rig.board.diode = True
        self.rig.board.cable_ohm = 220
        self.look()
        self.pass_time(2000)
        self.rig.faults.reset()

    @rule(name=st.sampled_from(["diode", "stubborn"]), value=st.booleans())
    def oddity(self, name, value):
        setattr(self.rig.board, name, value)
        self.rig.stir()
        self.look()

    @rule(ohm=st.sampled_from([0, 100, 220, 680, 1500, 99999]))
    def cable(self, ohm):
        self.rig.board.cable_ohm = ohm
        self.rig.stir()

    @rule(celsius=st.sampled_from([25, 59, 66, 74, 76]), volts=st.sampled_from([190, 230, 270]))
    def weather(self, celsius, volts):
        self.rig.sim("temp %d" % celsius, "volt %d" % volts)

    @rule(on=st.booleans())
    def enable(self, on):
        self.rig.evse.enabled = on

    @rule(on=st.booleans())
    def hold(self, on):
        self.rig.evse.hold_lock = on

    @rule(ma=st.sampled_from([None, 0, 5999, 6000, 10000, 16000, 63000]))
    def limit(self, ma):
        self.rig.limits.set("profile", ma)

    @rule(phases=st.sampled_from([1, 3]))
    def want(self, phases):
        self.rig.evse.want_phases = phases

    @rule()
    def ask_to_unlock(self):
        if self.rig.socket:
            self.rig.evse.lock.ask_to_unlock()

    @rule()
    def restart(self):
        switch = self.rig.evse.switch_ms
        self.rig.faults.reset()
        self.rig.start()
        self.rig.evse.switch_ms = switch
        self.changed_ms = -5000
        self.output = self.rig.board.output
        self.f_ms = None
        self.look()

    @rule(ms=st.sampled_from([10, 20, 50, 130, 310]))
    def stall(self, ms):
        """Something holds the event loop."""
        self.rig.next = max(self.rig.next, self.rig.clock.now + ms)
        self.stalled = self.rig.next
        self.pass_time(ms)

    @rule(ms=st.sampled_from([10, 30, 100, 400, 1000, 3000]))
    def time(self, ms):
        self.pass_time(ms)

    @precondition(lambda self: self.rig.board.closed)
    @rule(ms=st.sampled_from([6500, 20000]))
    def long_time(self, ms):
        self.pass_time(ms)

    # what must hold

    def pass_time(self, ms):
        for _ in range(ms // TICK):
            self.rig.run(TICK)
            self.look()

    def look(self):
        board = self.rig.board
        board.advance()
        now = self.rig.clock.now
        pwm = 0 < (board.output or 0) < 1000
        in_c = (
            board.plugged
            and board.s2
            and board.ask == "C"
            and "0x100217" not in board.faults
            and (board.diode or not pwm)
        )
        if in_c != self.in_c:
            self.in_c = in_c
            if not in_c:
                self.not_c_ms = now
            elif now - self.not_c_ms > SLACK:  # else no sample saw that it was away
                self.c_ms = now
        for at, what, value in board.events[self.seen :]:
            self.event(at, what, value)
        self.seen = len(board.events)
        late = now - max(self.not_c_ms, self.stalled)
        assert not (board.closed and not in_c and late > 100), "closed for %d ms in non-C" % late
        if self.rig.socket:
            feedback = not board._lock_wanted if "0x100205" in board.faults else board._lock_closed
            if feedback or not board.closed:
                self.open_lock_ms = None
            elif self.open_lock_ms is None:
                self.open_lock_ms = now
            else:
                unlocked = now - max(self.open_lock_ms, self.stalled)
                assert unlocked <= 60, "closed without lock for %d ms" % unlocked
        # a fault: no PWM, no permit (one told by the meter is noticed at the next sample)
        if not self.rig.faults.active:
            self.faulty_ms = None
        elif self.faulty_ms is None:
            self.faulty_ms = now
        elif now - max(self.faulty_ms, self.stalled) > (40 if self.rig.sample else 520):
            assert not pwm and not board._permit
        if board.output == 0:
            assert now - max(self.f_ms, self.stalled) <= 1000, "F is held"

    def event(self, at, what, value):
        board = self.rig.board
        if what == "contactor" and value:
            self.charged = True
            if in_time(self.c_ms, at):
                assert at - self.c_ms >= 480, "closed %d ms after C" % (at - self.c_ms)
        elif what == "permit" and value:
            assert self.pwm_ms is not None and at - self.pwm_ms >= 480, "closed without PWM"
            active = self.rig.faults
            assert all(active.since(code) >= at for code in active.active)
        elif what in ("phases", "lock") and (what == "phases" or not value):
            assert not board.closed and not board._permit, what + " under load"
        elif what == "pilot":
            is_pwm = value is not None and 0 < value < 1000
            was_pwm = self.output is not None and 0 < self.output < 1000
            if is_pwm:
                apart = at - self.changed_ms
                assert apart >= 5000, "duty changed after %d ms" % apart
                if not was_pwm:
                    self.pwm_ms = at
            else:
                self.pwm_ms = None
                if value == 0 or value is None:
                    assert not board._permit
            if is_pwm or was_pwm:
                self.changed_ms = at
            if value == 0:
                self.f_ms = at
            elif self.output == 0:
                assert at - self.f_ms >= 300
            self.output = value


def in_time(c_ms, at):
    """A C that came and went again after the permit was given says nothing about the closing."""
    return at - c_ms > 100


def test_no_sequence_closes_the_contactor_wrongly():
    run_state_machine_as_test(
        Charger, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )
