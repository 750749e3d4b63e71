"""Removes the transactions' records that nobody needs any more, and makes room for new ones.

The segments of the journal are swept from the oldest one on. So, wherever the power fails, a START
is removed before its STOP, and a record before the STATE that says it is delivered.
"""

import asyncio

from firmware.base.runtime import const
from firmware.transactions import records

_RECORDS_AT_ONCE = const(4)  # are looked at before others have a turn


class Retention:
    """Drops the records that are not needed, a segment of the journal at a time, while others
    have their turns."""

    def __init__(self, journal, outbox, log):
        self._journal = journal
        self._outbox = outbox
        self._log = log
        # Segments that begin before these positions can't become smaller by a sweep or thinning.
        self._swept = 0
        self._thinned = 0
        self._full = False  # the flash is full, and that was logged
        self._queue_to_tidy = None  # see `tidy_after_stop`
        self._compacting = asyncio.Lock()

    def sweep_again(self) -> None:
        """Sweeps all segments again: records in any of them may have become needless."""
        self._swept = 0

    def transaction_stopped(self, stop: records.Stop) -> None:
        """A transaction has ended. From now on its values are old; and if no central system is
        owed its messages, none of its records is needed."""
        first = 0
        for base in self._journal.segments:
            if base <= stop.start:
                first = base
        self._thinned = min(self._thinned, first)
        if not stop.endpoint_id:
            self.sweep_again()
            self._queue_to_tidy = self._outbox.queues[0]

    async def tidy_after_stop(self) -> None:
        """To be awaited after a transaction's end: tidies the journal if no delivery will."""
        if self._queue_to_tidy:
            await self.tidy(self._queue_to_tidy)
            self._queue_to_tidy = None

    async def tidy(self, queue) -> bool:
        """Tidies the next segment of which this queue owes nothing more. Returns whether there was
        one."""
        async with self._compacting:
            return await self._sweep(queue)

    async def make_room_for_transaction(self) -> None:
        """To be awaited before a transaction begins: makes room to record it to its end, if need
        be."""
        if self._journal.has_room(self._least_room()):
            return
        async with self._compacting:
            while not self.has_room_for_transaction() and await self._thin():
                pass

    def has_room_for_transaction(self) -> bool:
        """Whether a transaction that begins now can be recorded to its end. Half of the reserve is
        for that."""
        return self._journal.room >= self._least_room()

    def _least_room(self):
        return -self._journal.reserve // 2

    async def make_room_for_values(self) -> None:
        """To be awaited before meter values are recorded: old ones make room if need be."""
        if self._journal.room <= 0:
            self._journal.measure_room_after_changes()
        if self._journal.room <= 0:
            async with self._compacting:
                await self._thin()

    def has_room_for_values(self) -> bool:
        """Whether there is room for meter values."""
        full = self._journal.room <= 0
        if full and not self._full:
            self._log.error("the flash is full: no meter values are kept")
        self._full = full
        return not full

    # one at a time: `_compacting` is held

    async def _sweep(self, queue):
        journal = self._journal
        index = journal.full_segment(self._swept)
        if index is None:
            return False
        following = journal.segments[index + 1]
        if queue.pending and following > queue.first_owed:
            return False
        self._swept = following
        await self._compact(index, self._is_needed)
        return True

    async def _thin(self):
        """Makes room in the next segment that may have some: drops what is delivered, else the
        periodic values of old transactions. False when there is nothing left to drop."""
        reading = self._outbox.reading
        if reading and await self._sweep(reading):
            return True
        index = self._journal.full_segment(self._thinned)
        if index is None:
            return False
        self._thinned = self._journal.segments[index + 1]
        dropped = []  # (queue, position) of the messages
        if await self._compact(index, lambda record: not self._is_old(record, dropped)):
            count = 0
            for queue, position in dropped:
                if position >= queue.first_owed:  # it was not delivered meanwhile
                    queue.drop_message()
                    count += 1
            if count:
                self._log.error("the flash is full: %d old MeterValues are dropped", count)
        return True

    async def _compact(self, index, is_needed):
        """Whether it was done."""
        if not self._outbox.save():  # it may be written only in records that are to be removed
            return False
        turn = 0
        try:
            for _ in self._journal.compaction(index, is_needed):
                turn += 1
                if turn % _RECORDS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        except OSError as why:
            self._log.error("no room to tidy the journal: %s", why)
            return False
        return True

    def _is_needed(self, record):
        outbox = self._outbox
        record = records.parse(record)
        if isinstance(record, records.Event):
            queue = outbox.queues.get(record.endpoint_id)
            if outbox.open and record.position == outbox.open.start:
                return True
            if not queue:  # left by a cut in the middle of tidying, and dropped already
                return False
            if isinstance(record, records.Start):
                return record.position >= queue.needed_from
            if isinstance(record, records.Values) and record.stop_mask:
                if record.start >= queue.needed_from:
                    return True
            return record.position >= queue.first_owed
        if isinstance(record, records.GivenUp):
            return record.position > outbox.cleared
        if isinstance(record, records.State):
            endpoint_id = record.state.endpoint_id
            queue = outbox.queues.get(endpoint_id)
            if not queue or record.position != queue.saved_at:
                return False
            is_open = outbox.open and outbox.open.endpoint_id == endpoint_id
            return queue.pending > 0 or endpoint_id == outbox.endpoint_id or is_open
        if isinstance(record, records.Time):
            return any(record.position >= q.needed_from for q in outbox.queues.values())
        if isinstance(record, records.Cleared):
            return record.position == outbox.cleared
        return True  # a later firmware's

    def _is_old(self, record, dropped):
        """Whether these are the periodic values of a transaction that is over."""
        outbox = self._outbox
        if record.kind != records.Values.kind or outbox.is_head(record.position):
            return False
        record = records.parse(record)
        if record.stop_mask:
            return False
        if outbox.open and outbox.open.start == record.start:
            return False
        queue = outbox.queues.get(record.endpoint_id)
        if queue and record.position >= queue.first_owed:
            dropped.append((queue, record.position))
        return True
