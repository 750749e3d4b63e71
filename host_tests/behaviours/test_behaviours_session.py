"""The guide's notice on behaviour (page 16) and OCPP's rules for starting and stopping."""

import pytest

from host_tests.station import Rig, play
from host_tests.talk import change, settled, statuses, told

OFF = "false"


def key(name, value):
    return ("--key", f"{name}={value}")


async def start(point, tag="TAG", **more):
    return (await point.ask("RemoteStartTransaction", id_tag=tag, **more)).status


async def plug(rig):
    await rig.console("sim ready")
    await rig.console("sim plug")


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
