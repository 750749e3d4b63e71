"""What a siege (fuzzing.py) does beside calls: at the console, to the link, damaged answers.
A row of `DISTURBANCES` is one way of being hostile to the station of a siege."""

from __future__ import annotations

import asyncio
import json
import re

from host_tests.both import fuzz_targets
from host_tests.both.fuzz_inputs import mutated
from host_tests.proof.fuzz_messages import readable
from host_tests.proof.hostile import framed


def left_of(line: str) -> str:
    """What backspaces, Ctrl-U and the keys that send several characters leave of a typed line."""
    line = re.sub("\x1b(?:[O[][^@-~]*(?:[@-~]|$)|[^O[]|$)", "", line.replace("\t", " "))
    left = ""
    for c in line:
        if c == "\x15":
            left = ""
        elif c in "\b\x7f":
            left = left[:-1]
        elif c >= " ":
            left += c
    return left


async def console(siege):
    """What is typed: never an end, always a reply."""
    from firmware.console import commands

    random = siege.random
    words = [row.name for row in commands.commands() for _ in row.help.split("\n")]
    words = [w for w in words if w not in ("quit", "reset", "stop", "unlock", "authorize", "sim")]
    for _ in range(1 + random.below(5)):
        line = random.pick(words) + " " + random.pick(["", "x", "HeartbeatInterval", "all"])
        line = line.encode() + b" " + random.pick([b"", b"60", b"true", b"\xc3\xa9", b'""'])
        if random.below(2):
            line = mutated(random, [line, b"config"], 1400)
        line = line.replace(b"\n", b" ").replace(b"\r", b" ").decode("latin-1")
        meant = left_of(line).split()[:1] or line.split()[:1]
        if not meant or meant[0] in ("quit", "reset", "stop", "sim", "config"):
            continue
        if meant[0] in ("unlock", "authorize", "maintenance", "login", "selftest"):
            continue
        await type_line(siege, line)


async def type_line(siege, line):
    """Types a line, and behind it one that no command knows: so it is seen whether the first
    one got its one reply, or none where nothing of it was left."""
    siege.typed = line
    probe = "probe-%d" % siege.steps
    _, error = await siege.rig.ask(line + "\n" + probe)
    if probe in (error or ""):
        if left_of(line).strip():
            siege.fail("no reply to what was typed")
        return
    _, error = await siege.rig.ask("")
    if probe not in (error or ""):
        siege.fail("two replies to what was typed")


async def answers(siege):
    """Our answers to the station's calls are damaged, double, or somebody else's."""
    random = siege.random

    def mangle(text):
        what = random.below(5)
        if what == 0:
            return json.dumps(siege.messages.damaged(json.loads(text))).encode("utf-8", "replace")
        if what == 1:
            return mutated(random, [text], 8000)
        if what == 2:
            return json.dumps(
                [4, json.loads(text)[1], "GenericError", siege.messages._text(), {}]
            ).encode()
        return text

    def clean(text):
        made = mangle(text)
        return made if readable(made) is not None else text

    siege.peer.mangle = clean
    asked = "Heartbeat StatusNotification".split()
    asked += ["DiagnosticsStatusNotification", "FirmwareStatusNotification"]
    for _ in range(8):
        wanted = len(siege.peer.calls) + 1
        wish = {"requestedMessage": random.pick(asked)}
        if (await siege.ask("TriggerMessage", wish))["status"] == "Rejected":
            break  # it has enough to say
        await siege.peer.until(
            lambda wanted=wanted: len(siege.peer.calls) >= wanted, f"{wish} sent", 90
        )
    siege.peer.mangle = None


async def cut(siege):
    siege.peer.drop(siege.random.below(2) == 0)
    await siege.online()


async def noise(siege):
    """Frames that end a connection: the station says why, and comes back."""
    random = siege.random
    data = mutated(random, fuzz_targets.websocket_seeds())
    siege.peer.write(data)
    await asyncio.sleep(0.3)
    siege.peer.drop()
    await siege.online()


async def silent(siege):
    """A central system that takes everything and answers nothing for a while."""
    siege.peer.mangle = lambda text: None
    await siege.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
    await asyncio.sleep(20 + siege.random.below(200))
    siege.peer.mangle = None
    await asyncio.sleep(200)
    await siege.online()


async def half_open(siege):
    """A server that takes the connection and says nothing, or any bytes."""
    data = mutated(siege.random, fuzz_targets.handshake_seeds())

    async def meet(reader, writer):
        if siege.random.below(2):
            writer.write(data)
        await asyncio.sleep(50)

    siege.peer.meet = meet
    siege.peer.drop()
    await asyncio.sleep(60)
    siege.peer.meet = None
    await siege.online()


async def stalled(siege):
    """A peer that asks much and reads nothing."""
    siege.peer.writer.transport.pause_reading()
    message = json.dumps([2, "stall", "GetConfiguration", {}]).encode()
    for _ in range(400):
        siege.peer.write(framed(message))
        await asyncio.sleep(0.01)
    await asyncio.sleep(60)
    writer = siege.peer.writer
    if not writer.is_closing():
        writer.transport.resume_reading()
    await asyncio.sleep(1)
    siege.peer.drop()
    await siege.online()


async def dribble(siege):
    """A byte a second, and in the middle of it the line is cut."""
    data, _ = siege.frame()
    await siege.peer.dribble(framed(data)[:20], 1)
    siege.peer.drop()
    siege.peer.held = None
    await siege.online()


DISTURBANCES = {
    "console": console,
    "answers": answers,
    "cut": cut,
    "noise": noise,
    "silent": silent,
    "half_open": half_open,
    "stalled": stalled,
    "dribble": dribble,
}
