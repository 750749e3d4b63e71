"""Charging sessions over the real central side of the `ocpp` package, schema validation on.

The same sessions with the firmware on CPython (in virtual time) and on both MicroPythons.
"""

from host_tests.station import Rig, play


def statuses(house):
    """Connector 1's, without the short suspensions on the way."""
    told = [p["status"] for p in house.calls("StatusNotification") if p["connectorId"]]
    return [status for status in told if not status.startswith("Suspended")]


def test_a_session_from_plug_to_bill(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.charge()
            state = await rig.until(power_w=22066)  # 53.3 % of duty is 31.98 A
            assert state["offered_ma"] == 32000 and state["duty"] == 533
            assert state["contactor"] == "closed" and state["locked"] is True
            assert state["transaction"]["id_tag"] == "DRIVER-1"
            await house.heard_of("MeterValues", count=3, timeout=600)
            number = house.next_transaction - 1
            answer = await point.ask("RemoteStopTransaction", transaction_id=number)
            assert answer.status == "Accepted"
            stop = await house.heard_of("StopTransaction")
            state = await rig.until(status="Finishing", contactor="open", locked=False)
            assert stop["meterStop"] == state["energy_wh"], "to the last Wh that the car drew"
            await rig.console("sim unplug")
            await rig.until(status="Available", queue=0)
            await house.heard_of(
                "StatusNotification",
                lambda p: p["connectorId"] == 1 and p["status"] == "Available",
                2,
            )

            assert house.errors() == []
            (boot,) = house.calls("BootNotification")
            assert boot["chargePointModel"] == "Evh5A22N2S"
            assert boot["chargePointVendor"] == "Schneider Electric"
            assert [p["idTag"] for p in house.calls("Authorize")] == ["DRIVER-1"]
            (start,) = house.calls("StartTransaction")
            (stop,) = house.calls("StopTransaction")
            assert stop["transactionId"] == number and stop["reason"] == "Remote"
            assert stop["meterStop"] > start["meterStart"]
            values = house.calls("MeterValues")
            assert all(v["transactionId"] == number for v in values)
            measurands = {s["measurand"] for s in values[0]["meterValue"][0]["sampledValue"]}
            assert measurands == {
                "Voltage",
                "Power.Active.Import",
                "Energy.Active.Import.Register",
                "Current.Import",
                "Current.Offered",
                "Frequency",
            }
            assert statuses(house) == [
                "Available",
                "Preparing",
                "Charging",
                "Finishing",
                "Available",
            ]

    play(runtime, session())


def test_standalone_charges_by_itself_once_for_each_plugging_in(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--supervision-url", "", house=False) as rig:
            await rig.until(link="off")
            await rig.console("sim ready")
            await rig.console("sim plug")
            state = await rig.until(status="Charging")
            assert state["transaction"]["id_tag"] == "freeCharge"
            await rig.console("stop")
            await rig.until(status="Finishing")
            await rig.sleep(30)
            assert (await rig.status())["status"] == "Finishing"
            await rig.console("sim unplug")
            await rig.until(status="Available")
            await rig.console("sim plug")
            await rig.until(status="Charging")
            await rig.console("sim unplug")
            state = await rig.until(status="Available", transaction=None)
            assert state["queue"] == 0

    play(runtime, session())


def test_unplugging_ends_the_transaction_and_says_so(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            await rig.charge()
            await rig.console("sim unplug")
            stop = await rig.house.heard_of("StopTransaction")
            assert stop["reason"] == "EVDisconnected"
            await rig.until(status="Available")
            finishing = await rig.house.heard_of(
                "StatusNotification", lambda p: p["status"] == "Finishing"
            )
            assert finishing["info"] == "EV side disconnected"
            assert finishing["errorCode"] == "NoError"
            assert rig.house.errors() == []

    play(runtime, session())


def test_what_happened_offline_is_delivered_in_order(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--key", "MeterValueSampleInterval=20") as rig:
            house = rig.house
            await rig.charge()
            await house.heard_of("StartTransaction")
            await rig.console("sim link down")
            await rig.sleep(90)
            await rig.console("stop")
            state = await rig.until(status="Finishing")
            assert state["link"] != "online" and state["queue"] >= 4
            assert not house.calls("StopTransaction")
            await rig.console("sim link up")
            stop = await house.heard_of("StopTransaction", timeout=120)
            await rig.until(queue=0)
            assert stop["transactionId"] == house.next_transaction - 1
            times = [v["meterValue"][0]["timestamp"] for v in house.calls("MeterValues")]
            assert times == sorted(set(times)) and len(times) >= 4
            assert len(house.calls("BootNotification")) == 1  # OCPP-J 5.4
            assert house.errors() == []

    play(runtime, session())
