"""What the journal's records say, the one owner of their kinds and of their bytes, and when the
events in them happened.

A payload is packed integers (base/journal.py), then bytes where the table says so. Stations in
the field have journals that were written so: change nothing, only ever append.

START, VALUES and STOP are events. They begin with
- lag: how many records before this one the oldest message was that its endpoint was still owed,
  so that a delivery costs no record of its own
- boot and seconds: when it happened. Boot 0: Unix seconds. Boot -n: Unix seconds and n ms. Boot n:
  seconds since the station was switched on for the n-th time, which the wall clock did not know
  yet; a TIME record tells later when that was
- endpoint_id: the number of the central system that is owed the event's message; 0: none is
- distance: how many records before this one its transaction's START is; -1 outside of one

kind        then
1 START     connectorId, meterStart, 1 and the reservationId or 0 0, length of idTag; idTag,
            Begin values for StopTransaction
2 VALUES    connectorId, context, mask for MeterValues, mask for StopTransaction; values
3 STOP      meterStop, reason, number of VALUES for StopTransaction, length of idTag; idTag,
            End values for StopTransaction
4 STATE     the state of the delivery to an endpoint: see `QueueState`; 1 and the transactionId
            or 0 0
5 GIVEN_UP  as STATE; then kind, Unix seconds, failures, transactionId (-1: none was told) and
            payload of the event that was given up
6 TIME      boot, Unix seconds at its start
7 CLEARED   nothing: the operator has read what was given up before
"""

from collections import namedtuple

from firmware.base.journal import pack_ints, unpack_ints
from firmware.metering import measurands

# Indices into it are in the journal: only ever append.
REASONS = (
    "Local",
    "Remote",
    "EVDisconnected",
    "PowerLoss",
    "Reboot",
    "SoftReset",
    "HardReset",
    "DeAuthorized",
    "EmergencyStop",
    "Other",
    "UnlockCommand",
)

# The transactionId that is sent where the central system never told one (errata 3.18).
UNKNOWN_TRANSACTION_ID = -1

# When an event happened: seconds since the start of a boot; boot 0: Unix seconds; boot -n: Unix
# seconds and n ms.
Stamp = namedtuple("Stamp", ("boot", "seconds"))


def milliseconds(stamp: Stamp) -> int:
    """The ms behind the seconds of a stamp; 0 where they are not known."""
    return max(0, -stamp.boot)


# The delivery to one endpoint. `first_owed`: position of the first record whose message is not
# answered or given up; `needed_from`: records before are of no use any more; `failures` of the
# oldest message owed; `transaction_id` of the transaction that began at `needed_from`, None while
# it is not known.
QueueState = namedtuple(
    "QueueState", ("endpoint_id", "first_owed", "needed_from", "failures", "transaction_id")
)


class Event:
    """What happened, as its record says: a START, VALUES or STOP. `start`: the position of its
    transaction's START, None outside of a transaction."""

    kind = 0
    action = ""

    @staticmethod
    def pack_head(lag: int, stamp: Stamp, endpoint_id: int, distance: int) -> bytes:
        return pack_ints(lag, stamp.boot, stamp.seconds, endpoint_id, distance)

    def _unpack(self, position, payload, count):
        """(the event's own numbers, offset of the bytes behind them)."""
        numbers, at = unpack_ints(payload, 5 + count)
        self.position = position
        self.payload = payload
        self.first_owed = position - numbers[0]
        self.stamp = Stamp(numbers[1], numbers[2])
        self.endpoint_id = numbers[3]
        self.start = position - numbers[4] if numbers[4] >= 0 else None
        return numbers[5:], at

    def is_message(self) -> bool:
        """Whether a central system is owed a message of it."""
        return self.endpoint_id != 0


class Start(Event):
    """`begin_values`: packed (`measurands.pack`); empty: StopTransaction carries no values."""

    kind = 1
    action = "StartTransaction"

    @staticmethod
    def pack(
        connector: int, meter_start: int, reservation_id: int | None, id_tag: str, begin: bytes
    ) -> bytes:
        """What follows the head. `meter_start` in Wh."""
        tag = id_tag.encode()
        reservation = (0, 0) if reservation_id is None else (1, reservation_id)
        return pack_ints(connector, meter_start, *reservation, len(tag)) + tag + begin

    def __init__(self, position, payload):
        numbers, at = self._unpack(position, payload, 5)
        self.connector, self.meter_start, reserved, reservation_id, size = numbers
        self.reservation_id = reservation_id if reserved else None
        self.id_tag = str(payload[at : at + size], "utf-8")
        self.begin_values = payload[at + size :]


class Values(Event):
    """`mask` and `stop_mask`: the measurands for MeterValues and for StopTransaction."""

    kind = 2
    action = "MeterValues"

    @staticmethod
    def pack(connector: int, context: str, mask: int, stop_mask: int, values: bytes) -> bytes:
        """What follows the head."""
        return pack_ints(connector, measurands.CONTEXTS.index(context), mask, stop_mask) + values

    def __init__(self, position, payload):
        numbers, self._values_at = self._unpack(position, payload, 4)
        self.connector, self._context, self.mask, self.stop_mask = numbers

    def is_message(self) -> bool:
        return self.endpoint_id != 0 and self.mask != 0

    def energy(self) -> int | None:
        """The register, Wh, if it is among the values."""
        return measurands.energy(self.payload, self._values_at)

    def sampled_values(self, mask: int) -> list:
        """SampledValues (OCPP 7.43) of those values that the mask asks for."""
        context = measurands.CONTEXTS[self._context]
        return measurands.unpack(self.payload, mask, context, self._values_at)


class Stop(Event):
    """`sample_count`: how many VALUES for StopTransaction there are; `end_values`: packed, empty
    where StopTransaction carries no values."""

    kind = 3
    action = "StopTransaction"

    @staticmethod
    def pack(
        meter_stop: int, reason: str, sample_count: int, id_tag: str | None, end: bytes
    ) -> bytes:
        """What follows the head. `meter_stop` in Wh. Raises ValueError for a reason that OCPP
        does not know."""
        tag = (id_tag or "").encode()
        reason_index = REASONS.index(reason)
        return pack_ints(meter_stop, reason_index, sample_count, len(tag)) + tag + end

    def __init__(self, position, payload):
        numbers, at = self._unpack(position, payload, 4)
        self.meter_stop, reason, self.sample_count, size = numbers
        self.reason = REASONS[reason]
        self.id_tag = str(payload[at : at + size], "utf-8") if size else None
        self.end_values = payload[at + size :]


class State:
    """How far the delivery to an endpoint was."""

    kind = 4

    @staticmethod
    def pack(state: QueueState) -> bytes:
        identity = (0, 0) if state.transaction_id is None else (1, state.transaction_id)
        return pack_ints(
            state.endpoint_id, state.first_owed, state.needed_from, state.failures, *identity
        )

    def __init__(self, position, payload):
        self.position = position
        numbers, self._end = unpack_ints(payload, 6)
        endpoint_id, first_owed, needed_from, failures, has_id, transaction_id = numbers
        transaction_id = transaction_id if has_id else None
        self.state = QueueState(endpoint_id, first_owed, needed_from, failures, transaction_id)


class GivenUp(State):
    """`event`: what was given up, at `epoch` (Unix seconds), after so many `failures`."""

    kind = 5

    @staticmethod
    def pack_event(
        state: QueueState, event: Event, epoch: int, failures: int, transaction_id: int | None
    ) -> bytes:
        identity = UNKNOWN_TRANSACTION_ID if transaction_id is None else transaction_id
        numbers = pack_ints(event.kind, epoch, failures, identity)
        return State.pack(state) + numbers + event.payload

    def __init__(self, position, payload):
        State.__init__(self, position, payload)
        numbers, at = unpack_ints(payload, 4, self._end)
        kind, self.epoch, self.failures, self.transaction_id = numbers
        self.event = _CLASSES[kind](position, payload[at:])


class Time:
    """When a boot began: `epoch`, Unix seconds."""

    kind = 6

    @staticmethod
    def pack(boot: int, epoch: int) -> bytes:
        return pack_ints(boot, epoch)

    def __init__(self, position, payload):
        self.position = position
        (self.boot, self.epoch), _ = unpack_ints(payload, 2)


class Cleared:
    """What was given up before has been read."""

    kind = 7

    def __init__(self, position, payload):
        self.position = position


_CLASSES = (
    None,  # by their kind
    Start,
    Values,
    Stop,
    State,
    GivenUp,
    Time,
    Cleared,
)


def event_numbers(record) -> list:
    """(lag, boot, seconds, endpoint_id, distance) of an event's record of the journal, in much
    less time than `parse` takes."""
    return unpack_ints(record.payload, 5)[0]


def parse(record):
    """One of the classes above, of a record of the journal; None where its kind is not known."""
    if not 0 < record.kind < len(_CLASSES):
        return None
    return _CLASSES[record.kind](record.position, record.payload)


def read(journal, position: int = 1, bookmark=None):
    """Yields the journal's records, those of a known kind, see `Journal.records`."""
    for record in journal.records(position, bookmark):
        parsed = parse(record)
        if parsed:
            yield parsed


def read_events(journal, position: int = 1, bookmark=None):
    """Yields the events only."""
    for record in journal.records(position, bookmark):
        if Start.kind <= record.kind <= Stop.kind:
            yield parse(record)


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
        if boot <= 0:
            if seconds > self._latest:
                self._latest = seconds
            return
        if boot not in self._begins:
            self._undated[boot] = max(seconds, self._undated.get(boot, 0))
        self._boot = max(self._boot, boot + 1)

    def replay_time(self, record: Time) -> None:
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
        stamp = Stamp(-self._clock.fraction_at(at_ms), epoch)
        if not_before:
            before = Stamp(min(0, not_before.boot), self.epoch(not_before) or 0)
            if (before.seconds, milliseconds(before)) > (epoch, milliseconds(stamp)):
                return before
        return stamp

    def epoch(self, stamp: Stamp) -> int | None:
        """Unix seconds of a stamp; None while nobody knows."""
        if stamp.boot <= 0:
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
                        "boot %d never learned the time: its events get the latest time "
                        "that is possible",
                        boot,
                    )
                self._journal.append(Time.kind, Time.pack(boot, end))
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
