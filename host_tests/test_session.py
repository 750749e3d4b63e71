"""Charging sessions over the real central side of the `ocpp` package, schema validation on.

The same sessions with the firmware on CPython (in virtual time) and on both MicroPythons.
"""

import pytest

from host_tests.rig import RUNTIMES, Rig
from tools import runtimes

RETRY = {"micropython": 64, "micropython32": 32}


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    if request.param in RETRY and runtimes.find(RETRY[request.param]) is None:
        pytest.skip(runtimes.why_missing(RETRY[request.param]))
    return request.param


@pytest.fixture
def loop(runtime, request):
    """Virtual time for the firmware in this process, real time for processes."""
    return request.getfixturevalue("virtual_loop") if runtime == "cpython" else None


def run(loop, coroutine):
    import asyncio

    return loop.run_until_complete(coroutine) if loop else asyncio.run(coroutine)


async def charge(rig, tag="DRIVER-1"):
    """Plugs in and starts remotely; returns the central system's side."""
    point = await rig.online()
    await rig.console("sim plug")
    await rig.console("sim ready")
    await rig.until(status="Preparing")
    answer = await point.ask("RemoteStartTransaction", id_tag=tag, connector_id=1)
    assert answer.status == "Accepted"
    await rig.until(status="Charging")
    return point


def test_a_session_from_plug_to_bill(runtime, loop, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path / "state", "--key", "MeterValueSampleInterval=30") as rig:
            house = rig.house
            point = await charge(rig)
            state = await rig.until(timeout=90, power_w=22080)
            assert state["offered_ma"] == 32000 and state["duty"] == 533
            assert state["contactor"] == "closed" and state["locked"] is True
            assert state["transaction"]["id_tag"] == "DRIVER-1"
            await house.heard_of("MeterValues", count=3, timeout=600)
            number = house.next_transaction - 1
            answer = await point.ask("RemoteStopTransaction", transaction_id=number)
            assert answer.status == "Accepted"
            await house.heard_of("StopTransaction")
            await rig.until(status="Finishing", contactor="open", locked=False)
            await rig.console("sim unplug")
            await rig.until(status="Available")
            await house.heard_of("StatusNotification", lambda p: p["status"] == "Available", 2)

            assert house.errors() == []
            boot = house.calls("BootNotification")
            assert len(boot) == 1
            assert boot[0]["chargePointModel"] == "Evh5A22N2S"
            assert boot[0]["chargePointVendor"] == "Schneider Electric"
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
            statuses = [p["status"] for p in house.calls("StatusNotification") if p["connectorId"]]
            assert [s for s in statuses if not s.startswith("Suspended")] == [
                "Available",
                "Preparing",
                "Charging",
                "Finishing",
                "Available",
            ]

    run(loop, session())
