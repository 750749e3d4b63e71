"""The guide's twelve vendor error codes, each from its physical cause to what the central system
is told, and to its end (guide page 17)."""

import asyncio

from firmware.charging import faults
from host_tests.station import Rig, play


async def told(house, **wanted):
    """The newest StatusNotification of connector 1 once it has these fields."""
    while True:
        notes = [p for p in house.calls("StatusNotification") if p["connectorId"] == 1]
        if notes and all(notes[-1].get(name) == value for name, value in wanted.items()):
            return notes[-1]
        await asyncio.sleep(0.05)


def test_each_code_is_raised_told_held_and_cleared(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, speed=50) as rig:
            house = rig.house
            for row in faults.rows():
                if not row.unplugging_recovers:
                    continue
                code, text, error = row.code, row.info, row.error_code
                started = len(house.calls("StartTransaction"))
                await rig.charge()
                await rig.console(f"sim fault {code} on")
                await asyncio.wait_for(
                    told(house, status="Faulted", vendorErrorCode=code, errorCode=error,
                         info=text, vendorId="Schneider Electric"), 60)  # fmt: skip
                state = await rig.until(contactor="open", transaction=None)
                assert state["vendor_error"] == code and state["error"] == error
                assert (await rig.console("faults"))[0].startswith(f"{code} {text}")
                stop = await house.heard_of("StopTransaction", count=started + 1)
                assert stop["reason"] == "Other"
                await rig.console(f"sim fault {code} off")
                await rig.sleep(70)  # the longest clearing time is a minute
                state = await rig.status()
                assert state["status"] == "Faulted", "held until the unplug"
                await rig.console("sim unplug")
                await asyncio.wait_for(told(house, status="Available", errorCode="NoError"), 60)
                assert await rig.console("faults") == ["none"]
            assert house.errors() == []

    play(runtime, session())


def test_the_relay_fault_survives_power_cuts_until_a_reset(runtime, tmp_path):
    code = faults.RELAY

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            await rig.charge()
            await rig.console(f"sim fault {code} on")
            await asyncio.wait_for(told(house, status="Faulted", vendorErrorCode=code), 60)
            await rig.until(transaction=None)
            await rig.console("sim unplug")
            await rig.kill()
            await rig.start()
            await rig.online()
            await rig.until(
                status="Faulted", vendor_error=code
            )  # the cause is gone, the latch not
            await rig.console("reset soft")
            await rig.until(status="Available", vendor_error="")
            await asyncio.wait_for(told(house, status="Available", errorCode="NoError"), 60)
            assert house.errors() == []

    play(runtime, session())


def test_of_several_the_oldest_that_remains_is_told(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            await rig.online()
            await rig.console(f"sim fault {faults.TAMPER} on")
            await asyncio.wait_for(told(house, vendorErrorCode=faults.TAMPER), 60)
            await rig.console(f"sim fault {faults.GROUND} on")
            await asyncio.wait_for(told(house, vendorErrorCode=faults.GROUND), 60)
            await rig.console(f"sim fault {faults.GROUND} off")
            await asyncio.wait_for(told(house, vendorErrorCode=faults.TAMPER), 60)
            await rig.console(f"sim fault {faults.TAMPER} off")
            await asyncio.wait_for(told(house, status="Available", errorCode="NoError"), 60)
            notes = [p for p in house.calls("StatusNotification") if p["connectorId"] == 1]
            told_twice = [a for a, b in zip(notes, notes[1:]) if
                          {**a, "timestamp": 0} == {**b, "timestamp": 0}]  # fmt: skip
            assert told_twice == []

    play(runtime, session())
