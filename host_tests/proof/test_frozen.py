"""Whole lives of a station that is frozen into a 32-bit MicroPython, in the heap that a device
without PSRAM has: nothing that happens in one may be out of memory. docs/memory.md has the sizes.
"""

import asyncio

import pytest

from firmware.base.store import Files, Store
from host_tests.both import bundles
from host_tests.both.profiles_rig import profile
from host_tests.smart_charging.test_smart_charging import planned, put, soon
from host_tests.station import FROZEN, Rig, play
from host_tests.transfers.test_diagnostics import Server as Shelf
from host_tests.transfers.test_diagnostics import statuses as diagnostics_statuses
from host_tests.transfers.test_update import PAST, Server, packed
from host_tests.transfers.test_update import statuses as update_statuses
from tools import frozen

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(bool(frozen.why_missing()), reason=str(frozen.why_missing())),
]
# What the lives pass with, or a step more; a device has 112 KB (tools/frozen.py).
DAY = "100k"
UPDATES = "100k"
MANY = "108k"
PERIODS = 100  # of a profile: the most there may be
PROFILES = 200
A_DAY = 86400


def large(identity=1, stack_level=0):
    """A profile of as many periods as there may be."""
    limits = [(i * A_DAY // PERIODS, (6 + i % 10) + 0.5, 3) for i in range(PERIODS)]
    return profile(limits, stack_level, identity=identity, kind="Daily", start=1500000000)


async def tic_is_read(rig):
    """Switches the house's TIC line on and waits until it is understood."""
    await rig.console("sim tic standard")
    async with asyncio.timeout(60):
        while not (await rig.status())["tic"]["detected"]:
            await asyncio.sleep(0.1)


def no_task_was_out_of_memory(rig):
    assert "MemoryError" not in rig.log()
    assert rig.house.errors() == []


def test_a_day_of_charging(tmp_path):
    """Connects, charges, loses the connection, gets the largest profile, is asked for everything,
    reads the house's meter, uploads its diagnostics, and bills."""

    async def session():
        async with Shelf() as shelf, Rig(FROZEN, tmp_path, heap=DAY) as rig:
            house = rig.house
            point = await rig.charge()
            await house.heard_of("MeterValues", count=3, timeout=120)
            await point._connection.socket.close()
            await rig.until(link="connecting")
            point = await rig.online()
            assert await put(point, large()) == "Accepted"
            await soon(rig, status="Charging")
            assert len(await planned(point, A_DAY)) == PERIODS
            answer = await point.ask("GetConfiguration")
            assert len(answer.configuration_key) > 40
            await tic_is_read(rig)
            assert await put(point, large()) == "Accepted"
            assert len(await rig.console("config")) > 40
            url = f"http://localhost:{shelf.port}/store"
            answer = await point.ask("GetDiagnostics", location=url)
            await house.heard_of("DiagnosticsStatusNotification", count=2, timeout=60)
            assert diagnostics_statuses(house) == ["Uploading", "Uploaded"]
            assert shelf.files["store/" + answer.file_name].count("\n") > 60
            await rig.until(status="Charging")
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", timeout=60)
            await rig.until(status="Available", transaction=None, queue=0)
            no_task_was_out_of_memory(rig)

    play(FROZEN, session())


def test_two_hundred_profiles_of_a_hundred_periods(tmp_path):
    """They come over the wire while a car charges and the house's meter is read."""

    async def session():
        async with Rig(FROZEN, tmp_path, heap=MANY) as rig:
            point = await rig.charge()
            await tic_is_read(rig)
            for n in range(PROFILES):
                answer = await asyncio.wait_for(put(point, large(n, n)), 30)
                assert answer == "Accepted", n
            assert await put(point, large(PROFILES, PROFILES)) == "Rejected"
            assert len(await planned(point, A_DAY)) == PERIODS
            assert len((await point.ask("GetConfiguration")).configuration_key) > 40
            assert len(await rig.console("profiles")) == PROFILES
            await rig.until(status="Charging")
            await rig.end()
            await rig.start()
            await rig.house.heard_of("BootNotification", count=2)
            point = await rig.online()
            assert len(await rig.console("profiles")) == PROFILES
            assert (await point.ask("ClearChargingProfile")).status == "Accepted"
            assert await rig.console("profiles") == ["none"]
            no_task_was_out_of_memory(rig)

    play(FROZEN, session())


def test_updates_are_taken_and_refused(tmp_path):
    """Over HTTP, after the transaction: one whose signature is missing is refused, a good one is
    downloaded, verified and installed. (What it starts then has its code in the heap: a device
    with a frozen image is updated by a whole image.)"""

    async def session():
        Store(Files(str(tmp_path / "state"))).write("update_key", bundles.KEY)
        data = packed("micropython", signed=False)
        async with Server(data) as server, Rig(FROZEN, tmp_path, heap=UPDATES) as rig:
            house = rig.house
            point = await rig.charge()
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await rig.sleep(20)
            assert update_statuses(house) == []
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", timeout=60)
            await house.heard_of("FirmwareStatusNotification", count=3, timeout=60)
            assert update_statuses(house) == ["Downloading", "Downloaded", "InstallationFailed"]
            server.data = packed("micropython")
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await house.heard_of("FirmwareStatusNotification", count=6, timeout=60)
            assert update_statuses(house)[3:] == ["Downloading", "Downloaded", "Installing"]
            no_task_was_out_of_memory(rig)
            await rig.kill()

    play(FROZEN, session())
