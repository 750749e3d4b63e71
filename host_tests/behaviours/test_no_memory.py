"""A message that meets a MemoryError, whoever's it is and wherever: the link may go, but it comes
back, and nothing that was promised is lost (virtual time)."""

import asyncio

import pytest
from ocpp.exceptions import InternalError

from firmware.base import runtime
from firmware.base.log import Log
from firmware.net.websocket import WebSocket
from firmware.ocpp import handlers, rpc
from firmware.ocpp.rpc import Rpc
from firmware.transactions.outbox import Outbox
from host_tests import virtual
from host_tests.station import Rig


def fails(monkeypatch, owner, name, times=2):
    """The next calls of a method find no memory."""
    left = [times]
    method = getattr(owner, name)

    def full(*words):
        if left[0]:
            left[0] -= 1
            raise MemoryError("memory allocation failed")
        return method(*words)

    monkeypatch.setattr(owner, name, full)
    return left


@pytest.mark.parametrize(
    "owner, name",
    [
        (WebSocket, "send"),
        (WebSocket, "recv"),
        (WebSocket, "lives"),
        (Rpc, "call"),
        (Rpc, "received"),
        (Rpc, "_resolve"),
        (Outbox, "head"),
        (Outbox, "delivered"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine")  # a task that was stopped before its first step
@pytest.mark.parametrize("deaf", [False, True])
def test_nothing_is_lost(tmp_path, monkeypatch, owner, name, deaf):
    async def session():
        words = ("--key", "MeterValueSampleInterval=20", "--key", "WebSocketPingInterval=20")
        async with Rig("cpython", tmp_path, *words) as rig:
            house = rig.house
            await rig.charge()
            await house.heard_of("MeterValues")
            if deaf:  # nor is there any to say so
                fails(monkeypatch, Log, "write", 4)
                monkeypatch.setattr(runtime, "trace", lambda error: "")
            left = fails(monkeypatch, owner, name)
            await asyncio.sleep(120)
            assert left == [0]
            assert (await rig.status())["status"] == "Charging"
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", timeout=120)
            await rig.until(timeout=120, queue=0, link="online", status="Available")
            point = await rig.online()
            answer = await point.ask("GetConfiguration", key=["CpoName"])
            assert answer.configuration_key[0]["key"] == "CpoName"
            assert len(house.points) == 1 and len(house.transactions) == 1
            stops = house.calls("StopTransaction")
            assert all(stop == stops[0] for stop in stops)

    virtual.run(session())


@pytest.mark.parametrize("owner, name", [(handlers, "handle"), (rpc, "json_pieces")])
def test_a_call_that_finds_no_memory_is_answered_as_such(tmp_path, monkeypatch, owner, name):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            fails(monkeypatch, owner, name, 1)
            with pytest.raises(InternalError, match="MemoryError"):
                await point.ask("GetConfiguration")
            answer = await point.ask("GetConfiguration")
            assert len(answer.configuration_key) > 40
            assert rig.house.connections == 1

    virtual.run(session())
