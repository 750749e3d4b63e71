"""What fuzzing and reviews found: each stays mended."""

import pytest

from firmware.base import runtime as runtimes
from host_tests.station import RUNTIMES, Rig, play


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    return request.param


def test_tls_looks_at_dates_by_the_central_systems_clock(tmp_path, monkeypatch):
    """Else the device's own clock stays at the build's date, and nothing ever expires."""
    told = []
    monkeypatch.setattr(runtimes, "set_host_epoch", told.append)

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await rig.online()
            assert abs(told[-1] - rig.house.now()) < 5

    play("cpython", session())


def test_a_clock_out_of_this_world_is_not_followed(runtime, tmp_path):
    """Seconds beyond 2058 are no small integers on 32 bits, and profiles count on that."""

    async def session():
        async with Rig(runtime, tmp_path, start=False) as rig:
            now = rig.house.now
            rig.house.now = lambda: 4102444800  # 2100
            await rig.start()
            point = await rig.online()
            assert any("clock not set" in line for line in await rig.console("log"))
            rig.house.now = now
            await point.ask("TriggerMessage", requested_message="Heartbeat")
            await rig.house.heard_of("Heartbeat")
            await rig.until(status="Available")

    play(runtime, session())
