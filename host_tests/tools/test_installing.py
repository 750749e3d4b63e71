"""docs/installing.md, followed with the simulated station: each step's commands as they stand, and
what the step says about them. Its tables by symptom know every status, limit and code."""

import asyncio
import inspect
import re

from firmware.charging import faults
from firmware.console import status
from firmware.ocpp import authorization, status_notifications
from host_tests.station import Rig
from host_tests.virtual import run
from tools import practice
from tools.runtimes import ROOT

PAGE = (ROOT / "docs/installing.md").read_text()


def step(number):
    """The lines that a step types at the console, a list for each of its blocks."""
    text = re.search(rf"(?ms)^### {number}\. .*?(?=^##)", PAGE)[0]
    return [block.split("\n")[:-1] for block in re.findall(r"(?ms)^```console\n(.*?)^```", text)]


async def typed(rig, lines, pause=5):
    """Types these lines; returns what each of them replied."""
    replies = {}
    for line in lines:
        replies[line] = await rig.ask(line)
        await asyncio.sleep(pause)
    return replies


def standalone(tmp_path):
    return Rig("cpython", tmp_path, "--supervision-url", "", house=False)


def test_step_1_practise(tmp_path):
    async def session():
        async with standalone(tmp_path) as rig:
            (block,) = step(1)
            replies = await typed(rig, block)
            shown, error = replies["show"]
            assert error is None and "status: Charging" in shown, shown
            assert any(re.match(r"meter: .*, \d{4,} W", line) for line in shown)
            await rig.until(status="Available")

    run(session())


def test_step_7_self_test(tmp_path):
    async def session():
        async with standalone(tmp_path) as rig:
            healthy, broken = step(7)
            lines, error = (await typed(rig, healthy))["selftest"]
            assert error is None and all(re.match(r"\w+: (ok|-), ", line) for line in lines)
            lines, error = (await typed(rig, broken))["selftest"]
            assert error.endswith("tamper")
            assert any(re.match("tamper: FAILED, open: .*cover", line) for line in lines)

    run(session())


def test_step_9_a_fault_while_a_car_charges(tmp_path):
    async def session():
        async with standalone(tmp_path) as rig:
            (block,) = step(9)
            at = block.index("faults")
            await typed(rig, block[: at - 1])
            assert (await rig.status())["contactor"] == "closed"
            await typed(rig, block[at - 1 : at])
            shown = await rig.console("show")
            assert "status: Faulted" in shown and any("contactor open" in line for line in shown)
            found = (await typed(rig, block[at:]))["faults"][0]
            assert found[0].startswith("0x100206 Ground fault")
            await rig.until(status="Available")

    run(session())


def test_steps_8_and_10_with_the_central_system_for_practice(tmp_path):
    """`tools.practice` with a station; in one process, as both would be in two terminals."""

    async def session():
        said = []
        central = practice.Practice(said.append)
        url = await central.house.open()
        words = ("--supervision-url", url)
        async with Rig("cpython", tmp_path, *words, house=False, box="HOUSE7") as rig:
            await rig.until(registration="Accepted")
            assert "HOUSE7: the station has started: a Evh5A22N2S" in said
            assert await central.typed("stop") and said[-1] == "no charge runs"
            await typed(rig, ["sim plug", "sim ready"])
            await rig.until(status="Preparing")
            assert "HOUSE7: connector: Preparing" in said
            await central.typed("start")
            await rig.until(status="Charging")
            assert "the station answers: Accepted" in said
            await central.typed("limit 10")
            await rig.until(offered_ma=10000)
            assert (await rig.status())["limited_by"] == "profile"
            await central.typed("limit off")
            await rig.until(offered_ma=32000)
            await asyncio.sleep(60)
            assert any(line.startswith("HOUSE7: measured: Current.Offered 32 A") for line in said)
            await central.typed("stop")
            await rig.until(transaction=None)
            await typed(rig, ["sim unplug"])
            await rig.until(status="Available")
            assert any("the charge has ended (Remote)" in line for line in said)
            await central.typed("messages")
            await central.typed("nonsense")
            assert said[-1] == "no such command; try help"
            assert not await central.typed("quit")
        assert central.house.errors() == []
        await central.house.close()

    run(session())


def test_step_11_the_limit_of_the_house(tmp_path):
    async def session():
        async with standalone(tmp_path) as rig:
            await typed(rig, ["sim plug", "sim ready"])
            await rig.until(status="Charging")
            (block,) = step(11)
            shown, _ = (await typed(rig, block, pause=20))["show"]
            assert any(line.endswith("the least is tic") for line in shown), shown

    run(session())


def test_the_recipes_keys_are_taken(tmp_path):
    """The commands of docs/central-systems.md."""
    text = (ROOT / "docs/central-systems.md").read_text()
    lines = "".join(re.findall(r"(?ms)^```console\n(.*?)^```", text)).splitlines()
    assert len(lines) > 2

    async def session():
        async with standalone(tmp_path) as rig:
            for line in lines:
                assert await rig.ask(line) == (["Accepted"], None), line

    run(session())


def test_the_commands_of_a_device_are_refused_elsewhere(tmp_path):
    """What installing.md shows as text: it needs a board (test_calibration.py)."""
    lines = "".join(re.findall(r"(?ms)^```text\n(.*?)^```", PAGE)).splitlines()
    assert lines == ["calibrate"]

    async def session():
        async with standalone(tmp_path) as rig:
            assert await rig.ask("calibrate") == ([], "only on the device")

    run(session())


def test_every_status_every_limit_and_every_code_has_its_row():
    statuses = (
        "AVAILABLE PREPARING CHARGING SUSPENDED_EV SUSPENDED_EVSE FINISHING RESERVED UNAVAILABLE"
        " FAULTED"
    )
    table = PAGE.split("### The car does not charge")[1].split("### The pauses")[0]
    for name in statuses.split():
        told = getattr(status_notifications, name)
        assert re.search(rf"(?m)^\| {told}[ ,]", table), told
    for row in faults.rows():
        assert f"| `{row.code}` |" in PAGE
    limits = set()
    for path in (ROOT / "firmware").rglob("*.py"):
        limits |= set(re.findall(r"limits\.set\(\s*\"(\w+)\"", path.read_text()))
    assert len(limits) > 4
    table = PAGE.split("### The limits")[1].split("### No central system")[0]
    for limit in limits:
        assert f"| `{limit}` |" in table, limit


def test_every_why_has_its_row():
    """The sentences in the code, each up to where a value is put into it."""
    table = PAGE.split("### The pauses")[1].split("### The limits")[0]
    functions = (
        status._why,
        status._why_no_energy,
        status._why_no_transaction,
        authorization.why_it_waits,
    )
    sentences = []
    for function in functions:
        sentences += re.findall(r'return "([^"]+)"', inspect.getsource(function))
    assert len(sentences) > 20
    for sentence in sentences:
        pieces = [piece.strip(" ,") for piece in re.split(r":|%s|%d", sentence)]
        if not any(pieces):
            continue  # a fault's own words
        assert any(len(piece) > 7 and piece in table for piece in pieces), sentence
