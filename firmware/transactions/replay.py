"""Reads the journal after a restart, once from its beginning to its end.

Nearly all records in it are still needed: retention.py removes the others, segment by segment, as
messages are delivered.
"""

from firmware.base.runtime import const
from firmware.transactions.endpoint_queue import EndpointQueue
from firmware.transactions.records import (
    ClearedRecord,
    GivenUpRecord,
    StartRecord,
    StateRecord,
    StopRecord,
    TimeRecord,
    ValuesRecord,
    event_numbers,
    parse,
    read_events,
    values_numbers,
)
from firmware.transactions.transaction import Transaction

_RECORDS_AT_ONCE = const(8)  # are read before others have a turn


class Replay:
    """The state of the station as the journal tells it. `queues`: the `EndpointQueue` of each
    endpoint, by its id. `open`: the Transaction that is open, or None. `given_up`: how many
    messages were given up since the operator last cleared them. `cleared`: the position of the
    newest CLEARED record. `event_times` gets all stamps. Nothing may be written to the journal
    meanwhile."""

    def __init__(self, journal, event_times):
        self._journal = journal
        self._event_times = event_times
        self.queues = {}
        self.open = None
        self.given_up = 0
        self.cleared = 0
        self._newest_values = None  # the record of the open transaction's newest values
        # How many messages each segment has for an endpoint, by its id. Which of them it is
        # still owed is known at the end only.
        self._messages = {}
        self._segment = 0  # index of the segment that is read

    def percent(self) -> int:
        """How much of the journal is read."""
        return 100 * self._segment // max(1, len(self._journal.segments))

    def steps(self):
        """Yields often, so that others can have their turns; at its end all is known."""
        end = 0  # the first position behind the segment that is read
        turn = _RECORDS_AT_ONCE
        for record in self._journal.records():
            while record.position >= end:
                end = self._end_of(self._segment)
                if record.position >= end:
                    self._segment += 1
            kind = record.kind
            if kind == ValuesRecord.kind:
                self._take_values(record)
            elif StartRecord.kind <= kind <= StopRecord.kind:
                self._take_start_or_stop(record)
            else:
                self._take_other(parse(record))
            turn -= 1
            if not turn:
                turn = _RECORDS_AT_ONCE
                yield
        if self._newest_values:
            yield from self._bring_up_to_date(self.open)
        for queue in self.queues.values():
            yield from self._count_pending(queue)

    def _end_of(self, segment):
        """The first position behind a segment; what is in no segment yet counts to the last."""
        segments = self._journal.segments
        return segments[segment + 1] if segment + 1 < len(segments) else self._journal.next

    def _queue(self, endpoint_id, position):
        """The queue of an endpoint, of which the journal has a record at this position."""
        if endpoint_id not in self.queues:
            self.queues[endpoint_id] = EndpointQueue(endpoint_id, position)
            self._messages[endpoint_id] = [0] * max(1, len(self._journal.segments))
        return self.queues[endpoint_id]

    def _take_values(self, record):
        lag, boot, seconds, endpoint_id, distance, _, _, mask, stop_mask = values_numbers(record)
        position = record.position
        queue = self.queues.get(endpoint_id) or self._queue(endpoint_id, position)
        if position - lag > queue.first_owed:
            queue.owes_from(position - lag)
        self._event_times.replay_stamp(boot, seconds)
        if mask and endpoint_id:
            self._messages[endpoint_id][self._segment] += 1
        if self.open and position - distance == self.open.position:
            self._newest_values = record
            if stop_mask:
                self.open.count_sample()

    def _take_start_or_stop(self, record):
        lag, boot, seconds, endpoint_id, _ = event_numbers(record)
        queue = self._queue(endpoint_id, record.position)
        queue.owes_from(record.position - lag)
        self._event_times.replay_stamp(boot, seconds)
        if endpoint_id:
            self._messages[endpoint_id][self._segment] += 1
        self.open = self._newest_values = None
        if record.kind == StartRecord.kind:
            self.open = Transaction(parse(record), queue, None)

    def _take_other(self, record):
        if isinstance(record, TimeRecord):
            self._event_times.replay_time(record)
        elif isinstance(record, StateRecord):
            queue = self._queue(record.state.endpoint_id, record.position)
            queue.restore(record.state)
            if isinstance(record, GivenUpRecord):
                self.given_up += 1
            else:
                queue.saved(record.position, record.state)
        elif isinstance(record, ClearedRecord):
            self.cleared = record.position
            self.given_up = 0

    def _bring_up_to_date(self, transaction):
        """Finds the newest register of the open transaction: nearly always its newest values have
        it."""
        newest = parse(self._newest_values)
        energy = newest.energy()
        if energy is None:
            energy = transaction.energy
            for event in read_events(self._journal, transaction.position):
                if isinstance(event, ValuesRecord) and event.start == transaction.position:
                    found = event.energy()
                    energy = energy if found is None else found
                yield
        transaction.add_register(energy, newest.stamp, None)

    def _count_pending(self, queue):
        """Counts what an endpoint is owed, and finds the START that the oldest of it needs. Of
        the segments only that one is read again in which the first record owed lies, and what is
        between it and the oldest message."""
        segment = 0
        while self._end_of(segment) <= queue.first_owed < self._journal.next:
            segment += 1
        end = self._end_of(segment)
        counts = self._messages[queue.endpoint_id]
        in_later_segments = sum(counts[segment + 1 :])
        pending = 0
        for event in read_events(self._journal, queue.first_owed) if sum(counts) else ():
            if event.position >= end and (pending or not in_later_segments):
                break
            if event.is_message() and event.endpoint_id == queue.endpoint_id:
                if not pending:
                    queue.need_from(event.position if event.start is None else event.start)
                if event.position >= end:
                    break
                pending += 1
            yield
        queue.expect_pending(pending + in_later_segments)
        if not queue.pending:
            is_open = self.open and self.open.endpoint_id == queue.endpoint_id
            queue.need_from(self.open.position if is_open else queue.first_owed)
