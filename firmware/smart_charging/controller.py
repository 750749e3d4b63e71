"""Sets the limits of the offer: the installer's, the house's (TIC) and the charging profiles'. The
profiles' limit of now is kept for as long as it holds."""

from firmware.base.runtime import Event, const
from firmware.charging.evse import current_ma
from firmware.metering.load_balancing import LoadBalancer, phase_rotation
from firmware.sensing.tic import OFF
from firmware.smart_charging.evaluation import Evaluation, Piece
from firmware.smart_charging.profile import (
    ALWAYS,
    ANY_PHASES,
    EPOCH,
    NEVER,
    ONE_PHASE,
    THREE_PHASES,
    set_transaction,
)
from firmware.smart_charging.store import transaction_number

_RAISE_LASTS_S = const(6)  # the duty's 5 s, and the second in which a limit is set
_CHANGES_SETTLE_MS = const(2000)
_NOTHING = Piece(0, 0, 0, ONE_PHASE)


class ProfileLimit:
    """Evaluates a ProfileStore's profiles for now. While nobody knows what time it is, they are
    evaluated for the time when the newest of them was received."""

    def __init__(self, store, clock):
        self._store = store
        self._clock = clock
        self._piece = None  # the newest answer of `now`
        self._question = None  # what it depends on
        self._holds_from = self._holds_to = 0  # for how long it holds: Unix s, 0 if unknown
        # The transaction for which the table's skip_until is right, and from when on.
        self._skips_for = None
        self._skips_from = 0

    def now(self, running, phases: int, maximum: int) -> Piece:
        """The Piece of this moment, its limit in mA on each of `phases`, at most `maximum`.
        `running` is the running Transaction or None."""
        table = self._store.table
        if table.is_empty():
            return Piece(NEVER, maximum, NEVER, ANY_PHASES)
        clock = self._clock
        now = clock.epoch()
        started = clock.epoch_at(running.started_ms) if running else 0
        question = (running, started, phases, maximum, table.changes)
        if question != self._question or not self._holds_from <= (now or 0) < self._holds_to:
            evaluation = self._evaluation(running, phases, table.skip_until)
            self._skips_for = (evaluation.transaction, evaluation.started if running else 0)
            self._skips_from = evaluation.t
            self._piece = next(evaluation.pieces(maximum))
            self._question = question
            if now is not None:
                self._holds_from = now
                self._holds_to = self._piece.until + EPOCH
            else:  # it holds until the time is known; with a transaction, only for this call
                self._holds_from = 0
                self._holds_to = 0 if running else 1
        return self._piece

    def least(self, running, phases: int, maximum: int, seconds: int) -> Piece:
        """The lowest limits and wishes from now on for so many seconds, as one Piece; the
        arguments are those of `now`. While nobody knows the time, those of now."""
        plan = self.plan(running, phases)
        end = plan.t + (1 if self._clock.epoch() is None else seconds)
        limit = power_limit = NEVER
        wish = ANY_PHASES
        for piece in plan.pieces(maximum):
            limit = min(limit, piece.limit)
            power_limit = min(power_limit, piece.power_limit)
            wish = min(wish, piece.phases)
            if piece.until >= end:
                break
        return Piece(end, limit, power_limit, wish)

    def plan(self, running, phases: int) -> Evaluation:
        """The Evaluation from now on. It uses what `now` has found, and works on a copy of it."""
        return self._evaluation(running, phases, self._store.table.skip_until[:])

    def _evaluation(self, running, phases, skip_until):
        """An Evaluation from now on. Clears `skip_until` after another transaction has begun, or
        the clock went back, because it is wrong then."""
        store = self._store
        clock = self._clock
        number = transaction_number(running)
        t = started = store.now()
        if running:
            epoch = clock.epoch_at(running.started_ms)
            if epoch is None:
                started = t - (clock.ms() - running.started_ms) // 1000
            else:
                started = min(epoch - EPOCH, t)
        if (number, started if running else 0) != self._skips_for or t < self._skips_from:
            for slot in range(len(skip_until)):
                skip_until[slot] = ALWAYS
        return Evaluation(store.table, store.record, number, t, started, phases, skip_until)


class LimitController:
    """Computes the limits of the evse and the wished phases: every second of station time, at once
    after `reconsider`, and at each TIC frame."""

    def __init__(
        self, evse, meter, tic, profile_store, transactions, config, clock, store, tic_pause_s=600
    ):
        self.evse = evse
        self.meter = meter
        self.tic = tic
        self.profiles = profile_store
        self.profile_limit = ProfileLimit(profile_store, clock)
        self.transactions = transactions
        self.config = config
        self.clock = clock
        self.store = store
        seen = store.read("tic-seen") is not None
        self.load_balancer = LoadBalancer(tic.clock, seen, tic_pause_s)
        self._changed = Event()
        # The Piece that counts, for which transaction and phases, and of how many changes of the
        # profiles; since when a higher one was there, None while none is (see `_without_gaps`).
        self._in_force = None
        self._in_force_for = None
        self._changes = 0
        self._raised_ms = None
        tic.on_frame = self._follow_house

    def reconsider(self) -> None:
        """Profiles, the transaction or a key changed: the limits are computed anew at once."""
        self._changed.set()

    async def run(self) -> None:
        """The controller's task."""
        while True:
            self.set_limits()
            await self.clock.wait(self._changed, 1000)

    async def install_for_start(self, record, running) -> None:
        """Installs the profile that came with a RemoteStart for its transaction, which has just
        begun. Its limit is set before any energy flows."""
        set_transaction(record, running.position)
        if not await self.profiles.install(record):
            self.profiles.log.error("the remote start goes on without its profile")
        self.set_limits()

    def set_limits(self) -> None:
        """Computes the limits and the wished phases of this moment."""
        evse = self.evse
        running = self.transactions.running
        maximum = self.config.int("IMaxUser") * 1000
        evse.limits.set("imax_user", maximum)
        self._set_house_limit()
        self.profiles.maintain(running)
        piece = self._without_gaps(
            self.profile_limit.now(running, evse.phases, maximum), running, maximum
        )
        evse.limits.set("profile", piece.limit if piece.limit < maximum else None)
        evse.want_phases = phases_to_connect(
            piece.power_limit, piece.phases, evse.phases, self.config.int("PhaseNumber")
        )

    def _without_gaps(self, piece, running, maximum):
        """The Piece that counts instead of `piece`, that of now. What is lower counts at once.
        What is higher counts only as far as it will last: the duty cannot be lowered within 5 s of
        being raised. And after profiles have changed it counts 2 s later, since a central system
        may clear one only to send the next."""
        changes = self.profiles.table.changes
        now = self.clock.ms()
        before = self._in_force
        counts_for = (running, self.evse.phases)
        if not running:
            self._in_force = None
            return piece
        if before is None or counts_for != self._in_force_for:
            before = _NOTHING  # it is about to be offered: as if that were a raise from nothing
            self._raised_ms = None
            self._in_force_for = counts_for
            self._changes = changes
        if (
            piece.limit > before.limit
            or piece.power_limit > before.power_limit
            or piece.phases > before.phases
        ):
            if self._raised_ms is None:
                self._raised_ms = now if changes != self._changes else now - _CHANGES_SETTLE_MS
            lasting = before
            if now - self._raised_ms >= _CHANGES_SETTLE_MS:
                phases = self.evse.phases
                lasting = self.profile_limit.least(running, phases, maximum, _RAISE_LASTS_S)
            piece = Piece(
                piece.until,
                min(piece.limit, max(before.limit, lasting.limit)),
                min(piece.power_limit, max(before.power_limit, lasting.power_limit)),
                min(piece.phases, max(before.phases, lasting.phases)),
            )
        else:
            self._raised_ms = None
        self._changes = changes
        self._in_force = piece
        return piece

    def _set_house_limit(self):
        if self.tic.doubted:
            self.load_balancer.doubt()
        limit = None if self.tic.mode == OFF else self.load_balancer.limit_now()
        self.evse.limits.set("tic", limit)

    def _follow_house(self, facts):
        """A good TIC frame came: sets the house's limit. `facts`: see `tic.house_facts`."""
        if not self.load_balancer.seen:
            self.store.write("tic-seen", b"1")
        phases = self.evse.phases
        reading = self.meter.last or {}
        each_ma = self.evse.offered_ma  # stands in for a current that the meter does not measure
        if "power" in reading:
            each_ma = min(each_ma, current_ma(reading["power"], phases))
        car = [reading.get("i%d" % n, each_ma) for n in range(1, phases + 1)]
        order = phase_rotation(self.config.get("ConnectorPhaseRotation"))
        self.load_balancer.follow(facts, car, order)
        self._set_house_limit()


def phases_to_connect(power_limit: int, wished: int, connected: int, available: int) -> int:
    """The phases to connect, 1 or 3. `power_limit` is in 0.1 W; `wished` comes from the profile;
    `connected` and `available` are those of now and of the mains.

    One or three phases are connected where the profile wishes it. Where it does not say, it is one
    where the power limit is too low for 6 A on three; three again from 6.6 A on. Below 6 A on one
    phase nothing changes."""
    if available < 3 or wished == ONE_PHASE:
        return 1
    if wished == THREE_PHASES:
        return 3
    if power_limit < 13800:
        return connected
    return 1 if power_limit < (41400 if connected > 1 else 45540) else 3
