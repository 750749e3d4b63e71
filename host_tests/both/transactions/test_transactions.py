"""Transactions: what is sent and when, failures, restarts."""

import json

from firmware.base import times
from firmware.metering import measurands
from host_tests.both.transactions_rig import ENERGY, NOW, POWER, Station, payload_of, raises, short

# what is sent


def test_a_charge_online():
    s = Station()
    calls = []
    s.outbox.on_message = lambda: calls.append(s.outbox.pending)
    running = s.start(1000, "04A1", 77)
    assert s.t.running is running and running.transaction_id is None
    assert calls == [1] and s.outbox.pending == 1
    message = s.outbox.head()
    assert message.action == "StartTransaction"
    assert payload_of(message) == {
        "connectorId": 1,
        "idTag": "04A1",
        "meterStart": 1000,
        "reservationId": 77,
        "timestamp": times.text(NOW),
    }
    info = s.outbox.delivered({"transactionId": -3, "idTagInfo": {"status": "Blocked"}})
    assert info == {"status": "Blocked"}
    assert running.transaction_id == -3 and s.outbox.pending == 0 and s.outbox.head() is None
    s.wait(30)
    assert s.values(1250, ENERGY | POWER)
    assert running.energy == 1250
    message = s.outbox.head()
    assert message.action == "MeterValues"
    values = payload_of(message)["meterValue"]
    assert len(values) == 1 and values[0]["timestamp"] == times.text(NOW + 30)
    assert values[0]["sampledValue"] == [
        {
            "value": "1250",
            "context": "Sample.Periodic",
            "format": "Raw",
            "measurand": "Energy.Active.Import.Register",
            "location": "Outlet",
            "unit": "Wh",
        },
        {
            "value": "7",
            "context": "Sample.Periodic",
            "format": "Raw",
            "measurand": "Power.Active.Import",
            "location": "Outlet",
            "unit": "kW",
        },
    ]
    assert payload_of(message)["transactionId"] == -3 and payload_of(message)["connectorId"] == 1
    assert s.outbox.delivered({}) is None
    s.wait(30)
    s.stop(1500, "Remote", "OTHER")
    assert s.t.running is None
    message = s.outbox.head()
    assert message.action == "StopTransaction"
    assert payload_of(message) == {
        "transactionId": -3,
        "meterStop": 1500,
        "timestamp": times.text(NOW + 60),
        "reason": "Remote",
        "idTag": "OTHER",
    }
    assert s.outbox.delivered({"idTagInfo": {"status": "Accepted"}}) == {"status": "Accepted"}
    assert s.outbox.pending == 0 and s.listing() == []
    assert calls == [1, 1, 1]


def test_every_reason_of_ocpp_and_no_other():
    reasons = "DeAuthorized EmergencyStop EVDisconnected HardReset Local Other PowerLoss Reboot "
    reasons += "Remote SoftReset UnlockCommand"
    s = Station()
    for reason in reasons.split():
        s.start()
        s.stop(1001, reason)
        assert s.send()[-1][1]["reason"] == reason
    s.start()
    raises(ValueError, s.stop, 1, "Because")


def test_offline_all_waits_in_order_for_its_transaction_id():
    s = Station()
    for n in range(3):
        s.start(1000 + n * 100)
        for i in range(1, 4):
            s.wait(30)
            s.values(1000 + n * 100 + i)
        s.stop(1050 + n * 100)
    assert s.outbox.pending == 15
    for n in range(3):
        sent = s.send(100 + n, 5)
        low = 1000 + n * 100
        assert short(sent) == [
            ("S", low, None),
            ("V", low + 1, 100 + n),
            ("V", low + 2, 100 + n),
            ("V", low + 3, 100 + n),
            ("E", low + 50, 100 + n),
        ]
    assert s.outbox.pending == 0


def test_values_outside_of_a_transaction_have_no_id():
    s = Station()
    assert s.values(500, ENERGY, "Sample.Clock")
    s.start(600)
    s.send(0)
    s.values(700, ENERGY, "Sample.Clock")
    s.stop(800)
    s.values(900, ENERGY, "Trigger")
    sent = s.send()
    assert short(sent) == [("V", 700, 0), ("E", 800, 0), ("V", 900, None)]
    assert "transactionId" not in sent[2][1]


def test_values_that_are_not_there_are_no_message():
    s = Station()
    s.start()
    s.send()
    reading = {"energy": 1001}
    assert not s.t.values("Sample.Periodic", reading, POWER, s.clock.now)
    assert not s.t.values("Sample.Periodic", {}, ENERGY, s.clock.now)
    assert s.outbox.pending == 0


def test_one_transaction_at_a_time():
    s = Station()
    s.start()
    raises(ValueError, s.start)


# the same again


def test_each_retry_is_the_same_also_after_a_restart():
    s = Station()
    s.start(1000, "T", None, measurands.pack({"energy": 1000}, None, ENERGY))
    s.values(1001, ENERGY, "Sample.Periodic", ENERGY)
    s.stop(1002)
    seen = []
    for _ in range(3):
        first = payload_of(s.outbox.head())
        s.clock.now += 77000
        s.clock.offset += 5000  # the clock is corrected
        assert payload_of(s.outbox.head()) == first
        s.epoch += 1000
        s.boot()
        assert payload_of(s.outbox.head()) == first
        s.outbox.delivered({"transactionId": 0})
        s.outbox.save()
        seen.append(first)
    assert s.outbox.head() is None
    assert [p.get("transactionId") for p in seen] == [None, 0, 0]


def test_a_restart_resends_at_most_what_was_delivered_since_the_last_record():
    s = Station()
    s.start()
    for n in range(5):
        s.values(1001 + n)
    sent = s.send()
    s.boot()
    assert s.send()[0] == sent[1]  # the START is known to be delivered
    s.boot()
    s.t.recover("PowerLoss")
    s.outbox.save()
    s.boot()
    assert short(s.send()) == short(sent[1:]) + [("E", 1005, 42)]
    s.boot()
    assert s.outbox.pending == 0


def test_an_orderly_restart_resends_nothing():
    s = Station()
    s.values(1)
    s.values(2)
    s.send()
    s.outbox.save()
    s.boot()
    assert s.outbox.pending == 0


# failures (OCPP 3.7.1, 4.8, errata 3.18)


def test_the_interval_grows_and_the_message_is_given_up():
    s = Station()
    s.outbox.attempts = 4
    s.outbox.retry_s = 60
    s.start()
    s.values(1001)
    for failures in range(1, 4):
        assert s.outbox.head().action == "StartTransaction"
        s.outbox.failed()
        assert s.outbox.next_attempt_ms == s.clock.now + 60000 * failures
        s.clock.now = s.outbox.next_attempt_ms
    s.outbox.head()
    s.outbox.failed()
    assert s.t.running.transaction_id == -1 and s.outbox.next_attempt_ms == 0
    assert s.outbox.given_up == 1
    s.stop(1002)
    assert short(s.send()) == [("V", 1001, -1), ("E", 1002, -1)]
    (line,) = s.listing()
    head, _, figures = line.partition(" StartTransaction ")
    assert head == "given up after 4 attempts:"
    assert json.loads(figures) == {
        "connectorId": 1,
        "idTag": "TAG",
        "meterStart": 1000,
        "timestamp": times.text(NOW),
    }


def test_counts_survive_a_restart():
    s = Station()
    s.start()
    s.outbox.head()
    s.outbox.failed()
    s.boot()
    assert s.outbox.head().action == "StartTransaction"
    assert s.outbox.next_attempt_ms == s.clock.now + 15000
    s.outbox.failed()
    s.boot()
    s.t.recover("Reboot")
    s.outbox.head()
    s.outbox.failed()
    assert s.outbox.given_up == 1
    s.boot()
    assert s.outbox.given_up == 1
    assert short(s.send()) == [("E", 1000, -1)]


def test_a_stop_given_up_keeps_its_figures():
    s = Station()
    s.outbox.attempts = 1
    s.start()
    s.send(5)
    s.wait(100)
    s.stop(1234, "EVDisconnected", "ME")
    s.start(1300)
    s.outbox.head()
    s.outbox.failed()
    for _ in range(2):
        (line,) = [line for line in s.listing() if line.startswith("given up")]
        assert json.loads(line.partition("StopTransaction ")[2]) == {
            "transactionId": 5,
            "meterStop": 1234,
            "timestamp": times.text(NOW + 100),
            "reason": "EVDisconnected",
            "idTag": "ME",
        }
        s.boot()
    assert short(s.send(6)) == [("S", 1300, None)]


def test_values_given_up_are_gone():
    s = Station()
    s.outbox.attempts = 2
    s.start()
    s.send(9)
    s.values(1001)
    s.values(1002)
    for _ in range(2):
        s.outbox.head()
        s.outbox.failed()
    s.boot()
    assert s.outbox.given_up == 0
    assert short(s.send()) == [("V", 1002, 9)]


def test_clearing_what_was_given_up():
    s = Station()
    s.outbox.attempts = 1
    for n in range(3):
        s.start(1000 + n)
        s.outbox.head()
        s.outbox.failed()
        s.stop(1000 + n)
        s.send()
    assert s.outbox.given_up == 3 == len(s.listing())
    assert s.outbox.clear_given_up() == 3
    s.start(2000)
    s.outbox.head()
    s.outbox.failed()
    s.boot()
    assert s.outbox.given_up == 1 and len(s.listing()) == 1
    assert s.outbox.clear_given_up() == 1
    s.boot()
    assert s.outbox.given_up == 0 and s.listing() == [] or s.t.interrupted


def test_an_answer_to_nothing_is_ignored():
    s = Station()
    assert s.outbox.delivered({}) is None
    s.outbox.failed()
    assert s.outbox.head() is None


def test_damage_loses_only_what_it_hit():
    s = Station()
    s.start()
    for n in range(5):
        s.values(1001 + n)
    s.stop(1006)
    for position in (3, 7):
        name = "journal/tail/%d" % position
        s.files.data[name] = b"!" + s.files.data[name]
    assert short(s.send(1)) == [
        ("S", 1000, None),
        ("V", 1001, 1),
        ("V", 1003, 1),
        ("V", 1004, 1),
        ("V", 1005, 1),
    ]
    assert s.outbox.pending == 0 and s.log.said("2 messages were damaged")
    s.boot()  # without its end, it is closed
    s.t.recover("PowerLoss")
    assert short(s.send())[-1] == ("E", 1006, 1)  # the register is kept beside the journal


# restarts in a transaction


def test_recovery_takes_the_register_if_it_can_be_right():
    for register, expected in (
        (1500, 1500),
        (1700, 1700),
        (1499, 1500),
        (1901, 1500),
        (1900, 1900),
        (0, 1500),
        (-1, 1500),
    ):
        s = Station()
        s.start()
        s.wait(30)
        s.values(1500)
        s.epoch += 3600
        s.boot()
        assert s.t.running is None and s.t.interrupted.meter_start == 1000
        assert s.t.recover("PowerLoss", register)
        assert not s.t.recover("PowerLoss", register) and s.t.interrupted is None
        action, payload = s.send()[-1]
        assert payload["meterStop"] == expected, register
        assert payload["reason"] == "PowerLoss"
        assert payload["timestamp"] == times.text(NOW + 30)
        assert s.log.said("last record") == (expected != register)


def test_recovery_knows_progress():
    s = Station()
    s.start()
    s.wait(30)
    s.values(1100)
    for second in range(1, 100):
        s.wait(1)
        s.t.progress(1100 + second, s.clock.now)
    s.boot()
    s.t.recover("Reboot")
    payload = s.send()[-1][1]
    assert payload["meterStop"] == 1159, payload
    assert payload["timestamp"] == times.text(NOW + 89)
    # of an earlier transaction it says nothing
    s.start(1160)
    s.boot()
    s.t.recover("Reboot")
    assert s.send()[-1][1]["meterStop"] == 1160


def test_progress_is_written_while_energy_flows_only():
    s = Station()
    s.start()
    writes = []
    write = s.t.store.write
    s.t.store.write = lambda name, data: (writes.append(name), write(name, data))
    for _ in range(300):
        s.wait(1)
        s.t.progress(1000, s.clock.now)
    assert writes == []
    for second in range(300):
        s.wait(1)
        s.t.progress(1000 + second, s.clock.now)
    assert len(writes) == 6, writes


def test_a_new_start_closes_what_was_open():
    s = Station()
    s.start(1000)
    s.boot()
    s.start(1200)
    assert short(s.send(1)) == [("S", 1000, None), ("E", 1000, 1), ("S", 1200, None)]
