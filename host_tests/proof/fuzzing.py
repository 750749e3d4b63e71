"""Fuzzing: decoders by coverage, on every Python; whole stations over a socket. `make fuzz` and a
few fixed seeds in the tests drive it.

Everything follows from a seed: `Decoders` finds inputs that reach new code, `Siege` besieges a
station that charges, as its central system, its network and its console at once.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import decimal
import gc
import hashlib
import json
import re
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from firmware.ocpp import schemas
from host_tests.both import fuzz_targets
from host_tests.both.fuzz_targets import Random
from host_tests.ocpp import test_json_reader, test_schemas
from host_tests.ocpp.ocpp_messages import (
    FROM_STATION,
    NOT_SUPPORTED,
    TO_STATION,
    as_received,
    validator,
)
from host_tests.station import Rig
from tools import runtimes
from tools.central import iso

# --- decoders ---

REPLAY = """
import binascii, gc
from host_tests.both import fuzz_targets
run = getattr(fuzz_targets, sys.argv[1])
for line in open(sys.argv[2]):
    try:
        print("-", run(binascii.unhexlify(line.strip())))
    except Exception as error:
        print("!", repr(error))
    gc.collect()
"""

# Verdicts that may differ between the Pythons: their base64, reprs and errors do.
DIFFERENT = {"certificates", "ftp", "options"}


class Coverage:
    """The arcs of the firmware's code that calls run through."""

    def __init__(self):
        self.root = str(runtimes.ROOT / "firmware")
        self.arcs = set()
        self.codes = {}

    def _call(self, frame, event, argument):
        code = frame.f_code
        number = self.codes.get(code)
        if number is None:
            number = len(self.codes) + 1 if code.co_filename.startswith(self.root) else 0
            self.codes[code] = number
        if not number:
            return None
        last = 0
        add = self.arcs.add

        def line(frame, event, argument):
            nonlocal last
            here = frame.f_lineno
            add((number, last, here))
            last = here
            return line

        return line

    def new(self, function, data) -> bool:
        """Calls it; whether it went where no call went before."""
        before = len(self.arcs)
        old = sys.gettrace()
        sys.settrace(self._call)
        try:
            function(data)
        finally:
            sys.settrace(old)
        return len(self.arcs) > before


class Found(AssertionError):
    """A finding, with all that it takes to see it again."""


class Missing(AssertionError):
    """What a station owed did not come."""


class Decoder:
    """One decoder's inputs: a corpus that grows by what reaches new code. `bits` (64, 32): what
    it says on that MicroPython is held against what it says here, input by input."""

    def __init__(self, name: str, seed: int, bits: int = 0):
        self.name = name
        self.bits = bits
        self.run = getattr(fuzz_targets, name)
        self.random = Random(seed)
        self.coverage = Coverage()
        self.corpus = []
        self.count = 0
        for data in getattr(fuzz_targets, name + "_seeds")():
            self.coverage.new(self.run, data)
            self.corpus.append(data)

    def work(self, seconds: float = 0, inputs: int = 0) -> None:
        """So long, or so many inputs. Raises Found."""
        end = time.monotonic() + seconds
        most = self.count + inputs
        tried = []
        while self.count < most or time.monotonic() < end:
            data = fuzz_targets.mutated(self.random, self.corpus)
            self.count += 1
            tried.append(data)
            try:
                if self.coverage.new(self.run, data):
                    self.corpus.append(data)
            except Exception as error:
                self._found(self._smaller(data, type(error)), repr(error), "cpython", error)
        if self.bits:
            self.compare(tried)

    def _found(self, data, what, runtime, error=None):
        raise Found(
            f"{self.name}: {what}\n  input {data!r}\n"
            f"  again: tools/fuzz.py --runtime {runtime} --only {self.name} --hex {data.hex()}"
        ) from error

    def _smaller(self, data, kind):
        """The input without what the finding does not need."""

        def fails(data):
            try:
                self.run(data)
            except kind:
                return True
            except Exception:
                return False
            return False

        size = len(data) // 2
        while size:
            at = 0
            while at < len(data):
                if fails(data[:at] + data[at + size :]):
                    data = data[:at] + data[at + size :]
                else:
                    at += size
            size //= 2
        return data

    def compare(self, tried: list) -> None:
        """The same inputs on the MicroPython. Raises Found."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "inputs"
            path.write_text("".join(data.hex() + "\n" for data in tried))
            code = f"import sys; sys.argv[1:] = {[self.name, str(path)]!r}\n{REPLAY}"
            done = subprocess.run(
                [*runtimes.command(self.bits), "-c", code],
                env=runtimes.environment(),
                cwd=runtimes.MPY,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=600,
            )
        said = done.stdout.split("\n")[:-1]
        runtime = "micropython" if self.bits == 64 else "micropython32"
        for data, theirs in zip(tried, said):
            mine = "- " + self.run(data)
            if theirs[0] == "!" or (theirs != mine and self.name not in DIFFERENT):
                self._found(data, f"{theirs[:300]}, here {mine[:300]}", runtime)
        if len(said) != len(tried):
            self._found(tried[len(said)], f"it ended: {done.stderr[-500:]}", runtime)


# --- calls that are valid, or nearly ---

TAGS = ["DRIVER-1", "OTHER", "freeCharge", "", "é" * 20, "A\nok\n", "%s%d", "x" * 20]


class Messages:
    """Calls to a station, made from the message table with `random`. `transaction` is the running
    one's id."""

    def __init__(self, random: Random):
        from firmware.ocpp import keys

        self.random = random
        self.transaction = 1001
        self.count = 0
        self.keys = [key.name for key in keys.rows()]

    def call(self) -> tuple:
        """(action, payload) that fits the schemas."""
        action = self.random.pick(TO_STATION)
        return action, self._object(schemas.fields(action, "req"))

    def _object(self, fields):
        made = {}
        for name, kind, required in fields:
            if required or self.random.below(2):
                made[name] = self._value(name, kind)
        return made

    def _value(self, name, kind):
        random = self.random
        known = self._known(name)
        if known is not None and random.below(8):
            return known
        if kind[0] in "[(":
            items = kind[1:-1].rstrip("+")
            few = 1 + random.below(3)
            return [self._value(name, items) for _ in range(random.pick([few, few, 1, 100]))]
        if kind[0].isupper() and "|" not in kind:
            row = schemas.resolve(kind)
            if isinstance(row, tuple):
                return self._object(row)
            kind = row
        if "|" in kind:
            return random.pick(kind.split("|"))
        if kind[0] == "i":
            low = 0 if kind == "i0" else -5
            return random.pick([low, 0, 1, 2, 60, 86400, 2**31 - 1, 2**31, 2**40, 10**17])
        if kind[0] == "d":
            return random.pick([0, 6, 16, 16.5, 32, 7400.1, 11000, 10**9, 0.1])
        if kind[0] == "b":
            return random.below(2) == 1
        if kind[0] == "t":
            return random.pick(
                [
                    iso(1800000000 + random.below(1 << 20)),
                    "2026-12-31T23:59:59.999+14:00",
                    "0001-01-01T00:00:00",
                    "9999-12-31T23:59:59Z",
                    iso(1700000000),
                ]
            )
        most = int(kind[1:] or 300)
        return self._text()[:most]

    def _known(self, name):
        random = self.random
        if name == "connectorId":
            return random.pick([1, 1, 1, 0, 2])
        if name == "transactionId":
            return random.pick([self.transaction, self.transaction, 0, -1])
        if name in ("idTag", "parentIdTag"):
            return random.pick(TAGS)
        if name == "key":
            return random.pick(self.keys)
        if name == "value":
            return random.pick(
                ["0", "1", "60", "true", "false", "", "Voltage", "900", self._text()]
            )
        if name == "location":
            return random.pick(["ftp://127.0.0.1:9/", "http://u:p@127.0.0.1:9/x?y", self._text()])
        if name in ("chargingProfileId", "id", "reservationId"):
            return random.below(12)
        if name == "stackLevel":
            return random.pick([0, 1, 2, 200, 201])
        return None

    def _text(self):
        random = self.random
        start = 0x20 + random.below(0x2000)
        return random.pick(
            [
                "",
                "x" * (1 + random.below(520)),
                "".join(chr(start + n) for n in range(1 + random.below(60))),
                "\x00\x1b[2J\r\nok\n",
                "%n{}'\";--",
                "\U0001f600" * (1 + random.below(50)),
            ]
        )

    def _places(self, value, place=()):
        yield place
        if isinstance(value, dict):
            for name in sorted(value):
                yield from self._places(value[name], (*place, name))
        elif isinstance(value, list):
            for n in range(len(value)):
                yield from self._places(value[n], (*place, n))

    def damaged(self, payload):
        """A payload with a field or two wrong."""
        random = self.random
        payload = json.loads(json.dumps(payload))
        for _ in range(1 + random.below(2)):
            place = random.pick(list(self._places(payload)))
            holder, last = None, payload
            for step in place:
                holder, last = last, last[step]
            what = random.below(5)
            if what == 0 and isinstance(last, dict):
                last[random.pick(["x", "Status", "customData", self._text()])] = self._wrong()
            elif what == 1 and isinstance(last, list):
                last.extend(json.loads(json.dumps(last)) * (1 + random.below(4)))
            elif holder is None:
                payload = self._wrong()
            elif what == 2:
                del holder[place[-1]]
            else:
                holder[place[-1]] = self._wrong()
        return payload

    def _wrong(self):
        random = self.random
        values: list = [None, True, False, -1, 0, 2**31, 2**63, 1.0, 0.05, -0.1, 1e9, 1e99]
        values += ["", "Accepted", "A", "0", "2024-02-30T00:00:00Z", "x" * 21, "x" * 501]
        values += [[], {}, [{}], [[]], {"a": 1}, [[[[[[[[1]]]]]]]], self._text()]
        return random.pick(values)

    def frame(self) -> bytes:
        """A message to the station, at one of the levels of damage."""
        random = self.random
        self.count += 1
        uid = "f-%d" % self.count
        action, payload = self.call()
        level = random.below(8)
        if level == 0:
            payload = self.damaged(payload)
        elif level == 1:
            action = random.pick(
                [*NOT_SUPPORTED, *FROM_STATION, "Fly", "", "é", "reset", "Reset "]
            )
        message = [2, uid, action, payload]
        if level == 2:
            message = self.damaged(message)
        elif level == 3:
            message = random.pick(
                [[3, uid, payload], [4, uid, "GenericError", "why", {}], [4, uid, action, {}], [3]]
            )
        text = json.dumps(message, ensure_ascii=random.below(2) == 0).encode("utf-8", "replace")
        if level == 4:
            text = fuzz_targets.mutated(random, [text], 9000)
        elif level == 5:
            text = self._structure(text)
        return text

    def _structure(self, text):
        """Brackets, commas and quotes moved about; or just much white space."""
        random = self.random
        marks = [n for n, c in enumerate(text) if c in b'[]{},:"']
        at = random.pick(marks)
        what = random.below(6)
        if what == 0:
            return text[:at] + random.pick([b"[", b"]", b"{", b"}", b",", b'"', b":"]) + text[at:]
        if what == 1:
            return text[:at] + text[at + 1 :]
        if what == 2:
            return text[:at] + text[at : at + 1] * (1 + random.below(3000)) + text[at + 1 :]
        if what == 3:
            return text.replace(b",", b" ,\n" + b"\t" * random.below(600))
        if what == 4:
            other = random.pick(marks)
            return text[:at] + text[other:]
        return text + random.pick([b" ", b"x", text, b"\x00", b"]" * 50])


def model(data: bytes):
    """(what the message is, its id, the codes that may come): what OCPP asks of a station.

    "frame" is a call that fits, "refused" a call that doesn't, "answer" needs none, "broken"
    can't have one.
    """
    frame = test_json_reader.expected(data)
    if frame is None:
        uid = readable_id(data)
        codes = {"FormationViolation", "NotImplemented", "NotSupported"}
        return "broken" if uid is None else "refused", uid, codes
    if frame[0] != 2:
        return "answer", None, set()
    _, uid, action, payload = frame
    payload = {} if payload is None else payload
    if action in NOT_SUPPORTED or action in set(FROM_STATION) - set(TO_STATION):
        return "refused", uid, {"NotSupported"}
    if action not in TO_STATION:
        return "refused", uid, {"NotImplemented"}
    if not isinstance(payload, dict):
        return "refused", uid, {"FormationViolation"}
    error = test_schemas.ours(action, "req", payload)
    try:
        wrong = list(validator(action, "req").iter_errors(as_received(payload)))
    except decimal.InvalidOperation:  # a number too large for it to tell its tenths
        wrong = []
    if wrong:
        codes = {test_schemas.CODES[each.validator] for each in wrong}
        codes |= {error.code} if error and test_schemas.MORE.search(error.description) else set()
        return "refused", uid, codes
    return ("refused", uid, {error.code}) if error else ("frame", uid, set())


def readable_id(data: bytes):
    """The id of what is no frame, but begins as a call does; else None."""
    found = re.match(rb'[ \t\r\n]*\[[ \t\r\n]*2[ \t\r\n]*,[ \t\r\n]*"([^"\\]*)"', data[:200])
    uid = readable(found[1]) if found else None
    return None if uid is None or re.search("[\0-\x1f]", uid) else uid


def readable(data: bytes):
    """As text; None where it is no UTF-8."""
    return fuzz_targets.text(data)


# --- the central system that a station would not like to meet ---

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Hostile:
    """A central system that says bytes. Answers the station's calls well unless told otherwise;
    holds all that the station says against the schemas."""

    def __init__(self, now=time.time):
        self.now = now
        self.answers = {}  # id -> the station's answers
        self.calls = []  # (action, payload)
        self.wrong = []  # what the station should not have said
        self.pongs = 0
        self.connections = 0
        self.transactions = {}
        self.mangle = None  # (text of the answer) -> bytes to send instead, or None
        self.meet = None  # instead of the handshake: async (reader, writer)
        self.held = None  # answers that wait for the end of a frame sent byte by byte
        self.writer = None
        self.open = asyncio.Event()
        self._changed = asyncio.Event()

    async def listen(self) -> str:
        self.server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        return "ws://127.0.0.1:%d/ocpp" % self.server.sockets[0].getsockname()[1]

    async def close(self):
        self.drop()
        self.server.close()
        await self.server.wait_closed()

    def drop(self, reset=False):
        """The line is cut."""
        if self.writer:
            if reset:
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
            self.writer.transport.abort() if reset else self.writer.close()
        self.open.clear()

    def write(self, data):
        if self.writer and not self.writer.is_closing():
            self.writer.write(data)

    async def _met(self, reader, writer):
        self.connections += 1
        self.writer = writer
        try:
            if self.meet:
                meet, self.meet = self.meet, None
                await meet(reader, writer)
                return
            head = await reader.readuntil(b"\r\n\r\n")
            key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
            token = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            writer.write(
                b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                % token.encode()
            )
            self.open.set()
            self._changed.set()
            while True:
                await self._frame(reader, writer)
        except (EOFError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.writer is writer:
                self.open.clear()
            writer.close()
            self._changed.set()

    async def _frame(self, reader, writer):
        first, size = await reader.readexactly(2)
        if not size & 128 or first & 0x70 or not first & 128:
            self.wrong.append("a frame that is not masked, or not whole")
        size &= 127
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        key = await reader.readexactly(4)
        data = await reader.readexactly(size)
        data = bytes(c ^ key[n & 3] for n, c in enumerate(data))
        opcode = first & 15
        if opcode == 1:
            self._message(data, writer)
        elif opcode == 9:
            self._reply(writer, framed(data, 10))
        elif opcode == 10:
            self.pongs += 1
        elif opcode == 8:
            raise EOFError
        else:
            self.wrong.append("opcode %d" % opcode)
        self._changed.set()

    def _message(self, data, writer):
        try:
            message = json.loads(data)
            kind, uid = message[:2]
        except (ValueError, TypeError):
            self.wrong.append(data)
            return
        if kind in (3, 4):
            self.answers.setdefault(uid, []).append(message)
            return
        action, payload = message[2:]
        self.calls.append((action, payload))
        for error in validator(action, "req").iter_errors(as_received(payload)):
            self.wrong.append((message, error.message))
        text = json.dumps([3, uid, self._answer(action, payload)]).encode()
        if self.mangle:
            text = self.mangle(text)
        if text is not None:
            self._reply(writer, framed(text))

    def _reply(self, writer, data):
        if self.held is None:
            writer.write(data)
        else:
            self.held.append((writer, data))

    async def dribble(self, data, pause=0):
        """Sends it byte by byte; `release` follows."""
        self.held = []
        for at in range(len(data)):
            self.write(data[at : at + 1])
            await asyncio.sleep(pause)

    def release(self):
        """What waited for the end of that."""
        held, self.held = self.held, None
        for writer, data in held or ():
            writer.write(data)

    def _answer(self, action, payload):
        info = {"status": "Accepted"}
        if action == "BootNotification":
            return {"currentTime": iso(self.now()), "interval": 300, "status": "Accepted"}
        if action == "Heartbeat":
            return {"currentTime": iso(self.now())}
        if action == "Authorize":
            return {"idTagInfo": info}
        if action == "StartTransaction":
            key = (payload["timestamp"], payload["idTag"], payload["meterStart"])
            identity = self.transactions.setdefault(key, 1001 + len(self.transactions))
            return {"idTagInfo": info, "transactionId": identity}
        return {"status": "Accepted"} if action == "DataTransfer" else {}

    async def until(self, what, wanted, seconds=60):
        """Waits until `what()` is true; `wanted` says what that is. Raises Missing."""
        try:
            async with asyncio.timeout(seconds):
                while not what():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Missing(f"{wanted}: not within {seconds} s") from None


def framed(data: bytes, opcode: int = 1, last: bool = True) -> bytes:
    """A server's frame."""
    first = bytes((opcode | (0x80 if last else 0),))
    if len(data) < 126:
        return first + bytes((len(data),)) + data
    if len(data) < 65536:
        return first + b"\x7e" + len(data).to_bytes(2, "big") + data
    return first + b"\x7f" + len(data).to_bytes(8, "big") + data


# --- a station under siege ---


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


# What may rightly end the charge, move the station or make it another one.
DISTURBS = {"Reset", "RemoteStopTransaction", "UnlockConnector", "SetChargingProfile"}
DISTURBS |= {"ChangeConfiguration", "UpdateFirmware", "GetDiagnostics"}


def _parts():
    """How many objects of each of the firmware's classes there are, and tasks."""
    gc.collect()
    counts = collections.Counter(
        type(one).__qualname__
        for one in gc.get_objects()
        if str(type(one).__module__).startswith("firmware.")
    )
    codes = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
    counts["task"] = len([code for code in codes if code and "firmware" in code.co_filename])
    return counts


class Siege:
    """`async with Siege(runtime, folder, seed) as siege: await siege.step()`, a step being one
    way to be hostile; `await siege.check()` in between: the oracle. `virtual`: time is cheap."""

    def __init__(self, runtime, folder, seed, heap=None):
        self.runtime = runtime
        self.folder = folder
        self.heap = heap
        self.random = Random(seed)
        self.seed = seed
        self.messages = Messages(self.random)
        self.steps = 0
        self.sent = 0
        self.did = []  # names of the last steps
        self.last = b""  # message to the station
        self.typed = ""  # line at its console
        self.parts = {}

    async def __aenter__(self):
        virtual = self.runtime == "cpython"
        loop = asyncio.get_running_loop()
        self.peer = Hostile(lambda: 1800000000 + loop.time() if virtual else time.time())
        url = await self.peer.listen()
        words = ("--supervision-url", url)
        if not virtual:
            words += ("--key", "MessageTimeout=3")  # which is real time
        self.rig = Rig(self.runtime, self.folder, *words, house=False, box="FUZZ", heap=self.heap)
        self.patient = self.rig.virtual
        await self.rig.__aenter__()
        await self.rig.until(registration="Accepted", link="online")
        await self.charge()
        await self._usual()
        for line in ("config", "queue", "profiles", "meter", "faults", "log", "help"):
            await self.rig.ask(line)
        self.peer.drop()
        await self.online()
        self.energy = (await self.rig.status())["energy_wh"]
        self.free = (await self.settled())["heap_free"]
        self.parts = _parts() if self.rig.inside else {}
        self.keys = sorted(await self.rig.console("config"))
        return self

    async def __aexit__(self, kind, error, trace):
        try:
            await self.rig.__aexit__(kind, error, trace)
        finally:
            await self.peer.close()

    def fail(self, why):
        raise Found(
            f"{self.runtime}, seed {self.seed}, step {self.steps} "
            f"({', '.join(self.did[-4:])}): {why}\n"
            f"  the last message before: {self.last!r}\n"
            f"  the last line typed before: {self.typed!r}\n"
            f"  again: tools/fuzz.py --runtime {self.runtime} --only station --seed {self.seed} "
            f"--steps {self.steps}"
        )

    def fail_by(self, error):
        """A finding, made of whatever was raised on the way."""
        where = traceback.extract_tb(error.__traceback__)
        ours = [at for at in where if at.filename == __file__ and at.name not in ("siege", "step")]
        at = (ours or where)[-1]
        self.fail(f"{type(error).__name__} {error} in {at.name}, {at.line}")

    async def charge(self):
        """A car that charges, from wherever we are."""
        rig, peer = self.rig, self.peer
        status = await rig.status()
        if status["status"] != "Charging":
            await rig.console("sim unplug")
            await rig.until(plugged=False, timeout=90)
            await rig.until(status="Available", timeout=90)
            for line in ("sim plug", "sim ready"):
                await rig.console(line)
            await rig.until(status="Preparing")
            await self.ask("RemoteStartTransaction", {"idTag": "DRIVER-1", "connectorId": 1})
            await rig.until(status="Charging", timeout=90)
        await rig.until(queue=0)
        self.messages.transaction = (await rig.status())["transaction"]["id"]
        self.started = len(peer.transactions)

    async def ask(self, action, payload):
        """A valid call; its answer's payload."""
        self.messages.count += 1
        uid = "a-%d" % self.messages.count
        self.peer.write(framed(json.dumps([2, uid, action, payload]).encode()))
        await self.answered([uid])
        answer = self.peer.answers[uid][0]
        if answer[0] != 3:
            self.fail(f"{action} {payload}: {answer}")
        return answer[2]

    async def answered(self, uids, seconds=60):
        peer = self.peer
        try:
            await peer.until(lambda: all(uid in peer.answers for uid in uids), "answers", seconds)
        except Missing:
            missing = [uid for uid in uids if uid not in peer.answers]
            self.fail(f"no answer to {missing[:5]}; the link is open: {peer.open.is_set()}")

    async def _usual(self):
        """What a central system asks for: all that is loaded or grows at its first use."""
        schedule = {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 30.5}],
        }
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": schedule,
        }
        when = "2027-01-01T00:00:00Z"
        reservation = {"connectorId": 1, "expiryDate": when, "idTag": "A", "reservationId": 1}
        for action, payload in (
            ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile}),
            ("GetCompositeSchedule", {"connectorId": 1, "duration": 60}),
            ("ClearChargingProfile", {}),
            ("ReserveNow", reservation),
            ("CancelReservation", {"reservationId": 2}),
            ("RemoteStartTransaction", {"idTag": "A"}),
            ("RemoteStopTransaction", {"transactionId": -7}),
            ("UnlockConnector", {"connectorId": 2}),
            ("DataTransfer", {"vendorId": "v"}),
            ("ChangeConfiguration", {"key": "CpoName", "value": ""}),
        ):
            await self.ask(action, payload)
        for message in "Heartbeat StatusNotification MeterValues BootNotification".split():
            await self.ask("TriggerMessage", {"requestedMessage": message})
        await self._fill()

    async def _fill(self):
        """What is filled once stays so: the log's ring."""
        for number in range(60):
            self.peer.write(framed(b"[2, fill %02d" % number))
        await self.ask("GetConfiguration", {})

    async def settled(self):
        """The status once nothing is under way."""
        await self._fill()
        for _ in range(100 if self.parts else 0):  # what nobody answered waits its time out
            if _parts()["task"] <= self.parts["task"]:
                break
            await asyncio.sleep(10)
        await self.rig.until(queue=0, timeout=600)
        best = None
        for _ in range(4):
            await asyncio.sleep(0.2)
            status = await self.rig.status()
            if best is None or status["heap_free"] > best["heap_free"]:
                best = status
        return best

    async def _lost(self, status):
        """Bytes of the heap that are not back. Fails where that is more than names take that were
        seen for the first time, and what MicroPython's collector takes for a pointer: the latter
        is shaken off by doing something else for a while."""
        allowed = 5000 if self.runtime == "micropython" else 2500
        for _ in range(8):
            lost = self.free - status["heap_free"]
            more = self._more_parts()
            if lost <= allowed and not more:
                return lost
            await self._usual()
            status = await self.settled()
        if more:
            self.fail(f"more of the firmware's objects than before: {more}")
        self.fail(f"{lost} bytes of the heap are gone")

    def _more_parts(self):
        """How many more of the firmware's objects there are than before, by class (CPython)."""
        if not self.rig.inside:
            return {}
        parts = _parts()
        more = {name: parts[name] - self.parts.get(name, 0) for name in parts}
        return {name: count for name, count in more.items() if count > 0}

    # the steps

    async def step(self):
        """One hostile thing, and what has to come of it."""
        ways = ["calls"] * 8 + ["flood", "pieces", "pings", "console", "answers", "triggers"]
        ways += ["cut", "noise"]
        ways += ["silent", "half_open", "stalled", "dribble"] if self.patient else []
        name = self.random.pick(ways)
        self.steps += 1
        self.did.append(name)
        self.typed = ""
        await getattr(self, "_" + name)()
        if not self.peer.open.is_set():
            await self.online()
        if self.peer.wrong:
            self.fail(f"the station said {self.peer.wrong[0]}")

    async def online(self):
        while not self.patient and not self.peer.open.is_set():
            if (await self.rig.status())["link"] == "connecting":
                for line in ("sim link down", "sim link up"):  # dials at once
                    await self.rig.console(line)
            await asyncio.sleep(0.5)
        try:
            await asyncio.wait_for(self.peer.open.wait(), 400)
            await self.rig.until(link="online", registration="Accepted")
        except (AssertionError, TimeoutError) as why:
            self.fail(f"it does not come back: {why}")

    def frame(self):
        """(bytes, model's verdict) of a message that does not rightly end the charge."""
        while True:
            data = self.messages.frame()
            verdict = model(data)
            if verdict[0] == "frame":
                action = json.loads(data)[2]
                if action in DISTURBS and not self._harmless(json.loads(data)):
                    continue
            if len(data) <= 8192:
                return data, verdict

    def _harmless(self, message):
        _, _, action, payload = message
        if action == "RemoteStopTransaction":
            return payload["transactionId"] != self.messages.transaction
        if action == "UnlockConnector":
            return payload["connectorId"] != 1
        if action == "SetChargingProfile":
            profile = payload["csChargingProfiles"]
            periods = profile["chargingSchedule"]["chargingSchedulePeriod"]
            watts = profile["chargingSchedule"]["chargingRateUnit"] == "W"
            return all(period["limit"] >= (7400 if watts else 16) for period in periods)
        if action == "ChangeConfiguration":
            return payload["key"] in ("MeterValuesSampledData", "CpoName", "StopTxnSampledData")
        return False

    async def _say(self, data, verdict, way=None):
        """Sends a message; holds the answer against the model."""
        kind, uid, codes = verdict
        before = len(self.peer.answers.get(uid, ()))
        self.last = data
        self.peer.write(way or framed(data))
        self.peer.release()
        self.sent += 1
        if readable(data) is None:
            return await self._closed(data)
        if kind in ("answer", "broken"):
            return None
        await self.answered([uid]) if not before else await asyncio.sleep(0.1)
        self.judge(data, verdict, self.peer.answers[uid][before:])

    async def _closed(self, data):
        """A message that is no UTF-8 ends the connection (RFC 6455, 8.1)."""
        await self.peer.until(
            lambda: not self.peer.open.is_set(), "the end of the connection, for what is no UTF-8"
        )

    def judge(self, data, verdict, answers):
        kind, uid, codes = verdict
        if len(answers) != 1:
            self.fail(f"{len(answers)} answers to {data!r}: {answers}")
        answer = answers[0]
        if kind == "refused":
            if answer[0] != 4 or answer[2] not in codes:
                self.fail(f"{answer}, not {codes}, to {data!r}")
        elif answer[0] == 3:
            action = json.loads(data)[2]
            for error in validator(action, "conf").iter_errors(as_received(answer[2])):
                self.fail(f"{answer}: {error.message}, to {data!r}")
        elif answer[2] not in ("PropertyConstraintViolation", "OccurenceConstraintViolation"):
            self.fail(f"{answer} to {data!r}")

    async def _calls(self):
        for _ in range(1 + self.random.below(12)):
            await self._say(*self.frame())
            if not self.peer.open.is_set():
                return

    async def _flood(self):
        """Many at once, whoever is to wait for the answers."""
        many = []
        while len(many) < 5 + self.random.below(40):
            data, verdict = self.frame()
            if readable(data) is not None and verdict[1] not in self.peer.answers:
                many.append((data, verdict))
        self.peer.write(b"".join(framed(data) for data, _ in many))
        self.sent += len(many)
        wanted = {verdict[1] for _, verdict in many if verdict[1] is not None}
        await self.answered(wanted, 120)
        await asyncio.sleep(0.2)
        for data, verdict in many:
            if verdict[1] is None or len([v for _, v in many if v[1] == verdict[1]]) > 1:
                continue
            answers = self.peer.answers[verdict[1]]
            if answers[0][0] == 4 and answers[0][2] == "GenericError":
                continue  # one after the other, please (OCPP-J 4.1.1)
            self.judge(data, verdict, answers)

    async def _triggers(self):
        await self.triggers(5 + self.random.below(60))

    async def triggers(self, count: int):
        """The station is asked to talk more than it can; returns its answers."""
        wanted = "Heartbeat StatusNotification MeterValues BootNotification".split()
        uids = []
        for number in range(count):
            self.messages.count += 1
            uids.append("t-%d" % self.messages.count)
            message = [2, uids[-1], "TriggerMessage", {"requestedMessage": wanted[number % 4]}]
            self.peer.write(framed(json.dumps(message).encode()))
        await self.answered(uids)
        answers = [self.peer.answers[uid] for uid in uids]
        for one in answers:
            if len(one) != 1 or one[0][2] not in ({"status": "Accepted"}, {"status": "Rejected"}):
                self.fail(f"{one} to a TriggerMessage")
        return [one[0][2]["status"] for one in answers]

    async def _pieces(self):
        """A message in fragments, with pings in between, or byte by byte."""
        data, verdict = self.frame()
        cuts = sorted(self.random.below(len(data) + 1) for _ in range(self.random.below(6)))
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
        way = b""
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            way += framed(part, 0 if number else 1, last)
            if not last and self.random.below(2):
                way += framed(b"x" * self.random.below(126), 9)
        if self.random.below(2):
            return await self._say(data, verdict, way)
        at = min(300, len(way) - 1)
        await self.peer.dribble(way[:at])
        await self._say(data, verdict, way[at:])

    async def _pings(self):
        before = self.peer.pongs
        count = 1 + self.random.below(60)
        self.peer.write(b"".join(framed(b"p" * self.random.below(126), 9) for _ in range(count)))
        await self.peer.until(lambda: self.peer.pongs - before >= count, f"{count} pongs")
        await asyncio.sleep(0)
        if self.peer.pongs - before != count:
            self.fail(f"{self.peer.pongs - before} pongs to {count} pings")

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
                line = fuzz_targets.mutated(random, [line, b"config"], 1400)
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
                return fuzz_targets.mutated(random, [text], 8000)
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
        data = fuzz_targets.mutated(random, fuzz_targets.websocket_seeds())
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
        data = fuzz_targets.mutated(self.random, fuzz_targets.handshake_seeds())

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

    # the oracle

    async def check(self):
        """Online, charging, and with the memory that it had."""
        await self.online()
        await self.ask("ClearChargingProfile", {})
        for name, value in (("CpoName", ""), ("MeterValuesSampledData", "Voltage")):
            await self.ask("ChangeConfiguration", {"key": name, "value": value})
        await self.ask("ChangeConfiguration", {"key": "StopTxnSampledData", "value": ""})
        if not self.rig.virtual:  # a busy machine is late with the permit's heartbeat at times
            await self.rig.until(status="Charging", contactor="closed", timeout=60)
        status = await self.settled()
        wanted = {"status": "Charging", "contactor": "closed", "link": "online", "safe": False}
        wanted |= {"registration": "Accepted", "queue": 0, "error": "NoError"}
        for name, value in wanted.items():
            if status[name] != value:
                self.fail(f"{name} is {status[name]}, not {value}: {status}")
        if status["transaction"]["id"] != self.messages.transaction:
            self.fail(f"another transaction: {status}")
        for _ in range(100):
            if status["energy_wh"] > self.energy:
                break
            await self.rig.sleep(10)
            status = await self.rig.status()
        else:
            self.fail(f"no energy flows: {status}")
        self.energy = status["energy_wh"]
        lost = await self._lost(status)
        log = self.rig.log() if self.rig.process else "\n".join(await self.rig.console("log"))
        if "Traceback" in log:
            self.fail(log[log.index("Traceback") - 200 :][:3000])
        if self.peer.wrong:
            self.fail(f"the station said {self.peer.wrong[0]}")
        return lost


async def siege(runtime, folder, seed, steps, heap=None, watch=None):
    """So many steps of one seed, with a look at the station every tenth; ends early when
    `watch(station, bytes of the heap that are not back)` says so. Returns the messages sent."""
    async with Siege(runtime, folder, seed, heap) as station:
        try:
            for number in range(steps):
                await station.step()
                if number % 10 == 9 or number == steps - 1:
                    lost = await station.check()
                    if watch and watch(station, lost):
                        break
        except Found:
            raise
        except Exception as error:  # whatever it is: a finding, or the tool's own mistake
            station.fail_by(error)
        return station.sent
