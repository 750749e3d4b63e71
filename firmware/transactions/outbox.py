"""The messages that central systems are owed, in order, until each is answered (OCPP 3.7, 4.8).

A message belongs to the endpoint, a number for URL and identity, under which its transaction
began; it is sent to no other. It is built from the journal when it is sent, the same at each retry
and after a restart.
"""

import asyncio
import json
from collections import namedtuple

from firmware.base import times
from firmware.base.journal import Bookmark
from firmware.base.runtime import const
from firmware.transactions import messages, records
from firmware.transactions.retention import Retention

_RECORDS_AT_ONCE = const(4)  # are read before others have a turn
_FULL_RETRY_MS = const(10000)  # a message is sent again when the flash could not note its answer

# A transaction whose STOP is not recorded yet; `start`: the position of its START.
OpenTransaction = namedtuple("OpenTransaction", ("start", "endpoint_id"))


class EndpointQueue:
    """The delivery to one endpoint: the `pending` messages that it is owed, and what `QueueState`
    says. `saved_at`: the position of its newest STATE record, 0 without one."""

    def __init__(self, endpoint_id: int, position: int):
        self.endpoint_id = endpoint_id
        self.pending = 0
        self.saved_at = 0
        self._saved = None  # what that record says
        self.restore(records.QueueState(endpoint_id, position, position, 0, None))

    def state(self) -> records.QueueState:
        return records.QueueState(
            self.endpoint_id, self.first_owed, self.needed_from, self.failures, self.transaction_id
        )

    def restore(self, state: records.QueueState) -> None:
        _, self.first_owed, self.needed_from, self.failures, self.transaction_id = state

    def saved(self, position: int, state: records.QueueState) -> None:
        """A STATE record with this state was written at this position."""
        self.saved_at = position
        self._saved = state

    def is_saved(self) -> bool:
        return self._saved == self.state()

    def transaction_id_of(self, start: int | None) -> int | None:
        """The transactionId of the transaction whose START is at this position; None while it is
        not known."""
        return self.transaction_id if start == self.needed_from else None

    def add(self, event: records.Event) -> None:
        """An event was recorded."""
        if event.is_message():
            self.pending += 1
        elif not self.endpoint_id:  # nobody is owed anything
            self.first_owed = event.position + 1
            if isinstance(event, records.Stop):
                self.need_from(self.first_owed)

    def need_from(self, position: int) -> None:
        """No record before this one is of use any more."""
        if position != self.needed_from:
            self.needed_from = position
            self.transaction_id = None

    def owes_from(self, position: int) -> None:
        """Messages of records before this one are delivered or given up."""
        self.first_owed = max(self.first_owed, position)

    def failed(self) -> None:
        """The oldest message was refused, or not answered."""
        self.failures += 1

    def move_on(self, event: records.Event, transaction_id: int | None) -> None:
        """The oldest message is delivered or given up; `transaction_id`: of a START."""
        self.first_owed = event.position + 1
        self.failures = 0
        if isinstance(event, records.Start):
            self.needed_from = event.position
            self.transaction_id = transaction_id
        elif isinstance(event, records.Stop) or event.start is None:
            self.needed_from = self.first_owed
            self.transaction_id = None

    def drop_message(self) -> None:
        """One message less is owed."""
        self.pending -= 1

    def expect_pending(self, least: int) -> None:
        """At least so many messages are owed: damage may have made the number wrong."""
        self.pending = max(least, self.pending)

    def drop_all(self) -> int:
        """Nothing is owed, since no record of it can be read. How many messages that were."""
        lost = self.pending
        self.pending = 0
        return lost


class Message:
    """The message to be sent next: its `action`, its payload, which never changes, the `position`
    of its record, and the `id_tag` that it tells of, None for none."""

    def __init__(self, outbox, event):
        self._outbox = outbox
        self._event = event
        self.action = event.action
        self.position = event.position
        self.id_tag = getattr(event, "id_tag", None)

    async def payload(self) -> dict:
        return await self._outbox.payload(self._event)


class Outbox:
    """The messages that are owed, by endpoint.

    `endpoint_id`: the endpoint of new messages; 0: there is no central system, and nothing to
    deliver. `on_message()` is called when there is a new message. `next_attempt_ms`: when the
    message that `head` returns may be sent, on the station's clock. `given_up`: how many messages
    `listing` shows as given up."""

    def __init__(self, journal, event_times, clock, log):
        self._journal = journal
        self._event_times = event_times
        self._clock = clock
        self._log = log
        self.retention = Retention(journal, self, log)  # to be asked for room
        self.endpoint_id = 0
        self.attempts = 3
        self.retry_s = 15
        self.max_stop_values = 30
        self.on_message = lambda: None
        self.next_attempt_ms = 0
        self.given_up = 0
        self.cleared = 0  # position of the newest CLEARED record
        self.queues = {}  # by endpoint_id
        self.open = None  # the OpenTransaction, if there is one
        self.reading = None  # the queue that is delivered
        self._head = None  # the event of its oldest message; None until that is looked up
        self._read_from = 0  # it is not at an earlier position
        self._bookmark = Bookmark()

    def configure(self, attempts: int, retry_s: int, max_stop_values: int) -> None:
        """TransactionMessageAttempts and -RetryInterval, and about how many SampledValues a
        StopTransaction may carry."""
        self.attempts = attempts
        self.retry_s = retry_s
        self.max_stop_values = max_stop_values

    def set_endpoint(self, endpoint_id: int) -> None:
        self.endpoint_id = endpoint_id

    @property
    def pending(self) -> int:
        """How many messages wait for the endpoint."""
        queue = self.queues.get(self.endpoint_id)
        return queue.pending if queue and self.endpoint_id else 0

    # after a restart

    def replayed(self, replay) -> None:
        """The journal has been read: goes on from the state that the `Replay` has found."""
        self.queues = replay.queues
        self.given_up = replay.given_up
        self.cleared = replay.cleared
        if replay.open:
            self.open = OpenTransaction(replay.open.position, replay.open.endpoint_id)

    # recording

    def queue(self, endpoint_id: int, position: int) -> EndpointQueue:
        """The queue of an endpoint, which may be owed the record at this position on."""
        if endpoint_id not in self.queues:
            self.queues[endpoint_id] = EndpointQueue(endpoint_id, position)
        return self.queues[endpoint_id]

    def record(self, event_class, stamp, transaction, body: bytes, vital: bool = True):
        """Writes the record of an event and owes its message to its transaction's endpoint;
        without a transaction, to that of now. `event_class`: one of records.py; `body`: what
        follows the record's head; `vital`: see `Journal.append`. Returns the event. Raises OSError
        when the flash is full."""
        position = self._journal.next
        if transaction:
            endpoint_id = transaction.endpoint_id
            distance = position - transaction.position
        else:
            endpoint_id = self.endpoint_id
            distance = 0 if event_class is records.Start else -1
        queue = self.queue(endpoint_id, position)
        head = records.Event.pack_head(position - queue.first_owed, stamp, endpoint_id, distance)
        payload = head + body
        self._journal.append(event_class.kind, payload, vital)
        event = event_class(position, payload)
        self._note_open(event)
        queue.add(event)
        if event.is_message():
            self.on_message()
        return event

    def _note_open(self, event):
        if isinstance(event, records.Start):
            self.open = OpenTransaction(event.position, event.endpoint_id)
        elif isinstance(event, records.Stop):
            self.open = None

    # delivering

    async def look_up_head(self, endpoint_id: int) -> None:
        """To be awaited before `head`: looks for the message, which may lie behind many of another
        endpoint's, while others have their turns."""
        queue = self._deliver_to(endpoint_id)
        if queue and not self._head:
            count = 0
            for _ in self._search_head():
                count += 1
                if count % _RECORDS_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def head(self, endpoint_id: int | None = None) -> Message | None:
        """The oldest undelivered message of the endpoint, the same one until `delivered` or
        `failed`. None where there is none, or while its time is unknown."""
        queue = self._deliver_to(self.endpoint_id if endpoint_id is None else endpoint_id)
        if not queue:
            return None
        self._event_times.date_boots()
        if not self._head:
            for _ in self._search_head():
                pass
        if not self._head:
            lost = queue.drop_all()
            if lost:
                self._log.error("%d messages were damaged and are lost", lost)
            return None
        queue.expect_pending(1)
        if self._event_times.epoch(self._head.stamp) is None:
            return None
        return Message(self, self._head)

    def _deliver_to(self, endpoint_id):
        """From now on this endpoint's messages are delivered. Returns its queue, or None."""
        self.endpoint_id = endpoint_id
        queue = self.queues.get(endpoint_id) if endpoint_id else None
        if queue and queue is not self.reading:
            self._read_queue(queue)
        return queue

    def is_head(self, position: int) -> bool:
        """Whether the message to be sent next has its record at this position."""
        return self._head is not None and self._head.position == position

    async def payload(self, event: records.Event) -> dict:
        """The payload of an event's message, whose time is known."""
        queue = self.queues[event.endpoint_id]
        epoch = self._event_times.epoch(event.stamp)
        payload = messages.payload(event, epoch, queue.transaction_id_of(event.start))
        if isinstance(event, records.Stop) and event.end_values:
            payload["transactionData"] = await messages.transaction_data(
                self._journal, self._event_times, event, self.max_stop_values
            )
        return payload

    def delivered(self, conf: dict) -> dict | None:
        """The head was answered by a CALLRESULT. Returns its idTagInfo, if it has one.
        StartTransaction.conf must have its transactionId; any integer is one."""
        if self._head:
            is_start = isinstance(self._head, records.Start)
            self._move_on(conf["transactionId"] if is_start else None, False)
        return conf.get("idTagInfo")

    def failed(self) -> None:
        """The head was answered by a CALLERROR, or not at all on a link that is up (OCPP 3.7.1):
        it is sent again after `retry_s` times the failures so far, or given up."""
        if not self._head:
            return
        queue = self.reading
        queue.failed()
        if queue.failures < self.attempts:
            self._schedule_attempt()
            self.save()
            return
        self._log.error("%s given up after %d attempts", self._head.action, queue.failures)
        self._move_on(records.UNKNOWN_TRANSACTION_ID, True)

    async def tidy(self) -> None:
        """To be awaited after `delivered` and `failed`: makes room in the journal."""
        if self.reading:
            await self.retention.tidy(self.reading)

    def _read_queue(self, queue):
        """From now on this queue is delivered."""
        self.save()
        self.retention.sweep_again()
        self.reading = queue
        self._head = None
        self._bookmark = Bookmark()
        self._read_from = queue.first_owed
        self._schedule_attempt()

    def _schedule_attempt(self):
        pause_ms = self.retry_s * 1000 * self.reading.failures
        self.next_attempt_ms = self._clock.ms() + pause_ms

    def _search_head(self):
        """Reads on to the next message, if there is one: a generator that yields for each record
        on the way."""
        queue = self.reading
        for event in records.read_events(self._journal, self._read_from, self._bookmark):
            if (
                event.position >= queue.first_owed
                and event.endpoint_id == queue.endpoint_id
                and event.is_message()
            ):
                self._head = event
                self._read_from = event.position
                return
            yield
        self._read_from = self._journal.next

    def _move_on(self, transaction_id, is_given_up):
        """The head is delivered or given up; flash says so before the next one goes."""
        queue = self.reading
        event = self._head
        before = queue.state()
        transaction_id_before = queue.transaction_id_of(event.start)
        is_last = isinstance(event, records.Stop) and queue.pending == 1
        queue.move_on(event, transaction_id)
        try:
            if is_given_up and not isinstance(event, records.Values):
                # the operator may still need all that a START or STOP says
                epoch = self._event_times.epoch(event.stamp)
                payload = records.GivenUp.pack_event(
                    queue.state(), event, epoch, before.failures, transaction_id_before
                )
                self._journal.append(records.GivenUp.kind, payload)
                self.given_up += 1
            elif isinstance(event, records.Start) or before.failures or is_last:
                self._save_queue(queue)
        except OSError as why:
            self._log.error("flash is full (%s): sending again in 10 s", why)
            queue.restore(before)
            self.next_attempt_ms = self._clock.ms() + _FULL_RETRY_MS
            return
        queue.drop_message()
        self._head = None
        self.next_attempt_ms = 0
        if isinstance(event, records.Stop):
            self.retention.sweep_again()

    # keeping

    def save(self) -> bool:
        """Writes down how far each delivery is, which else only the next event's record would say;
        before an orderly restart. Whether the flash had room for it."""
        try:
            for queue in self.queues.values():
                self._save_queue(queue)
            return True
        except OSError as why:
            self._log.error("flash is full: %s", why)
            return False

    def _save_queue(self, queue):
        """Writes a queue's state, unless it is written."""
        if not queue.is_saved():
            state = queue.state()
            queue.saved(
                self._journal.append(records.State.kind, records.State.pack(state)),
                state,
            )

    # for people

    def listing(self):
        """Yields the lines of the console's `queue`, oldest first: what was given up, marked so,
        until `clear_given_up`; and what waits, for whichever endpoint. None in between is no line:
        it took a while to look for the next one."""
        count = 0
        for record in records.read(self._journal):
            count += 1
            if count % _RECORDS_AT_ONCE == 0:
                yield None
            if isinstance(record, records.GivenUp):
                if record.position > self.cleared:
                    line = _line(record.event, record.epoch, record.transaction_id)
                    yield "given up after %d attempts: %s" % (record.failures, line)
            elif isinstance(record, records.Event) and record.is_message():
                queue = self.queues.get(record.endpoint_id)
                if queue and record.position >= queue.first_owed:
                    yield self._waiting_line(record, queue)

    def _waiting_line(self, event, queue):
        epoch = self._event_times.epoch(event.stamp)
        line = _line(event, epoch, queue.transaction_id_of(event.start))
        if event.position == queue.first_owed and queue.failures:
            line += " (failed %d times)" % queue.failures
        if event.endpoint_id != self.endpoint_id:
            line += " (for another central system)"
        return line

    def clear_given_up(self) -> int:
        """The operator has read what was given up. Returns how many."""
        count = self.given_up
        self.cleared = self._journal.append(records.Cleared.kind, b"")
        self.given_up = 0
        self.retention.sweep_again()
        return count


def _line(event, epoch, transaction_id):
    """`StartTransaction {...}` with all figures; of MeterValues only when they were taken."""
    figures: dict = {}
    if not isinstance(event, records.Values):
        figures = messages.payload(event, epoch or 0, transaction_id)
        if transaction_id is None:
            figures.pop("transactionId", None)
    written = "not known yet"
    if epoch is not None:
        written = times.text(epoch, records.milliseconds(event.stamp))
    figures["timestamp"] = written
    return event.action + " " + json.dumps(figures)
