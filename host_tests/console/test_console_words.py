"""The console's commands at a station: what is refused, what is logged, what `status` tells."""

import asyncio
import re
from types import SimpleNamespace

import pytest

from firmware.base import runtime as firmware_runtime
from firmware.console import commands
from host_tests.station import RUNTIMES, Rig, play
from host_tests.virtual import run


def test_what_is_refused_and_what_is_logged(tmp_path):
    async def session():
        words = ("--supervision-url", "", "--key", "ConsolePassword=open-sesame")
        async with Rig("cpython", tmp_path, *words, house=False) as rig:
            assert (await rig.ask("login open-sesame"))[1] is None
            for line in ("quit now", "stop it", "unlock 1", "maintenance please", "status x"):
                assert (await rig.ask(line))[1] == line.split()[0] + " takes no argument"
            assert (await rig.ask("queue x"))[1] == "queue or queue clear"
            assert (await rig.ask("log debug x"))[1].startswith("log debug")
            for line in ("log debug", "queue clear", "sim sleep", "sim phases 1", "log", "queue"):
                assert (await rig.ask(line))[1] is None, line
            for line in ("config AuthorizationKey=SECRETSECRETSECRET x", "config CpoName SECRET"):
                await rig.ask(line)
            status = await rig.status()
            assert status["limited_by"] in status["limits"]
            assert status["limits"][status["limited_by"]] == min(status["limits"].values())
            log = await rig.console("log")
            for told in ("security: console: login", "console: log debug", "console: queue clear"):
                assert any(line.endswith(told) for line in log), (told, log)
            assert not any("SECRET" in line or "sesame" in line for line in log), log
            help = "\n".join(await rig.console("help"))
            assert "sleep" in help and "sim phases" in help

    run(session())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_show_is_the_status_for_people(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            lines = await rig.console("show")
            for line in ("status: Available", "fault: NoError", "transaction: none"):
                assert line in lines, lines
            assert "car: not plugged in, pilot A, contactor open, not locked" in lines
            await rig.charge()
            lines = await rig.console("show")
            assert "status: Charging" in lines
            assert any(line.startswith("offer: 32.0 A on 3 phases") for line in lines), lines
            assert any(", for DRIVER-1, since 20" in line for line in lines), lines
            assert any(line.startswith("memory: Python has ") for line in lines), lines

    play(runtime, session())


def test_show_tells_of_the_chips_own_memory(tmp_path, monkeypatch):
    memory = firmware_runtime.Memory(30000, 19000, 15000, None)
    monkeypatch.setattr(firmware_runtime, "memory", lambda: memory)
    monkeypatch.setattr(firmware_runtime, "scarce_memory", lambda: memory.chip_free)

    async def session():
        async with Rig("cpython", tmp_path, "--supervision-url", "", house=False) as rig:
            state = await rig.status()
            assert (state["heap_free"], state["chip_free"]) == (30000, 19000)
            assert state["chip_largest"] == 15000 and state["memory_low"]
            assert (
                "memory: Python has 29 KB free, the chip's own has 18 KB, the largest block 14 "
                "KB: too little for a transfer"
            ) in await rig.console("show")

    run(session())


def test_show_without_a_central_system(tmp_path):
    """Neither an id nor the time is known."""

    async def session():
        async with Rig("cpython", tmp_path, "--supervision-url", "", house=False) as rig:
            for line in ("sim plug", "sim ready", "authorize TAG"):
                await rig.console(line)
            await rig.until(status="Charging")
            start = "transaction: without an id yet, for TAG, since before the clock was set, "
            assert any(line.startswith(start) for line in await rig.console("show"))

    run(session())


def test_each_station_has_a_name_of_its_own(tmp_path):
    async def name(folder):
        found = []
        for _ in range(2):
            async with Rig("cpython", folder, house=False, box=None) as rig:
                found += await rig.console("config BoxIdentifier")
        assert found[0] == found[1] and re.match(
            r"BoxIdentifier=WALLBRIDGE-[0-9a-f]{8}$", found[0]
        )
        return found[0]

    async def session():
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
        assert await name(tmp_path / "one") != await name(tmp_path / "two")

    run(session())


@pytest.mark.parametrize("key", ["AuthorizationKey=SECRET", "SECRET" * 8])
def test_an_unknown_keys_name_is_not_logged(tmp_path, key):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            answer = await point.ask("ChangeConfiguration", key=key, value="SECRET")
            assert answer.status == "NotSupported"
            log = await rig.console("log")
            assert any("NotSupported a key: no such key" in line for line in log)
            assert not any("SECRET" in line for line in log)

    run(session())


def test_calibrate_is_for_a_device_without_a_car(tmp_path, monkeypatch):
    """It ends the station, as `maintenance` does; what comes then is in test_calibration.py."""

    async def session():
        async with Rig("cpython", tmp_path, house=False) as rig:
            assert (await rig.ask("calibrate"))[1] == "only on the device"

    run(session())
    monkeypatch.setattr(commands, "runtime", SimpleNamespace(DEVICE=True))
    ended = []
    station = SimpleNamespace(
        session=SimpleNamespace(transaction=None),
        evse=SimpleNamespace(plugged=True),
        end=ended.append,
    )
    calibrate = commands.find("calibrate").run
    with pytest.raises(ValueError, match="unplug the car"):
        asyncio.run(calibrate(station, [], ""))
    station.session.transaction = station
    with pytest.raises(ValueError, match="stop it first"):
        asyncio.run(calibrate(station, [], ""))
    station.session.transaction, station.evse.plugged = None, False
    asyncio.run(calibrate(station, [], ""))
    assert ended == ["calibrate"]
