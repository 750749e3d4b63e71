"""What fuzzing and reviews found: each stays mended."""

import asyncio

from firmware.base import runtime as runtimes
from host_tests.proof import fuzzing
from host_tests.station import Rig, play


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


def test_a_lost_link_is_not_online(runtime, tmp_path):
    """It was said to be, as long as the pause before the next attempt."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            await rig.online()
            await rig.house.close()
            async with asyncio.timeout(10):
                while not any("next attempt" in line for line in await rig.console("log")):
                    await asyncio.sleep(0.02)
            assert (await rig.status())["link"] == "connecting"

    play(runtime, session())


def test_a_peer_that_does_not_wait_for_answers(runtime, tmp_path):
    """Sixty messages that wanted to go out at once took all memory, and then the link."""

    async def session():
        async with fuzzing.Siege(runtime, tmp_path, 1) as siege:
            before = siege.peer.connections
            answers = await siege.triggers(64)
            assert answers[0] == "Accepted" and answers[-1] == "Rejected"
            await siege.peer.until(lambda: ("Heartbeat", {}) in siege.peer.calls, "Heartbeat")
            await siege.check()
            assert siege.peer.connections == before

    play(runtime, session())


def test_half_characters_at_the_console(runtime, tmp_path):
    """MicroPython takes them for text; in a message they would end the connection, each time."""

    async def session():
        async with Rig(runtime, tmp_path, box="BOX1") as rig:
            await rig.online()
            for command in ("config CpoName", "authorize"):
                line = command.encode() + b" \xed\xa0\x80"
                lines, error = await rig.ask(line.decode("utf-8", "surrogatepass"))
                assert error and not lines
            assert await rig.console("config CpoName") == ["CpoName="]

    play(runtime, session())
