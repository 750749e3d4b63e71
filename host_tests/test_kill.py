"""SIGKILL at random moments of real processes over a real central system: nothing lost, nothing
billed twice (issue: every StartTransaction has its StopTransaction, every Wh is told once)."""

import asyncio
import json
import random

import pytest

from host_tests.station import BITS, RUNTIMES, Rig
from tools import runtimes


def judge(house):
    """Everything that the central system heard, against what must be true of it."""
    payloads = {}
    order = []
    for action in ("StartTransaction", "StopTransaction"):
        for payload in house.calls(action):
            text = json.dumps(payload, sort_keys=True)
            key = (action, payload.get("transactionId"), payload["timestamp"], text)
            payloads[key] = payload
    starts = [p for (a, *_), p in payloads.items() if a == "StartTransaction"]
    stops = [p for (a, *_), p in payloads.items() if a == "StopTransaction"]
    numbers = [p["transactionId"] for p in stops]
    assert len(numbers) == len(set(numbers)), f"two different stops of one transaction: {stops}"
    assert len(starts) == len(house.transactions) == len(stops), (starts, stops)
    by_number = {number: key for key, number in house.transactions.items()}
    last = 0
    for stop in sorted(stops, key=lambda p: p["transactionId"]):
        _, _, begun, meter_start = by_number[stop["transactionId"]]
        assert last <= meter_start <= stop["meterStop"]
        assert begun <= stop["timestamp"]
        last = stop["meterStop"]
        order.append(stop["reason"])
    values = {}
    for payload in house.calls("MeterValues"):
        (value,) = payload["meterValue"]
        key = (payload["transactionId"], value["timestamp"])
        assert values.setdefault(key, payload) == payload, "one event, two payloads"
    return order


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_killed_at_any_moment(runtime, tmp_path):
    if runtime in BITS and runtimes.find(BITS[runtime]) is None:
        pytest.skip(runtimes.why_missing(BITS[runtime]))
    chance = random.Random(5)

    async def session():
        words = ("--key", "MeterValueSampleInterval=5")
        async with Rig(runtime, tmp_path, *words, speed=20) as rig:
            house = rig.house
            kills = 5
            for round_ in range(kills):
                await rig.charge(f"DRIVER-{round_}")
                await asyncio.sleep(chance.random())
                if round_ % 2:
                    await rig.console("sim link down")
                    await asyncio.sleep(chance.random())
                await rig.kill()
                await rig.start()
                await rig.online()
                await rig.until(queue=0, transaction=None)
            reasons = judge(house)
            assert reasons == ["PowerLoss"] * kills
            meter = (await rig.status())["energy_wh"]
            stops = house.calls("StopTransaction")
            assert max(p["meterStop"] for p in stops) <= meter
            assert house.errors() == []

    asyncio.run(session())
