"""A whole life of a frozen station with FeatureSet `full`, as in test_frozen.py."""

import asyncio

import pytest

from host_tests.behaviours.test_full_core import FULL, available, entry, send_list, start, version
from host_tests.proof.test_frozen import (
    A_DAY,
    PERIODS,
    large,
    no_task_was_out_of_memory,
    tic_is_read,
)
from host_tests.smart_charging.test_smart_charging import planned, put
from host_tests.station import FROZEN, Rig, play
from host_tests.talk import change, told
from tools import frozen

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(bool(frozen.why_missing()), reason=str(frozen.why_missing())),
]
HEAP = "104k"  # it passes with 100
MORE = {"parentIdTag": "FAMILY-OF-TWENTY-CHR", "expiryDate": "2099-01-01T00:00:00Z"}


def entries(numbers):
    return [entry("CARD-%015d" % (n * 7 % 500), **MORE) for n in numbers]


async def a_life(rig):
    """Gets 500 idTags while a car charges and the house's meter is read, fills its cache, and is
    made Inoperative and Operative."""
    house = rig.house
    await house.heard_of("BootNotification")
    point = await rig.charge()
    await tic_is_read(rig)
    assert await put(point, large()) == "Accepted"
    for first in range(0, 500, 200):
        some = entries(range(first, min(500, first + 200)))
        assert await send_list(point, first + 1, "Differential", *some) == "Accepted"
    assert await send_list(point, 999, "Differential", entry("ONE-MORE")) == "Failed"
    assert len(await rig.console("list")) == 501
    assert await available(point, 0, False) == "Scheduled"
    assert len(await planned(point, A_DAY)) == PERIODS
    await rig.until(status="Charging")
    await rig.console("sim unplug")
    await house.heard_of("StopTransaction", timeout=60)
    await told(rig, "Unavailable")
    assert await available(point, 0, True) == "Accepted"
    for n in range(70):
        await rig.console(f"authorize VISITOR-{n:012}")
        await house.heard_of("Authorize", count=2 + n)
        await rig.until(status="Preparing")
        await rig.console(f"authorize VISITOR-{n:012}")
        await rig.until(status="Available")
    kept = len(await rig.console("cache"))
    assert 56 < kept <= 64
    assert await change(point, "LocalPreAuthorize", "true") == "Accepted"
    asked = len(house.calls("Authorize"))
    await rig.console("sim ready")
    await rig.console("sim plug")
    assert await start(point, "CARD-%015d" % 123) == "Accepted"
    await house.heard_of("StartTransaction", count=2, timeout=60)
    assert len(house.calls("Authorize")) == asked
    answer = await point.ask("GetConfiguration")
    assert answer.configuration_key[-1]["key"] == "SendLocalListMaxLength"
    await rig.console("sim unplug")
    await house.heard_of("StopTransaction", count=2, timeout=60)
    await rig.until(status="Available", transaction=None, queue=0)
    await rig.end()
    await rig.start()
    await house.heard_of("BootNotification", count=2)
    point = await rig.online()
    assert await version(point) == 401
    assert len(await rig.console("cache")) == kept
    no_task_was_out_of_memory(rig)


def test_a_life_with_the_full_core(tmp_path):
    async def session():
        async with Rig(FROZEN, tmp_path, *FULL, heap=HEAP) as rig:
            async with asyncio.timeout(300):
                await a_life(rig)

    play(FROZEN, session())
