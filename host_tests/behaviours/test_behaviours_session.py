"""The guide's notice on behaviour (page 16) and OCPP's rules for starting and stopping."""

import asyncio

import pytest

from firmware.charging.session import Session
from firmware.transactions.transactions import Transactions
from host_tests.station import RUNTIMES, Rig, play
from host_tests.talk import change, notes, settled, statuses, told

OFF = "false"


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    return request.param


def key(name, value):
    return ("--key", f"{name}={value}")


async def start(point, tag="TAG", **more):
    return (await point.ask("RemoteStartTransaction", id_tag=tag, **more)).status


async def plug(rig):
    await rig.console("sim ready")
    await rig.console("sim plug")


# --- online ---


def test_online_waits_for_the_central_system(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, *key("ConnectionTimeOut", 30), speed=50) as rig:
            house = rig.house
            point = await rig.online()
            await plug(rig)
            state = await settled(rig, 120)  # ConnectionTimeOut is for who is authorised
            assert state["status"] == "Preparing" and state["transaction"] is None
            assert house.calls("Authorize") == [] and statuses(house)[-1] == "Preparing"
            # authorised beforehand, then started
            house.refused["BAD"] = "Blocked"
            assert await start(point, "BAD") == "Accepted"
            await house.heard_of("Authorize")
            state = await settled(rig, 5)
            assert state["status"] == "Preparing" and not house.calls("StartTransaction")
            assert await change(point, "AuthorizeRemoteTxRequests", OFF) == "Accepted"
            assert await start(point, "OPEN") == "Accepted"
            begun = await house.heard_of("StartTransaction")
            assert begun["idTag"] == "OPEN" and "reservationId" not in begun
            assert [p["idTag"] for p in house.calls("Authorize")] == ["BAD"]
            assert await start(point, "SECOND") == "Rejected"
            await rig.until(status="Charging")
            # the id that started it stops it without being asked for (OCPP 4.1)
            await rig.console("authorize open")
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == "Local" and stop["idTag"] == "open"
            assert len(house.calls("Authorize")) == 1

    play(runtime, session())


def test_an_empty_id_is_nobody(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            assert await start(point, "") == "Rejected"
            reserved = await point.ask(
                "ReserveNow", connector_id=1, id_tag="", reservation_id=5,
                expiry_date="2099-01-01T00:00:00Z",
            )  # fmt: skip
            assert reserved.status == "Rejected"
            await plug(rig)
            assert await start(point, "SOMEBODY") == "Accepted"
            await rig.until(status="Charging")

    play("cpython", session())


def test_the_connection_time_out_and_who_comes_after(runtime, tmp_path):
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9}],
        },
    }

    async def session():
        async with Rig(runtime, tmp_path, *key("ConnectionTimeOut", 30)) as rig:
            house = rig.house
            point = await rig.online()
            assert await start(point, "FIRST", charging_profile=profile) == "Accepted"
            await told(rig, "Preparing")
            assert await start(point, "SECOND") == "Rejected"  # somebody waits for the car
            state = await settled(rig, 20)
            assert state["status"] == "Preparing"
            await told(rig, "Available")
            # presented twice: never mind
            await rig.console("authorize LOCAL")
            await told(rig, "Preparing")
            await rig.console("authorize LOCAL")
            await told(rig, "Available")
            # the profile was the first one's, or that of one who is refused
            house.refused["BAD"] = "Invalid"
            assert await start(point, "BAD", charging_profile=profile) == "Accepted"
            await house.heard_of("Authorize", lambda p: p["idTag"] == "BAD")
            await plug(rig)
            await told(rig, "Preparing")
            await settled(rig, 2)
            assert await start(point, "SECOND") == "Accepted"
            begun = await house.heard_of("StartTransaction")
            assert begun["idTag"] == "SECOND"
            await rig.until(status="Charging", offered_ma=32000)
            await told(rig, "Charging")
            assert statuses(house) == [
                "Available", "Preparing", "Available", "Preparing", "Available", "Preparing",
                "Charging",
            ]  # fmt: skip
            await rig.console("sim unplug")
            await told(rig, "Available")
            assert await start(point, "THIRD", charging_profile=profile) == "Accepted"
            await told(rig, "Preparing")
            await rig.console("sim plug")
            await rig.until(status="Charging", offered_ma=9000)

    play(runtime, session())


def test_a_parent_stops_what_another_of_its_group_started(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            house.parents = {"ONE": "FAMILY", "TWO": "family"}
            house.refused["STRANGER"] = "Expired"
            await rig.charge("ONE")
            await rig.console("authorize STRANGER")
            await house.heard_of("Authorize", lambda p: p["idTag"] == "STRANGER")
            assert (await settled(rig, 3))["transaction"]["id_tag"] == "ONE"
            await rig.console("authorize TWO")
            stop = await house.heard_of("StopTransaction")
            assert stop["reason"] == "Local" and stop["idTag"] == "TWO"

    play(runtime, session())


@pytest.mark.parametrize("stops", ["true", "false"])
def test_an_id_that_the_central_system_refuses_at_the_start(runtime, stops, tmp_path):
    async def session():
        words = key("StopTransactionOnInvalidId", stops) + key("AuthorizeRemoteTxRequests", OFF)
        async with Rig(runtime, tmp_path, *words) as rig:
            house = rig.house
            house.refused["BAD"] = "Invalid"
            point = await rig.online()
            await plug(rig)
            await told(rig, "Preparing")
            assert await start(point, "BAD") == "Accepted"
            if stops == "true":
                stop = await house.heard_of("StopTransaction")
                assert stop["reason"] == "DeAuthorized"
                # the cable stays until the car is gone
                await rig.until(status="Finishing", contactor="open")
                assert (await settled(rig, 10))["locked"] is True
                await rig.console("sim unplug")
                await rig.until(status="Available", locked=False)
            else:
                await told(rig, "SuspendedEVSE")
                await rig.until(status="SuspendedEVSE", contactor="open", locked=True)
                state = await settled(rig, 30)
                assert state["offered_ma"] == 0 and state["transaction"]["id"] == 1001
                await rig.console("authorize BAD")
                stop = await house.heard_of("StopTransaction")
                assert stop["reason"] == "Local"
                # and the next one is not refused because of it
                await rig.until(status="Finishing", locked=False)
                assert await start(point, "GOOD") == "Accepted"
                await rig.until(status="Charging")

    play(runtime, session())


@pytest.mark.parametrize("number", [0, -1, 2147483647])
def test_any_number_is_a_transaction_id(number, tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            house = rig.house
            house.next_transaction = number
            point = await rig.charge()
            await house.heard_of("StartTransaction")
            await settled(rig, 1)

            async def stop(transaction_id):
                answer = await point.ask("RemoteStopTransaction", transaction_id=transaction_id)
                return answer.status

            assert await stop(number + 5) == "Rejected"
            assert await stop(number) == "Accepted"
            assert (await house.heard_of("StopTransaction"))["transactionId"] == number

    play("cpython", session())


# --- offline ---


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


# --- the end ---


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
