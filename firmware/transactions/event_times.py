"""When events happened, also those that were recorded before the wall clock was known."""

from firmware.transactions.records import Stamp, TimeRecord


class EventTimes:
    """Stamps events and tells their dates. A boot is the time from one power-on to the next; its
    number goes with the seconds since then, until the clock is known and a TIME record in the
    journal says, once and for all, when that boot began.

    `build`: Unix seconds before which no clock is believed."""

    def __init__(self, journal, clock, log, build: int):
        self._journal = journal
        self._clock = clock
        self._log = log
        self._build = build
        self._boot = 1
        self._begins = {}  # boot: Unix seconds at its start
        self._undated = {}  # boot whose start is not known: seconds of its newest event
        self._latest = build  # Unix seconds that an earlier run has seen

    # after a restart

    def replay_stamp(self, boot: int, seconds: int) -> None:
        """The journal has an event with this stamp; to be called in order, with `replay_time`."""
        if not boot:
            self._latest = max(self._latest, seconds)
        elif boot not in self._begins:
            self._undated[boot] = max(seconds, self._undated.get(boot, 0))
        self._boot = max(self._boot, boot + 1)

    def replay_time(self, record: TimeRecord) -> None:
        """The journal has this record."""
        self._begins[record.boot] = record.epoch
        self._undated.pop(record.boot, None)
        self._boot = max(self._boot, record.boot + 1)

    def begin_boot(self) -> None:
        """The journal is read: numbers this boot. A clock that has outlived a Reset still counts
        from the same moment, and keeps its number."""
        self._boot = self._clock.number_boot(self._boot)

    # from then on

    def stamp(self, at_ms: int, not_before: Stamp | None = None) -> Stamp:
        """The stamp of a moment on the station's clock, not before another stamp."""
        self.date_boots()
        epoch = self._believed_epoch(at_ms)
        if epoch is None:
            seconds = at_ms // 1000
            self._undated[self._boot] = max(seconds, self._undated.get(self._boot, 0))
            return Stamp(self._boot, seconds)
        if not_before:
            epoch = max(epoch, self.epoch(not_before) or 0)
        return Stamp(0, epoch)

    def epoch(self, stamp: Stamp) -> int | None:
        """Unix seconds of a stamp; None while nobody knows."""
        if not stamp.boot:
            return stamp.seconds
        begin = self._begins.get(stamp.boot)
        return None if begin is None else begin + stamp.seconds

    def date_boots(self) -> None:
        """To be called when the wall clock is known, or may be: fixes when the boots began whose
        events were recorded before it was."""
        end = self._believed_epoch(0) if self._undated else None
        if end is None:
            return
        try:
            for boot in sorted(self._undated, reverse=True):
                if boot != self._boot:
                    # it ended before this one began; how long before, nobody knows
                    end = max(end - self._undated[boot] - 1, self._latest)
                    self._log.warning(
                        "boot %d never knew the time: its events are dated as late as they "
                        "can have been",
                        boot,
                    )
                self._journal.append(TimeRecord.kind, TimeRecord.pack(boot, end))
                self._begins[boot] = end
                self._undated.pop(boot)
        except OSError as why:
            self._log.error("flash is full: %s", why)

    def _believed_epoch(self, ms):
        """Unix seconds of a moment on the station's clock; None while the wall clock can't be
        believed."""
        now = self._clock.epoch_at(self._clock.ms())
        if now is None or now < self._build:
            return None
        return max(self._clock.epoch_at(ms), self._build)
