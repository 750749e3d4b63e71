"""The console's self-test and its password, on the simulated board."""

import asyncio

import pytest

from firmware.console.selftest import TESTS
from host_tests.station import RUNTIMES, Rig, play
from host_tests.virtual import run as virtual_run


def parse(lines):
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_healthy_station(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            await rig.online()
            lines, error = await rig.ask("selftest")
            assert error is None, error
            said = parse(lines)
            assert list(said) == [test.part for test in TESTS]
            assert said["pilot"] == "ok, state A, 12.00 V"
            assert said["lock"] == "ok, closed and opened"
            assert said["network"].startswith("ok, registered at ws://")
            assert said["tls"] == "-, not needed"
            await rig.until(locked=False)  # as it was

    play(runtime, session())


@pytest.mark.parametrize(
    "before, part",
    [
        ("sim fault 0x100206 on", "ground"),
        ("sim fault 0x100215 on", "residual"),
        ("sim fault 0x10020C on", "tamper"),
        ("sim fault 0x10020F on", "meter"),
        ("sim fault 0x100205 on", "lock"),
        ("sim fault 0x100217 on", "pilot"),
        ("sim link down", "network"),
        ("config TICmode 2", "tic"),
    ],
)
def test_each_failure_has_its_advice(before, part, tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await rig.online()
            await rig.ask(before)
            if part == "pilot":
                await rig.ask("sim plug")
                await rig.ask("sim ready")
            await rig.sleep(20)
            lines, error = await rig.ask("selftest")
            assert part in error.rpartition(": ")[2].split(", "), (lines, error)
            said = parse(lines)[part]
            (advice,) = [test.advice for test in TESTS if test.part == part]
            assert said.startswith("FAILED, ")
            assert said.endswith(": " + advice)

    virtual_run(session())


def test_every_part_that_can_fail_has_advice():
    assert {test.part for test in TESTS if not test.advice} == {"clock"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_console_with_a_password(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, house=False, speed=60) as rig:
            assert (await rig.ask("config ConsolePassword open-sesame"))[0] == ["Accepted"]
            _, error = await rig.ask("status")
            assert error == "password needed: login PASSWORD"
            assert (await rig.ask("help"))[1] is None
            assert (await rig.ask("login open"))[1] == "a wrong password"
            assert (await rig.ask("stop"))[1] == "password needed: login PASSWORD"
            assert await rig.ask("login open-sesame") == ([], None)
            lines, error = await rig.ask("config ConsolePassword")
            assert (lines, error) == (["ConsolePassword=(set)"], None)
            log = "\n".join((await rig.ask("log"))[0])
            assert "console: config ConsolePassword" in log
            assert "a wrong password" in log and "sesame" not in log
            await asyncio.sleep(601)
            assert (await rig.ask("status"))[1] == "password needed: login PASSWORD"
            await rig.ask("login open-sesame")  # for `quit`

    play(runtime, session())
