"""Smart charging on whole stations, over the real central side of the `ocpp` package."""

import asyncio

import pytest
from ocpp.exceptions import PropertyConstraintViolationError

from host_tests.behaviours.test_session import statuses
from host_tests.both.profiles_rig import profile
from host_tests.station import Rig, play
from tools.runtimes import DEVICE_HEAP


def snake(value):
    """camelCase names as the package wants them."""
    if isinstance(value, list):
        return [snake(item) for item in value]
    if isinstance(value, dict):
        return {
            "".join("_" + c.lower() if c.isupper() else c for c in name): snake(item)
            for name, item in value.items()
        }
    return value


async def put(point, message, connector=1):
    answer = await point.ask(
        "SetChargingProfile", connector_id=connector, cs_charging_profiles=snake(message)
    )
    return answer.status


async def planned(point, duration, unit="A"):
    answer = await point.ask(
        "GetCompositeSchedule", connector_id=1, duration=duration, charging_rate_unit=unit
    )
    assert answer.status == "Accepted"
    schedule = answer.charging_schedule
    return [(p["start_period"], p["limit"]) for p in schedule["charging_schedule_period"]]


async def soon(rig, **wanted):
    """Waits for what `status` shall show after the pilot's 5 s (field notes), without looking all
    the time."""
    await rig.sleep(6)
    return await rig.until(**wanted)


def test_profiles_move_the_offer_at_once_and_on_time(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.charge()
            number = rig.house.next_transaction - 1
            await soon(rig, offered_ma=32000)
            assert await put(point, profile(10, start=1500000000)) == "Accepted"
            await rig.sleep(1)
            assert (await rig.status())["limits"]["profile"] == 10000  # within a second
            await soon(rig, offered_ma=10000)
            assert await planned(point, 60) == [(0, 10)]
            assert await planned(point, 60, "W") == [(0, 6900)]
            assert await put(point, profile(0, start=1500000000)) == "Accepted"
            await soon(rig, status="SuspendedEVSE", contactor="open")
            more = {"identity": 2, "transaction": number, "kind": "Relative", "start": None}
            steps = profile([(0, 16), (99999, 8)], purpose="Tx", **more)
            assert await put(point, steps) == "Accepted"
            state = await soon(rig, status="Charging", offered_ma=16000)
            assert state["limits"]["profile"] == 16000
            answer = await point.ask("ClearChargingProfile", id=2)
            assert answer.status == "Accepted"
            await soon(rig, status="SuspendedEVSE")
            assert (await point.ask("ClearChargingProfile", id=2)).status == "Unknown"
            assert (await point.ask("ClearChargingProfile")).status == "Accepted"
            await soon(rig, status="Charging", offered_ma=32000)
            assert (
                await put(point, profile(16, purpose="Tx", transaction=number + 1)) == "Rejected"
            )
            with pytest.raises(PropertyConstraintViolationError):
                await put(point, profile(10), 2)
            answer = await point.ask("GetCompositeSchedule", connector_id=2, duration=60)
            assert answer.status == "Rejected"
            assert rig.house.errors() == []

    play(runtime, session())


def test_a_profile_with_the_remote_start(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            await rig.console("sim plug")
            await rig.console("sim ready")
            message = profile(13, purpose="Tx", kind="Relative", start=None)
            answer = await point.ask(
                "RemoteStartTransaction", id_tag="DRIVER-1", charging_profile=snake(message)
            )
            assert answer.status == "Accepted"
            await soon(rig, status="Charging", offered_ma=13000)
            assert len(await rig.console("profiles")) == 1
            number = rig.house.next_transaction - 1
            answer = await point.ask("RemoteStopTransaction", transaction_id=number)
            await rig.until(status="Finishing")
            await rig.sleep(3)
            assert await rig.console("profiles") == ["none"]
            assert "Charging" in statuses(rig.house)

    play(runtime, session())


def test_a_profile_is_its_id_s_alone(runtime, tmp_path):
    """Another id that is presented meanwhile, and refused, neither takes nor drops it."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            rig.house.refused["OTHER"] = "Blocked"
            message = profile(8, purpose="Tx", kind="Relative", start=None)
            answer = await point.ask(
                "RemoteStartTransaction", id_tag="DRIVER-1", charging_profile=snake(message)
            )
            assert answer.status == "Accepted"
            await rig.until(status="Preparing")
            await rig.console("authorize OTHER")
            await rig.house.heard_of("Authorize", lambda p: p["idTag"] == "OTHER")
            await rig.console("sim ready")
            await rig.console("sim plug")
            begun = await rig.house.heard_of("StartTransaction")
            assert begun["idTag"] == "DRIVER-1"
            state = await rig.until(status="Charging")
            assert state["offered_ma"] == 8000  # from the first moment on

    play(runtime, session())


def test_little_power_goes_through_one_phase(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.charge()
            await soon(rig, phases=3, offered_ma=32000)
            assert await put(point, profile(3000, unit="W", start=1500000000)) == "Accepted"
            await rig.sleep(65)
            state = await rig.until(phases=1, status="Charging")
            assert state["limits"]["profile"] == 13043
            assert await put(point, profile(9000, unit="W", start=1500000000)) == "Accepted"
            await rig.sleep(65)
            await rig.until(phases=3, status="Charging")
            wished = profile([(0, 10, 1)], start=1500000000)
            assert await put(point, wished) == "Accepted"
            await rig.sleep(65)
            await rig.until(phases=1, status="Charging", offered_ma=10000)

    play(runtime, session())


def test_the_next_period_comes_without_any_message(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.charge()
            await soon(rig, offered_ma=32000)
            steps = [(0, 16), (32, 8), (50, 13)]
            assert await put(point, profile(steps, kind="Relative", start=None)) == "Accepted"
            for ma in (16000, 8000, 13000):
                await soon(rig, offered_ma=ma)
                await rig.sleep(10)

    play(runtime, session())


@pytest.mark.parametrize("runtime", ["cpython", "micropython32"])  # it is a matter of memory
def test_two_hundred_of_a_hundred_periods_over_the_wire(runtime, tmp_path):
    """And still charging; a restart forgets none."""

    async def session():
        async with Rig(runtime, tmp_path, heap=DEVICE_HEAP) as rig:
            point = await rig.charge()
            for n in range(200):
                limits = [(i * 864, (6 + i % 10) + 0.5, 3) for i in range(100)]
                message = profile(limits, n, identity=n, kind="Daily", start=1500000000)
                assert await asyncio.wait_for(put(point, message), 30) == "Accepted", n
            assert await put(point, profile(10, 200, identity=200, start=1500000000)) == "Rejected"
            assert await put(point, profile(10, 200, identity=7, start=1500000000)) == "Accepted"
            await soon(rig, offered_ma=10000, status="Charging")
            assert (await point.ask("ClearChargingProfile", id=7)).status == "Accepted"
            assert len(await planned(point, 86400)) == 100
            assert len(await rig.console("profiles")) == 199
            state = await rig.until(status="Charging")
            assert state["limits"]["profile"] % 1000 == 500
            await rig.end()
            await rig.start()
            await rig.house.heard_of("BootNotification", count=2)
            point = await rig.online()
            assert len(await rig.console("profiles")) == 199
            assert (await point.ask("ClearChargingProfile")).status == "Accepted"
            assert await rig.console("profiles") == ["none"]

    play(runtime, session())


def test_an_answer_under_way_ends_with_the_station(tmp_path, caplog):
    """What a reset interrupts does not go on in the flash of the station after it."""

    async def session(turns):
        async with Rig("cpython", tmp_path / str(turns)) as rig:
            point = await rig.online()
            for n in range(150):
                message = profile(10 + n % 5, n, identity=n, start=1500000000)
                assert await put(point, message) == "Accepted"
            reset = asyncio.create_task(rig.console("reset soft"))
            for _ in range(turns):
                await asyncio.sleep(0)
            clearing = asyncio.create_task(point.ask("ClearChargingProfile"))
            await reset
            await rig.house.heard_of("BootNotification", count=2)
            clearing.cancel()
            await rig.online()
            left = await rig.console("profiles")
            await rig.sleep(60)
            assert await rig.console("profiles") == left

    for turns in range(0, 24, 3):
        play("cpython", session(turns))
    assert "is lost" not in caplog.text
