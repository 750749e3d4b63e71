"""The supervisor in a whole station: fed while all report, silent parts named (virtual time)."""

import asyncio

import pytest

from firmware.board.simulated.board import Board
from firmware.charging.evse import Evse
from firmware.charging.session import Session
from firmware.metering.meter import Meter
from firmware.ocpp.sampler import Sampler
from firmware.sensing.modbus import Master, ModbusError
from host_tests import virtual
from host_tests.station import Rig


@pytest.fixture
def fed(monkeypatch):
    """What the board was fed with."""
    given = []
    monkeypatch.setattr(Board, "feed", lambda self, silent: given.append(silent))
    return given


def play(folder, script, *args, **options):
    async def session():
        async with Rig("cpython", folder, *args, **options) as rig:
            await script(rig)

    virtual.run(session())


def test_a_healthy_station_feeds_the_watchdog(tmp_path, fed):
    async def script(rig):
        await rig.charge()
        await asyncio.sleep(600)
        await rig.console("reset soft")
        await rig.until(registration="Accepted")
        await asyncio.sleep(60)

    play(tmp_path, script)
    assert len(fed) >= 150
    assert set(fed) == {""}


def test_a_lost_meter_is_no_dead_meter_task(tmp_path, fed):
    async def script(rig):
        await rig.online()
        await rig.console("sim fault 0x10020F on")
        await asyncio.sleep(120)

    play(tmp_path, script)
    assert set(fed) == {""}


class Dead:
    """The slowest of the meters, and it says nothing: each request takes its whole time-out."""

    async def read(self, *_):
        await asyncio.sleep(3.6)  # SDM120 at 2400 baud, asked twice
        raise ModbusError("no answer")


def test_a_silent_meter_after_a_power_cut_delays_the_bill_and_no_watchdog(
    tmp_path, fed, monkeypatch
):
    """A reset by the watchdog before the bill is written would come again after each restart."""

    async def script(rig):
        await rig.charge()
        await rig.house.heard_of("StartTransaction")
        await asyncio.sleep(100)
        await rig.kill()
        monkeypatch.setattr(Master, "read", Dead.read)
        fed.clear()
        await rig.start()
        stop = await rig.house.heard_of("StopTransaction", timeout=60)
        assert stop["reason"] == "PowerLoss"

    play(tmp_path, script)
    assert len(fed) >= 8 and set(fed) == {""}


def test_a_stop_may_take_its_time(tmp_path, fed, monkeypatch):
    """A welded contactor, and a slow meter that went at the same time."""

    async def script(rig):
        point = await rig.charge()
        await rig.house.heard_of("StartTransaction")
        await rig.console("sim fault 0x100208 on")
        monkeypatch.setattr(Master, "read", Dead.read)
        await point.ask("RemoteStopTransaction", transaction_id=1001)
        await rig.house.heard_of("StopTransaction", timeout=60)
        await asyncio.sleep(60)

    play(tmp_path, script)
    assert len(fed) >= 15 and set(fed) == {""}


async def hang(*_):
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "name, part, method",
    [
        ("meter", Meter, "poll"),
        ("session", Session, "_step"),
        ("control", Evse, "step"),
        ("sampler", Sampler, "_take_due"),
    ],
)
def test_a_part_that_stopped_is_named(tmp_path, fed, monkeypatch, name, part, method):
    async def script(rig):
        await rig.online()
        await asyncio.sleep(10)
        fed.clear()
        if method in ("poll", "_step"):
            monkeypatch.setattr(part, method, hang)
        else:  # its task ends, as nothing in it waits for ever
            monkeypatch.setattr(part, method, lambda self: asyncio.current_task().cancel() or 20)
        await asyncio.sleep(30)
        assert fed[-1] == name
        monkeypatch.undo()

    play(tmp_path, script)


def test_the_safe_state_keeps_the_console_alive(tmp_path, fed, monkeypatch):
    def crash(self):
        raise RuntimeError("broken on purpose")

    async def script(rig):
        await rig.online()
        monkeypatch.setattr(Evse, "step", crash)
        await asyncio.sleep(60)
        assert (await rig.status())["safe"]
        fed.clear()
        await asyncio.sleep(60)
        assert len(fed) >= 14
        assert set(fed) == {""}

    play(tmp_path, script)
