"""ReserveNow and CancelReservation (OCPP 5.13, 5.1)."""

import asyncio

import pytest

from host_tests.station import Rig, play
from host_tests.talk import change, notes, raw, settled, statuses, told
from tools.central import iso


async def reserve(rig, point, number=1, tag="TAG", connector=1, seconds=3600, **more):
    """`seconds` of the station's clock."""
    # In a process the station's clock runs ahead; Heartbeats set it back now and then.
    expiry = iso(rig.house.now() + seconds)
    answer = await point.ask(
        "ReserveNow",
        connector_id=connector,
        id_tag=tag,
        reservation_id=number,
        expiry_date=expiry,
        **more,
    )
    return answer.status


async def cancel(point, number=1):
    return (await point.ask("CancelReservation", reservation_id=number)).status


async def start(point, tag, **more):
    return (await point.ask("RemoteStartTransaction", id_tag=tag, **more)).status


@pytest.mark.parametrize("connector", [0, 1])
def test_the_reserved_id_uses_it_up(runtime, connector, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            assert await reserve(rig, point, 77, "Tag", connector) == "Accepted"
            await told(rig, "Reserved")
            assert await start(point, "OTHER") == "Rejected"
            await rig.console("authorize OTHER")
            await rig.console("sim ready")
            await rig.console("sim plug")
            state = await settled(rig, 10)
            assert state["status"] == "Reserved" and state["transaction"] is None
            assert await start(point, "TAG") == "Accepted"  # idTags know no case
            begun = await house.heard_of("StartTransaction")
            assert begun["reservationId"] == 77 and begun["idTag"] == "TAG"
            await told(rig, "Charging")
            assert statuses(house) == ["Available", "Reserved", "Preparing", "Charging"]
            assert await cancel(point, 77) == "Rejected"
            await rig.console("stop")
            await told(rig, "Finishing")
            assert await start(point, "OTHER") == "Accepted"
            begun = await house.heard_of("StartTransaction", count=2)
            assert "reservationId" not in begun
            assert house.errors() == []

    play(runtime, session())


def test_cancelled_replaced_expired(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            assert await cancel(point) == "Rejected"
            assert await reserve(rig, point, 1, "ONE") == "Accepted"
            await told(rig, "Reserved")
            assert await reserve(rig, point, 2, "TWO") == "Occupied"
            assert await reserve(rig, point, 2, "ONE") == "Occupied"
            assert await reserve(rig, point, 1, "TWO") == "Accepted"  # replaced
            assert await start(point, "ONE") == "Rejected"
            assert await cancel(point, 2) == "Rejected"
            assert await cancel(point, 1) == "Accepted"
            await told(rig, "Available")
            assert await reserve(rig, point, 3, "X", seconds=-1) == "Rejected"
            assert await reserve(rig, point, -3, "X", seconds=3) == "Accepted"
            await told(rig, "Reserved")
            await told(rig, "Available")
            assert await start(point, "OTHER") == "Accepted"
            assert statuses(house)[:5] == ["Available", "Reserved", "Available", "Reserved",
                                           "Available"]  # fmt: skip
            assert house.errors() == []

    play(runtime, session())


def test_who_gets_none(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            assert await reserve(rig, point, connector=2) == "Rejected"
            answer = await raw(rig, point, "ReserveNow", {
                "connectorId": 1, "expiryDate": "tomorrow", "idTag": "T", "reservationId": 1,
            })  # fmt: skip
            assert answer[0] == 4
            await rig.console("sim plug")
            await told(rig, "Preparing")
            assert await reserve(rig, point) == "Occupied"
            assert await start(point, "SOMEBODY") == "Accepted"
            await rig.house.heard_of("StartTransaction")
            assert await reserve(rig, point) == "Occupied"
            await rig.console("stop")
            await told(rig, "Finishing")
            assert await reserve(rig, point) == "Occupied"
            await rig.console("sim unplug")
            await told(rig, "Available")
            assert await start(point, "SOMEBODY") == "Accepted"
            await told(rig, "Preparing")
            assert await reserve(rig, point) == "Occupied"
            await rig.console("authorize SOMEBODY")
            await told(rig, "Available")
            await rig.console("sim fault 0x10020C on")
            await told(rig, "Faulted")
            assert await reserve(rig, point) == "Faulted"

    play(runtime, session())


def test_connector_0_where_it_is_not_wanted(tmp_path):
    async def session():
        words = ("--key", "ReserveConnectorZeroSupported=false")
        async with Rig("cpython", tmp_path, *words) as rig:
            point = await rig.online()
            assert await reserve(rig, point, connector=0) == "Rejected"
            assert await reserve(rig, point, connector=1) == "Accepted"

    play("cpython", session())


def test_a_fault_ends_it(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            assert await reserve(rig, point) == "Accepted"
            await told(rig, "Reserved")
            await rig.console("sim fault 0x10020C on")
            await told(rig, "Faulted")
            await rig.console("sim fault 0x10020C off")
            await told(rig, "Available")
            state = await settled(rig, 5)
            assert state["status"] == "Available" and await cancel(point) == "Rejected"

    play(runtime, session())


def test_the_parent_id(runtime, tmp_path):
    async def session():
        words = ("--key", "AuthorizeRemoteTxRequests=false")
        async with Rig(runtime, tmp_path, *words) as rig:
            house = rig.house
            house.parents = {"SON": "Family", "STRANGER": "OTHERS"}
            point = await rig.online()
            assert await reserve(rig, point, 5, "MOTHER", parent_id_tag="FAMILY") == "Accepted"
            await told(rig, "Reserved")
            await rig.console("sim ready")
            await rig.console("sim plug")
            # its parent is asked for, whatever AuthorizeRemoteTxRequests says
            assert await start(point, "STRANGER") == "Accepted"
            await house.heard_of("Authorize")
            state = await settled(rig, 5)
            assert state["status"] == "Reserved" and not house.calls("StartTransaction")
            assert await start(point, "SON") == "Accepted"
            begun = await house.heard_of("StartTransaction")
            assert begun["reservationId"] == 5 and begun["idTag"] == "SON"
            assert [p["idTag"] for p in house.calls("Authorize")] == ["STRANGER", "SON"]

    play(runtime, session())


def test_a_power_cut_does_not_end_it(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            tag = 'T"=\n\u00e9'
            assert await reserve(rig, point, 9, tag, parent_id_tag="P") == "Accepted"
            await told(rig, "Reserved")
            await rig.kill()
            await rig.start()
            await rig.until(status="Reserved", timeout=10)  # before anybody told the time
            point = await rig.online()
            await told(rig, "Reserved")
            assert await start(point, "OTHER") == "Accepted"  # perhaps of the same parent
            assert (await settled(rig, 3))["status"] == "Reserved"
            await point.ask("Reset", type="Soft")
            await house.heard_of("BootNotification", count=3)
            point = await rig.online()
            await told(rig, "Reserved")
            await rig.console("sim plug")
            assert await start(point, tag) == "Accepted"
            begun = await house.heard_of("StartTransaction")
            assert begun["reservationId"] == 9 and begun["idTag"] == tag
            # nor does it come back
            await rig.kill()
            await rig.start()
            await rig.online()
            await told(rig, "Available")
            assert (await settled(rig, 3))["status"] == "Available"

    play(runtime, session())


def test_a_power_cut_between_the_transaction_and_the_reservation(tmp_path):
    """The transaction's record came first: what is left of the reservation is void."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            assert await reserve(rig, point, 9, "TAG") == "Accepted"
            await told(rig, "Reserved")
            (kept,) = (tmp_path / "state").rglob("reservation")
            data = kept.read_bytes()
            assert await start(point, "TAG") == "Accepted"
            await rig.console("sim plug")
            await rig.house.heard_of("StartTransaction")
            assert not kept.exists()
            await rig.kill()
            kept.write_bytes(data)
            await rig.start()
            await rig.online()
            await told(rig, "Available")
            assert (await settled(rig, 3))["status"] == "Available" and not kept.exists()

    play("cpython", session())


def test_it_expires_while_the_station_is_off(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            assert await reserve(rig, point, seconds=60) == "Accepted"
            await told(rig, "Reserved")
            await rig.kill()
            await asyncio.sleep(100)
            await rig.start()
            point = await rig.online()
            await told(rig, "Available")
            assert (await settled(rig, 3))["status"] == "Available"
            assert await cancel(point) == "Rejected"

    play("cpython", session())


def test_offline_the_reserved_connector_is_kept(tmp_path):
    """It starts by itself for nobody else (guide page 16), but for freeCharge if it has it."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            assert await reserve(rig, point, 1, "TAG") == "Accepted"
            await rig.console("sim link down")
            await rig.console("sim ready")
            await rig.console("sim plug")
            state = await settled(rig, 200)
            assert state["status"] == "Reserved" and state["transaction"] is None
            await rig.console("authorize tag")
            await rig.until(status="Charging")
            await rig.console("sim unplug")
            await rig.console("sim link up")
            await house.heard_of("StopTransaction", timeout=60)
            point = await rig.online()
            assert await reserve(rig, point, 2, "FREECHARGE") == "Accepted"
            await rig.console("sim link down")
            await rig.console("sim plug")
            state = await rig.until(timeout=120, status="Charging")
            await rig.console("sim link up")
            begun = await house.heard_of("StartTransaction", count=2, timeout=60)
            assert begun["reservationId"] == 2 and begun["idTag"] == "freeCharge"

    play("cpython", session())


def test_the_reserved_id_does_not_come(tmp_path):
    """After ConnectionTimeOut the connector is reserved as before."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            assert await change(point, "ConnectionTimeOut", "20") == "Accepted"
            assert await reserve(rig, point, 4, "TAG") == "Accepted"
            assert await start(point, "TAG") == "Accepted"
            await told(rig, "Preparing")
            assert await reserve(rig, point, 4, "ELSE") == "Occupied"
            await told(rig, "Reserved")
            assert statuses(rig.house)[-3:] == ["Preparing", "Available", "Reserved"]
            assert await cancel(point, 4) == "Accepted"
            assert len(notes(rig.house, 0)) == 1

    play("cpython", session())
