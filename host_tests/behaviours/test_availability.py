"""ChangeAvailability with FeatureSet `full` (OCPP 5.2, 4.9)."""

import asyncio

import pytest

from host_tests.behaviours.test_full_core import FULL, available, reserve, start
from host_tests.station import RUNTIMES, Rig, play
from host_tests.talk import change, notes, settled, statuses, told


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_scheduled_until_the_transaction_has_ended(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, *FULL) as rig:
            point = await rig.charge()
            await told(rig, "Charging")
            assert await available(point, 0, False) == "Scheduled"
            assert await rig.console("availability") == [
                "connector 0 is Operative, and Inoperative after the transaction",
                "connector 1 is Operative, and Inoperative after the transaction",
            ]
            assert (await settled(rig, 5))["status"] == "Charging"
            assert await available(point, 0, True) == "Accepted"  # as it is, and so it stays
            assert await available(point, 1, False) == "Scheduled"
            await rig.console("stop")
            await told(rig, "Unavailable")
            assert statuses(rig.house)[-2:] == ["Charging", "Unavailable"]
            assert statuses(rig.house, 0) == ["Available"]  # the station itself was not asked to
            assert await start(point, "TAG") == "Rejected"
            await rig.console("authorize TAG")
            state = await settled(rig, 5)
            assert state["transaction"] is None and state["duty"] == 1000
            await rig.console("sim unplug")
            assert (await settled(rig, 5))["status"] == "Unavailable"
            assert await available(point, 1, True) == "Accepted"
            await told(rig, "Available")
            assert rig.house.errors() == []

    play(runtime, session())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_power_cut_keeps_what_was_scheduled(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, *FULL) as rig:
            point = await rig.charge()
            assert await available(point, 0, False) == "Scheduled"
            await rig.kill()
            before = len(rig.house.calls("StatusNotification"))
            await rig.start()
            point = await rig.online()
            stopped = await rig.house.heard_of("StopTransaction")
            assert stopped["reason"] == "PowerLoss"
            await told(rig, "Unavailable")
            assert statuses(rig.house, 0, before) == ["Unavailable"]
            assert statuses(rig.house, 1, before) == ["Unavailable"]
            assert await start(point, "TAG") == "Rejected"

    play(runtime, session())


def test_what_is_rejected_and_what_is_so_already(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL) as rig:
            point = await rig.online()
            await told(rig, "Available")
            assert await available(point, 2, False) == "Rejected"
            assert await available(point, 1, True) == "Accepted"
            assert await available(point, 0, False) == "Accepted"
            await told(rig, "Unavailable", 0)
            await told(rig, "Unavailable")
            assert await available(point, 0, False) == "Accepted"
            assert await available(point, 1, False) == "Accepted"
            assert await available(point, 1, True) == "Rejected"  # the station is not
            assert await rig.console("availability 1 operative") == ["Rejected"]
            assert (await settled(rig, 5))["status"] == "Unavailable"
            told_before = len(rig.house.calls("StatusNotification"))
            for connector in (0, 1):
                answer = await point.ask(
                    "TriggerMessage",
                    requested_message="StatusNotification",
                    connector_id=connector,
                )
                assert answer.status == "Accepted"
            await settled(rig, 2)
            for connector in (0, 1):
                assert statuses(rig.house, connector, told_before) == ["Unavailable"]
            assert await rig.console("availability operative") == ["Accepted"]
            await told(rig, "Available", 0)
            await told(rig, "Available")
            for wrong in ("availability 2 operative", "availability maybe", "availability 1"):
                _, error = await rig.ask(wrong)
                assert error == "availability [0|1] operative or inoperative"

    play("cpython", session())


def test_no_start_while_the_link_is_down(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL) as rig:
            point = await rig.online()
            assert await available(point, 1, False) == "Accepted"
            await rig.console("sim link down")
            await rig.console("sim ready")
            await rig.console("sim plug")
            state = await settled(rig, 200)
            assert state["status"] == "Unavailable" and state["transaction"] is None
            await rig.console("authorize TAG")
            state = await settled(rig, 10)
            assert state["transaction"] is None
            assert state["duty"] == 1000 and state["contactor"] == "open"
            await rig.console("sim link up")
            point = await rig.online()
            assert await available(point, 1, True) == "Accepted"
            await told(rig, "Preparing")

    play("cpython", session())


def test_no_start_while_it_is_standalone(tmp_path):
    async def session():
        words = ("--supervision-url", "")
        async with Rig("cpython", tmp_path, *FULL, *words, house=False) as rig:
            assert await rig.console("availability inoperative") == ["Accepted"]
            await rig.console("sim ready")
            await rig.console("sim plug")
            state = await settled(rig, 200)
            assert state["status"] == "Unavailable" and state["transaction"] is None
            assert state["why"].startswith("Inoperative, as ")
            assert await rig.console("availability operative") == ["Accepted"]
            await rig.until(status="Charging")

    play("cpython", session())


def test_a_fault_hides_it_for_a_while(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL) as rig:
            point = await rig.online()
            await rig.console("sim fault 0x10020C on")
            await told(rig, "Faulted")
            assert await available(point, 1, False) == "Accepted"
            assert (await settled(rig, 5))["status"] == "Faulted"
            await rig.console("sim fault 0x10020C off")
            await told(rig, "Unavailable")
            assert statuses(rig.house)[-2:] == ["Faulted", "Unavailable"]

    play("cpython", session())


def test_a_reservation_ends(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL) as rig:
            point = await rig.online()
            assert await reserve(rig, point, 1) == "Accepted"
            await told(rig, "Reserved")
            assert await available(point, 1, False) == "Accepted"
            await told(rig, "Unavailable")
            assert await available(point, 1, True) == "Accepted"
            await told(rig, "Available")
            answer = await point.ask("CancelReservation", reservation_id=1)
            assert answer.status == "Rejected"
            assert statuses(rig.house)[-3:] == ["Reserved", "Unavailable", "Available"]

    play("cpython", session())


def test_who_waits_for_the_car_does_not_any_more(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL) as rig:
            point = await rig.online()
            assert await start(point, "TAG") == "Accepted"
            await told(rig, "Preparing")
            assert await available(point, 1, False) == "Accepted"
            await told(rig, "Unavailable")
            # 4.9 has no way from Preparing to Unavailable
            assert statuses(rig.house)[-3:] == ["Preparing", "Available", "Unavailable"]
            await rig.console("sim ready")
            await rig.console("sim plug")
            state = await settled(rig, 20)
            assert state["transaction"] is None and state["duty"] == 1000
            assert await available(point, 1, True) == "Accepted"
            await told(rig, "Preparing")
            assert (await settled(rig, 20))["transaction"] is None

    play("cpython", session())


def test_each_moment_of_a_start(tmp_path):
    """Whenever it comes: it is Accepted and nothing starts, or Scheduled and done at the end."""

    async def session():
        for ms in range(0, 4000, 250):
            folder = tmp_path / str(ms)
            folder.mkdir()
            async with Rig("cpython", folder, *FULL) as rig:
                point = await rig.online()
                await rig.console("sim ready")
                await rig.console("sim plug")
                await told(rig, "Preparing")
                assert await start(point, "TAG") == "Accepted"
                await asyncio.sleep(ms / 1000)
                answer = await available(point, 1, False)
                state = await settled(rig, 10)
                if answer == "Accepted":
                    assert state["status"] == "Unavailable", ms
                    assert rig.house.calls("StartTransaction") == []
                else:
                    assert answer == "Scheduled" and state["status"] == "Charging", ms
                    await rig.console("stop")
                    await told(rig, "Unavailable")

    play("cpython", session())


def test_the_guide_has_none_of_it(tmp_path):
    """What was changed with `full` has no effect with `guide`, also where that comes with the
    command line."""

    async def session():
        async with Rig("cpython", tmp_path, *FULL) as rig:
            point = await rig.online()
            assert await available(point, 0, False) == "Accepted"
            await told(rig, "Unavailable")
            assert await change(point, "LocalAuthListEnabled", "false") == "Accepted"
            await rig.end()
            rig.args = []
            await rig.start()
            before = len(rig.house.calls("StatusNotification"))
            await rig.charge()
            assert "Unavailable" not in [
                note["status"] for note in rig.house.calls("StatusNotification")[before:]
            ]
            assert notes(rig.house, 0, before)

    play("cpython", session())
