"""Who may charge while there is no central system, and what happens when it is back."""

import pytest

from host_tests.behaviours.test_behaviours_session import OFF, key, plug, start
from host_tests.station import Rig, play
from host_tests.talk import change, settled, told


async def offline(rig):
    await rig.console("sim link down")
    await rig.until(link="off")


def test_connected_mode_but_offline_starts_by_itself(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, speed=60) as rig:
            house = rig.house
            await rig.online()
            await offline(rig)
            await plug(rig)
            state = await settled(rig, 50)
            assert state["status"] == "Preparing"  # a short loss is not offline
            state = await rig.until(status="Charging")
            assert state["transaction"]["id_tag"] == "freeCharge" and state["uptime_s"] >= 60
            await settled(rig, 60)
            await rig.console("sim link up")
            begun = await house.heard_of("StartTransaction", timeout=60)
            assert begun["idTag"] == "freeCharge"
            state = await settled(rig, 30)
            assert state["status"] == "Charging" and state["transaction"]["id"] == 1001
            # at most once for each plugging-in
            await offline(rig)
            await rig.console("stop")
            await rig.until(status="Finishing")
            assert (await settled(rig, 120))["status"] == "Finishing"
            await rig.console("sim unplug")
            await rig.until(status="Available")
            await rig.console("sim plug")
            await rig.until(status="Charging")
            await rig.console("sim unplug")
            await rig.until(status="Available", transaction=None)

    play(runtime, session())


def test_a_reset_does_not_make_it_offline(tmp_path):
    """The clock of a PC goes on over a Reset; the 60 s without a link begin anew."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            await plug(rig)
            await settled(rig, 300)
            await point.ask("Reset", type="Soft")
            await rig.house.close()
            await rig.until(registration="none")
            state = await settled(rig, 50)
            assert state["status"] == "Preparing" and state["transaction"] is None
            state = await rig.until(status="Charging")
            assert state["transaction"]["id_tag"] == "freeCharge"

    play("cpython", session())


def test_back_online_the_central_system_decides(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, speed=60) as rig:
            house = rig.house
            house.refused["freeCharge"] = "Invalid"
            await rig.online()
            await offline(rig)
            await plug(rig)
            await rig.until(timeout=120, status="Charging")
            await rig.console("sim link up")
            stop = await house.heard_of("StopTransaction", timeout=60)
            assert stop["reason"] == "DeAuthorized" and stop["transactionId"] == 1001
            await rig.until(status="Finishing")
            await offline(rig)
            assert (await settled(rig, 120))["status"] == "Finishing"

    play(runtime, session())


def test_an_old_refusal_does_not_stop_the_running_transaction(tmp_path):
    """Two were started offline; the first, which is over, is refused."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            house = rig.house
            house.refused["WRONG"] = "Blocked"
            await rig.online()
            await offline(rig)
            await rig.console("authorize WRONG")
            await plug(rig)
            await rig.until(status="Charging")
            await rig.console("stop")
            await rig.until(status="Finishing")
            await rig.console("authorize RIGHT")
            await rig.until(status="Charging")
            await rig.console("sim link up")
            await house.heard_of("StartTransaction", count=2, timeout=60)
            state = await settled(rig, 20)
            assert state["status"] == "Charging" and state["transaction"]["id_tag"] == "RIGHT"
            assert state["transaction"]["id"] == 1002

    play("cpython", session())


@pytest.mark.parametrize("name", ["LocalAuthorizeOffline", "AllowOfflineTxForUnknownId"])
def test_offline_but_not_allowed(name, tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            assert await change(point, name, OFF) == "Accepted"
            await offline(rig)
            await plug(rig)
            await rig.console("authorize ANYBODY")
            state = await settled(rig, 200)
            assert state["status"] == "Preparing" and state["transaction"] is None

    play("cpython", session())


@pytest.mark.parametrize("answer", ["Pending", "Rejected"])
def test_not_accepted_is_not_offline(answer, tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            house = rig.house
            await rig.online()
            house.registrations = [answer] * 20
            await rig.console("reset soft")
            await house.heard_of("BootNotification", count=2)
            await plug(rig)
            await rig.until(status="Preparing", registration=answer)
            await rig.console("authorize ANYBODY")
            state = await settled(rig, 300)
            assert state["status"] == "Preparing" and state["transaction"] is None

    play("cpython", session())


def test_a_place_on_trial_is_not_offline(tmp_path):
    """Accepted under one identity, not yet under the new one: nothing could be delivered."""

    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig:
            await rig.online()
            await offline(rig)
            await rig.console("config BoxIdentifier OTHER")
            await plug(rig)
            state = await settled(rig, 300)
            assert state["status"] == "Preparing" and state["transaction"] is None
            await rig.console("config BoxIdentifier BOX")
            await rig.until(timeout=120, status="Charging")

    play("cpython", session())


def test_an_id_presented_offline(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            await rig.online()
            await offline(rig)
            await rig.console("authorize CARD")
            await rig.until(status="Preparing")
            await plug(rig)
            state = await rig.until(status="Charging")
            assert state["transaction"]["id_tag"] == "CARD"
            await rig.console("sim link up")
            begun = await rig.house.heard_of("StartTransaction", timeout=60)
            assert begun["idTag"] == "CARD" and not rig.house.calls("Authorize")

    play(runtime, session())


def test_faulted_starts_nothing(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            await rig.console("sim fault 0x10020C on")
            await told(rig, "Faulted")
            assert await start(point) == "Rejected"
            await offline(rig)
            await plug(rig)
            state = await settled(rig, 200)
            assert state["status"] == "Faulted" and state["transaction"] is None

    play("cpython", session())


def test_the_default_id_tag(runtime, tmp_path):
    async def session():
        words = ("--supervision-url", "", *key("DefaultIdTag", "GARAGE"))
        async with Rig(runtime, tmp_path, *words, house=False) as rig:
            await plug(rig)
            state = await rig.until(status="Charging")
            assert state["transaction"]["id_tag"] == "GARAGE"

    play(runtime, session())


def test_standalone_after_a_reset_the_same_car_is_not_a_new_one(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--supervision-url", "", house=False) as rig:
            await plug(rig)
            await rig.until(status="Charging")
            await rig.console("reset soft")
            await rig.until(status="Finishing", transaction=None)
            state = await settled(rig, 30)
            assert state["status"] == "Finishing" and state["uptime_s"] < 60 * rig.speed
            await rig.console("sim unplug")
            await rig.until(status="Available")
            await rig.console("sim plug")
            await rig.until(status="Charging")
            # unplugged while the station was away
            await rig.console("stop")
            await rig.until(status="Finishing")
            await rig.end()
            await rig.start()
            await plug(rig)
            await rig.until(status="Charging")

    play(runtime, session())
