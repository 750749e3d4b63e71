"""When meter values are taken, in which context; what a StopTransaction carries (OCPP 3.16)."""

import datetime

import pytest

from host_tests.station import Rig, play
from host_tests.talk import change, keys, notes, settled, told

ENERGY = "Energy.Active.Import.Register"


def key(name, value):
    return ("--key", f"{name}={value}")


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def samples(house, context=None):
    """(MeterValues payload, timestamp, its SampledValues) of each MeterValue in a context."""
    found = []
    for payload in house.calls("MeterValues"):
        for value in payload["meterValue"]:
            if context in (None, value["sampledValue"][0]["context"]):
                found.append((payload, seconds(value["timestamp"]), value["sampledValue"]))
    return found


def names(sampled):
    return {item["measurand"] for item in sampled}


def test_sampled_data(runtime, tmp_path):
    async def session():
        words = key("MeterValueSampleInterval", 20) + key("MeterValuesSampledData", "Voltage")
        async with Rig(runtime, tmp_path, *words, speed=50) as rig:
            house = rig.house
            point = await rig.charge()
            await house.heard_of("MeterValues", count=3, timeout=100)
            (start,) = house.calls("StartTransaction")
            for n, (payload, at, sampled) in enumerate(samples(house, "Sample.Periodic"), 1):
                assert payload["transactionId"] == 1001 and names(sampled) == {"Voltage"}
                assert 0 <= at - seconds(start["timestamp"]) - 20 * n <= 2
            # another interval counts from the transaction's start, too
            assert await change(point, "MeterValueSampleInterval", "30") == "Accepted"
            assert await change(point, "MeterValuesSampledData", "") == "Accepted"
            before = len(samples(house))
            await settled(rig, 100)
            later = samples(house)[before:]
            assert 3 <= len(later) <= 4
            for _, at, sampled in later:
                assert names(sampled) == {ENERGY}  # an empty list: a MeterValue needs one
                assert (at - seconds(start["timestamp"])) % 30 <= 2
            assert await change(point, "MeterValueSampleInterval", "0") == "Accepted"
            await rig.until(queue=0)  # what was taken before
            before = len(samples(house))
            await settled(rig, 60)
            assert len(samples(house)) == before
            # none without a transaction
            assert await change(point, "MeterValueSampleInterval", "5") == "Accepted"
            await rig.console("stop")
            await told(rig, "Finishing")
            await rig.until(queue=0)
            before = len(samples(house))
            await settled(rig, 30)
            assert len(samples(house)) == before
            assert house.errors() == []

    play(runtime, session())


def test_a_shorter_interval_and_a_longer_one(tmp_path):
    async def session():
        words = key("MeterValueSampleInterval", 5)
        async with Rig("cpython", tmp_path, *words) as rig:
            point = await rig.charge()
            await settled(rig, 600)
            assert 118 <= len(samples(rig.house)) <= 121
            assert await change(point, "MeterValueSampleInterval", "60") == "Accepted"
            before = len(samples(rig.house))
            await settled(rig, 600)
            assert 9 <= len(samples(rig.house)) - before <= 10

    play("cpython", session())


def test_clock_aligned_data(runtime, tmp_path):
    async def session():
        words = key("ClockAlignedDataInterval", 60) + key("MeterValueSampleInterval", 0)
        words += key("MeterValuesAlignedData", "Power.Active.Import,Current.Offered")
        async with Rig(runtime, tmp_path, *words, speed=50) as rig:
            house = rig.house
            point = await rig.online()
            # without a transaction, too
            await house.heard_of("MeterValues", count=2, timeout=130)
            await rig.charge()
            begin = len(samples(house))
            await house.heard_of("MeterValues", count=begin + 2, timeout=130)
            for n, (payload, at, sampled) in enumerate(samples(house)):
                assert at % 60 == 0, "on the clock's marks"
                assert payload["connectorId"] == 1
                assert ("transactionId" in payload) is (n >= begin)
                assert {item["context"] for item in sampled} == {"Sample.Clock"}
                assert names(sampled) == {"Power.Active.Import", "Current.Offered"}
            marks = [at for _, at, _ in samples(house)]
            assert [b - a for a, b in zip(marks, marks[1:])] == [60] * (len(marks) - 1)
            assert await change(point, "MeterValuesAlignedData", "") == "Accepted"
            count = len(samples(house)) + 1
            await house.heard_of("MeterValues", count=count, timeout=130)
            assert names(samples(house)[-1][2]) == {ENERGY}
            assert await change(point, "ClockAlignedDataInterval", "0") == "Accepted"
            count = len(samples(house))
            await settled(rig, 70)
            assert len(samples(house)) == count and house.errors() == []

    play(runtime, session())


def test_no_clock_no_marks(tmp_path):
    """Nothing is aligned to a clock that nobody has set."""

    async def session():
        words = key("ClockAlignedDataInterval", 30)
        async with Rig("cpython", tmp_path, *words, start=False) as rig:
            rig.house.now = lambda: 1000000000  # before the firmware was built
            await rig.start()
            await rig.online()
            await settled(rig, 200)
            assert samples(rig.house) == []

    play("cpython", session())


def test_marks_begin_at_midnight(tmp_path):
    """An interval that no day is a multiple of: the last of a day is the shorter (OCPP 9.1.5)."""

    async def session():
        words = key("ClockAlignedDataInterval", 50000) + key("MeterValueSampleInterval", 0)
        async with Rig("cpython", tmp_path, *words, start=False) as rig:
            now = rig.house.now
            late = (now() + 60) % 86400  # it is 23:59 on that day
            rig.house.now = lambda: now() - late
            await rig.start()
            await rig.online()
            await settled(rig, 300)
            ((_, at, _),) = samples(rig.house)
            assert at % 86400 == 0

    play("cpython", session())


def test_stop_transaction_carries_what_was_asked_for(runtime, tmp_path):
    async def session():
        words = key("StopTxnSampledData", "Current.Offered")
        words += key("StopTxnAlignedData", "Frequency")
        words += key("MeterValueSampleInterval", 20) + key("ClockAlignedDataInterval", 60)
        async with Rig(runtime, tmp_path, *words, speed=30) as rig:
            house = rig.house
            await rig.charge()
            await settled(rig, 130)
            await rig.console("stop")
            stop = await house.heard_of("StopTransaction")
            data = stop["transactionData"]
            contexts = [value["sampledValue"][0]["context"] for value in data]
            assert contexts[0] == "Transaction.Begin" and contexts[-1] == "Transaction.End"
            assert set(contexts[1:-1]) == {"Sample.Periodic", "Sample.Clock"}
            for value in data:
                (context,) = {item["context"] for item in value["sampledValue"]}
                wanted = {
                    "Sample.Periodic": {"Current.Offered"},
                    "Sample.Clock": {"Frequency"},
                }.get(context, {"Current.Offered", "Frequency"})
                assert names(value["sampledValue"]) == wanted
            times = [seconds(value["timestamp"]) for value in data]
            assert times == sorted(times)
            (start,) = house.calls("StartTransaction")
            assert data[0]["timestamp"] == start["timestamp"]
            assert data[-1]["timestamp"] == stop["timestamp"]
            limit = int(
                (await rig.console("config StopTransactionMaxMeterValues"))[0].split("=")[1]
            )
            assert sum(len(value["sampledValue"]) for value in data) <= limit
            assert house.errors() == []

    play(runtime, session())


def test_stop_transaction_data_is_thinned_in_the_middle_and_survives_a_power_cut(tmp_path):
    async def session():
        words = key("StopTxnSampledData", ENERGY) + key("MeterValueSampleInterval", 10)
        async with Rig("cpython", tmp_path, *words) as rig:
            house = rig.house
            await rig.charge()
            await settled(rig, 3600)
            await rig.kill()
            await rig.start()
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == "PowerLoss"
            data = stop["transactionData"]
            contexts = [value["sampledValue"][0]["context"] for value in data]
            assert contexts[0] == "Transaction.Begin" and contexts[-1] == "Transaction.End"
            assert len(contexts) > 10 and set(contexts[1:-1]) == {"Sample.Periodic"}
            limit = int(
                (await rig.console("config StopTransactionMaxMeterValues"))[0].split("=")[1]
            )
            assert sum(len(value["sampledValue"]) for value in data) <= limit
            times = [seconds(value["timestamp"]) for value in data]
            gaps = [b - a for a, b in zip(times, times[1:])]
            assert max(gaps) < 3 * 3600 / len(gaps), "evenly in time"
            energies = [int(value["sampledValue"][0]["value"]) for value in data]
            assert energies == sorted(energies) and energies[-1] == stop["meterStop"]

    play("cpython", session())


@pytest.mark.parametrize("more", [0, 4, 60])
def test_a_register_further_than_the_station_could_deliver_is_not_billed(more, tmp_path):
    """Another meter after the power cut, or one that went on: 6 A on one phase is 27 Wh a minute,
    of which up to 23 Wh had been delivered since the last record."""

    async def session():
        words = key("IMaxUser", 6) + key("PhaseNumber", 1)
        async with Rig("cpython", tmp_path, *words) as rig:
            await rig.charge()
            await settled(rig, 600)
            await rig.kill()
            register = tmp_path / "state" / "meter"
            energy, *rest = map(int, register.read_text().split())
            register.write_text(f"{energy + more:<20} {rest[0]:<20}\n")
            await rig.start()
            stop = await rig.house.heard_of("StopTransaction")
            assert stop["reason"] == "PowerLoss" and energy > 200
            if more < 10:
                assert stop["meterStop"] == energy + more
            else:
                assert energy - 27 <= stop["meterStop"] <= energy

    play("cpython", session())


def test_the_meter_type_while_there_is_a_meter_and_without_one(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await rig.online()
            await settled(rig, 3)  # its first two readings agree
            assert await rig.console("config MeterType") == ["MeterType=1"]
            await rig.console("sim fault 0x10020F on")
            await rig.until(status="Faulted")
            assert await rig.console("config MeterType") == ["MeterType=1"]  # it was there
            await rig.console("reset soft")
            await rig.house.heard_of("BootNotification", count=2)
            await settled(rig, 40)  # for 30 s a meter may still be starting
            await rig.until(status="Faulted")
            assert await rig.console("config MeterType") == ["MeterType=0"]
            await rig.console("sim fault 0x10020F off")
            await settled(rig, 5)
            assert await rig.console("config MeterType") == ["MeterType=1"]

    play("cpython", session())


def test_the_most_values_of_a_bill_are_the_keys(tmp_path):
    async def session():
        words = key("StopTxnSampledData", ENERGY) + key("MeterValueSampleInterval", 10)
        words += key("StopTransactionMaxMeterValues", 5)
        async with Rig("cpython", tmp_path, *words) as rig:
            point = await rig.charge()
            await settled(rig, 300)
            most = (await keys(point, "StopTransactionMaxMeterValues"))[0]
            assert most == {"StopTransactionMaxMeterValues": "5"}
            await rig.console("stop")
            stop = await rig.house.heard_of("StopTransaction")
            assert 4 <= len(stop["transactionData"]) <= 5

    play("cpython", session())


def test_empty_lists_no_transaction_data(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await rig.charge()
            await settled(rig, 100)
            await rig.console("stop")
            assert "transactionData" not in await rig.house.heard_of("StopTransaction")

    play("cpython", session())


def test_a_meter_that_is_lost(runtime, tmp_path):
    """No value is invented: the transaction ends with the last one, and nothing starts."""

    async def session():
        words = key("MeterValueSampleInterval", 5)
        async with Rig(runtime, tmp_path, *words) as rig:
            house = rig.house
            point = await rig.charge()
            await house.heard_of("MeterValues", count=3)
            await rig.console("sim fault 0x10020F on")
            await told(rig, "Faulted", errorCode="PowerMeterFailure", vendorErrorCode="0x10020F")
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == "Other"
            newest = samples(house)[-1][2]
            energy = [int(i["value"]) for i in newest if i["measurand"] == ENERGY][0]
            assert stop["meterStop"] >= energy > 0
            before = len(samples(house))
            answer = await point.ask("TriggerMessage", requested_message="MeterValues")
            assert answer.status == "Accepted"
            await settled(rig, 20)
            triggered = samples(house, "Trigger")
            assert len(samples(house)) == before + len(triggered)
            for _, _, sampled in triggered:  # what is no measurement
                assert names(sampled) <= {"Current.Offered"}
            start = await point.ask("RemoteStartTransaction", id_tag="T")
            assert start.status == "Rejected"
            await rig.console("sim fault 0x10020F off")
            await rig.console("sim unplug")
            await told(rig, "Available", errorCode="NoError")
            assert len(notes(house)) and house.errors() == []
            await rig.charge()

    play(runtime, session())
