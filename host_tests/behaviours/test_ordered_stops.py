"""An ordered stop is told as Finishing next (OCPP 4.9, C6): nothing else comes between."""

import pytest

from host_tests.station import Rig, play
from host_tests.talk import statuses, told


async def remote_stop(rig, point):
    number = rig.house.next_transaction - 1
    answer = await point.ask("RemoteStopTransaction", transaction_id=number)
    assert answer.status == "Accepted"


async def unlock(rig, point):
    assert (await point.ask("UnlockConnector", connector_id=1)).status == "Unlocked"


async def reset(rig, point):
    assert (await point.ask("Reset", type="Soft")).status == "Accepted"


async def card(rig, point):
    await rig.console("authorize DRIVER-1")


async def stop(rig, point):
    await rig.console("stop")


@pytest.mark.parametrize("how", [remote_stop, unlock, reset, card, stop])
def test_an_ordered_stop_goes_from_charging_to_finishing(runtime, how, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.charge()
            await told(rig, "Charging")
            await how(rig, point)
            await rig.house.heard_of("StopTransaction")
            await told(rig, "Finishing")
            assert statuses(rig.house)[-2:] == ["Charging", "Finishing"]
            assert "SuspendedEVSE" not in statuses(rig.house)[-3:]

    play(runtime, session())


def test_a_car_that_paused_is_finishing_next_too(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.charge()
            await rig.console("sim pause")
            await told(rig, "SuspendedEV")
            await remote_stop(rig, point)
            await told(rig, "Finishing")
            assert statuses(rig.house)[-2:] == ["SuspendedEV", "Finishing"]

    play(runtime, session())


def test_who_is_deauthorized_is_suspended_first(runtime, tmp_path):
    """Energy ends by the station's decision (OCPP 4.8): SuspendedEVSE stays there."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            rig.house.refused["BAD"] = "Blocked"
            answer = await point.ask(
                "ChangeConfiguration", key="AuthorizeRemoteTxRequests", value="false"
            )
            assert answer.status == "Accepted"
            await rig.console("sim plug")
            await rig.console("sim ready")
            assert (await point.ask("RemoteStartTransaction", id_tag="BAD")).status == "Accepted"
            stop = await rig.house.heard_of("StopTransaction")
            assert stop["reason"] == "DeAuthorized"
            await told(rig, "Finishing")
            # where energy flowed already, or not yet
            assert statuses(rig.house)[-2:] in (
                ["SuspendedEVSE", "Finishing"],
                ["Preparing", "Finishing"],
            )

    play(runtime, session())
