"""The control step (IEC 61851-1): it reads the pilot and drives lock, permit and contactor.

There is one `step` for each sample (every 20 ms). The contactor opens fast: the first confirmed
reading that is not C drops the permit. It closes slowly: the pilot must be in C under PWM for half
a second, the plug locked, and no fault present.
"""

from firmware.base.runtime import const
from firmware.charging import faults as codes
from firmware.charging.lock import Lock
from firmware.sensing import pilot
from firmware.sensing.pilot import MIN_MA, STEADY

STATE_F = 0  # per mille: steady -12 V
BROKEN_OFF = None  # in place of per mille: CP is disconnected from the vehicle

_SAMPLE_MS = const(20)
_IDLE_MS = const(500)  # the longest pause, in which a wish may wait
_GAP_MS = const(60)  # after a pause as long as this, one reading is enough to open
_CLOSE_MS = const(500)  # how long readings must agree before the contactor closes
_CHANGE_MS = const(5000)  # between changes of the duty
_LOAD_MS = const(6000)  # so long after the offer ended, the contactor opens even under load
_AGAIN_MS = const(5000)  # the pause before closing again, if the contactor opened by itself
_F_MS = const(500)  # the length of a pulse of state F
_WAKE_AFTER_MS = const(30000)  # a vehicle that ignores the offer for so long may be asleep
_WAKE_MS = const(4000)  # the length of the break of CP that wakes it
_SETTLE_MS = const(100)  # readings so soon after a break or state F do not count
_NOMINAL_V = const(230)  # converts power to current and back


def current_ma(power_dw: int, phases: int) -> int:
    """The current in mA on each of so many phases that makes this power, in 0.1 W."""
    return power_dw * 100 // (_NOMINAL_V * phases)


def power_dw(ma: int, phases: int) -> int:
    """The power in 0.1 W that a current of `ma` makes on each of so many phases."""
    return ma * _NOMINAL_V * phases // 100


class Limits:
    """Limits in mA on each phase: imax_user, cable, tic, temperature, profile...

    `limited_by` names the lowest of them, "" while there is none. No duty cycle can offer less
    than 6000 mA: charging pauses below.
    """

    def __init__(self):
        self._limits = {}
        self._least = 0
        self.limited_by = ""

    def set(self, name: str, ma: int | None) -> None:
        """Sets or, with None, lifts a limit."""
        if self._limits.get(name) == ma:
            return
        if ma is None:
            del self._limits[name]
        else:
            self._limits[name] = ma
        self._least = 0
        self.limited_by = ""
        for name in sorted(self._limits):
            if not self.limited_by or self._limits[name] < self._least:
                self.limited_by = name
                self._least = self._limits[name]

    def get(self, name: str) -> int | None:
        """A limit in mA; None while it is not set."""
        return self._limits.get(name)

    def least(self) -> int:
        """The lowest limit in mA; 0 while no limit is set, since a station that does not know its
        circuit offers nothing."""
        return self._least

    def all(self) -> dict:
        """All limits, name to mA."""
        return dict(self._limits)


class Evse:
    """The electrical side of the connector.

    The facts, which each step renews; `has_changed` tells whether one of them changed:

    `pilot` "A" to "F", `pilot_since` ms (also when the offer begins), `plugged`, `pilot_is_known`
    (False until the pilot has shown, after the start, whether a car is there: so far `pilot` and
    `plugged` say nothing), `contactor` (the mirror contact), `locked`, `duty` (per mille as
    driven; 1000 in a break), `offered_ma`, `phases` (as connected), `switching` (phases being
    switched), `faults`.

    The wishes: `enabled` (energy may flow), `limits`, `want_phases` (1 or 3), `hold_lock` (locked
    without energy too). A wish is noticed within half a second.

    `ms()` gives the station's time. `socket` is False for an attached cable, which has no lock and
    no PP. `phases` is the number of mains phases. `switch_ms` is how long the vehicle rests after
    its phases were switched (field notes: 15 to 120 s).
    """

    alive = False  # for the station's supervisor

    def __init__(self, board, ms, log, limits, faults, socket, phases, switch_ms=60000):
        self.board = board
        self.ms = ms
        self.log = log
        self.limits = limits
        self.faults = faults
        self.switch_ms = switch_ms
        self.enabled = False
        self.want_phases = phases
        self.hold_lock = False
        self.pilot = "A"
        self.pilot_since = 0
        self.plugged = False
        self.pilot_is_known = False
        self.contactor = False
        self.locked = False
        self.duty = STEADY
        self.offered_ma = 0
        self.phases = phases
        self.switching = False
        now = ms()
        self.lock = Lock(board, log, faults, now) if socket else None
        self._changed = True
        self._active_faults = 0
        self._mains_phases = phases
        self._relay_phases = 0  # the phases last set at the phase relay, 0 before
        self._was_powered = False  # the vehicle has had power since it was plugged in
        self._sampled_ms = now
        self._gap_ms = 0  # since the sample before
        self._reading = "A"  # the newest reading of the pilot
        self._reading_since = now  # since when the readings agree
        self._agreeing = 0  # how many do
        self._not_c = 0  # how many readings were not C, since two in a row were C
        self._unreadable_until = 0  # until then readings of the pilot don't count
        self._permitted = False  # the permit for the contactor
        self._cause_ms = 0  # when the cause of a fault was last present
        self._open_until = 0  # the contactor does not close before this time
        self._duty_ms = now - _CHANGE_MS  # when the duty changed last
        self._forced_until = 0  # end of a break of CP or of a pulse of F, 0 for none
        self._wake_ms = 0  # when to try to wake the vehicle, 0 for never
        self._cable_ma = 0  # the cable's limit by PP at the sample before
        board.pilot(STEADY)

    def has_changed(self) -> bool:
        """Whether a fact has changed since the last call."""
        changed = self._changed
        self._changed = False
        return changed

    def _set_fact(self, name, value):
        if getattr(self, name) != value:
            setattr(self, name, value)
            self._changed = True
            self.log.debug("%s: %s", name, value)

    def step(self) -> int:
        """Takes one sample and acts on it. Returns in how many ms the next one is needed."""
        board = self.board
        self.alive = True
        board.read()
        now = self.ms()
        self._gap_ms = now - self._sampled_ms
        self._sampled_ms = now
        self._read_pilot(now)
        self._watch_board(now)
        offer = self._offer_ma()
        board.permit(self._decide_permit(now, offer))
        self._set_fact("contactor", board.contactor)
        self._drive_pilot(now, offer)
        if self.lock:
            self._step_lock(now)
        self._switch_phases(now)
        self.faults.update(self.pilot == "A" and self.pilot_is_known and not self._forced_until)
        if self._active_faults != len(self.faults.active):
            self._active_faults = len(self.faults.active)
            self._changed = True
        return self._pause_ms(now)

    # The vehicle

    def _read_pilot(self, now):
        """Takes on a new state of the pilot: after two readings that agree, or C for half a
        second."""
        if self._forced_until or now < self._unreadable_until:
            self._agreeing = 0
            return
        high, low = pilot.levels(self.board.burst)
        reading = pilot.classify(high, low, 0 < self.duty < STEADY)
        if reading != self._reading or not self._agreeing:
            self._reading = reading
            self._reading_since = now
            self._agreeing = 0
        self._agreeing += 1
        if reading == "C":
            if self._agreeing > 1:
                self._not_c = 0
            agreed = now - self._reading_since >= _CLOSE_MS and self._agreeing > 2
        else:
            self._not_c += 1
            agreed = self._agreeing > 1
        if agreed and reading:
            if not self.pilot_is_known and reading in "ABCD":
                self._set_fact("pilot_is_known", True)
            if reading != self.pilot:
                self._enter_state(reading, now)

    def _enter_state(self, state, now):
        self._set_fact("pilot", state)
        self.pilot_since = now
        self._open_until = 0
        if state in "ABCD":  # E and F say nothing about the plug
            self._set_fact("plugged", state != "A")
        if state == "A":
            self._was_powered = False
            self.limits.set("cable", None)
            if self.lock:
                self.lock.allow_tries()

    # The causes of faults

    def _watch_board(self, now):
        """Tells `faults` which causes the board shows."""
        board = self.board
        set_cause = self.faults.set_cause
        set_cause(codes.LEAKAGE, board.residual_trip, now)
        set_cause(codes.GROUND, not board.ground_ok, now)
        set_cause(codes.TAMPER, board.tamper, now)
        set_cause(codes.RELAY, board.contactor != self._permitted, now)
        if self._agreeing:
            set_cause(codes.PILOT, self._reading not in ("A", "B", "C", "D"), now)
        if self.lock:  # a cable that is plugged into a socket has a limit of its own
            ma = pilot.pp_limit(board.pp_ohm)
            set_cause(codes.CABLE, self.plugged and not ma, now)
            least = self.limits.get("cable")
            if self.plugged and ma and ma == self._cable_ma and (least is None or ma < least):
                self.limits.set("cable", ma)
            self._cable_ma = ma
        ddeg = board.cable_ddeg
        if ddeg is not None:
            hot = ddeg >= 750 or (None if ddeg >= 600 else False)
            set_cause(codes.TEMPERATURE, hot, now)
            if ddeg < 600:
                self.limits.set("temperature", None)
            elif (
                ddeg >= 650
            ):  # 15 A at 65 degC, 1 A less for each degree more, until it has cooled
                ma = max(MIN_MA, MIN_MA + (74 - ddeg // 10) * 1000)
                self.limits.set("temperature", min(ma, self.limits.get("temperature") or ma))

    def check_reading(self, values: dict) -> None:
        """Checks the voltages and currents of a reading of the charger's meter."""
        now = self.ms()
        # Stands in for the current of a meter that measures none: the power at 253 V.
        alike_ma = values.get("power", 0) * 100 // 253 // self.phases
        highest_ma = max(values.get("i1", alike_ma), values.get("i2", 0), values.get("i3", 0))
        over = highest_ma > (self.offered_ma + 500) * 11 // 10
        self.faults.set_cause(codes.OVERCURRENT, over, now)
        voltages = [values["v%d" % n] for n in range(1, self.phases + 1) if "v%d" % n in values]
        if voltages:  # mV
            high = max(voltages)
            low = min(voltages)
            over = high > 265000 or (None if high >= 253000 else False)
            under = low < 195000 or (None if low <= 207000 else False)
            self.faults.set_cause(codes.OVERVOLTAGE, over, now)
            self.faults.set_cause(codes.UNDERVOLTAGE, under, now)

    def set_meter_error(self, present: bool) -> None:
        """Says whether the meter is lost or its values are impossible; the Meter decides that."""
        self.faults.set_cause(codes.METERING, present, self.ms())

    # The contactor

    def _decide_permit(self, now, offer):
        """Whether the contactor may be closed from now on. `offer`: mA, see `_offer_ma`."""
        locked = not self.lock or self.lock.holds
        if not self.faults.nothing_wrong:
            self._cause_ms = now
        if self._permitted:
            unloaded = self._not_c > 1 or (self._not_c and self._gap_ms >= _GAP_MS)
            late = not self.offered_ma and now - self._duty_ms >= _LOAD_MS  # the vehicle's 6 s
            fell = self.contactor and not self.board.contactor  # the permit's heartbeat was late
            if unloaded or late or fell or self.faults.active or not locked or self._forced_until:
                self._permitted = False
                why = "under load" if late else "by itself" if fell else ""
                self.log.info(
                    "contactor opens: %s", self._reading if unloaded else why or self._reading
                )
            if fell and self._reading == "C":  # else it was the pilot window of the wiring
                self._open_until = now + _AGAIN_MS
        elif locked and offer and self._asks_for_power(now):
            self._permitted = True
            self.log.info("contactor closes")
        self._was_powered = self._was_powered or self._permitted
        return self._permitted

    def _asks_for_power(self, now):
        """Whether the vehicle has asked for power (C under PWM) for long enough, while nothing
        else changed."""
        since = max(self._reading_since, self._duty_ms, self._cause_ms)
        if self.lock:
            since = max(since, self.lock.pulsed_ms)
        return (
            0 < self.duty < STEADY
            and self.pilot == "C"
            and self._agreeing > 2
            and self._reading == "C"
            and now - since >= _CLOSE_MS
            and now >= self._open_until
        )

    # The offer

    def _offer_ma(self):
        """The current to offer now, mA; 0 for none."""
        if not self.enabled or self.pilot not in "BCD" or self.switching or self.faults.active:
            return 0
        ma = self.limits.least()
        return ma if ma >= MIN_MA else 0

    def _drive_pilot(self, now, offer):
        """Drives the pilot: a break of CP or a pulse of F goes first, then the offer."""
        if self.faults.take_pulse() and self.plugged and not self._forced_until:
            self._force(STATE_F, now, _F_MS)
        if self._forced_until:
            if not offer:
                self._set_fact("offered_ma", 0)
            if now < self._forced_until and not (self.faults.active and self.duty):
                return
            self._forced_until = 0
            self._unreadable_until = now + _SETTLE_MS
            self.board.pilot(STEADY)
            self._set_fact("duty", STEADY)
        begins = offer and not self.offered_ma
        duty = pilot.duty(offer)
        if duty == STEADY or now - self._duty_ms >= _CHANGE_MS or duty == self.duty:
            if duty != self.duty:
                self._output(duty, now)
            self._set_fact("offered_ma", offer)
            if begins:
                self.pilot_since = now
                self._wake_ms = now + _WAKE_AFTER_MS
        if not offer or self.pilot != "B":
            self._wake_ms = 0
        elif self._wake_ms and now >= self._wake_ms:
            self._wake_ms = 0
            self.log.info("the vehicle does not answer the offer: waking it")
            self._force(BROKEN_OFF, now, _WAKE_MS)

    def _output(self, permille, now):
        self.board.pilot(permille)
        self._duty_ms = now
        self._set_fact("duty", STEADY if permille is BROKEN_OFF else permille)

    def _force(self, permille, now, ms):
        self._output(permille, now)
        self._forced_until = now + ms

    # The lock

    def _step_lock(self, now):
        self.lock.step(
            now,
            self._permitted or self.board.contactor,
            self.enabled or self.hold_lock,
            self.pilot in "BCD" and not self.faults.active,
        )
        self._set_fact("locked", self.lock.closed)

    async def unlock(self) -> bool:
        """Unlocks the socket once the contactor is open; the caller has ended the transaction
        before. Returns whether the lock is open: False after 15 s, and for an attached cable."""
        return await self.lock.unlock() if self.lock else False

    # The phases

    def _switch_phases(self, now):
        """Switches between one phase and three, only while the contactor is open. A vehicle that
        has had power must begin anew, so CP is broken off meanwhile."""
        want = 3 if self.want_phases != 1 and self._mains_phases == 3 else 1
        if want == self._relay_phases or self.faults.active:
            if self.switching and not self._forced_until:
                self._set_fact("switching", False)
            return
        if self._permitted or self.board.contactor or 0 < self.duty < STEADY:
            self._set_fact("switching", self._relay_phases > 0)
        elif self._was_powered and not self._forced_until:
            self._set_fact("switching", True)
            self._force(BROKEN_OFF, now, self.switch_ms)
        elif not self._forced_until or self.switching:
            self.board.phases(want)
            self._relay_phases = want
            self._set_fact("phases", want)
            if self._forced_until:
                self._forced_until = now + self.switch_ms

    def _pause_ms(self, now):
        """How many ms the next sample can wait: 20 while something is about to change."""
        if (
            (self._reading != self.pilot and not self._forced_until)
            or self._permitted != self.board.contactor
            or self.faults.cause_unconfirmed
            or now < self._unreadable_until
            or (self.lock and self.lock.is_moving)
            or (self.switching and not self._forced_until)
            or (self.pilot == "C" and 0 < self.duty < STEADY and not self._permitted)
        ):
            return _SAMPLE_MS
        pause = _IDLE_MS
        changed = self._duty_ms
        for due in (self._forced_until, self._wake_ms, changed + _CHANGE_MS, changed + _LOAD_MS):
            if now < due < now + pause:
                pause = due - now
        return pause
