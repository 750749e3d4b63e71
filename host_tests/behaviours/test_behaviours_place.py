"""A new SupervisionUrl or BoxIdentifier, the trial, the way back; the data reset (page 15)."""

import asyncio
import contextlib

import pytest
from ocpp.exceptions import InternalError

from firmware.base.store import Store
from firmware.sensing.modbus import Master
from host_tests.station import Rig, play
from host_tests.talk import answer, change, keys, settled, told
from tools.central import House


class Provisioned(Rig):
    """The URL is not on the command line but in the keys, as an installer leaves it."""

    def words(self):
        words = ["--state", str(self.folder / "state"), "--speed", str(self.speed)]
        return words + self.args

    async def provision(self):
        await self.console(f"config BoxIdentifier {self.box}")
        await self.console(f"config SupervisionUrl {self.url}")
        return await self.online()


@contextlib.asynccontextmanager
async def another(rig):
    """A second central system: (House, URL)."""
    house = House(now=rig.house.now, timeout_s=10)
    try:
        yield house, await house.open()
    finally:
        await house.close()


def test_never_provisioned_reports_the_default_and_dials_nobody(runtime, tmp_path):
    async def session():
        async with Provisioned(runtime, tmp_path, house=False, speed=100) as rig:
            (line,) = await rig.console("config SupervisionUrl")
            assert line.startswith("SupervisionUrl=wss://sandbox.ecostruxure-ev-advisor.se.app/")
            await rig.console("sim ready")
            await rig.console("sim plug")
            state = await settled(rig, 130)
            assert state["link"] == "off" and state["status"] == "Preparing"
            assert "dialling" not in "\n".join(await rig.console("log"))

    play(runtime, session())


def test_a_new_url_is_answered_then_dialled_after_the_bill(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box="BOX") as rig, another(rig) as (new, url):
            old = rig.house
            point = await rig.charge()
            await old.heard_of("StartTransaction")
            assert await change(point, "supervisionurl", url) == "Accepted"
            stop = await old.heard_of("StopTransaction")
            assert stop["reason"] == "Other" and stop["transactionId"] == 1001
            await new.heard_of("BootNotification")
            point = await new.point("BOX")
            await rig.until(registration="Accepted", link="online")
            assert (await keys(point, "SupervisionUrl"))[0] == {"SupervisionUrl": url}
            # never a word of the old place's to the new one, nor a second boot at the old
            await settled(rig, 5)
            assert not new.calls("StopTransaction") and not new.calls("StartTransaction")
            assert len(old.calls("BootNotification")) == 1
            assert (await rig.status())["queue"] == 0
            assert [n["status"] for n in new.calls("StatusNotification")][:1] == ["Available"]
            # the same URL again is nothing new
            assert await change(point, "SupervisionUrl", url) == "Accepted"
            await settled(rig, 5)
            assert new.connections == 1 and new.errors() == old.errors() == []
            # the car stays, and charges for the new place
            assert (await point.ask("RemoteStartTransaction", id_tag="T")).status == "Accepted"
            await new.heard_of("StartTransaction")

    play(runtime, session())


def test_a_new_identity_at_the_same_place(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box="BOX") as rig:
            point = await rig.online()
            assert await change(point, "BoxIdentifier", "OTHER") == "Accepted"
            await rig.house.heard_of("BootNotification", count=2)
            point = await rig.house.point("OTHER")
            assert (await keys(point, "BoxIdentifier"))[0] == {"BoxIdentifier": "OTHER"}
            boot = rig.house.calls("BootNotification")[1]
            assert boot["chargePointSerialNumber"] == "OTHER"

    play(runtime, session())


def test_a_place_that_does_not_answer_is_left_after_10_minutes(runtime, tmp_path):
    async def session():
        async with Provisioned(runtime, tmp_path, box="BOX", speed=200) as rig:
            point = await rig.provision()
            house = rig.house
            silent = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            nowhere = "ws://127.0.0.1:%d/" % silent.sockets[0].getsockname()[1]
            assert await change(point, "SupervisionUrl", nowhere) == "Accepted"
            await rig.until(registration="none")
            await settled(rig, 500)
            assert await rig.console("config SupervisionUrl") == [f"SupervisionUrl={nowhere}"]
            await rig.until(timeout=400, registration="Accepted", link="online")
            point = await house.point("BOX")
            assert (await keys(point, "SupervisionUrl"))[0] == {"SupervisionUrl": rig.url}
            assert len(house.calls("BootNotification")) == 2
            assert [line for line in await rig.console("log") if f"back to {rig.url}" in line]
            silent.close()

    play(runtime, session())


def test_what_the_old_place_says_does_not_end_the_trial(tmp_path):
    """The old connection stands for some seconds more; what it accepts is not the new place."""

    async def session():
        async with Provisioned("cpython", tmp_path, box="BOX") as rig:
            await rig.provision()
            point = await rig.charge()
            await rig.house.heard_of("StartTransaction")
            nowhere = "ws://127.0.0.1:9/"
            rig.house.trouble = refuse  # the bill takes its time
            assert await change(point, "SupervisionUrl", nowhere) == "Accepted"
            trigger = await point.ask("TriggerMessage", requested_message="BootNotification")
            assert trigger.status == "Accepted"
            await rig.house.heard_of("BootNotification", count=2)
            await rig.until(timeout=60, registration="none")
            await rig.until(timeout=900, registration="Accepted", link="online")
            assert await rig.console("config SupervisionUrl") == [f"SupervisionUrl={rig.url}"]

    play("cpython", session())


def refuse(action):
    raise InternalError(action)


def test_the_trial_goes_on_after_a_power_cut(runtime, tmp_path):
    async def session():
        async with Provisioned(runtime, tmp_path, box="BOX", speed=200) as rig:
            point = await rig.provision()
            assert await change(point, "SupervisionUrl", "ws://127.0.0.1:9") == "Accepted"
            await rig.until(registration="none")
            await rig.kill()
            await rig.start()
            (line,) = await rig.console("config SupervisionUrl")
            assert line == "SupervisionUrl=ws://127.0.0.1:9"
            await rig.until(timeout=800, registration="Accepted", link="online")
            (line,) = await rig.console("config SupervisionUrl")
            assert line == f"SupervisionUrl={rig.url}"

    play(runtime, session())


def test_pending_is_an_answer_too(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig, another(rig) as (new, url):
            point = await rig.online()
            new.registrations = ["Pending"] * 10
            assert await change(point, "SupervisionUrl", url) == "Accepted"
            await new.heard_of("BootNotification", count=4, timeout=2000)
            state = await rig.status()
            assert state["registration"] == "Pending" and state["uptime_s"] > 800

    play("cpython", session())


def test_undelivered_messages_wait_for_their_own_place(runtime, tmp_path):
    async def session():
        async with Provisioned(runtime, tmp_path, box="BOX") as rig, another(rig) as (new, url):
            old = rig.house
            await rig.provision()
            await rig.charge()
            await old.heard_of("StartTransaction")
            await rig.console("sim link down")
            await rig.console("stop")
            await rig.until(status="Finishing")
            await rig.console(f"config SupervisionUrl {url}")
            await rig.console("sim link up")
            await new.heard_of("BootNotification")
            point = await new.point("BOX")
            assert (await rig.status())["queue"] == 0  # for this place
            await settled(rig, 30)
            assert not new.calls("StopTransaction")
            await rig.end()
            await rig.start()
            await new.heard_of("BootNotification", count=2)
            point = await new.point("BOX")
            await rig.until(registration="Accepted")
            assert await change(point, "SupervisionUrl", rig.url) == "Accepted"
            stop = await old.heard_of("StopTransaction")
            assert stop["reason"] == "Local" and stop["transactionId"] == 1001
            assert not new.calls("StopTransaction")

    play(runtime, session())


def test_the_answer_comes_before_all_that_follows(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig, another(rig) as (_, url):
            point = await rig.charge()
            await point._connection.send(
                '[2,"move","ChangeConfiguration",{"key":"SupervisionUrl","value":"%s"}]' % url
            )
            assert (await answer(rig, "move"))[2] == {"status": "Accepted"}
            await rig.house.heard_of("StopTransaction")
            said = [m for _, way, m in rig.house.messages if way == "<"]
            order = [m[1] if m[0] == 3 else m[2] for m in said]
            assert order.index("move") < order.index("StopTransaction")

    play("cpython", session())


def test_who_waits_for_the_car_is_no_driver_of_the_new_place(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig, another(rig) as (new, url):
            point = await rig.online()
            start = await point.ask("RemoteStartTransaction", id_tag="OLD", connector_id=1)
            assert start.status == "Accepted"
            await rig.until(status="Preparing")
            assert await change(point, "SupervisionUrl", url) == "Accepted"
            await new.heard_of("BootNotification")
            await rig.console("sim plug")
            await rig.console("sim ready")
            state = await settled(rig, 30)
            assert state["status"] == "Preparing" and state["transaction"] is None
            assert not new.calls("StartTransaction") and not rig.house.calls("StartTransaction")

    play("cpython", session())


def test_nothing_begins_from_a_reading_that_the_move_overtook(tmp_path, monkeypatch):
    read = Master.read

    async def slow(self, *words):
        await asyncio.sleep(0.4)
        return await read(self, *words)

    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig, another(rig) as (new, url):
            point = await rig.online()
            await rig.console("sim plug")
            await rig.until(status="Preparing")
            monkeypatch.setattr(Master, "read", slow)
            await asyncio.sleep(5)
            assert await change(point, "AuthorizeRemoteTxRequests", "false") == "Accepted"
            start = await point.ask("RemoteStartTransaction", id_tag="OLD", connector_id=1)
            assert start.status == "Accepted"
            assert await change(point, "SupervisionUrl", url) == "Accepted"
            await new.heard_of("BootNotification")
            state = await settled(rig, 30)
            assert state["transaction"] is None and state["queue"] == 0
            assert not new.calls("StartTransaction") and not rig.house.calls("StartTransaction")

    play("cpython", session())


def test_a_reservation_stays_with_who_made_it(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig, another(rig) as (new, url):
            point = await rig.online()
            reserved = await point.ask(
                "ReserveNow", connector_id=1, id_tag="T", reservation_id=5,
                expiry_date="2099-01-01T00:00:00Z",
            )  # fmt: skip
            assert reserved.status == "Accepted"
            await told(rig, "Reserved")
            assert await change(point, "SupervisionUrl", url) == "Accepted"
            await new.heard_of("BootNotification")
            point = await new.point("BOX")
            await rig.until(registration="Accepted", status="Available")
            gone = await point.ask("CancelReservation", reservation_id=5)
            assert gone.status == "Rejected"
            await rig.console("sim plug")
            assert (await settled(rig, 5))["status"] == "Preparing"

    play("cpython", session())


def test_nothing_begins_while_the_station_moves(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig, another(rig) as (new, url):
            point = await rig.charge()
            assert await change(point, "SupervisionUrl", url) == "Accepted"
            start = await point.ask("RemoteStartTransaction", id_tag="LATE")
            assert start.status == "Rejected"
            await new.heard_of("BootNotification")
            assert len(rig.house.calls("StartTransaction")) == 1

    play("cpython", session())


def test_an_empty_url_makes_it_standalone(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, speed=100) as rig:
            point = await rig.online()
            await rig.console("sim ready")
            await rig.console("sim plug")
            await rig.until(status="Preparing")
            assert await change(point, "SupervisionUrl", "") == "Accepted"
            await rig.until(link="off", status="Charging")
            state = await settled(rig, 700)
            assert state["link"] == "off" and state["transaction"]["id_tag"] == "freeCharge"

    play(runtime, session())


RESET = "TriggerBackendConfigurationDataReset"


def test_the_data_reset(runtime, tmp_path):
    async def session():
        words = ("--key", "AuthorizationKey=0123456789abcdef", "--key", "IMaxUser=16")
        async with Rig(runtime, tmp_path, *words, box="BOX") as rig:
            house = rig.house
            house.interval = 0
            point = await rig.charge()
            for name, value in (
                ("CpoName", "Somebody"),
                ("MeterValueSampleInterval", "7"),
                ("DefaultIdTag", "NOBODY"),
                ("HeartbeatInterval", "77"),
            ):
                assert await change(point, name, value) == "Accepted"
            profile = {
                "chargingProfileId": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "ChargePointMaxProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
                },
            }
            set_ = await point.ask("SetChargingProfile", connector_id=0,
                                   cs_charging_profiles=profile)  # fmt: skip
            assert set_.status == "Accepted"
            await rig.until(offered_ma=10000)
            assert await change(point, RESET, "false") == "Accepted"
            assert (await keys(point, "CpoName"))[0] == {"CpoName": "Somebody"}
            assert await change(point, RESET, "true") == "Accepted"
            known, _ = await keys(point, RESET, "CpoName", "MeterValueSampleInterval",
                                  "DefaultIdTag", "IMaxUser", "SupervisionUrl")  # fmt: skip
            assert known == {
                RESET: "false",
                "CpoName": "",
                "MeterValueSampleInterval": "30",
                "DefaultIdTag": "FreeCharge",
                "IMaxUser": "16",  # the installer's
                "SupervisionUrl": rig.url,
            }
            assert await rig.console("profiles") == ["none"]
            await rig.until(offered_ma=16000)
            # same place, same transaction
            assert (await rig.console("config AuthorizationKey")) == ["AuthorizationKey=(set)"]
            assert house.connections == 1 and not house.calls("StopTransaction")
            await rig.end()
            await rig.start()
            await house.heard_of("BootNotification", count=2)
            (line,) = await rig.console("config CpoName")
            assert line == "CpoName="

    play(runtime, session())


def test_a_data_reset_that_the_flash_does_not_take_changes_nothing(tmp_path, monkeypatch):
    write = Store.write

    def full(self, name, data):
        if name == "keys":
            raise OSError(28, "flash is full")
        write(self, name, data)

    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig:
            point = await rig.online()
            assert await change(point, "CpoName", "Somebody") == "Accepted"
            monkeypatch.setattr(Store, "write", full)
            with pytest.raises(InternalError):
                await change(point, RESET, "true")
            monkeypatch.undo()
            assert (await keys(point, "CpoName"))[0] == {"CpoName": "Somebody"}
            assert (await keys(point, "SupervisionUrl"))[0] == {"SupervisionUrl": rig.url}

    play("cpython", session())


def test_the_data_reset_goes_back_to_the_provisioned_place(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box="BOX") as rig, another(rig) as (new, url):
            point = await rig.online()
            assert await change(point, "SupervisionUrl", url) == "Accepted"
            await new.heard_of("BootNotification")
            point = await new.point("BOX")
            await rig.until(registration="Accepted", link="online")
            reserved = await point.ask(
                "ReserveNow", connector_id=1, id_tag="T", reservation_id=5,
                expiry_date="2099-01-01T00:00:00Z",
            )  # fmt: skip
            assert reserved.status == "Accepted"
            await rig.until(status="Reserved")
            assert await change(point, RESET, "TRUE") == "Accepted"
            await rig.house.heard_of("BootNotification", count=2)
            await rig.online()
            await rig.until(status="Available")
            await told(rig, "Available")

    play(runtime, session())
