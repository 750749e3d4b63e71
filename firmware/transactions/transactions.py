"""Transactions: recorded in the journal, and found there again after a restart (OCPP 3.5, 4.8,
4.10).

The journal in flash is the truth. Events (records.py) are written there before anybody hears of
them, and the messages to the central system are built from them (outbox.py, messages.py). Records
that nobody needs any more are removed (retention.py). The time of an event may become known only
later (`EventTimes`).
"""

import asyncio

from firmware.base.journal import pack_ints, unpack_ints
from firmware.base.runtime import const
from firmware.metering import measurands
from firmware.transactions import records
from firmware.transactions.outbox import EndpointQueue, Outbox

_ENOSPC = const(28)
_PROGRESS = const("progress")  # in the store: the register between two records
_PROGRESS_MS = const(59000)
_STRIDE = const(32)  # values for StopTransaction, before each further one is twice as far away
_RECORDS_AT_ONCE = const(8)  # are read before others have a turn
_SEGMENT = const(4096)  # bytes: all of one is read at once while the heap is still empty


class Transaction:
    """One transaction, as far as the journal knows it. `position`: of its START record, its name
    in the journal; `meter_start` and `energy`: the register at its start and the newest that is
    recorded, Wh; `stamp`: of its newest record; `started_ms`: on the station's clock, None where a
    restart came between; `sample_count`: its values for StopTransaction."""

    def __init__(self, start: records.Start, queue, started_ms: int | None):
        self._queue = queue
        self.position = start.position
        self.endpoint_id = start.endpoint_id
        self.connector = start.connector
        self.id_tag = start.id_tag
        self.reservation_id = start.reservation_id
        self.meter_start = start.meter_start
        self.has_stop_data = bool(start.begin_values)  # its StopTransaction carries values
        self.started_ms = started_ms
        self.energy = start.meter_start
        self.stamp = start.stamp
        self.sample_count = 0
        self._samples_offered = 0
        self._recorded_ms = started_ms

    @property
    def transaction_id(self) -> int | None:
        """None until the central system told it, -1 when it never will (errata 3.18)."""
        return self._queue.transaction_id_of(self.position)

    def count_sample(self) -> None:
        """Values of it for StopTransaction are in the journal."""
        self.sample_count += 1

    def add_values(self, values: records.Values, at_ms: int) -> None:
        """These values of it were recorded at a moment of the station's clock."""
        if values.stop_mask:
            self.count_sample()
        energy = values.energy()
        self.add_register(self.energy if energy is None else energy, values.stamp, at_ms)

    def add_register(self, energy: int, stamp: records.Stamp, at_ms: int | None) -> None:
        """The register (Wh) was written down."""
        self.energy = energy
        self.stamp = stamp
        self._recorded_ms = at_ms

    def takes_sample(self) -> bool:
        """Whether the values that are offered now for its StopTransaction are recorded: further
        and further apart, so that any length of charging fits."""
        if not self.has_stop_data:
            return False
        taken = self._samples_offered % (1 << self.sample_count // _STRIDE) == 0
        self._samples_offered += 1
        return taken

    def progressed(self, energy: int, at_ms: int) -> bool:
        """Whether this reading of the register (Wh) is to be kept: energy flows, and a minute has
        passed."""
        return energy != self.energy and at_ms - self._recorded_ms >= _PROGRESS_MS


class Transactions:
    """`running`: the transaction or None. `interrupted`: the one that a power cut or restart left
    open; `recover` closes it. `outbox`: what central systems are owed because of them;
    `retention`: which makes room.
    `is_replayed`: whether the journal has been read, see `replay`. `build`: Unix seconds before
    which no clock is believed."""

    alive = False  # for the station's supervisor, while the journal is read

    def __init__(self, journal, store, clock, log, build: int = 0):
        self.journal = journal
        self.store = store
        self._log = log
        self.event_times = records.EventTimes(journal, clock, log, build)
        self.outbox = Outbox(journal, self.event_times, clock, log)
        self.retention = self.outbox.retention
        self.running = None
        self.interrupted = None
        self.is_replayed = False
        self._replay = None

    # after a restart

    async def replay(self) -> None:
        """Brings what is held in RAM to where the journal is; nothing else but `outbox.configure`
        and `outbox.set_endpoint` may be called before this has returned. Others have their turns.
        It may be called again where it has failed."""
        self._replay = replay = Replay(self.journal, self.event_times)
        for _ in replay.steps():
            self.alive = True
            await asyncio.sleep(0)
        self.event_times.begin_boot()
        self.interrupted = replay.open
        if self.interrupted:
            self._replay_progress(self.interrupted)
        self.outbox.replayed(replay)
        self._replay = None
        self.is_replayed = True

    def replay_percent(self) -> int:
        """How much of the journal is read."""
        if self.is_replayed:
            return 100
        return self._replay.percent() if self._replay else 0

    def _replay_progress(self, transaction):
        """The register may have been written to the store after the last record."""
        progress = self.store.read(_PROGRESS)
        if progress:
            (position, boot, seconds, energy), _ = unpack_ints(progress, 4)
            last = transaction.stamp
            is_later = (boot <= 0, seconds) >= (last.boot <= 0, last.seconds)
            if position == transaction.position and is_later:
                transaction.add_register(energy, records.Stamp(boot, seconds), None)

    def recover(self, reason: str, energy: int = -1, reach: int = 400) -> bool:
        """Closes the transaction that was left open, if one was: with the register read after the
        boot (`energy`, Wh; -1: the meter did not answer in time) if that is not below the last
        record nor more than `reach` Wh above, the most that a minute could have delivered; else
        with the last record's. The time is the last record's."""
        transaction = self.interrupted
        if not transaction:
            return False
        last = transaction.energy
        if not last <= energy <= last + reach:
            self._log.warning(
                "%d Wh after the restart can't be: the last record's value counts",
                energy,
            )
            energy = last
        self._record_stop(transaction, transaction.stamp, reason, energy, None, b"")
        self._keep_register(transaction, transaction.stamp, energy)
        self._log.warning(
            "the transaction of %s was closed: %s, %d Wh", transaction.id_tag, reason, energy
        )
        return True

    # what happens

    def start(
        self,
        connector: int,
        id_tag: str,
        meter_start: int,
        reservation_id: int | None,
        at_ms: int,
        data: bytes = b"",
    ) -> Transaction:
        """Records a StartTransaction; `retention.make_room_for_transaction` goes before. `data`:
        the Begin values for StopTransaction, packed (`measurands.pack`), empty where it shall
        carry none. Raises OSError when the flash could not take the transaction's end: then
        nothing may start."""
        self.recover("PowerLoss")
        if self.running:
            raise ValueError("a transaction is running")
        if not self.retention.has_room_for_transaction():
            raise OSError(_ENOSPC, "the flash is full of undelivered transactions")
        outbox = self.outbox
        begin_values = data if outbox.endpoint_id else b""
        body = records.Start.pack(connector, meter_start, reservation_id, id_tag, begin_values)
        event = outbox.record(records.Start, self.event_times.stamp(at_ms), None, body)
        self.running = Transaction(event, outbox.queue(event.endpoint_id, event.position), at_ms)
        return self.running

    def values(
        self,
        context: str,
        reading: dict,
        mask: int,
        at_ms: int,
        offered_ma: int | None = None,
        stop_mask: int = 0,
    ) -> bool:
        """Records values; `retention.make_room_for_values` goes before. `mask` for a MeterValues
        message, `stop_mask` for the running transaction's StopTransaction. False when nothing
        was: no such value in the reading, no central system, or the flash is full."""
        transaction = self.running
        endpoint_id = transaction.endpoint_id if transaction else self.outbox.endpoint_id
        if not endpoint_id or not measurands.is_measured(reading, offered_ma, mask):
            mask = 0
        if not (stop_mask and transaction and transaction.takes_sample()):
            stop_mask = 0
        if (mask or stop_mask) and self.retention.has_room_for_values():
            wanted = mask | stop_mask | (measurands.ENERGY if transaction else 0)
            values = measurands.pack(reading, offered_ma, wanted)
            connector = transaction.connector if transaction else 1
            body = records.Values.pack(connector, context, mask, stop_mask, values)
            stamp = self._stamp(at_ms)
            try:
                event = self.outbox.record(records.Values, stamp, transaction, body, False)
            except OSError as why:
                self._log.error("no meter values are kept: %s", why)
            else:
                if transaction:
                    transaction.add_values(event, at_ms)
                return True
        if transaction and "energy" in reading:
            self.progress(reading["energy"], at_ms)
        return False

    def progress(self, energy: int, at_ms: int) -> None:
        """To be called with each reading of the register (Wh): keeps it once a minute while energy
        flows, whatever else is recorded."""
        transaction = self.running
        if transaction and transaction.progressed(energy, at_ms):
            stamp = self._stamp(at_ms)
            self._keep_register(transaction, stamp, energy)
            transaction.add_register(energy, stamp, at_ms)

    def _keep_register(self, transaction, stamp, energy):
        progress = pack_ints(transaction.position, stamp.boot, stamp.seconds, energy)
        try:
            self.store.write(_PROGRESS, progress)
        except OSError as why:
            self._log.error("the meter's value could not be stored: %s", why)

    def last_register(self) -> int | None:
        """The newest register that an earlier run has written down, Wh; None where there is
        none."""
        if self.interrupted:
            return self.interrupted.energy
        progress = self.store.read(_PROGRESS)
        return unpack_ints(progress, 4)[0][3] if progress else None

    def stop(
        self,
        reason: str,
        meter_stop: int,
        at_ms: int,
        id_tag: str | None = None,
        data: bytes = b"",
    ) -> None:
        """Records the StopTransaction of the running transaction; `retention.tidy_after_stop`
        follows. `data`: its End values for
        StopTransaction, packed. Raises OSError when the flash is full."""
        transaction = self.running
        stamp = self._stamp(at_ms)
        self._record_stop(transaction, stamp, reason, meter_stop, id_tag, data)
        self._keep_register(transaction, stamp, meter_stop)

    def _record_stop(self, transaction, stamp, reason, meter_stop, id_tag, data):
        if not transaction.has_stop_data:
            data = b""
        elif not data:
            data = measurands.pack({"energy": meter_stop}, None, measurands.ENERGY)
        body = records.Stop.pack(meter_stop, reason, transaction.sample_count, id_tag, data)
        event = self.outbox.record(records.Stop, stamp, transaction, body)
        self.running = self.interrupted = None
        self.retention.transaction_stopped(event)

    def _stamp(self, at_ms):
        """The stamp of a moment; never back within a transaction."""
        return self.event_times.stamp(at_ms, self.running.stamp if self.running else None)


class Replay:
    """Reads the journal after a restart, once from its beginning to its end. Nearly all records in
    it are still needed, since retention.py removes the others as messages are delivered.

    `queues`: the `EndpointQueue` of each
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
        self._packed_id = b""  # of the endpoint of the VALUES record before
        self._of_packed_id = None  # its queue
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
        for record in self._journal.records(piece=_SEGMENT):
            while record.position >= end:
                end = self._end_of(self._segment)
                if record.position >= end:
                    self._segment += 1
            kind = record.kind
            if kind == records.Values.kind:
                self._take_values(record)
            elif records.Start.kind <= kind <= records.Stop.kind:
                self._take_start_or_stop(record)
            else:
                self._take_other(records.parse(record))
            turn -= 1
            if not turn:
                turn = _RECORDS_AT_ONCE
                yield
        self._take_newest_stamp()
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
        """Nearly all records are VALUES, and nearly all of these go on with the transaction of the
        record before: so an endpoint is known by its packed id, and of stamps that never go back
        within a transaction only the newest is unpacked. Both are large numbers."""
        payload = record.payload
        (lag, boot), seconds_at = unpack_ints(payload, 2)
        at = seconds_at
        while payload[at] > 127:
            at += 1
        at += 1
        packed_id = self._packed_id
        end = at + len(packed_id)
        if payload[at:end] != packed_id or not packed_id:
            (endpoint_id,), end = unpack_ints(payload, 1, at)
            self._packed_id = payload[at:end]
            self._of_packed_id = self._queue(endpoint_id, record.position)
        queue = self._of_packed_id
        (distance, _, _, mask, stop_mask), _ = unpack_ints(payload, 5, end)
        first_owed = record.position - lag
        if first_owed > queue.first_owed:
            queue.owes_from(first_owed)
        if mask and queue.endpoint_id:
            self._messages[queue.endpoint_id][self._segment] += 1
        transaction = self.open
        belongs_to_it = transaction and record.position - distance == transaction.position
        if belongs_to_it:
            self._newest_values = record
            if stop_mask:
                transaction.count_sample()
        if boot > 0 or not belongs_to_it:
            (seconds,), _ = unpack_ints(payload, 1, seconds_at)
            self._event_times.replay_stamp(boot, seconds)

    def _take_newest_stamp(self):
        """Takes the stamp of the open transaction's newest values."""
        if self._newest_values:
            _, boot, seconds, _, _ = records.event_numbers(self._newest_values)
            self._event_times.replay_stamp(boot, seconds)

    def _take_start_or_stop(self, record):
        lag, boot, seconds, endpoint_id, _ = records.event_numbers(record)
        queue = self._queue(endpoint_id, record.position)
        queue.owes_from(record.position - lag)
        self._take_newest_stamp()
        self._event_times.replay_stamp(boot, seconds)
        if endpoint_id:
            self._messages[endpoint_id][self._segment] += 1
        self.open = self._newest_values = None
        if record.kind == records.Start.kind:
            self.open = Transaction(records.parse(record), queue, None)

    def _take_other(self, record):
        if isinstance(record, records.Time):
            self._event_times.replay_time(record)
        elif isinstance(record, records.State):
            queue = self._queue(record.state.endpoint_id, record.position)
            queue.restore(record.state)
            if isinstance(record, records.GivenUp):
                self.given_up += 1
            else:
                queue.saved(record.position, record.state)
        elif isinstance(record, records.Cleared):
            self.cleared = record.position
            self.given_up = 0

    def _bring_up_to_date(self, transaction):
        """Finds the newest register of the open transaction: nearly always its newest values have
        it."""
        newest = records.parse(self._newest_values)
        energy = newest.energy()
        if energy is None:
            energy = transaction.energy
            for event in records.read_events(self._journal, transaction.position):
                if isinstance(event, records.Values) and event.start == transaction.position:
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
        for event in records.read_events(self._journal, queue.first_owed) if sum(counts) else ():
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
