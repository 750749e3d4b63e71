"""SIGKILL right after a charging profile's answer: what was Accepted is there (errata 3.37)."""

import asyncio

import pytest

from host_tests.station import FROZEN, RUNTIMES, Rig, why_missing

MANY = 200  # the key MaxChargingProfilesInstalled
APART_S = 10  # one that replaces the same id within so long may be written so much later


def profile(identity, amperes, level=0):
    return {
        "charging_profile_id": identity,
        "stack_level": level,
        "charging_profile_purpose": "TxDefaultProfile",
        "charging_profile_kind": "Relative",
        "charging_schedule": {
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": amperes}],
        },
    }


async def install(point, *args, **more):
    answer = await point.ask(
        "SetChargingProfile", connector_id=1, cs_charging_profiles=profile(*args, **more)
    )
    assert answer.status == "Accepted"


async def limit(point):
    """The limit in force, A."""
    answer = await point.ask("GetCompositeSchedule", connector_id=1, duration=10)
    return answer.charging_schedule["charging_schedule_period"][0]["limit"]


def play(runtime, session):
    """Runs a test of processes in real time."""
    missing = runtime != "cpython" and why_missing(runtime)
    if missing:
        pytest.skip(missing)
    asyncio.run(session)


async def after_kill(rig):
    await rig.kill()
    await rig.start()
    return await rig.online()


@pytest.mark.parametrize("runtime", [*RUNTIMES, FROZEN])
def test_of_200_in_quick_succession_none_is_missing(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, speed=1) as rig:
            point = await rig.online()
            for n in range(MANY):
                await install(point, n + 1, 6 + n % 26, level=n)
            await after_kill(rig)
            lines = await rig.console("profiles")
            assert sorted(int(line.split()[0]) for line in lines) == list(range(1, MANY + 1))

    play(runtime, session())


@pytest.mark.parametrize("runtime", [*RUNTIMES, FROZEN])
def test_a_replacement_is_there(runtime, tmp_path):
    """By level at once; by the same id at once after 10 s, and 10 s later within them."""

    async def session():
        async with Rig(runtime, tmp_path, speed=10) as rig:
            point = await rig.online()
            await install(point, 1, 20)
            await install(point, 2, 19)  # in the place of the first
            point = await after_kill(rig)
            assert await limit(point) == 19
            await install(point, 2, 18)
            await rig.sleep(APART_S + 1)
            await install(point, 2, 17)
            point = await after_kill(rig)
            assert await limit(point) == 17
            await install(point, 2, 16)
            await install(point, 2, 15)
            assert await limit(point) == 15
            await rig.sleep(APART_S + 1)
            point = await after_kill(rig)
            assert await limit(point) == 15

    play(runtime, session())
