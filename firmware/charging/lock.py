"""The lock of a socket: it keeps the plug in while energy may flow.

A pulse moves it. The pulse is repeated until the feedback agrees: five tries, a second apart. Then
there is a fault, and one try every ten seconds until one works. The lock never moves while the
contactor is closed or may close.
"""

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.charging import faults as codes

_EVERY_MS = const(1000)  # between tries
_TRIES = const(5)
_PROBE_MS = const(10000)  # between tries of a lock that failed
_UNLOCK_S = const(15)


class Lock:
    """`closed` is the feedback at the newest step, `pulsed_ms` the time of the last pulse."""

    def __init__(self, board, log, faults, now: int):
        self.board = board
        self.log = log
        self.faults = faults
        self.closed = False
        self.pulsed_ms = now - _EVERY_MS
        self._wanted = False
        self._tries = 0
        self._tried = True  # there was a pulse since the wish changed: the feedback can be stuck
        self._jammed = False
        self._unlock_asked = False
        self._unlock_done = runtime.Event()

    @property
    def holds(self) -> bool:
        """Whether the plug is locked for certain, so that energy may flow."""
        return self.board.lock_closed and self._wanted and self._tried

    @property
    def is_moving(self) -> bool:
        """Whether it is not yet where it should be."""
        return self._wanted != self.closed

    def allow_tries(self) -> None:
        """Counts the tries from zero again: there is another car, or a person wishes something
        else."""
        self._tries = 0

    def step(self, now: int, loaded: bool, wish: bool, may_close: bool) -> None:
        """To be called with each sample. `loaded`: the contactor is closed or may close. `wish`:
        the plug is to be locked. `may_close`: there is a plug, and no fault that keeps the lock
        open."""
        self.closed = closed = self.board.lock_closed
        if loaded:
            wanted = self._wanted
        elif self._unlock_asked or not wish:
            wanted = False
        else:
            wanted = self._wanted or may_close
        if wanted != self._wanted:
            self._wanted = wanted
            self._tries = 0
            self._tried = False
        waited = now - self.pulsed_ms
        probed = self._jammed and self._tries and waited >= _EVERY_MS
        if self._unlock_asked and not wanted and (probed or not (closed or self._jammed)):
            self._unlock_asked = False
            self._unlock_done.set()
        if closed == wanted and self._tried and (probed or not self._jammed):
            self._jammed = False  # a jammed lock is well again only after a pulse that works
            self._tries = 0
        elif waited < (_PROBE_MS if self._jammed and self._tries else _EVERY_MS):
            return
        elif not wanted and loaded:
            return
        elif self._tries < _TRIES or self._jammed:
            self.board.lock(wanted)
            self._tries += 1
            self._tried = True
            self.pulsed_ms = now
            return
        else:
            self._jammed = True
        self.faults.set_cause(codes.LOCK, self._jammed, now)

    def ask_to_unlock(self) -> None:
        """The next steps open the lock, whatever the wish is."""
        self._tries = 0
        self._unlock_done.clear()
        self._unlock_asked = True

    async def unlock(self) -> bool:
        """Unlocks once the contactor is open. Returns whether the lock is open; False after
        15 s."""
        self.ask_to_unlock()
        if not await runtime.wait(self._unlock_done, _UNLOCK_S * 1000):
            self._unlock_asked = False
            self.log.warning("not unlocked: the contactor is closed")
        return not self.closed
