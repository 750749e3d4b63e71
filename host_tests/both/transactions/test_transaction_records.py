"""The bytes of the transactions' records: those in the journals of stations in the field."""

import binascii

from firmware.base.journal import Record
from firmware.metering import measurands
from firmware.transactions import records
from host_tests.both.transactions_rig import ENERGY, NOW, POWER, Station

# position, kind, payload: of the life below, as an earlier firmware wrote them
WRITTEN = """1 1 000202defbedea1b0002d00f029a010654414720d00f
2 2 02023edefbedea1b0202024808a002e40fe0c508
3 6 028ac9ceb40d
4 4 defbedea1b0202000000
5 4 defbedea1b0402000205
6 4 defbedea1b0602000205
7 3 0800dcc9ceb40ddefbedea1b0cf80f02020a4f5448455220f80f
8 5 defbedea1b101000000006dcc9ceb40d02050800dcc9ceb40ddefbedea1b0cf80f02020a4f5448455220f80f
9 7
10 2 0400dcc9ceb40ddefbedea1b0102040800208c10
11 1 0600dcc9ceb40ddefbedea1b0002a01000000846524545
12 4 defbedea1b1010000000"""


def written():
    found = []
    for row in WRITTEN.split("\n"):
        position, kind, payload = (row + " ").split(" ")[:3]
        found.append(Record(int(position), int(kind), binascii.unhexlify(payload)))
    return found


def test_they_are_written_so():
    s = Station(clock_is_set=False)
    s.outbox.attempts = 1
    s.start(1000, "TAG", 77, measurands.pack({"energy": 1000}, None, ENERGY))
    s.wait(30)
    s.values(1010, ENERGY | POWER, "Sample.Clock", ENERGY)
    s.clock.set(1800000100)
    s.t.event_times.date_boots()
    s.send(-3, 1)
    s.outbox.head()
    s.outbox.failed()
    s.wait(10)
    s.stop(1020, "Remote", "OTHER")
    s.outbox.head()
    s.outbox.failed()
    s.outbox.clear_given_up()
    s.values(1030, ENERGY, "Trigger")
    s.start(1040, "FREE")
    s.outbox.save()
    assert list(s.t.journal.records()) == written()


def test_they_are_read_so():
    found = [records.parse(record) for record in written()]
    assert [record.position for record in found] == list(range(1, 13))
    start, values, time, state, _, _, stop, given_up, cleared, single, second, _ = found
    assert (start.connector, start.meter_start, start.id_tag) == (1, 1000, "TAG")
    assert (start.reservation_id, second.reservation_id) == (77, None)
    assert start.stamp == records.Stamp(1, 1) and start.start == 1
    assert start.begin_values and not second.begin_values
    assert (values.mask, values.stop_mask) == (ENERGY | POWER, ENERGY)
    assert values.start == 1 and values.energy() == 1010 and values.is_message()
    assert values.sampled_values(ENERGY)[0]["context"] == "Sample.Clock"
    assert time.boot == 1 and time.epoch == NOW + 69
    assert state.state == records.QueueState(0xDEADBEEF, 1, 1, 0, None)
    assert found[5].state == records.QueueState(0xDEADBEEF, 3, 1, 0, -3)
    assert (stop.meter_stop, stop.reason, stop.id_tag) == (1020, "Remote", "OTHER")
    assert stop.start == 1 and stop.sample_count == 1 and stop.first_owed == 3
    event = given_up.event
    assert (given_up.failures, given_up.transaction_id) == (1, -3)
    assert given_up.epoch == stop.stamp.seconds and event.meter_stop == 1020
    assert cleared.kind == 7 and single.start is None


def test_a_later_firmware_s_record_is_left_alone():
    assert records.parse(Record(13, 8, b"?")) is None
    s = Station()
    s.t.journal.append(8, b"?")
    s.start()
    s.stop(1001)
    s.send()
    s.boot()
    assert s.t.interrupted is None and s.outbox.pending == 0
