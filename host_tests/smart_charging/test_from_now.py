"""Profiles "from now", by the central system's clock, on whole stations: no moment in which
nothing limits; and timestamps by that clock."""

import datetime

import pytest

from host_tests.both.profiles_rig import profile
from host_tests.smart_charging.test_smart_charging import put
from host_tests.station import RUNTIMES, Rig, play
from tools.central import iso


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    return request.param


def from_now(house, limit, ahead=0.0, **more):
    made = profile(limit, **more)
    made["chargingSchedule"]["startSchedule"] = iso(house.now() + ahead, True)
    return made


def test_a_car_is_never_offered_more_on_the_way(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, start=False, speed=1) as rig:
            rig.house.exact = True
            await rig.start()
            point = await rig.online()
            assert await put(point, from_now(rig.house, 6, identity=1)) == "Accepted"
            await rig.charge()
            await rig.until(offered_ma=6000)
            await rig.sleep(6)
            for ahead, purpose, limit in ((1.4, "Tx", 8), (0.9, "TxDefault", 7)):
                made = from_now(rig.house, limit, ahead, identity=limit, purpose=purpose)
                assert await put(point, made) == "Accepted"
                for _ in range(40):
                    await rig.sleep(0.2)
                    status = await rig.status()
                    assert status["offered_ma"] <= 8000, status
                    assert status["limits"]["profile"] <= 8000, status
            await rig.until(offered_ma=8000)

    play(runtime, session())


def test_timestamps_are_the_central_systems(tmp_path):
    said = []

    async def session():
        async with Rig("cpython", tmp_path, start=False) as rig:
            house = rig.house
            house.exact = True
            house.interval = 60

            def watch(box_id, direction, message):
                if direction == "<" and message[0] == 2:
                    payload = message[3]
                    stamp = payload.get("timestamp")
                    if "meterValue" in payload:
                        stamp = payload["meterValue"][0]["timestamp"]
                    if stamp:
                        when = datetime.datetime.fromisoformat(stamp).timestamp()
                        said.append((message[2], house.now() - when))

            house.watch = watch
            await rig.start()
            await rig.charge()
            await rig.sleep(100)
            await rig.console("stop")
            await rig.until(status="Finishing")

    play("cpython", session())
    actions = {action for action, _ in said}
    assert actions == {"StatusNotification", "StartTransaction", "MeterValues", "StopTransaction"}
    for action, behind in said:
        assert -0.002 <= behind <= 1, (action, behind)  # it waits for its turn to be sent
