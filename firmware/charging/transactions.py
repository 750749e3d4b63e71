"""Transactions, their records in flash, and the messages that are owed because of them.

The journal is the truth: StartTransaction, MeterValues and StopTransaction are built from its
records when they are sent, in order, the same at each retry and after a restart. A message belongs
to the endpoint (a number for URL and identity) under which its transaction began.

Records, as packed integers. START, VALUES and STOP begin with: lag (how far the oldest undelivered
message of this endpoint is behind this record; so a delivery costs no record of its own), boot and
time (boot 0: Unix seconds; else seconds since that boot, until a TIME record tells when it was),
endpoint, owner (how far behind its START is; -1 outside of a transaction). Then:
START: connectorId, meterStart, 1 and reservationId or 0 0, length of idTag; idTag, Begin values
VALUES: connectorId, context, mask for MeterValues, mask for StopTransaction; values
STOP: meterStop, reason, VALUES for StopTransaction so far, length of idTag; idTag, End values
STATE: endpoint, next to deliver, START it belongs to, failures, 1 and transactionId or 0 0
GIVEN_UP: as STATE, then position, kind, time and payload of what was given up
TIME: boot, Unix seconds at its start
CLEARED: (nothing) what was given up before is read
"""

import json

from firmware.base import times
from firmware.base.journal import ints, pack_ints
from firmware.charging import measurands

START, VALUES, STOP, STATE, GIVEN_UP, TIME, CLEARED = 1, 2, 3, 4, 5, 6, 7

_ACTIONS = ("", "StartTransaction", "MeterValues", "StopTransaction")
# Indices into it are in the journal: only ever append.
_REASONS = (
    "Local Remote EVDisconnected PowerLoss Reboot SoftReset HardReset DeAuthorized EmergencyStop "
    "Other UnlockCommand"
).split()
_PROGRESS_MS = 59000
_STRIDE = 32  # values kept for StopTransaction before each further one must be twice as far away


class Transaction:
    """A running transaction. `transaction_id`: None until the central system told it, -1 when it
    never will. `energy`: the register's newest recorded value, Wh."""

    def __init__(self, position, endpoint, connector, id_tag, meter_start, reservation_id, ms):
        self.position = position
        self.endpoint = endpoint
        self.connector = connector
        self.id_tag = id_tag
        self.meter_start = meter_start
        self.reservation_id = reservation_id
        self.started_ms = ms
        self.transaction_id = None
        self.energy = meter_start
        self.stamp = (0, 0)  # boot and time of the newest record
        self.newest = position
        self.recorded_ms = ms
        self.data = False  # whether StopTransaction carries transactionData
        self.values = self.kept = 0  # for it: seen and kept


class Message:
    """What to send next: `action`, `payload`."""

    def __init__(self, action, payload):
        self.action = action
        self.payload = payload


class _Queue:
    """Where the delivery to one endpoint is."""

    def __init__(self, endpoint, position):
        self.endpoint = endpoint
        self.pending = 0
        self.saved = 0  # position of the newest STATE record
        self.written = None  # what it says
        self.restore((endpoint, position, position, 0, 0, 0))

    def state(self):
        known = self.transaction_id is not None
        identity = self.transaction_id if known else 0
        return (self.endpoint, self.done, self.start, self.failures, int(known), identity)

    def restore(self, state):
        """`done`: what is before is delivered or given up; `start`: what is before and of no
        later use can go; `failures`: of the message at `done`; `transaction_id`: of the
        transaction that began at `start`."""
        _, self.done, self.start, self.failures, known, identity = state
        self.transaction_id = identity if known else None


class Transactions:
    """`endpoint`: under which messages begin now (0: there is no central system, and nothing to
    deliver). `attempts` and `retry_s`: TransactionMessageAttempts and -RetryInterval.
    `running`: the transaction or None. `interrupted`: the one that a power cut or restart left
    open; `recover` closes it. `on_record`: called when there is something new to deliver.
    `build`: Unix seconds before which no clock is believed. `data_values`: about how many
    SampledValues a StopTransaction carries at most. `next_attempt_ms`: when, on the station's
    clock, the message that `head` gives may be sent. `given_up`: how many `listing` shows.
    """

    def __init__(self, journal, store, clock, log, build: int = 0):
        self.journal = journal
        self.clock = clock
        self.endpoint = 0
        self.attempts = 3
        self.retry_s = 15
        self.data_values = 40
        self.next_attempt_ms = 0
        self.running = None
        self.interrupted = None
        self.given_up = 0
        self.on_record = lambda: None
        self._store = store
        self._log = log
        self._build = build
        self._queues = {}
        self._cleared = 0
        self._bases = {}  # boot: Unix seconds at its start
        self._baseless = {}  # boot without one: seconds of its newest record
        self._boot = 1
        self._latest = build
        self._swept = self._thinned = 0  # segments before are as small as they get
        self._full = False
        self._reading = None  # the queue that is read, how far, and its head
        self._records = None
        self._position = 0
        self._head = None
        self._replay()

    # after a restart

    def _replay(self):
        for record in self.journal.records():
            position, kind, payload = record
            if kind <= STOP:
                (lag, boot, time, endpoint, owner), at = ints(payload, 5)
                queue = self._queue(endpoint, position)
                if position - lag > queue.done:
                    queue.done = position - lag
                    queue.failures = 0
                if not boot:
                    self._latest = max(self._latest, time)
                elif boot not in self._bases:
                    self._baseless[boot] = max(time, self._baseless.get(boot, 0))
                self._boot = max(self._boot, boot + 1)
                if kind == START:
                    self.interrupted = self._opened(record, None)
                elif kind == STOP:
                    self.interrupted = None
                elif self.interrupted and owner == position - self.interrupted.position:
                    (_, _, _, stop_mask), at = ints(payload, 4, at)
                    self.interrupted.kept += stop_mask > 0
                    self._note(self.interrupted, position, (boot, time), payload[at:])
            elif kind in (STATE, GIVEN_UP):
                state, _ = ints(payload, 6)
                queue = self._queue(state[0], position)
                queue.restore(state)
                if kind == STATE:
                    queue.saved = position
                    queue.written = tuple(state)
                else:
                    self.given_up += 1
            elif kind == TIME:
                (boot, base), _ = ints(payload, 2)
                self._bases[boot] = base
                self._baseless.pop(boot, None)
                self._boot = max(self._boot, boot + 1)
            elif kind == CLEARED:
                self._cleared = position
                self.given_up = 0
        self._progressed(self.interrupted)
        for position, kind, payload in self.journal.records():
            if kind <= STOP:
                (_, _, _, endpoint, owner), _ = ints(payload, 5)
                queue = self._queues[endpoint]
                if position >= queue.done and _is_message(kind, payload):
                    if not queue.pending:
                        self._starts(queue, position - max(owner, 0))
                    queue.pending += 1
        for queue in self._queues.values():
            if not queue.pending:
                open_ = self.interrupted
                here = open_ and open_.endpoint == queue.endpoint
                self._starts(queue, open_.position if here else queue.done)

    def _starts(self, queue, position):
        if position != queue.start:
            queue.start = position
            queue.transaction_id = None

    def _opened(self, record, at_ms):
        """The Transaction of a START record."""
        position, _, payload = record
        (_, boot, time, endpoint, _, connector, meter, reserved, reservation, size), at = ints(
            payload, 10
        )
        tag = str(payload[at : at + size], "utf-8")
        reservation = reservation if reserved else None
        transaction = Transaction(position, endpoint, connector, tag, meter, reservation, at_ms)
        transaction.stamp = (boot, time)
        transaction.data = len(payload) > at + size
        return transaction

    def _note(self, transaction, position, stamp, data):
        """A record of a running transaction was written."""
        transaction.newest = position
        transaction.stamp = stamp
        energy = measurands.energy(data)
        if energy is not None:
            transaction.energy = energy

    def _progressed(self, transaction):
        progress = transaction and self._store.read("progress")
        if progress:
            (position, boot, time, energy), _ = ints(progress, 4)
            known, newest = transaction.stamp[0] == 0, transaction.stamp[1]
            if position == transaction.position and (boot == 0, time) >= (known, newest):
                transaction.stamp = (boot, time)
                transaction.energy = energy

    def recover(self, reason: str, energy: int | None = None, reach: int = 400) -> bool:
        """Closes the transaction that was left open, if one was: with the register read after the
        boot (`energy`, Wh; None: the meter did not answer in time) if that is not below the last
        record nor more than `reach` Wh above, the most that a minute could have delivered; else
        with the last record's. The time is the last record's."""
        transaction = self.interrupted
        if not transaction:
            return False
        last = transaction.energy
        if energy is None or not last <= energy <= last + reach:
            self._log.warning("register after the restart %s, before %d Wh: taking the latter",
                              energy, last)  # fmt: skip
            energy = last
        self._close(transaction, transaction.stamp, reason, energy, None, b"")
        self._log.info("transaction of %s closed: %s, %d Wh", transaction.id_tag, reason, energy)
        return True

    # times

    def _epoch(self, ms):
        epoch = self.clock.epoch_at(ms)
        if epoch is None or self.clock.epoch_at(self.clock.ms()) < self._build:
            return None
        return max(epoch, self._build)

    def _stamp(self, at_ms):
        """(boot, time) of a moment; never back within a transaction."""
        self.clock_set()
        epoch = self._epoch(at_ms)
        if epoch is None:
            seconds = at_ms // 1000
            self._baseless[self._boot] = max(seconds, self._baseless.get(self._boot, 0))
            return self._boot, seconds
        if self.running:
            epoch = max(epoch, self._time(*self.running.stamp) or 0)
        return 0, epoch

    def _time(self, boot, time):
        """Unix seconds of a stamp, None while nobody knows."""
        if boot:
            return self._bases[boot] + time if boot in self._bases else None
        return time

    def clock_set(self) -> None:
        """To be called when the wall clock is known: fixes, once and for all, when that happened
        which was recorded before."""
        end = self._epoch(0)
        if end is None or not self._baseless:
            return
        for boot in sorted(self._baseless, reverse=True):
            base = end
            if boot != self._boot:  # it ended before this one began, how long is unknown
                base = max(end - self._baseless[boot] - 1, self._latest)
                self._log.warning("the time before a restart is lost: events of boot %d are dated "
                                  "as late as they can have been", boot)  # fmt: skip
            self.journal.append(TIME, pack_ints(boot, base))
            self._bases[boot] = end = base
            self._baseless.pop(boot)

    # recording

    def _queue(self, endpoint, position):
        if endpoint not in self._queues:
            self._queues[endpoint] = _Queue(endpoint, position)
        return self._queues[endpoint]

    def _append(self, kind, stamp, transaction, numbers, tail, spare=True):
        position = self.journal.next
        endpoint = transaction.endpoint if transaction else self.endpoint
        owner = -1
        if kind == START:
            owner = 0
        elif transaction:
            owner = position - transaction.position
        queue = self._queue(endpoint, position)
        payload = pack_ints(position - queue.done, *stamp, endpoint, owner, *numbers) + tail
        self.journal.append(kind, payload, spare)
        if _is_message(kind, payload):
            queue.pending += 1
            self.on_record()
        elif not endpoint:
            queue.done = position + 1
        return position, kind, payload

    def start(self, connector: int, id_tag: str, meter_start: int, reservation_id: int | None,
              at_ms: int, data: bytes = b"") -> Transaction:  # fmt: skip
        """Records a StartTransaction. `data`: the Begin values for StopTransaction, packed
        (`measurands.pack` with StopTxnSampledData), empty where it shall carry none. Raises
        OSError when the flash could not take the transaction's end: then nothing may start."""
        self.recover("PowerLoss")
        if self.running:
            raise ValueError("a transaction is running")
        journal = self.journal
        journal.measure()
        if journal.room < -journal.reserve // 2:
            self._thin()
            if journal.room < -journal.reserve // 2:
                raise OSError(28, "the flash is full of undelivered transactions")
        tag = id_tag.encode()
        reserved = reservation_id is not None
        record = self._append(
            START, self._stamp(at_ms), None,
            (connector, meter_start, int(reserved), reservation_id or 0, len(tag)),
            tag + (data if self.endpoint else b""),
        )  # fmt: skip
        self.running = self._opened(record, at_ms)
        self.running.recorded_ms = at_ms
        return self.running

    def values(self, context: str, reading: dict, mask: int, at_ms: int,
               offered_ma: int | None = None, stop_mask: int = 0) -> bool:  # fmt: skip
        """Records values: `mask` for a MeterValues message, `stop_mask` for the running
        transaction's StopTransaction. False when nothing was: no such value in the reading, no
        central system, or the flash is full."""
        transaction = self.running
        endpoint = transaction.endpoint if transaction else self.endpoint
        if not endpoint or not measurands.pack(reading, offered_ma, mask):
            mask = 0
        if transaction and transaction.data and stop_mask:
            # further and further apart, so that any length of charging fits
            if transaction.values % (1 << transaction.kept // _STRIDE):
                stop_mask = 0
            transaction.values += 1
        else:
            stop_mask = 0
        if mask or stop_mask:
            try:
                if self.journal.room <= 0:
                    self._thin()
                if self.journal.room <= 0:
                    raise OSError(28)
                wanted = mask | stop_mask | (measurands.ENERGY if transaction else 0)
                data = measurands.pack(reading, offered_ma, wanted)
                stamp = self._stamp(at_ms)
                connector = transaction.connector if transaction else 1
                number = measurands.CONTEXTS.index(context)
                position, _, _ = self._append(
                    VALUES, stamp, transaction, (connector, number, mask, stop_mask), data, False
                )
                self._full = False
                if transaction:
                    transaction.kept += stop_mask > 0
                    transaction.recorded_ms = at_ms
                    self._note(transaction, position, stamp, data)
                return True
            except OSError as why:
                if not self._full:
                    self._log.error("flash is full (%s): no meter values are kept", why)
                    self._full = True
        if transaction and "energy" in reading:
            self.progress(reading["energy"], at_ms)
        return False

    def progress(self, energy: int, at_ms: int) -> None:
        """To be called with each reading of the register (Wh): keeps it once a minute while energy
        flows, whatever else is recorded."""
        transaction = self.running
        if (
            transaction
            and energy != transaction.energy
            and at_ms - transaction.recorded_ms >= _PROGRESS_MS
        ):
            stamp = self._stamp(at_ms)
            try:
                self._store.write("progress", pack_ints(transaction.position, *stamp, energy))
            except OSError as why:
                self._log.error("the register could not be kept: %s", why)
            transaction.stamp = stamp
            transaction.energy = energy
            transaction.recorded_ms = at_ms

    def stop(self, reason: str, meter_stop: int, at_ms: int, id_tag: str | None = None,
             data: bytes = b"") -> None:  # fmt: skip
        """Records the StopTransaction of the running transaction. `data`: its End values for
        StopTransaction, packed."""
        self._close(self.running, self._stamp(at_ms), reason, meter_stop, id_tag, data)

    def _close(self, transaction, stamp, reason, meter_stop, id_tag, data):
        if transaction.data and not data:
            data = measurands.pack({"energy": meter_stop}, None, measurands.ENERGY)
        tag = (id_tag or "").encode()
        numbers = (meter_stop, _REASONS.index(reason), transaction.kept, len(tag))
        self._append(STOP, stamp, transaction, numbers, tag + (data if transaction.data else b""))
        self.running = self.interrupted = None
        self._thinned = 0
        if not transaction.endpoint:
            self._swept = 0
            self._sweep(self._queues[0])

    # delivering

    @property
    def pending(self) -> int:
        """How many messages wait for the endpoint."""
        queue = self._queues.get(self.endpoint)
        return queue.pending if queue and self.endpoint else 0

    def head(self, endpoint: int | None = None) -> Message | None:
        """The oldest undelivered message of the endpoint, the same until `delivered` or `failed`.
        None: there is none, or its time is unknown since the clock is."""
        if endpoint is not None:
            self.endpoint = endpoint
        if not self.pending:
            return None
        queue = self._queues[self.endpoint]
        if queue is not self._reading:
            self._switch(queue)
        try:
            self.clock_set()
        except OSError as why:
            self._log.error("flash: %s", why)
            return None
        while not self._head:
            if not self._records:
                self._records = self.journal.records(self._position)
            for record in self._records:
                position, kind, payload = record
                self._position = position + 1
                if kind <= STOP and ints(payload, 4)[0][3] == queue.endpoint:
                    if position >= queue.done and _is_message(kind, payload):
                        self._head = record
                        break
            else:
                self._records = None
                if self._position >= self.journal.next:
                    self._log.error("%d messages are damaged and lost", queue.pending)
                    queue.pending = 0
                    return None
        position, kind, payload = self._head
        (_, boot, time), _ = ints(payload, 3)
        time = self._time(boot, time)
        if time is None:
            return None
        request = self._request(self._head, times.text(time), self._identity(self._head))
        return Message(_ACTIONS[kind], request)

    def _switch(self, queue):
        if self._reading:
            self._save(self._reading)
        self._swept = 0
        self._reading = queue
        self._records = self._head = None
        self._position = queue.start
        self._wait(queue, self.clock.ms())

    def _wait(self, queue, now_ms):
        self.next_attempt_ms = now_ms + self.retry_s * 1000 * queue.failures

    def _identity(self, record):
        """The transactionId of a record's transaction, None while it is not known."""
        queue = self._queues[ints(record[2], 4)[0][3]]
        start = record[0] - ints(record[2], 5)[0][4]
        return queue.transaction_id if queue.start == start else None

    def _request(self, record, time, identity, full=True):
        """The payload of a message; without the samples of a StopTransaction unless `full`."""
        _, kind, payload = record
        (_, _, _, _, owner), at = ints(payload, 5)
        request = {}
        if kind != START and owner >= 0:
            request["transactionId"] = -1 if identity is None else identity  # errata 3.18
        if kind == START:
            start = self._opened(record, None)
            request["connectorId"] = start.connector
            request["idTag"] = start.id_tag
            request["meterStart"] = start.meter_start
            if start.reservation_id is not None:
                request["reservationId"] = start.reservation_id
        elif kind == VALUES:
            (connector, context, mask, _), at = ints(payload, 4, at)
            sampled = measurands.unpack(payload, mask, measurands.CONTEXTS[context], at)
            request["connectorId"] = connector
            request["meterValue"] = [{"timestamp": time, "sampledValue": sampled}]
            return request
        else:
            (meter, reason, kept, size), at = ints(payload, 4, at)
            request["meterStop"] = meter
            request["reason"] = _REASONS[reason]
            if size:
                request["idTag"] = str(payload[at : at + size], "utf-8")
            if full and len(payload) > at + size:
                request["transactionData"] = self._data(record, kept, at + size)
        request["timestamp"] = time
        return request

    def _sample(self, boot, time, context, data, mask):
        sampled = measurands.unpack(data, mask, context)
        return {"timestamp": times.text(self._time(boot, time)), "sampledValue": sampled}

    def _data(self, stop, kept, at):
        """transactionData: Begin, End, and between them what fits, evenly in time."""
        (_, boot, ended, _, behind), _ = ints(stop[2], 5)
        end = self._sample(boot, ended, "Transaction.End", stop[2][at:], measurands.ALL)
        ended = self._time(boot, ended)
        begun = fits = slot = 0
        room = self.data_values - len(end["sampledValue"])
        data = []
        for position, kind, payload in self.journal.records(stop[0] - behind):
            if position >= stop[0]:
                break
            if kind > VALUES:
                continue
            (_, boot, time, _, owner), at = ints(payload, 5)
            if kind == START:
                begun = self._time(boot, time)
                size, at = ints(payload, 5, at)
                context, mask, at = "Transaction.Begin", measurands.ALL, at + size[4]
            else:
                (_, context, _, mask), at = ints(payload, 4, at)
                if not mask or owner != behind - stop[0] + position:
                    continue
                context = measurands.CONTEXTS[context]
            item = self._sample(boot, time, context, payload[at:], mask)
            if kind == START:
                room -= len(item["sampledValue"])
            else:
                fits = fits or max(0, room) // len(item["sampledValue"])
                here = (self._time(boot, time) - begun) * fits // (ended - begun + 1) + 1
                if kept > fits and here <= slot:
                    continue
                slot = here
            data.append(item)
        return data + [end]

    def _advance(self, transaction_id=None, given_up=None):
        """The head is delivered or given up; flash says so before the next one goes."""
        queue = self._reading
        position, kind, payload = self._head
        before = queue.state()
        queue.done = position + 1
        queue.failures = 0
        if kind == START:
            queue.start = position
            queue.transaction_id = transaction_id
        elif kind == STOP or ints(payload, 5)[0][4] < 0:
            queue.start = queue.done
            queue.transaction_id = None
        try:
            if given_up:
                self.journal.append(GIVEN_UP, pack_ints(*queue.state()) + given_up)
                self.given_up += 1
            elif kind != VALUES or before[3]:
                self._save(queue)
        except OSError as why:
            self._log.error("flash is full (%s): will be sent again", why)
            queue.restore(before)
            self.next_attempt_ms = self.clock.ms() + 10000
            return
        queue.pending -= 1
        self._head = None
        self.next_attempt_ms = 0
        if self.running and self.running.position == position:
            self.running.transaction_id = transaction_id
        if kind == STOP:
            self._swept = 0
        self._sweep(queue)

    def delivered(self, conf: dict) -> dict | None:
        """The head was answered by a CALLRESULT. Returns its idTagInfo, if it has one.
        StartTransaction.conf must have its transactionId; any integer is one."""
        if self._head:
            self._advance(conf["transactionId"] if self._head[1] == START else None)
        return conf.get("idTagInfo")

    def failed(self, now_ms: int) -> None:
        """The head was answered by a CALLERROR, or not at all on a link that is up (OCPP 3.7.1):
        it is sent again after `retry_s` times the failures so far, or given up."""
        if not self._head:
            return
        queue = self._reading
        position, kind, payload = self._head
        queue.failures += 1
        if queue.failures < self.attempts:
            self._wait(queue, now_ms)
            try:
                self._save(queue)
            except OSError as why:
                self._log.error("flash is full: %s", why)
            return
        self._log.error("%s given up after %d attempts", _ACTIONS[kind], queue.failures)
        if kind == VALUES:
            self._advance()
        else:
            (_, boot, time, _, _), _ = ints(payload, 5)
            known = queue.transaction_id is not None and kind == STOP
            numbers = (kind, self._time(boot, time), queue.failures)
            numbers += (queue.transaction_id if known else -1,)
            self._advance(-1, pack_ints(*numbers) + payload)

    # what is over goes

    def _save(self, queue):
        """Keeps a queue's state, unless it is kept already."""
        if queue.state() != queue.written:
            queue.saved = self.journal.append(STATE, pack_ints(*queue.state()))
            queue.written = queue.state()

    def sync(self) -> None:
        """Before an orderly restart: keeps what else a later record would have told."""
        for queue in self._queues.values():
            self._save(queue)

    def _compact(self, index, keep):
        try:
            for queue in self._queues.values():
                self._save(queue)
            self.journal.compact(index, keep)
        except OSError as why:
            self._log.error("no room to tidy up: %s", why)

    def _next_segment(self, after):
        segments = self.journal.segments
        index = 0
        while index < len(segments) and segments[index] < after:
            index += 1
        return index, segments[index + 1] if index + 1 < len(segments) else None

    def _sweep(self, queue):
        """Tidies the next segment that is delivered to its end."""
        index, following = self._next_segment(self._swept)
        if following and following <= queue.done:
            self._swept = following
            self._compact(index, self._needed)

    def _needed(self, record):
        position, kind, payload = record
        if kind <= STOP:
            (_, _, _, endpoint, owner), at = ints(payload, 5)
            queue = self._queues[endpoint]
            open_ = self.running or self.interrupted
            if open_ and position in (open_.position, open_.newest):
                return True
            if kind == START:
                return position >= queue.start
            if kind == VALUES:
                (_, _, _, stop_mask), at = ints(payload, 4, at)
                if stop_mask and position - owner >= queue.start:
                    return True
            return position >= queue.done
        if kind == STATE:
            queue = self._queues[ints(payload, 1)[0][0]]
            open_ = self.running or self.interrupted
            return position == queue.saved and (
                queue.pending > 0
                or queue.endpoint == self.endpoint
                or (open_ is not None and queue.endpoint == open_.endpoint)
            )
        if kind == GIVEN_UP:
            return position > self._cleared
        if kind == TIME:
            return any(position >= queue.start for queue in self._queues.values())
        return kind != CLEARED or position == self._cleared

    def _thin(self):
        """Flash is full: of the next segment, the periodic values of old transactions go."""
        index, following = self._next_segment(self._thinned)
        if not following:
            return
        self._thinned = following
        dropped = []
        open_ = self.running or self.interrupted
        current = open_.position if open_ else 0
        head = self._head[0] if self._head else 0

        def keep(record):
            position, kind, payload = record
            if kind != VALUES or position == head:
                return True
            (_, _, _, endpoint, owner), at = ints(payload, 5)
            if ints(payload, 4, at)[0][3] or (open_ and position - owner == current):
                return True
            if position >= self._queues[endpoint].done:
                dropped.append(endpoint)
            return False

        self._compact(index, keep)
        for endpoint in dropped:
            self._queues[endpoint].pending -= 1
        if dropped:
            self._log.error("flash is full: %d old MeterValues dropped", len(dropped))

    # for people

    def listing(self):
        """Yields the lines of the console's `queue`, oldest first: what was given up, marked so,
        until `clear_given_up`; and what waits, for whichever endpoint."""
        for record in self.journal.records():
            position, kind, payload = record
            if kind == GIVEN_UP and position > self._cleared:
                (_, kind, time, failures, identity), at = ints(payload, 5, ints(payload, 6)[1])
                record = (position, kind, payload[at:])
                yield "given up after %d attempts: %s" % (
                    failures,
                    self._line(record, time, identity),
                )
            elif kind <= STOP:
                (_, boot, time, endpoint, _), _ = ints(payload, 5)
                queue = self._queues[endpoint]
                if position >= queue.done and _is_message(kind, payload):
                    line = self._line(record, self._time(boot, time), self._identity(record))
                    if position == queue.done and queue.failures:
                        line += " (failed %d times)" % queue.failures
                    if endpoint != self.endpoint:
                        line += " (for another central system)"
                    yield line

    def _line(self, record, time, identity):
        time = "unknown yet" if time is None else times.text(time)
        request = self._request(record, time, identity, False)
        if record[1] == VALUES:
            request = {"timestamp": time}
        elif identity is None:
            request.pop("transactionId", None)
        return _ACTIONS[record[1]] + " " + json.dumps(request)

    def clear_given_up(self) -> int:
        """The operator has read what was given up. Returns how many."""
        count = self.given_up
        self._cleared = self.journal.append(CLEARED, b"")
        self.given_up = self._swept = 0
        return count


def _is_message(kind, payload):
    """Whether a START, VALUES or STOP record is to be delivered."""
    (_, _, _, endpoint, _), at = ints(payload, 5)
    return endpoint != 0 and (kind != VALUES or ints(payload, 3, at)[0][2] != 0)
