"""Transactions: the times of what happened, and to whom it is told."""

from firmware.base import times
from firmware.metering import measurands
from host_tests.both.transactions_rig import (
    BUILD,
    ENERGY,
    HERE,
    NOW,
    Station,
    payload_of,
    short,
    stamps,
)

# times


def test_before_the_clock_is_known_nothing_is_sent_and_all_is_dated_afterwards():
    s = Station(clock_is_set=False)
    s.wait(10)
    s.start()
    s.wait(30)
    s.values(1001)
    assert s.outbox.pending == 2 and s.outbox.head() is None
    assert "not known yet" in s.listing()[0]
    s.wait(20)
    s.clock.set(NOW + 60)
    s.wait(30)
    s.values(1002)
    s.stop(1003)
    assert stamps(s.send()) == [NOW + t for t in (10, 40, 90, 90)]


def test_dates_once_given_stay():
    s = Station(clock_is_set=False)
    s.start()
    s.wait(100)
    s.clock.set(NOW + 100)
    s.t.event_times.date_boots()
    s.clock.set(NOW + 5000)  # an hour of correction
    first = payload_of(s.outbox.head())
    assert first["timestamp"] == times.text(NOW)
    s.boot()
    assert payload_of(s.outbox.head()) == first


def test_a_clock_before_the_build_is_not_believed():
    s = Station(clock_is_set=False)
    s.clock.set(BUILD - 5)
    s.start()
    assert s.outbox.head() is None
    s.clock.set(NOW)
    assert payload_of(s.outbox.head())["timestamp"] >= times.text(BUILD)


def test_time_never_runs_back_within_a_transaction():
    s = Station()
    s.start()
    s.wait(60)
    s.values(1001)
    s.clock.offset -= 3600000
    s.wait(30)
    s.values(1002)
    s.stop(1003)
    assert stamps(s.send()) == [NOW + t for t in (0, 60, 60, 60)]


def test_a_restart_that_loses_the_ticks_dates_as_late_as_can_be():
    s = Station()
    s.values(1)
    s.send()
    s.outbox.save()
    known = s.epoch
    s.boot(False)
    s.wait(1000)
    s.start(1000)
    s.wait(500)
    s.values(1001)
    s.boot(False)
    s.t.recover("PowerLoss")
    s.wait(200)
    s.start(1100)
    s.boot(False)
    s.t.recover("PowerLoss")
    s.wait(50)
    s.clock.set(NOW + 100000)
    epochs = stamps(s.send())
    assert s.log.said("the latest time that is possible")
    assert len(epochs) == 5 and epochs == sorted(epochs)
    assert epochs[1] - epochs[0] == 500, epochs  # within a boot the distances are right
    assert epochs[0] > known and epochs[-1] < NOW + 100000 - 50
    s.boot()
    assert s.outbox.head() is None


def test_lost_ticks_are_not_dated_before_what_was_known():
    s = Station()
    s.values(1)
    s.boot(False)
    s.wait(3600)
    s.start()
    s.boot(False)
    s.clock.set(NOW + 10)  # hardly any time can have passed
    assert s.send()[1][1]["timestamp"] >= times.text(NOW)


# endpoints


def test_messages_go_to_no_other_central_system():
    s = Station()
    s.start(1000)
    s.send(1)
    s.values(1001)
    s.outbox.set_endpoint(5)  # the keys change while the transaction runs
    assert s.outbox.head() is None and s.outbox.pending == 0
    s.stop(1002, "Other")
    assert s.outbox.head() is None
    s.start(1100)
    assert short(s.send(2)) == [("S", 1100, None)]
    assert [line[-28:] for line in s.listing()] == ["(for another central system)"] * 2
    s.boot()
    assert short(s.send()) == [("V", 1001, 1), ("E", 1002, 1)]
    s.outbox.set_endpoint(5)
    s.t.recover("Reboot")
    assert short(s.send()) == [("E", 1100, 2)]


def test_head_takes_the_endpoint():
    s = Station()
    s.start(1000)
    assert s.outbox.head(7) is None and s.outbox.endpoint_id == 7
    assert s.outbox.head(HERE).action == "StartTransaction"


def test_without_a_central_system_there_is_nothing_to_deliver():
    s = Station()
    s.outbox.set_endpoint(0)
    for n in range(100):
        s.start(1000 + n * 10, "T", None, measurands.pack({"energy": 1}, None, ENERGY))
        for i in range(1, 8):
            s.wait(10)
            assert not s.values(1000 + n * 10 + i, ENERGY, "Sample.Periodic", ENERGY)
        s.stop(1009 + n * 10)
    assert s.outbox.pending == 0 and s.outbox.head() is None and s.listing() == []
    assert len(s.t.journal.segments) < 3
    s.start(5000)
    s.wait(70)
    assert not s.values(5050)
    s.boot(False)
    assert s.t.interrupted.energy == 5050
    s.outbox.set_endpoint(0)
    s.t.recover("PowerLoss", 5060)
    s.boot()
    assert s.t.interrupted is None and s.outbox.pending == 0


def test_events_keep_their_milliseconds_over_a_restart():
    s = Station()
    s.clock.set(NOW, 250)
    s.start(data=measurands.pack({"energy": 1000}, None, ENERGY))
    s.clock.now += 30100
    s.values(1001, stop_mask=ENERGY)
    s.clock.now += 650
    s.stop(1002)
    s.epoch = NOW + 100
    s.boot()
    assert "T08:00:00.250Z" in s.listing()[0]
    begun, values, ended = [payload for _, payload in s.send()]
    assert begun["timestamp"] == "2027-01-15T08:00:00.250Z"
    assert values["meterValue"][0]["timestamp"] == "2027-01-15T08:00:30.350Z"
    assert ended["timestamp"] == "2027-01-15T08:00:31Z"
    assert [item["timestamp"][19:] for item in ended["transactionData"]] == [".250Z", ".350Z", "Z"]


def test_no_event_is_before_the_one_before_it_not_even_by_milliseconds():
    s = Station()
    s.clock.set(NOW, 900)
    s.start()
    s.clock.set(NOW, 300)  # a moment before
    s.values(1001)
    s.stop(1002)
    assert [p.get("timestamp") or p["meterValue"][0]["timestamp"] for _, p in s.send()] == [
        times.text(NOW, 900)
    ] * 3


def test_a_register_of_between_two_records_has_milliseconds_too():
    s = Station()
    s.clock.set(NOW, 123)
    s.start()
    s.wait(61)
    s.t.progress(1009, s.clock.now)
    s.boot()
    assert s.t.recover("PowerLoss", 1010)
    ended = s.send()[-1][1]
    assert ended["meterStop"] == 1010 and ended["timestamp"] == times.text(NOW + 61, 123)
