"""The house's TIC line and the car together: who limits, and what a lost line does."""

import asyncio

import pytest

from host_tests.station import Rig, play


async def limit(rig, low, high, timeout=120):
    """Waits until the house's limit and the offer lie within these mA."""
    state = {}
    try:
        async with asyncio.timeout(timeout):
            while True:
                state = await rig.status()
                tic = state["limits"].get("tic")
                if tic is not None and low <= tic <= high and low <= state["offered_ma"] <= high:
                    return state
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not {low} to {high}: {state}") from None


@pytest.mark.parametrize("mode", ["historique", "standard"])
def test_the_house_limits_the_car(runtime, mode, tmp_path):
    async def session():
        words = ("--supervision-url", "", "--model", "Evh5A22N400F")
        async with Rig(runtime, tmp_path, *words, house=False, speed=10) as rig:
            assert (await rig.status())["tic"] == {"detected": False, "mode": 0, "found": None}
            await rig.console("sim ready")
            await rig.console("sim plug")
            await rig.until(status="Charging", offered_ma=32000)
            await rig.console("sim house 20000")
            await rig.console(f"sim tic {mode}")
            async with asyncio.timeout(60):
                while not (await rig.status())["tic"]["detected"]:
                    await asyncio.sleep(0.1)
            assert await rig.console("config TICdetection") == ["TICdetection=true"]
            assert (await rig.status())["tic"]["found"] == mode
            lines = dict(line.split("=", 1) for line in await rig.console("tic"))
            assert ("ADSC" if mode == "standard" else "ADCO") in lines
            # 60 A a phase are subscribed: 20 A for the house leave 39 A, more than the car may
            await rig.until(offered_ma=32000, status="Charging")
            await rig.console("sim house 42000")  # leaves 17 A
            state = await limit(rig, 15000, 17500)
            assert state["status"] == "Charging" and state["limited_by"] == "tic"
            await rig.console("sim house 58000")  # leaves 1 A: a pause
            await rig.until(timeout=120, status="SuspendedEVSE", offered_ma=0, contactor="open")
            await rig.console("sim house 20000")
            await rig.until(timeout=240, status="Charging", offered_ma=32000)
            await rig.console("sim tic off")  # lost: 6 A
            await limit(rig, 6000, 6000)
            assert await rig.console("config TICdetection") == ["TICdetection=false"]

    play(runtime, session())
