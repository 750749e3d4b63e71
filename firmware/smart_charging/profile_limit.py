"""What the installed profiles allow at this moment, remembered for as long as it holds."""

from firmware.smart_charging.evaluation import Evaluation, Piece
from firmware.smart_charging.profile import ALWAYS, EPOCH, NEVER
from firmware.smart_charging.table import transaction_number


class ProfileLimit:
    """Evaluates a ProfileStore's profiles for now. While nobody knows what time it is, they are
    evaluated for the time when the newest of them was received."""

    def __init__(self, store, clock):
        self._store = store
        self._clock = clock
        self._piece = None  # the newest answer of `now`,
        self._question = None  # the question to it,
        self._holds_from = self._holds_to = 0  # and for how long it holds: Unix s, 0 if unknown
        # The table's skip_until is right for this transaction, and from this time on.
        self._skips_for = None
        self._skips_from = 0

    def now(self, running, phases: int, maximum: int) -> Piece:
        """The Piece of this moment, its limit in mA on each of `phases`, at most `maximum`.
        `running` is the running Transaction or None."""
        table = self._store.table
        if table.is_empty():
            return Piece(NEVER, maximum, NEVER, 3)
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
            else:  # until somebody tells the time; for a transaction, which goes on, not at all
                self._holds_from = 0
                self._holds_to = 0 if running else 1
        return self._piece

    def plan(self, running, phases: int) -> Evaluation:
        """The Evaluation from now on. It begins with what `now` has found out, and keeps to itself
        what it finds out."""
        return self._evaluation(running, phases, self._store.table.skip_until[:])

    def _evaluation(self, running, phases, skip_until):
        """An Evaluation from now on. Another transaction, or a clock that went back, makes what is
        in `skip_until` wrong."""
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
