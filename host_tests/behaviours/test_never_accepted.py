"""A station in connected mode that no central system has ever accepted (guide page 16)."""

import pytest

from host_tests import virtual
from host_tests.station import Rig, play
from host_tests.talk import settled


async def plug(rig):
    await rig.console("sim ready")
    await rig.console("sim plug")


def test_it_charges_by_itself_once_it_is_offline(runtime, tmp_path):
    async def session():
        url = f"ws://127.0.0.1:{virtual.free_port()}/ocpp"
        words = ("--supervision-url", url)
        async with Rig(runtime, tmp_path, *words, house=False) as rig:
            await plug(rig)
            state = await rig.until(status="Preparing")
            assert state["why"] == "offline: charges by itself after 60 s without a link"
            if rig.inside:
                assert (await settled(rig, 50))["transaction"] is None
            state = await rig.until(status="Charging", timeout=120)
            assert state["transaction"]["id_tag"] == "freeCharge"

    play(runtime, session())


@pytest.mark.parametrize("name", ["LocalAuthorizeOffline", "AllowOfflineTxForUnknownId"])
def test_an_owner_can_forbid_it(tmp_path, name):
    async def session():
        url = f"ws://127.0.0.1:{virtual.free_port()}/ocpp"
        words = ("--supervision-url", url, "--key", f"{name}=false")
        async with Rig("cpython", tmp_path, *words, house=False) as rig:
            await plug(rig)
            state = await settled(rig, 300)
            assert state["status"] == "Preparing" and name in state["why"]

    play("cpython", session())


@pytest.mark.parametrize("answer", ["Pending", "Rejected"])
def test_who_was_not_accepted_and_loses_the_link_waits(tmp_path, answer):
    async def session():
        async with Rig("cpython", tmp_path, start=False) as rig:
            rig.house.registrations = [answer] * 20
            await rig.start()
            await rig.until(registration=answer)
            await rig.console("sim link down")
            await plug(rig)
            state = await settled(rig, 300)
            assert state["status"] == "Preparing" and state["transaction"] is None
            assert answer in state["why"]

    play("cpython", session())
