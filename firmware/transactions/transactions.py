"""Transactions, their records in flash, and the messages that are owed because of them.

The journal is the truth: StartTransaction, MeterValues and StopTransaction are built from its
records when they are sent, in order, the same at each retry and after a restart. A message belongs
to the endpoint (a number for URL and identity) under which its transaction began.

What is not needed all the time is loaded for its time only: `recording` for values, `delivering`
for which message is next, `requests` for its payload, `ends` for a transaction's start and stop,
`end_messages` for what is told of them, `stop_data` for the values in that, `replay` after a
restart, `upkeep` when records can go, `listing` for people.

Records, as packed integers. START, VALUES and STOP begin with: lag (how far the oldest undelivered
message of this endpoint is behind this record; so a delivery costs no record of its own), boot and
time (boot 0: Unix seconds; else seconds since that boot, until a TIME record tells when it was),
endpoint, owner (how far behind its START is; -1 outside of a transaction). Then
1 START: connectorId, meterStart, 1 and reservationId or 0 0, length of idTag; idTag, Begin values
2 VALUES: connectorId, context, mask for MeterValues, mask for StopTransaction; values
3 STOP: meterStop, reason, VALUES for StopTransaction so far, length of idTag; idTag, End values
4 STATE: what `Queue.state` gives
5 GIVEN_UP: as STATE, then the kind, Unix seconds, failures, transactionId and record given up
6 TIME: boot, Unix seconds at its start
7 CLEARED: (nothing) what was given up before was read
"""

from firmware.base import runtime
from firmware.base.journal import ints, pack_ints
from firmware.base.runtime import const

_START = const(1)
_VALUES = const(2)
_STATE = const(4)
_PROGRESS_MS = const(59000)

ACTIONS = (None, "StartTransaction", "MeterValues", "StopTransaction")
# Indices into it are in the journal: only ever append.
REASONS = (
    "Local Remote EVDisconnected PowerLoss Reboot SoftReset HardReset DeAuthorized EmergencyStop "
    "Other UnlockCommand"
)


class Transaction:
    """A transaction that runs. `transaction_id`: None until the central system told it, -1 when
    it never will (errata 3.18). `energy`: the newest recorded value of the register, Wh."""

    def __init__(self, record, started_ms):
        """From its START record."""
        self.position, _, payload = record
        numbers, at = ints(payload, 10)
        _, boot, time, self.endpoint, _, self.connector, self.meter_start, known = numbers[:8]
        self.reservation_id = numbers[8] if known else None
        end = at + numbers[9]
        self.id_tag = str(payload[at:end], "utf-8")
        self.data = payload[end:]  # the Begin values for StopTransaction; empty: it has none
        self.started_ms = started_ms
        self.transaction_id = None
        self.energy = self.meter_start
        self.stamp = (boot, time)  # of the newest record
        self.recorded_ms = started_ms
        self.seen = self.kept = 0  # values for StopTransaction

    def note(self, stamp, energy):
        """A record of values was written: its stamp, and its register if it has one (Wh)."""
        self.stamp = stamp
        if energy is not None:
            self.energy = energy


class Message:
    """What to send next: `action`, and its payload, always the same."""

    def __init__(self, owner, action):
        self._owner = owner
        self.action = action

    def payload(self) -> dict:
        return self._owner._rare("firmware.transactions.requests", "payload")


class Queue:
    """Where the delivery to one endpoint is."""

    def __init__(self, endpoint, position):
        self.endpoint = endpoint
        self.pending = 0
        self.saved = 0  # position of the newest STATE record
        self.written = None  # what it says
        self.restore((endpoint, position, position, 0, 0, 0))

    def state(self) -> tuple:
        known = self.transaction_id is not None
        identity = self.transaction_id if known else 0
        return (self.endpoint, self.done, self.start, self.failures, int(known), identity)

    def restore(self, state) -> None:
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
        self.store = store
        self.clock = clock
        self.log = log
        self.build = build
        self.endpoint = 0
        self.attempts = 3
        self.retry_s = 15
        self.data_values = 30
        self.next_attempt_ms = 0
        self.running = None
        self.interrupted = None
        self.given_up = 0
        self.on_record = lambda: None
        # shared with the modules that are loaded when needed
        self.queues = {}
        self.cleared = 0  # position of the newest CLEARED record
        self.bases = {}  # boot: Unix seconds at its start
        self.baseless = {}  # boot without one: seconds of its newest record
        self.boot = 1
        self.latest = build  # Unix seconds that an earlier run has seen
        self.swept = self.thinned = 0  # segments before are as small as they get
        self.head_record = None
        self.reading = None  # the queue that is read, and how far
        self.cursor = []  # where it is, for Journal.records
        self.read_to = 0
        self.full = False
        self._rare("firmware.transactions.replay", "replay")

    def _rare(self, module, function, *args):
        """Calls a function of a module that is there for this call only."""
        try:
            return runtime.once(module, function, self, *args)
        finally:
            runtime.drop("firmware.metering.measurands", "firmware.transactions.requests")

    def recover(self, reason: str, energy: int = -1, reach: int = 400) -> bool:
        """Closes the transaction that was left open, if one was: with the register read after the
        boot (`energy`, Wh; -1: the meter did not answer in time) if that is not below the last
        record nor more than `reach` Wh above, the most that a minute could have delivered; else
        with the last record's. The time is the last record's."""
        if self.interrupted:
            self._rare("firmware.transactions.replay", "recover", reason, energy, reach)
            return True
        return False

    # times

    def epoch(self, ms: int) -> int | None:
        """Unix seconds of a moment of the clock's; None while it can't be believed."""
        now = self.clock.epoch_at(self.clock.ms())
        if now is None or now < self.build:
            return None
        return max(self.clock.epoch_at(ms), self.build)

    def time(self, boot: int, time: int) -> int | None:
        """Unix seconds of a record's stamp; None while nobody knows."""
        if boot:
            return self.bases[boot] + time if boot in self.bases else None
        return time

    def clock_set(self) -> None:
        """To be called when the wall clock is known: fixes, once and for all, when that happened
        which was recorded before."""
        if self.baseless and self.epoch(0) is not None:
            self._rare("firmware.transactions.replay", "date")

    def stamp(self, at_ms: int) -> tuple:
        """(boot, time) of a moment; never back within a transaction."""
        self.clock_set()
        epoch = self.epoch(at_ms)
        if epoch is None:
            self.baseless[self.boot] = max(at_ms // 1000, self.baseless.get(self.boot, 0))
            return self.boot, at_ms // 1000
        if self.running:
            epoch = max(epoch, self.time(*self.running.stamp) or 0)
        return 0, epoch

    # recording

    def queue(self, endpoint: int, position: int) -> Queue:
        if endpoint not in self.queues:
            self.queues[endpoint] = Queue(endpoint, position)
        return self.queues[endpoint]

    def append(self, kind, stamp, transaction, numbers, tail, spare=True) -> tuple:
        """Writes a START, VALUES or STOP record and returns it."""
        position = self.journal.next
        endpoint = transaction.endpoint if transaction else self.endpoint
        owner = position - transaction.position if transaction else -(kind != _START)
        queue = self.queue(endpoint, position)
        payload = pack_ints(position - queue.done, *stamp, endpoint, owner, *numbers) + tail
        self.journal.append(kind, payload, spare)
        if is_message(kind, payload):
            queue.pending += 1
            self.on_record()
        elif not endpoint:
            queue.done = position + 1
        return position, kind, payload

    def start(
        self,
        connector: int,
        id_tag: str,
        meter_start: int,
        reservation_id: int | None,
        at_ms: int,
        data: bytes = b"",
    ) -> Transaction:
        """Records a StartTransaction. `data`: the Begin values for StopTransaction, packed
        (`measurands.pack`), empty where it shall carry none. Raises OSError when the flash could
        not take the transaction's end: then nothing may start."""
        self.recover("PowerLoss")
        return self._rare(
            "firmware.transactions.ends",
            "start",
            connector,
            id_tag,
            meter_start,
            reservation_id,
            at_ms,
            data,
        )

    def values(
        self,
        context: str,
        reading: dict,
        mask: int,
        at_ms: int,
        offered_ma: int | None = None,
        stop_mask: int = 0,
    ) -> bool:
        """Records values: `mask` for a MeterValues message, `stop_mask` for the running
        transaction's StopTransaction. False when nothing was: no such value in the reading, no
        central system, or the flash is full."""
        return self._rare(
            "firmware.transactions.recording",
            "values",
            context,
            reading,
            mask,
            at_ms,
            offered_ma,
            stop_mask,
        )

    def thin(self) -> bool:
        """Makes room in the next segment that may have some: drops what is delivered, else the
        periodic values of old transactions. False when there is nothing left to drop."""
        if self.reading and self.sweep(self.reading):
            return True
        index, following = self.journal.segment(self.thinned)
        if following:
            self.thinned = following
            self._rare("firmware.transactions.upkeep", "thin", index)
        return following is not None

    def progress(self, energy: int, at_ms: int) -> None:
        """To be called with each reading of the register (Wh): keeps it once a minute while energy
        flows, whatever else is recorded."""
        transaction = self.running
        if (
            transaction
            and energy != transaction.energy
            and at_ms - transaction.recorded_ms >= _PROGRESS_MS
        ):
            stamp = self.stamp(at_ms)
            try:
                self.store.write("progress", pack_ints(transaction.position, *stamp, energy))
            except OSError as why:
                self.log.error("the register could not be kept: %s", why)
            transaction.stamp = stamp
            transaction.energy = energy
            transaction.recorded_ms = at_ms

    def stop(
        self,
        reason: str,
        meter_stop: int,
        at_ms: int,
        id_tag: str | None = None,
        data: bytes = b"",
    ) -> None:
        """Records the StopTransaction of the running transaction. `data`: its End values for
        StopTransaction, packed."""
        stamp = self.stamp(at_ms)
        self._rare(
            "firmware.transactions.ends",
            "close",
            self.running,
            stamp,
            reason,
            meter_stop,
            id_tag,
            data,
        )

    # delivering

    @property
    def pending(self) -> int:
        """How many messages wait for the endpoint."""
        queue = self.queues.get(self.endpoint)
        return queue.pending if queue and self.endpoint else 0

    def head(self, endpoint: int | None = None) -> Message | None:
        """The oldest undelivered message of the endpoint, the same until `delivered` or `failed`.
        None: there is none, or its time is unknown since the clock is."""
        if endpoint is not None:
            self.endpoint = endpoint
        queue = self.queues.get(self.endpoint)
        if not queue or not self.endpoint:
            return None
        return self._rare("firmware.transactions.delivering", "head", queue)

    def delivered(self, conf: dict) -> dict | None:
        """The head was answered by a CALLRESULT. Returns its idTagInfo, if it has one.
        StartTransaction.conf must have its transactionId; any integer is one."""
        if self.head_record:
            identity = conf["transactionId"] if self.head_record[1] == _START else None
            self._rare("firmware.transactions.delivering", "advance", identity)
        return conf.get("idTagInfo")

    def failed(self, now_ms: int) -> None:
        """The head was answered by a CALLERROR, or not at all on a link that is up (OCPP 3.7.1):
        it is sent again after `retry_s` times the failures so far, or given up."""
        if self.head_record:
            self._rare("firmware.transactions.delivering", "failed", now_ms)

    # keeping

    def keep(self, queue: Queue) -> None:
        """Writes a queue's state, unless it is written."""
        if queue.state() != queue.written:
            queue.saved = self.journal.append(_STATE, pack_ints(*queue.state()))
            queue.written = queue.state()

    def save(self) -> bool:
        """Keeps what else a later record would have told; before an orderly restart."""
        try:
            for queue in self.queues.values():
                self.keep(queue)
            return True
        except OSError as why:
            self.log.error("flash is full: %s", why)
            return False

    def sweep(self, queue: Queue) -> bool:
        """Tidies the next segment that is delivered to its end; whether there was one."""
        index, following = self.journal.segment(self.swept)
        if following and (following <= queue.done or not queue.pending):
            self.swept = following
            self._rare("firmware.transactions.upkeep", "sweep", index)
            return True
        return False

    def listing(self):
        """Yields the lines of the console's `queue`, oldest first: what was given up, marked so,
        until `clear_given_up`; and what waits, for whichever endpoint."""
        yield from runtime.load("firmware.transactions.listing").lines(self)
        runtime.drop("firmware.transactions.listing")

    def clear_given_up(self) -> int:
        """The operator has read what was given up. Returns how many."""
        return self._rare("firmware.transactions.upkeep", "clear")


def is_message(kind: int, payload: bytes) -> bool:
    """Whether a START, VALUES or STOP record is to be delivered."""
    numbers, at = ints(payload, 5)
    return numbers[3] != 0 and (kind != _VALUES or ints(payload, 3, at)[0][2] != 0)
