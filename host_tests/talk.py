"""What the tests say to a station, and how they read what it told: helpers for host_tests/."""

import asyncio
import json
from itertools import count

_ids = count(1)


async def raw(rig, point, action, payload, timeout=30):
    """Sends a CALL as it is; returns the whole CALLRESULT or CALLERROR."""
    uid = f"raw-{next(_ids)}"
    await point._connection.send(json.dumps([2, uid, action, payload]))
    return await answer(rig, uid, timeout)


async def answer(rig, uid, timeout=30):
    """The CALLRESULT or CALLERROR with this id."""
    async with asyncio.timeout(timeout):
        while True:
            for _, way, message in rig.house.messages:
                if way == "<" and message[0] in (3, 4) and message[1] == uid:
                    return message
            await asyncio.sleep(0.01)


async def change(point, name, value):
    """ChangeConfiguration; returns the status."""
    return (await point.ask("ChangeConfiguration", key=name, value=value)).status


async def keys(point, *names):
    """GetConfiguration of some keys, or all: (name -> value, names that are unknown)."""
    answer = await point.ask("GetConfiguration", **({"key": list(names)} if names else {}))
    found = {item["key"]: item.get("value") for item in answer.configuration_key or []}
    return found, answer.unknown_key or []


def notes(house, connector=1, start=0):
    """The StatusNotifications of a connector, oldest first."""
    told = house.calls("StatusNotification")[start:]
    return [note for note in told if note["connectorId"] == connector]


def statuses(house, connector=1, start=0):
    return [note["status"] for note in notes(house, connector, start)]


async def settled(rig, seconds=5):
    """Lets so many station seconds pass; returns the status."""
    await rig.sleep(seconds)
    return await rig.status()


async def told(rig, status, connector=1, timeout=60, **fields):
    """The newest StatusNotification of a connector, once it has this status and these fields."""
    newest = None
    try:
        async with asyncio.timeout(timeout):
            while True:
                newest = (notes(rig.house, connector) or [{"status": None}])[-1]
                wanted = {"status": status, **fields}
                if all(newest.get(name) == value for name, value in wanted.items()):
                    return newest
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"told {newest}, not {status} {fields}") from None
