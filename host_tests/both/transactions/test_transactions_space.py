"""Transactions: values for StopTransaction, a full flash, what is tidied away."""

import asyncio

from firmware.base import times
from firmware.metering import measurands
from host_tests.both.transactions_rig import ENERGY, MANY, POWER, Station, raises, short
from host_tests.virtual import Skip

# values for StopTransaction (OCPP 3.16, errata 3.14, 3.91)


def charge_with_data(s, count, begin=ENERGY, step=30, restart=False):
    data = measurands.pack({"energy": 1000, "power": 0}, None, begin)
    s.start(1000, "T", None, data)
    begun = s.epoch
    for n in range(1, count + 1):
        s.wait(step)
        s.values(1000 + n, ENERGY, "Sample.Periodic", begin)
        s.send()
    s.wait(step)
    if restart:
        s.boot()
        s.t.recover("PowerLoss", 1000 + count + 1)
    else:
        s.stop(1000 + count + 1)
    return begun, s.send()[-1][1]["transactionData"]


def flat(data):
    return [(v["context"], int(v["value"])) for item in data for v in item["sampledValue"]]


def test_transaction_data():
    s = Station()
    begun, data = charge_with_data(s, 3)
    assert flat(data) == [
        ("Transaction.Begin", 1000),
        ("Sample.Periodic", 1001),
        ("Sample.Periodic", 1002),
        ("Sample.Periodic", 1003),
        ("Transaction.End", 1004),
    ]
    stamps = [times.parse(item["timestamp"]) - begun for item in data]
    assert stamps == [0, 30, 60, 90, 120]


def test_no_transaction_data_unless_it_was_asked_for_at_the_start():
    s = Station()
    s.start()
    s.values(1001, ENERGY, "Sample.Periodic", ENERGY)
    s.stop(1002)
    assert "transactionData" not in s.send()[-1][1]


def test_transaction_data_is_thinned_in_the_middle():
    if MANY < 100:
        raise Skip("files, records and message together do not fit this heap")
    for count in (26, 29, MANY):
        s = Station()
        begun, data = charge_with_data(s, count)
        values = flat(data)
        assert values[0] == ("Transaction.Begin", 1000)
        assert values[-1] == ("Transaction.End", 1000 + count + 1)
        assert len(values) <= s.outbox.max_stop_values
        if count <= 28:
            assert len(values) == count + 2
        gaps = [b[1] - a[1] for a, b in zip(values, values[1:])]
        assert min(gaps) > 0 and max(gaps) <= max(2, 6 * count // 28), (count, gaps)
        assert len(s.t.journal.segments) < 6, s.t.journal.segments


def test_transaction_data_of_an_interrupted_transaction():
    s = Station()
    _, data = charge_with_data(s, 5, restart=True)
    assert flat(data) == [
        ("Transaction.Begin", 1000),
        ("Sample.Periodic", 1001),
        ("Sample.Periodic", 1002),
        ("Sample.Periodic", 1003),
        ("Sample.Periodic", 1004),
        ("Sample.Periodic", 1005),
        ("Transaction.End", 1006),
    ]


def test_transaction_data_with_many_measurands():
    s = Station()
    _, data = charge_with_data(s, 100, ENERGY | POWER)
    assert 24 <= len(flat(data)) <= s.outbox.max_stop_values
    # for StopTransaction alone
    s = Station()
    s.start(1000, "T", None, measurands.pack({"energy": 1000}, None, ENERGY))
    assert s.values(1001, 0, "Sample.Clock", ENERGY)
    s.stop(1002)
    sent = s.send()
    assert [action for action, _ in sent] == ["StartTransaction", "StopTransaction"]
    assert flat(sent[1][1]["transactionData"])[1] == ("Sample.Clock", 1001)


def test_others_have_their_turns_while_a_long_one_s_data_is_read():
    s = Station()
    data = measurands.pack({"energy": 1000}, None, ENERGY)
    s.start(1000, "T", None, data)
    for n in range(100):
        s.wait(30)
        s.values(1001 + n, 0, "Sample.Periodic", ENERGY)
    s.stop(1200)
    s.send(1, 1)
    message = s.outbox.head()
    turns = [0]

    async def other():
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async def both():
        task = asyncio.create_task(other())
        payload = await message.payload()
        task.cancel()
        return payload

    payload = asyncio.run(both())
    samples = len(payload["transactionData"])
    assert 24 <= samples <= s.outbox.max_stop_values and turns[0] > samples, (samples, turns)


# space


def test_a_long_charge_online_takes_no_space():
    s = Station()
    s.start()
    for n in range(MANY):
        s.wait(30)
        s.values(1001 + n)
        s.send()
    assert len(s.t.journal.segments) <= 3
    s.boot()
    assert s.t.interrupted.energy == 1000 + MANY
    s.t.recover("PowerLoss")
    assert short(s.send())[-1] == ("E", 1000 + MANY, 42)


def test_without_a_central_system_nothing_is_kept_of_what_is_over():
    s = Station()
    s.outbox.set_endpoint(0)
    for n in range(400):
        s.start(1000 + n)
        s.stop(1001 + n)
    assert len(s.t.journal.segments) <= 3
    s.boot()
    assert s.t.interrupted is None


def test_full_old_values_go_first_then_none_are_kept_starts_and_stops_never_go():
    if MANY < 100:
        raise Skip("the files do not fit this heap")
    s = Station(limit=12000, reserve=4000)
    meter = 1000
    kept = []
    while True:
        try:
            s.start(meter)
        except OSError:
            break
        for n in range(1, 6):
            s.wait(30)
            kept.append(s.values(meter + n, ENERGY | POWER))
        s.stop(meter + 10)
        meter += 100
    transactions = (meter - 1000) // 100
    assert transactions > 30, transactions
    assert s.log.said("old MeterValues are dropped") and s.log.said("no meter values are kept")
    assert kept[0] and not kept[-1]
    pending = s.outbox.pending
    s.boot()
    assert s.outbox.pending == pending
    starts = []
    stops = []
    for _ in range(pending):
        ((kind, register, _),) = short(s.send(7, 1))
        if kind != "V":
            (starts if kind == "S" else stops).append(register)
    assert starts == list(range(1000, meter, 100))
    assert stops == list(range(1010, meter, 100))
    assert s.outbox.pending == 0
    # and there is room again
    s.t.journal.measure_room()
    s.start(meter)
    assert any(s.values(meter + n) for n in range(1, 20))


def test_full_a_running_transaction_is_always_stopped():
    s = Station()
    s.start()
    s.send(3)
    s.files.limit = 0  # somebody else took it all
    s.t.journal.measure_room()
    for n in range(40):
        s.wait(30)
        assert not s.values(1001 + n)
    s.stop(1100)
    raises(OSError, s.start)
    s.boot()
    assert short(s.send()) == [("E", 1100, 3)]


def test_the_flash_is_not_walked_while_energy_flows():
    """Which holds everything up. What the journal takes and frees is known without it."""
    s = Station(limit=300000)
    walks = []
    measure = s.t.journal.measure_room

    def walk():
        walks.append(1)
        measure()

    s.t.journal.measure_room = walk
    s.t.journal.measure_room_after_changes()
    del walks[:]
    for n in range(6):
        s.start(1000 + n * 1000)
        s.send()
        for k in range(200):
            s.wait(30)
            assert s.values(1000 + n * 1000 + k)
            if n % 2:
                s.send()
        s.stop(1900 + n * 1000)
        s.send()
        assert not walks, n
        room = s.t.journal.room
        s.t.journal.measure_room_after_changes()  # between two cars
        assert walks and room - 30 * 4096 < s.t.journal.room < room + 30 * 4096
        del walks[:]
        s.t.journal.measure_room_after_changes()
        assert not walks


def test_full_in_the_middle_of_delivery_nothing_is_sent_with_another_id():
    s = Station()
    s.start()
    s.values(1001)
    s.outbox.head()
    append = s.t.journal.append

    def full(*args):
        raise OSError(28)

    s.t.journal.append = full
    s.outbox.delivered({"transactionId": 1})
    assert s.outbox.head().action == "StartTransaction"  # again, since the id could not be kept
    assert s.outbox.next_attempt_ms > s.clock.now
    s.t.journal.append = append
    assert short(s.send(1)) == [("S", 1000, None), ("V", 1001, 1)]


def test_given_up_ones_survive_the_tidying():
    s = Station()
    s.outbox.attempts = 1
    s.start(1000)
    s.outbox.head()
    s.outbox.failed()
    for n in range(MANY):
        s.values(1001 + n)
        s.send()
    s.stop(2000)
    s.send()
    for n in range(MANY):
        s.values(2001 + n)
        s.send()
    assert len(s.t.journal.segments) <= 3
    s.boot()
    assert s.listing()[0].startswith("given up")
    s.outbox.clear_given_up()
    for n in range(300):
        s.values(3001 + n)
        s.send()
    s.boot()
    assert s.outbox.given_up == 0


def test_records_come_in_while_the_journal_is_tidied():
    s = Station(limit=20000, reserve=4000, segment_size=600)
    s.start()
    for n in range(MANY // 4):
        s.wait(30)
        s.values(1001 + n)
    sent = []
    recorded = []  # registers, meanwhile

    async def record():
        while True:
            await s.t.retention.make_room_for_values()
            reading = {"energy": 2001 + len(recorded)}
            assert s.t.values("Trigger", reading, ENERGY, s.clock.now)
            recorded.append(reading["energy"])
            await asyncio.sleep(0)

    async def deliver():
        recorder = asyncio.create_task(record())
        while s.outbox.pending and len(recorded) < 300:
            await s.outbox.look_up_head(s.outbox.endpoint_id)
            message = s.outbox.head()
            sent.append((message.action, await message.payload()))
            s.outbox.delivered({"transactionId": 5, "idTagInfo": {}})
            await s.outbox.tidy()
        recorder.cancel()

    asyncio.run(deliver())
    assert len(recorded) > 10
    pending = s.outbox.pending
    s.outbox.save()
    s.boot()
    assert s.outbox.pending == pending
    registers = [register for _, register, _ in short(sent + s.send(5))]
    assert registers[0] == 1000 and registers == sorted(set(registers))
    assert registers[1 : MANY // 4 + 1] == list(range(1001, 1001 + MANY // 4))
    assert registers[MANY // 4 + 1 :] == recorded
