"""The sequence of power (IEC 61851-1): pilot, lock, permit, contactor, and what stops them.

Every sample (20 ms) makes one `step`. Fast to open: the first confirmed reading that is not C
drops the permit. Slow to close: C under PWM, half a second long, the plug locked, nothing wrong.
"""

import asyncio

from firmware.charging import faults as codes
from firmware.sensing import pilot

_SAMPLE_MS = 20
_IDLE_MS = 500  # the longest pause: a wish is noticed within it
_GAP_MS = 60  # after so long without a sample, one reading is enough to open
_CLOSE_MS = 500  # agreement to close
_CHANGE_MS = 5000  # between changes of the duty
_LOAD_MS = 6000  # after the offer is withdrawn the contactor opens under load
_AGAIN_MS = 5000  # after the contactor opened by itself while the vehicle went on asking
_F_MS = 500  # pulse of state F
_WAKE_AFTER_MS = 30000  # offered so long and never asked for: the vehicle may sleep
_WAKE_MS = 4000  # break of CP that wakes it
_SETTLE_MS = 100  # after a break or F: no reading counts
_LOCK_MS = 1000  # between tries of the lock
_LOCK_TRIES = 5
_PROBE_MS = 10000  # between tries of a lock that failed


class Evse:
    """The facts, read each step; `changed` says that one of them did:

    `pilot` "A" to "F", `pilot_since` ms (also when the offer begins), `plugged`, `contactor` (the
    mirror contact), `locked`, `duty` (per mille as driven; 1000 in a break), `offered_ma`,
    `phases` (as connected), `switching` (phases being switched), `faulty` (how many faults are
    active), `faults`.

    The wishes: `enabled` (energy may flow), `limits`, `want_phases` (1 or 3), `hold_lock` (locked
    without energy too). A wish is noticed within half a second.

    `ms` is the station's time, `socket` False for an attached cable (no lock, no PP), `phases`
    what the station is connected to, `switch_ms` how long the vehicle is left alone after its
    phases were switched (field notes: 15 to 120 s).
    """

    alive = False  # for the station's supervisor

    def __init__(self, board, ms, log, limits, faults, socket, phases, switch_ms=60000):
        self.board = board
        self.ms = ms
        self.log = log
        self.limits = limits
        self.faults = faults
        self.socket = socket
        self.switch_ms = switch_ms
        self.enabled = False
        self.want_phases = phases
        self.hold_lock = False
        self.pilot = "A"
        self.pilot_since = 0
        self.plugged = False
        self.contactor = False
        self.locked = False
        self.duty = 1000
        self.offered_ma = 0
        self.phases = phases
        self.switching = False
        self.faulty = 0
        self.changed = True
        self._most = phases
        self._relay = 0  # what the phase relay was told, 0 for nothing yet
        self._powered = False  # the vehicle has had power since it was plugged in
        self._now = ms()
        self._gap = 0
        self._seen = "A"  # the newest reading
        self._seen_ms = self._now  # since when the readings agree
        self._agree = 0  # how many
        self._bad = 0  # readings that aren't C since two in a row that are
        self._cause_ms = 0  # when the cause of a fault was there last
        self._masked = 0  # until then readings don't count
        self._on = False  # the permit
        self._again_ms = 0  # not before
        self._duty_ms = self._now - _CHANGE_MS
        self._forced_ms = 0  # end of a break or of a pulse of F, 0 for none
        self._wake_ms = 0  # when to try to wake the vehicle, 0 for never
        self._pp = 0
        self._want_lock = False
        self._lock_ms = self._now - _LOCK_MS  # the newest pulse
        self._tries = 0
        self._tried = True  # a pulse has followed the wish: feedback alone might be stuck
        self._jammed = False
        self._asked = False
        self._answered = asyncio.Event()
        board.pilot(1000)

    def _fact(self, name, value):
        if getattr(self, name) != value:
            setattr(self, name, value)
            self.changed = True
            self.log.debug("%s: %s", name, value)

    def step(self) -> int:
        """Takes one sample and does what it calls for. Returns the ms to the next one needed."""
        board = self.board
        self.alive = True
        board.read()
        now = self.ms()
        self._gap = now - self._now
        self._now = now
        self._read(now)
        self._look(now)
        offer = self._offer()
        board.permit(self._permit(now, offer))
        self._fact("contactor", board.contactor)
        self._drive(now, offer)
        if self.socket:
            self._lock(now)
        self._switch(now)
        self.faults.update(self.pilot == "A" and not self._forced_ms)
        self._fact("faulty", len(self.faults.active))
        return self._pause(now)

    def _read(self, now):
        """The pilot: two readings agree, or C for half a second."""
        if self._forced_ms or now < self._masked:
            self._agree = 0
            return
        high, low = pilot.levels(self.board.burst)
        seen = pilot.classify(high, low, 0 < self.duty < 1000)
        if seen != self._seen or not self._agree:
            self._seen = seen
            self._seen_ms = now
            self._agree = 0
        self._agree += 1
        if seen == "C":
            if self._agree > 1:
                self._bad = 0
            agreed = now - self._seen_ms >= _CLOSE_MS and self._agree > 2
        else:
            self._bad += 1
            agreed = self._agree > 1
        if agreed and seen and seen != self.pilot:
            self._fact("pilot", seen)
            self.pilot_since = now
            self._again_ms = 0
            if seen in "ABCD":  # E and F say nothing about the plug
                self._fact("plugged", seen != "A")
            if seen == "A":
                self._powered = False
                self._tries = 0
                self.limits.set("cable", None)

    def _look(self, now):
        """The causes of faults that the board shows."""
        board = self.board
        cause = self.faults.cause
        cause(codes.LEAKAGE, board.residual_trip, now)
        cause(codes.GROUND, not board.ground_ok, now)
        cause(codes.TAMPER, board.tamper, now)
        cause(codes.RELAY, board.contactor != self._on, now)
        if self._agree:
            cause(codes.PILOT, self._seen not in ("A", "B", "C", "D"), now)
        if self.socket:
            ma = pilot.pp_limit(board.pp_ohm)
            cause(codes.CABLE, self.plugged and not ma, now)
            least = self.limits.get("cable")
            if self.plugged and ma and ma == self._pp and (least is None or ma < least):
                self.limits.set("cable", ma)
            self._pp = ma
        ddeg = board.cable_ddeg
        if ddeg is not None:
            hot = ddeg >= 750 or (None if ddeg >= 600 else False)
            cause(codes.TEMPERATURE, hot, now)
            if ddeg < 600:
                self.limits.set("temperature", None)
            elif ddeg >= 650:  # 15 A, and 1 A less for each degree more, until it has cooled
                ma = max(6000, 6000 + (74 - ddeg // 10) * 1000)
                self.limits.set("temperature", min(ma, self.limits.get("temperature") or ma))

    def reading(self, values: dict) -> None:
        """A reading of the charger's meter: the voltages and currents have their limits."""
        now = self.ms()
        alike = values.get("power", 0) * 100 // 253 // self.phases  # a meter that knows no current
        amps = max(values.get("i1", alike), values.get("i2", 0), values.get("i3", 0))
        over = amps > (self.offered_ma + 500) * 11 // 10
        self.faults.cause(codes.OVERCURRENT, over, now)
        volts = [values["v%d" % n] for n in range(1, self.phases + 1) if "v%d" % n in values]
        if volts:
            high = max(volts)
            low = min(volts)
            over = high > 265000 or (None if high >= 253000 else False)
            under = low < 195000 or (None if low <= 207000 else False)
            self.faults.cause(codes.OVERVOLTAGE, over, now)
            self.faults.cause(codes.UNDERVOLTAGE, under, now)

    def meter_error(self, present: bool) -> None:
        """The meter is lost or says what can't be (its owner decides when), or is well again."""
        self.faults.cause(codes.METERING, present, self.ms())

    def _permit(self, now, offer):
        locked = not self.socket or (self.board.lock_closed and self._want_lock and self._tried)
        if not self.faults.clear:
            self._cause_ms = now
        since = max(self._seen_ms, self._duty_ms, self._lock_ms, self._cause_ms)
        if self._on:
            unloaded = self._bad > 1 or (self._bad and self._gap >= _GAP_MS)
            late = not self.offered_ma and now - self._duty_ms >= _LOAD_MS
            fell = self.contactor and not self.board.contactor  # the heartbeat came too late
            if unloaded or late or fell or self.faults.active or not locked or self._forced_ms:
                self._on = False
                why = "under load" if late else "by itself" if fell else ""
                self.log.info("opens: %s", self._seen if unloaded else why or self._seen)
            if fell and self._seen == "C":  # else the pilot window was faster than two readings
                self._again_ms = now + _AGAIN_MS
        elif (
            locked
            and offer
            and 0 < self.duty < 1000
            and self.pilot == "C"
            and self._agree > 2
            and self._seen == "C"
            and now - since >= _CLOSE_MS
            and now >= self._again_ms
        ):
            self._on = True
            self.log.info("closes")
        self._powered = self._powered or self._on
        return self._on

    def _offer(self):
        if not self.enabled or self.pilot not in "BCD" or self.switching or self.faults.active:
            return 0
        ma = self.limits.least()
        return ma if ma >= 6000 else 0

    def _drive(self, now, offer):
        """The pilot's output: breaks and F first, then the offer."""
        if self.faults.pulse:
            self.faults.pulse = False
            if self.plugged and not self._forced_ms:
                self._force(0, now, _F_MS)
        if self._forced_ms:
            if not offer:
                self._fact("offered_ma", 0)
            if now < self._forced_ms and not (self.faults.active and self.duty):
                return
            self._forced_ms = 0
            self._masked = now + _SETTLE_MS
            self.board.pilot(1000)
            self._fact("duty", 1000)
        begins = offer and not self.offered_ma
        duty = pilot.duty(offer)
        if duty == 1000 or now - self._duty_ms >= _CHANGE_MS or duty == self.duty:
            if duty != self.duty:
                self._output(duty, now)
            self._fact("offered_ma", offer)
            if begins:
                self.pilot_since = now
                self._wake_ms = now + _WAKE_AFTER_MS
        if not offer or self.pilot != "B":
            self._wake_ms = 0
        elif self._wake_ms and now >= self._wake_ms:
            self._wake_ms = 0
            self.log.info("no answer to the offer: wakes the vehicle")
            self._force(None, now, _WAKE_MS)

    def _output(self, permille, now):
        self.board.pilot(permille)
        self._duty_ms = now
        self._fact("duty", 1000 if permille is None else permille)

    def _force(self, permille, now, ms):
        self._output(permille, now)
        self._forced_ms = now + ms

    def _lock(self, now):
        """Pulses until the feedback is as wished: five tries, a second apart, then a fault. It
        never moves while the contactor is closed or may close."""
        board = self.board
        closed = board.lock_closed
        self._fact("locked", closed)
        wish = self.enabled or self.hold_lock
        if self._on or board.contactor:
            want = self._want_lock
        elif self._asked or not wish:
            want = False
        else:
            want = self._want_lock or (self.pilot in "BCD" and not self.faults.active)
        if want != self._want_lock:
            self._want_lock = want
            self._tries = 0
            self._tried = False
        waited = now - self._lock_ms
        probed = self._jammed and self._tries and waited >= _LOCK_MS
        if self._asked and not want and (probed or not (closed or self._jammed)):
            self._asked = False
            self._answered.set()
        if closed == want and self._tried and (probed or not self._jammed):
            self._jammed = False  # once jammed, only a pulse that works says that it is well again
            self._tries = 0
        elif waited < (_PROBE_MS if self._jammed and self._tries else _LOCK_MS):
            return
        elif not want and (self._on or board.contactor):
            return
        elif self._tries < _LOCK_TRIES or self._jammed:
            board.lock(want)
            self._tries += 1
            self._tried = True
            self._lock_ms = now
            return
        else:
            self._jammed = True
        self.faults.cause(codes.LOCK, self._jammed, now)

    async def unlock(self) -> bool:
        """Unlocks once the contactor is open, which ending the transaction is for. Returns whether
        the lock is open; False also for an attached cable, and after 15 s."""
        if not self.socket:
            return False
        self._tries = 0
        self._answered.clear()
        self._asked = True
        try:
            await asyncio.wait_for(self._answered.wait(), 15)
        except asyncio.TimeoutError:
            self._asked = False
            self.log.warning("not unlocked: the contactor is closed")
        return not self.locked

    def _switch(self, now):
        """One phase or three: only with the contactor open, and with CP broken off where the
        vehicle has had power, so that it begins anew."""
        want = 3 if self.want_phases != 1 and self._most == 3 else 1
        if want == self._relay or self.faults.active:
            if self.switching and not self._forced_ms:
                self._fact("switching", False)
            return
        if self._on or self.board.contactor or 0 < self.duty < 1000:
            self._fact("switching", self._relay > 0)
        elif self._powered and not self._forced_ms:
            self._fact("switching", True)
            self._force(None, now, self.switch_ms)
        elif not self._forced_ms or self.switching:
            self.board.phases(want)
            self._relay = want
            self._fact("phases", want)
            if self._forced_ms:
                self._forced_ms = now + self.switch_ms

    def _pause(self, now):
        if (
            (self._seen != self.pilot and not self._forced_ms)
            or self._on != self.board.contactor
            or self.faults.pending
            or now < self._masked
            or (self.socket and self._want_lock != self.locked)
            or (self.switching and not self._forced_ms)
            or (self.pilot == "C" and 0 < self.duty < 1000 and not self._on)
        ):
            return _SAMPLE_MS
        pause = _IDLE_MS
        changed = self._duty_ms
        for due in (self._forced_ms, self._wake_ms, changed + _CHANGE_MS, changed + _LOAD_MS):
            if now < due < now + pause:
                pause = due - now
        return pause
