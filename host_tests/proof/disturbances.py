"""What a siege (fuzzing.py) does beside calls: at the console, to the link, damaged answers."""

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


class Disturbances:
    """A part of `Siege`, which has the attributes."""

    async def _console(self):
        """What is typed: never an end, always a reply."""
        from firmware.console import commands

        random = self.random
        words = [row.name for row in commands.commands() for _ in row.help.split("\n")]
        words = [
            w for w in words if w not in ("quit", "reset", "stop", "unlock", "authorize", "sim")
        ]
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
            await self._type(line)

    async def _type(self, line):
        """Types a line, and behind it one that no command knows: so it is seen whether the first
        one got its one reply, or none where nothing of it was left."""
        self.typed = line
        probe = "probe-%d" % self.steps
        _, error = await self.rig.ask(line + "\n" + probe)
        if probe in (error or ""):
            if left_of(line).strip():
                self.fail("no reply to what was typed")
            return
        _, error = await self.rig.ask("")
        if probe not in (error or ""):
            self.fail("two replies to what was typed")

    async def _answers(self):
        """Our answers to the station's calls are damaged, double, or somebody else's."""
        random = self.random

        def mangle(text):
            what = random.below(5)
            if what == 0:
                return json.dumps(self.messages.damaged(json.loads(text))).encode(
                    "utf-8", "replace"
                )
            if what == 1:
                return mutated(random, [text], 8000)
            if what == 2:
                return json.dumps(
                    [4, json.loads(text)[1], "GenericError", self.messages._text(), {}]
                ).encode()
            return text

        def clean(text):
            made = mangle(text)
            return made if readable(made) is not None else text

        self.peer.mangle = clean
        asked = "Heartbeat StatusNotification".split()
        asked += ["DiagnosticsStatusNotification", "FirmwareStatusNotification"]
        for _ in range(2 if not self.patient else 8):
            wanted = len(self.peer.calls) + 1
            wish = {"requestedMessage": random.pick(asked)}
            if (await self.ask("TriggerMessage", wish))["status"] == "Rejected":
                break  # it has enough to say
            await self.peer.until(
                lambda wanted=wanted: len(self.peer.calls) >= wanted, f"{wish} sent", 90
            )
        self.peer.mangle = None

    async def _cut(self):
        self.peer.drop(self.random.below(2) == 0)
        await self.online()

    async def _noise(self):
        """Frames that end a connection: the station says why, and comes back."""
        random = self.random
        data = mutated(random, fuzz_targets.websocket_seeds())
        self.peer.write(data)
        await asyncio.sleep(0.3)
        self.peer.drop()
        await self.online()

    async def _silent(self):
        """A central system that takes everything and answers nothing for a while."""
        self.peer.mangle = lambda text: None
        await self.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
        await asyncio.sleep(20 + self.random.below(200))
        self.peer.mangle = None
        await asyncio.sleep(200)
        await self.online()

    async def _half_open(self):
        """A server that takes the connection and says nothing, or any bytes."""
        data = mutated(self.random, fuzz_targets.handshake_seeds())

        async def meet(reader, writer):
            if self.random.below(2):
                writer.write(data)
            await asyncio.sleep(50)

        self.peer.meet = meet
        self.peer.drop()
        await asyncio.sleep(60)
        self.peer.meet = None
        await self.online()

    async def _stalled(self):
        """A peer that asks much and reads nothing."""
        self.peer.writer.transport.pause_reading()
        message = json.dumps([2, "stall", "GetConfiguration", {}]).encode()
        for _ in range(400):
            self.peer.write(framed(message))
            await asyncio.sleep(0.01)
        await asyncio.sleep(60)
        writer = self.peer.writer
        if not writer.is_closing():
            writer.transport.resume_reading()
        await asyncio.sleep(1)
        self.peer.drop()
        await self.online()

    async def _dribble(self):
        """A byte a second, and in the middle of it the line is cut."""
        data, _ = self.frame()
        await self.peer.dribble(framed(data)[:20], 1)
        self.peer.drop()
        self.peer.held = None
        await self.online()
