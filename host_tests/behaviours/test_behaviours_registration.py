"""Pending, Rejected, Heartbeats, and what is told after each registration (OCPP 4.2, 4.6)."""

import asyncio
import datetime

import pytest

from firmware.ocpp import registration
from host_tests.station import Rig, play
from host_tests.talk import change, keys, notes, raw, settled, told


def said(house):
    return [m[2] for _, way, m in house.messages if way == "<" and m[0] == 2]


async def slow(house, tag="SLOW"):
    """A little later, for what must not come at all."""
    await asyncio.sleep(0.2)


def test_pending(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, start=False) as rig:
            house = rig.house
            house.registrations = ["Pending", "Pending"]
            house.interval = 20
            await rig.start()
            await rig.until(registration="Pending")
            point = await house.point("BOX%201%2F%C3%A9")
            await rig.console("sim plug")
            await settled(rig, 5)
            assert said(house) == ["BootNotification"]
            # it answers, and can be set up
            assert await change(point, "MeterValueSampleInterval", "11") == "Accepted"
            assert (await keys(point, "MeterValueSampleInterval"))[0]
            assert (await point.ask("RemoteStartTransaction", id_tag="T")).status == "Rejected"
            stop = await point.ask("RemoteStopTransaction", transaction_id=1)
            assert stop.status == "Rejected"
            # it speaks when it is asked to
            for message in ("StatusNotification", "Heartbeat", "MeterValues"):
                answer = await point.ask("TriggerMessage", requested_message=message)
                assert answer.status == "Accepted"
            (values,) = [await house.heard_of("MeterValues")]
            assert values["connectorId"] == 1 and "transactionId" not in values
            await house.heard_of("StatusNotification", count=2)
            await house.heard_of("Heartbeat")
            assert len(house.calls("BootNotification")) == 1
            await house.heard_of("BootNotification", count=2)
            answer = await point.ask("TriggerMessage", requested_message="BootNotification")
            await house.heard_of("BootNotification", count=3, timeout=5)
            await rig.until(registration="Accepted")
            await told(rig, "Preparing")
            assert house.errors() == []

    play(runtime, session())


def test_rejected(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, start=False) as rig:
            house = rig.house
            house.registrations = ["Rejected"]
            house.interval = 60
            await rig.start()
            await rig.until(registration="Rejected")
            point = await house.point("BOX%201%2F%C3%A9")
            with pytest.raises(TimeoutError):
                await raw(rig, point, "TriggerMessage", {"requestedMessage": "Heartbeat"}, 0.5)
            # neither when the central system has closed the link, and it has come back
            await point._connection.socket.close()
            while house.connections < 2:
                await asyncio.sleep(0.05)
            await settled(rig, 20)
            assert said(house) == ["BootNotification"]
            assert [m for _, way, m in house.messages if way == "<" and m[0] != 2] == []
            state = await rig.until(registration="Accepted")
            assert state["uptime_s"] >= house.interval
            assert said(house)[:2] == ["BootNotification"] * 2
            await told(rig, "Available")

    play(runtime, session())


def test_pending_keeps_its_interval_over_reconnections(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, start=False) as rig:
            house = rig.house
            house.registrations = ["Pending"]
            house.interval = 100
            await rig.start()
            await rig.until(registration="Pending")
            for _ in range(3):
                await rig.console("sim link down")
                await rig.until(link="off")
                await rig.console("sim link up")
                await rig.until(link="online")
            await settled(rig, 80)
            assert said(house) == ["BootNotification"]
            await house.heard_of("BootNotification", count=2)

    play("cpython", session())


def test_an_interval_of_0_is_the_stations_to_choose(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, start=False) as rig:
            rig.house.registrations = ["Pending", "Rejected"]
            rig.house.interval = 0
            await rig.start()
            await rig.house.heard_of("BootNotification", count=3, timeout=400)
            state = await rig.until(registration="Accepted")
            assert state["uptime_s"] >= 60
            assert await rig.console("config HeartbeatInterval") == ["HeartbeatInterval=60"]

    play("cpython", session())


def test_a_reconnection_needs_no_boot(runtime, tmp_path):
    """OCPP-J 5.4; but 0 and 1 are told each time, and after each BootNotification."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            await told(rig, "Available")
            assert len(notes(house, 0)) == len(notes(house, 1)) == 1
            await rig.console("sim link down")
            await rig.until(link="off")
            await rig.console("sim plug")
            await rig.until(status="Preparing")
            await rig.console("sim link up")
            point = await rig.online()
            await told(rig, "Preparing")
            assert len(house.calls("BootNotification")) == 1
            assert len(notes(house, 0)) == len(notes(house, 1)) == 2
            await point.ask("TriggerMessage", requested_message="BootNotification")
            await house.heard_of("BootNotification", count=2)
            await house.heard_of("StatusNotification", count=6)
            assert [note["status"] for note in notes(house, 0)] == ["Available"] * 3
            assert [note["status"] for note in notes(house)] == [
                "Available",
                "Preparing",
                "Preparing",
            ]
            assert house.calls("StatusNotification")[-2]["connectorId"] == 0

    play(runtime, session())


def test_heartbeats_follow_silence(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, start=False) as rig:
            house = rig.house
            house.interval = 40
            await rig.start()
            point = await rig.online()
            (line,) = await rig.console("config HeartbeatInterval")
            assert line == "HeartbeatInterval=40"
            await told(rig, "Available")
            await settled(rig, 20)
            await point.ask("TriggerMessage", requested_message="StatusNotification")
            await settled(rig, 25)
            assert not house.calls("Heartbeat")
            await house.heard_of("Heartbeat", timeout=30)
            assert await change(point, "HeartbeatInterval", "10") == "Accepted"
            await settled(rig, 35)
            assert 2 <= len(house.calls("Heartbeat")) <= 5

    play(runtime, session())


def test_a_reset_before_the_clock_is_known_loses_no_time(tmp_path):
    """On a PC the clock outlives it: what was recorded before is dated to the second."""

    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig:
            house = rig.house
            await rig.online()
            await rig.end()
            house.passwords = {}  # nobody is let in: a place that is known, and no clock
            await rig.start()
            await rig.console("sim plug")
            await rig.console("sim ready")
            await rig.until(timeout=200, status="Charging")
            begun = rig._now()
            await rig.sleep(600)
            await rig.console("reset soft")
            await rig.until(transaction=None)
            ended = rig._now()
            await rig.sleep(100)
            house.passwords = None
            await house.heard_of("StopTransaction", timeout=600)
            for action, moment in (("StartTransaction", begun), ("StopTransaction", ended)):
                (payload,) = house.calls(action)
                told = datetime.datetime.fromisoformat(payload["timestamp"]).timestamp()
                assert abs(told - moment) < 15, (action, told - moment)

    play("cpython", session())


def test_the_clock_is_asked_for_once_a_day_whatever_else_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(registration, "_ASK_TIME_MS", 1800000)  # of half an hour

    async def session():
        async with Rig("cpython", tmp_path, "--key", "ClockAlignedDataInterval=60") as rig:
            await rig.online()
            await rig.sleep(3 * 1800 + 60)
            assert len(rig.house.calls("MeterValues")) > 80
            assert len(rig.house.calls("Heartbeat")) == 3

    play("cpython", session())


def test_each_trigger(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--key", "MeterValueSampleInterval=0") as rig:
            house = rig.house
            point = await rig.charge()
            await told(rig, "Charging")

            async def trigger(message, **more):
                """(answer, what was sent for it)"""
                begin = len(house.messages)
                answer = await point.ask("TriggerMessage", requested_message=message, **more)
                await slow(house)
                sent = house.messages[begin:]
                calls = [m for _, way, m in sent if way == "<" and m[0] == 2 and m[2] == message]
                results = [m for _, way, m in sent if way == "<" and m[0] == 3]
                kinds = [m for _, way, m in sent if way == "<"]
                if calls:
                    assert kinds.index(results[0]) < kinds.index(calls[0]), "the answer first"
                return answer.status, [m[3] for m in calls]

            async def status(**more):
                answer, calls = await trigger("StatusNotification", **more)
                return answer, [(c["connectorId"], c["status"]) for c in calls]

            assert await status() == ("Accepted", [(0, "Available"), (1, "Charging")])
            assert await status(connector_id=0) == ("Accepted", [(0, "Available")])
            assert await status(connector_id=1) == ("Accepted", [(1, "Charging")])
            assert await status(connector_id=2) == ("Rejected", [])
            assert await trigger("MeterValues", connector_id=2) == ("Rejected", [])
            for more in ({}, {"connector_id": 0}, {"connector_id": 1}):
                answer, (values,) = await trigger("MeterValues", **more)
                assert answer == "Accepted"
                assert values["connectorId"] == 1 and values["transactionId"] == 1001
                (sample,) = values["meterValue"]
                contexts = {item["context"] for item in sample["sampledValue"]}
                assert contexts == {"Trigger"}
                measurands = {item["measurand"] for item in sample["sampledValue"]}
                assert len(measurands) == 6  # MeterValuesSampledData
            for message in (
                "Heartbeat",
                "DiagnosticsStatusNotification",
                "FirmwareStatusNotification",
                "BootNotification",
            ):
                assert await trigger(message, connector_id=7) == ("Rejected", []), message
                answer, calls = await trigger(message, connector_id=0)
                assert answer == "Accepted" and len(calls) == 1, message
            assert await raw(rig, point, "TriggerMessage", {"requestedMessage": "Authorize"})
            assert (await rig.status())["status"] == "Charging"
            assert house.errors() == []

    play(runtime, session())
