"""The end of a transaction: the cable, the lock, the resets."""

import asyncio

import pytest

from firmware.charging.session import Session
from firmware.transactions.transactions import Transactions
from host_tests.behaviours.test_behaviours_offline import offline
from host_tests.behaviours.test_behaviours_session import OFF, key, start
from host_tests.station import Rig, play
from host_tests.talk import notes, settled, statuses, told


def test_unplugging_does_not_stop_it(runtime, tmp_path):
    async def session():
        words = key("StopTransactionOnEVSideDisconnect", OFF) + ("--key", "ConnectionTimeOut=5")
        async with Rig(runtime, tmp_path, *words) as rig:
            house = rig.house
            await rig.charge("TAG")
            await rig.console("sim unplug")
            await told(rig, "SuspendedEV", info="EV side disconnected", errorCode="NoError")
            state = await settled(rig, 30)
            assert state["transaction"]["id_tag"] == "TAG" and state["contactor"] == "open"
            assert state["locked"] is True  # or the cable could be taken
            await rig.console("sim plug")
            await rig.until(status="Charging", locked=True)
            await rig.console("sim unplug")
            await told(rig, "SuspendedEV")
            await rig.console("authorize TAG")
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == "Local"
            await rig.until(status="Available", locked=False)
            assert len(house.calls("StartTransaction")) == 1

    play(runtime, session())


def test_the_cable_waits_for_who_charged(runtime, tmp_path):
    async def session():
        words = key("UnlockConnectorOnEVSideDisconnect", OFF)
        async with Rig(runtime, tmp_path, *words) as rig:
            house = rig.house
            house.parents = {"TAG": "FAMILY", "WIFE": "FAMILY"}
            point = await rig.charge("TAG")
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction")
            await rig.until(status="Available")
            assert (await settled(rig, 20))["locked"] is True
            await rig.console("authorize tag")
            state = await rig.until(locked=False)
            assert state["status"] == "Available" and len(house.calls("StartTransaction")) == 1
            # or of the same group
            await rig.charge("TAG")
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", count=2)
            await rig.console("authorize WIFE")
            await rig.until(locked=False, status="Available")
            # or the operator frees it
            await rig.charge("TAG")
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", count=3)
            assert (await settled(rig, 5))["locked"] is True
            assert (await point.ask("UnlockConnector", connector_id=1)).status == "Unlocked"
            assert (await settled(rig, 5))["locked"] is False
            # or the driver goes on
            await rig.charge("TAG")
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", count=4)
            await rig.charge("TAG")
            await rig.console("stop")
            await rig.until(status="Finishing", locked=False)

    play(runtime, session())


def test_a_short_unplugging_ends_it_too(tmp_path):
    """Out and in again while the station is busy with the meter."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await rig.charge()
            await rig.console("sim unplug")
            await asyncio.sleep(0.08)
            await rig.console("sim plug")
            stop = await rig.house.heard_of("StopTransaction")
            assert stop["reason"] == "EVDisconnected"
            state = await settled(rig, 5)
            assert state["transaction"] is None and state["status"] == "Preparing"

    play("cpython", session())


def test_unlocking(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.charge()

            async def unlock(number=1):
                return (await point.ask("UnlockConnector", connector_id=number)).status

            assert await unlock(0) == await unlock(2) == "NotSupported"
            assert await unlock() == "Unlocked"
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == "UnlockCommand"
            state = await settled(rig, 5)
            assert state["locked"] is False and state["status"] == "Finishing"
            assert await unlock() == "Unlocked"  # it is open
            await rig.console("sim unplug")
            await told(rig, "Available")
            await rig.charge()
            await rig.console("sim fault 0x100205 on")
            await told(rig, "Faulted", vendorErrorCode="0x100205")
            assert await unlock() == "UnlockFailed"

    play(runtime, session())


def test_unlocking_does_not_wait_for_ever_for_the_bill(tmp_path, monkeypatch):
    """The flash takes nothing: the central system has its answer, the console too."""

    def full(*_):
        raise OSError(28, "flash is full")

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.charge()
            monkeypatch.setattr(Transactions, "stop", full)
            answer = await point.ask("UnlockConnector", connector_id=1)
            assert answer.status == "UnlockFailed"
            assert (await rig.ask("unlock"))[1] is not None
            monkeypatch.undo()

    play("cpython", session())


def test_an_attached_cable_has_no_lock(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, "--model", "Evh5A11N2C5") as rig:
            point = await rig.charge()
            assert (await point.ask("UnlockConnector", connector_id=1)).status == "NotSupported"
            assert (await settled(rig, 5))["status"] == "Charging"

    play("cpython", session())


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
def test_reset(runtime, kind, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.charge()
            assert (await point.ask("Reset", type=kind)).status == "Accepted"
            assert await start(point) == "Rejected"
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == kind + "Reset" and stop["transactionId"] == 1001
            await house.heard_of("BootNotification", count=2)
            await rig.online()
            said = [m[2] for _, way, m in house.messages if way == "<" and m[0] == 2]
            # here the link is up, so it comes before the restart
            assert said.index("StopTransaction") < len(said) - said[::-1].index("BootNotification")
            await told(rig, "Finishing")  # the same car, after its transaction
            assert {"Unavailable"}.isdisjoint(statuses(house))
            assert (await rig.status())["queue"] == 0

    play(runtime, session())


def test_reset_while_the_link_is_down(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            await rig.charge()
            await house.heard_of("StartTransaction")
            await offline(rig)
            await rig.console("reset hard")
            await rig.until(status="Finishing", transaction=None, queue=1, registration="none")
            await rig.console("sim link up")
            stop = await house.heard_of("StopTransaction", timeout=60)
            assert stop["reason"] == "HardReset" and stop["transactionId"] == 1001
            said = [m[2] for _, way, m in house.messages if way == "<" and m[0] == 2]
            boots = [n for n, action in enumerate(said) if action == "BootNotification"]
            assert boots[1] < said.index("StopTransaction")

    play(runtime, session())


@pytest.mark.parametrize("retries", [0, 2])
def test_reset_retries(retries, monkeypatch, tmp_path):
    """A transaction that does not end is asked again; after that the journal closes it."""
    tries = []

    async def never(session):
        tries.append(session.clock.ms())
        session._stop_request = None  # what was asked for is forgotten

    async def session():
        async with Rig("cpython", tmp_path, *key("ResetRetries", retries)) as rig:
            house = rig.house
            point = await rig.charge()
            monkeypatch.setattr(Session, "_end_transaction", never)
            assert (await point.ask("Reset", type="Hard")).status == "Accepted"
            await settled(rig, 15)
            await house.heard_of("BootNotification", count=2, timeout=100)
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == "HardReset" and stop["transactionId"] == 1001
            assert len(tries) == retries + 1
            if retries:
                assert 19000 < tries[1] - tries[0] < 22000

    play("cpython", session())


def test_a_transaction_in_finishing_passes_through_preparing(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.charge()
            for _ in range(2):
                await rig.console("stop")
                await told(rig, "Finishing")
                begin = len(house.calls("StatusNotification"))
                assert await start(point) == "Accepted", (await rig.status(), house.messages[-9:])
                await told(rig, "Charging")
                assert statuses(house, start=begin)[0] == "Preparing"
            assert not [note for note in notes(house) if note["errorCode"] != "NoError"]

    play(runtime, session())
