"""The replay at the start reads the journal once and takes turns: it must find what the plain
replay found, which read all of it twice in one go and is kept here for comparison."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.base.journal import Journal
from firmware.base.store import Store
from firmware.metering import measurands
from firmware.transactions import records
from firmware.transactions.outbox import EndpointQueue
from firmware.transactions.transactions import Replay, Transaction, Transactions
from host_tests.both.logs import Log
from host_tests.both.transactions_rig import BUILD, ENERGY, HERE, POWER, Clock, Station


class PlainReplay:
    """What the journal says, record by record, nothing left out."""

    def __init__(self, journal, event_times):
        self.queues = {}
        self.open = None
        self.given_up = self.cleared = 0
        for record in records.read(journal):
            self.take(record, event_times)
        owed_from = [queue.first_owed for queue in self.queues.values() if queue.endpoint_id]
        for event in records.read_events(journal, min(owed_from or [journal.next])):
            queue = self.queues[event.endpoint_id]
            if event.position >= queue.first_owed and event.is_message():
                if not queue.pending:
                    queue.need_from(event.position if event.start is None else event.start)
                queue.add(event)
        for queue in self.queues.values():
            if not queue.pending:
                is_open = self.open and self.open.endpoint_id == queue.endpoint_id
                queue.need_from(self.open.position if is_open else queue.first_owed)

    def queue(self, endpoint_id, position):
        return self.queues.setdefault(endpoint_id, EndpointQueue(endpoint_id, position))

    def take(self, record, event_times):
        if isinstance(record, records.Event):
            queue = self.queue(record.endpoint_id, record.position)
            queue.owes_from(record.first_owed)
            event_times.replay_stamp(*record.stamp)
            if isinstance(record, records.Start):
                self.open = Transaction(record, queue, None)
            elif isinstance(record, records.Stop):
                self.open = None
            elif self.open and record.start == self.open.position:
                self.open.add_values(record, None)
        elif isinstance(record, records.State):
            queue = self.queue(record.state.endpoint_id, record.position)
            queue.restore(record.state)
            if isinstance(record, records.GivenUp):
                self.given_up += 1
            else:
                queue.saved(record.position, record.state)
        elif isinstance(record, records.Time):
            event_times.replay_time(record)
        elif isinstance(record, records.Cleared):
            self.cleared = record.position
            self.given_up = 0


def said(replay, times):
    """All that a replay found, to be compared."""
    queues = {
        endpoint_id: (queue.state(), queue.pending, queue.saved_at, queue.is_saved())
        for endpoint_id, queue in replay.queues.items()
    }
    running = dict(vars(replay.open)) if replay.open else {}
    running.pop("_queue", None)
    stamps = times._boot, times._begins, times._undated, times._latest
    return queues, running, replay.given_up, replay.cleared, stamps


def compare(files):
    """Reads a journal in both ways."""
    found = []
    for way in ("plain", "in turns"):
        journal = Journal(files, Log(), reserve=8192, segment_size=500)
        times = records.EventTimes(journal, Clock(), Log(), BUILD)
        if way == "plain":
            replay = PlainReplay(journal, times)
        else:
            replay = Replay(journal, times)
            for _ in replay.steps():
                pass
        found.append(said(replay, times))
    assert found[0] == found[1]


def change(station, what, number):
    """Something happens to a station; what can't happen now does not."""
    t = station.t
    station.wait(number)
    if what == "start" and not t.running:
        begin = measurands.pack({"energy": 5}, None, ENERGY) if number % 2 else b""
        station.start(number, "T", None, begin)
    elif what == "stop" and t.running:
        station.stop(number)
    elif what == "values":
        reading = {"power": number} if number % 5 == 0 else {"power": number, "energy": number}
        mask = number % 4  # of MeterValues; 0: for StopTransaction only
        masks = (0, ENERGY, POWER, ENERGY | POWER)
        for _ in range(1 + number % 9):
            station.wait(30)
            t.values("Trigger", reading, masks[mask], station.clock.now, None, masks[number % 3])
    elif what == "deliver":
        station.send(number, 1 + number % 20)
    elif what == "refuse" and station.outbox.head():
        station.outbox.attempts = 2
        station.outbox.failed()
    elif what == "endpoint":
        station.outbox.set_endpoint((0, HERE, 77)[number % 3])
    elif what == "clear":
        station.outbox.clear_given_up()
    elif what == "save":
        station.outbox.save()
    elif what == "clock":
        station.clock.set(station.epoch)
        t.event_times.date_boots()
    elif what == "boot":
        endpoint_id = station.outbox.endpoint_id
        station.boot(number % 2 == 0)
        station.outbox.set_endpoint(endpoint_id)
        if number % 3:
            t.recover("PowerLoss")
    elif what == "damage" and station.files.data:
        name = sorted(station.files.data)[number % len(station.files.data)]
        data = bytearray(station.files.data[name])
        if data:
            data[number * 7 % len(data)] ^= 1 << number % 8
            station.files.data[name] = bytes(data)


happenings = st.lists(
    st.tuples(
        st.sampled_from(
            ["start", "stop", "values", "values", "values", "deliver", "deliver", "refuse"]
            + ["endpoint", "clear", "save", "clock", "boot", "damage"]
        ),
        st.integers(0, 60),
    ),
    min_size=10,
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(happenings)
def test_it_finds_what_the_plain_replay_found(todo):
    station = Station(segment_size=500)
    for what, number in todo:
        change(station, what, number)
        if what in ("boot", "deliver", "damage"):
            compare(station.files)
    compare(station.files)


def test_others_have_their_turns_and_nothing_is_written():
    station = Station()
    station.start()
    for n in range(400):
        station.values(1001 + n)
    before = dict(station.files.data)
    journal = Journal(station.files, Log())
    t = Transactions(journal, Store(station.files), Clock(), Log(), BUILD)
    seen = []

    async def other():
        while not t.is_replayed:
            seen.append(t.replay_percent())
            assert t.outbox.pending == 0 and not t.interrupted
            await asyncio.sleep(0)

    async def both():
        await asyncio.gather(t.replay(), other())

    asyncio.run(both())
    assert len(seen) >= 50 and seen == sorted(seen) and 40 in range(seen[0], seen[-1])
    assert t.replay_percent() == 100 and t.alive
    t.outbox.set_endpoint(HERE)
    assert t.outbox.pending == 401 and t.interrupted.energy == 1400
    assert station.files.data == before


def test_a_replay_that_failed_begins_anew():
    station = Station()
    station.start()
    station.outbox.attempts = 1
    station.outbox.head()
    station.outbox.failed()
    for n in range(50):
        station.values(1001 + n)
    journal = Journal(station.files, Log())
    t = Transactions(journal, Store(station.files), Clock(), Log(), BUILD)
    opened = station.files.open

    def fails(name, mode):
        if name.startswith("journal/tail/"):
            raise MemoryError
        return opened(name, mode)

    station.files.open = fails
    with pytest.raises(MemoryError):
        asyncio.run(t.replay())
    assert not t.is_replayed and t.outbox.save() and journal.next == 54
    station.files.open = opened
    asyncio.run(t.replay())
    t.outbox.set_endpoint(HERE)
    assert (t.outbox.pending, t.outbox.given_up, t.interrupted.energy) == (50, 1, 1050)


def test_what_is_owed_may_begin_some_segments_later():
    station = Station(segment_size=500)
    for endpoint_id, count in ((HERE, 3), (77, 60), (HERE, 60), (77, 1)):
        station.outbox.set_endpoint(endpoint_id)
        for n in range(count):
            station.values(1001 + n)
        if count == 3:
            station.send()
            station.outbox.save()
    compare(station.files)
    station.boot()
    assert station.outbox.pending == 60
    assert station.outbox.queues[HERE].needed_from > station.outbox.queues[HERE].first_owed + 50
