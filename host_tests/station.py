"""A whole station under test: driven through its console, seen through a real central system.

`Rig("micropython")` and `Rig("micropython32")` start the real MicroPython from .mpy files, with
the heap of a board with PSRAM, and talk to it over pipes. `Rig("frozen")` starts the MicroPython
that has the firmware frozen in, in less heap than a device without PSRAM has (tools/frozen.py).
`Rig("cpython")` runs the firmware in this process where the test's loop is in virtual time.

In virtual time (`play`) a MicroPython's clock is moved by the test's loop, see virtual.py: nothing
waits really, and every duration is exact. In real time (asyncio.run), for peers that live in it,
the station's clock runs `speed` times faster.
"""

import asyncio
import json
import shutil
import signal
import sys
import urllib.parse
from pathlib import Path

import pytest

from firmware import options, program
from host_tests import virtual
from tools import frozen, runtimes
from tools.central import House

BITS = {"micropython": 64, "micropython32": 32}
RUNTIMES = ("cpython", *BITS)
FROZEN = "frozen"
BOX = "BOX 1/é"


def play(runtime, session):
    """Runs a test's coroutine in virtual time, but a frozen station in real time, since what moves
    its clock would take of its heap; skips without this runtime."""
    missing = runtime != "cpython" and why_missing(runtime)
    if missing:
        session.close()
        pytest.skip(missing)
    return asyncio.run(session) if runtime == FROZEN else virtual.run(session)


def why_missing(runtime):
    """Why this MicroPython can't be started here, or None."""
    if runtime == FROZEN:
        return frozen.why_missing()
    bits = BITS[runtime]
    return None if runtimes.find(bits) else runtimes.why_missing(bits)


class Rig:
    """`async with Rig(runtime, folder, ...) as rig`. `house` is the central system, or None.

    `args` are more command-line options; `tls` the central system's context for wss; without
    `start` the test does that itself. `speed` is for real time.
    """

    def __init__(
        self,
        runtime,
        folder,
        *args,
        house=True,
        speed=20,
        box=BOX,
        heap=None,
        tls=None,
        start=True,
    ):
        self.runtime = runtime
        self.folder = Path(folder)
        self.args = list(args)
        self.box = box
        self.heap = heap
        self.tls = tls
        self.wait = not start
        loop = asyncio.get_running_loop()
        self.virtual = isinstance(loop, virtual.VirtualLoop)
        self.inside = runtime == "cpython" and self.virtual
        self.speed = 1 if self.virtual else speed
        self.house = House(now=self._now if self.virtual else None) if house else None
        self.url = ""
        self.process = None
        self.follower = None  # the process' clock, in virtual time
        self.task = None  # the firmware in this process

    @staticmethod
    def _now():
        return 1800000000 + asyncio.get_running_loop().time()

    async def __aenter__(self):
        if self.house:
            self.url = await self.house.open(ssl=self.tls)
        if not self.wait:
            await self.start()
        return self

    async def __aexit__(self, *error):
        await self.end()
        if self.house:
            await self.house.close()

    def words(self):
        words = ["--state", str(self.folder / "state")]
        if self.box:
            words += ["--box-id", self.box]
        if "--supervision-url" not in self.args:
            words += ["--supervision-url", self.url]
        return words + ["--speed", str(self.speed)] + self.args

    async def start(self):
        """Starts the firmware: a new process, or as good as one."""
        if self.inside:
            self._typed = asyncio.Queue()
            self._said = asyncio.Queue()
            self._text = ""
            station_parts = program.Parts(options.parse(self.words()))
            work = program.serve(station_parts, self._typed.get, self._write)
            self.task = asyncio.create_task(work)
            return
        folder, environment = runtimes.MPY, runtimes.environment()
        entry = ["-m", "main"]
        keep: tuple[int, ...] = ()
        if self.virtual:
            self.forget()
            self.follower = virtual.Follower(asyncio.get_running_loop())
            clock = self.follower.theirs.fileno()
            keep = (clock,)
            entry = ["-m", "host_tests.stepped", str(clock)]
        if self.runtime == FROZEN:
            command = [*frozen.command(self.heap), *entry]
            folder, environment = self.folder, frozen.environment()
        elif self.runtime == "cpython":
            runtimes.compile_mpy_once()
            command = [sys.executable, str(runtimes.ROOT / "main.py")]
        else:
            runtimes.compile_mpy_once()
            command = [*runtimes.command(BITS[self.runtime], self.heap), *entry]
        self.errors = open(self.folder / "station.log", "ab")
        self.process = await asyncio.create_subprocess_exec(
            *command,
            *self.words(),
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self.errors,
            pass_fds=keep,
        )
        if self.follower:
            self.follower.theirs.close()  # the process has it

    def forget(self):
        """The process has ended: the test's clock goes on without it."""
        if self.follower:
            self.follower.close()
            self.follower = None

    def log(self):
        """What a process wrote to stderr so far."""
        return (self.folder / "station.log").read_text(errors="replace")

    def _write(self, text):
        self._text += text
        while "\n" in self._text:
            line, _, self._text = self._text.partition("\n")
            self._said.put_nowait(line)

    async def _line(self):
        if self.process:
            line = await self.process.stdout.readline()
            assert line, f"the station ended\n{self.log()[-3000:]}"
            return line.decode().rstrip("\n")
        said = asyncio.ensure_future(self._said.get())
        await asyncio.wait((said, self.task), return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            said.cancel()
            self.task.result()
            raise AssertionError("the station ended")
        return said.result()

    async def ask(self, line):
        """Types a line; returns (reply's lines, None or the error's text)."""
        data = (line + "\n").encode("utf-8", "surrogatepass")
        if self.process:
            self.process.stdin.write(data)
            try:
                await self.process.stdin.drain()
            except OSError:
                pass  # it has ended: its last words follow
        else:
            self._typed.put_nowait(data)
        lines = []
        while True:
            said = await asyncio.wait_for(self._line(), 60)
            if said == "ok":
                return lines, None
            if said.startswith("error: "):
                return lines, said[7:]
            lines.append(said)

    async def console(self, line):
        """Types a line that must succeed; returns the reply's lines."""
        lines, error = await self.ask(line)
        assert error is None, f"{line}: {error}"
        return lines

    async def status(self):
        return json.loads((await self.console("status"))[0])

    async def until(self, timeout=60, **wanted):
        """Waits until `status` shows these values; returns it. Seconds of the test's loop."""
        last = {}
        pause = 0.1 if self.virtual else 0.02
        try:
            async with asyncio.timeout(timeout):
                while True:
                    last = await self.status()
                    if all(last[name] == value for name, value in wanted.items()):
                        return last
                    await asyncio.sleep(pause)
                    if self.virtual:
                        pause = min(pause * 1.2, 5)
        except TimeoutError:
            raise AssertionError(f"not {wanted} within {timeout} s: {last}") from None

    async def sleep(self, seconds):
        """Station seconds."""
        await asyncio.sleep(seconds / self.speed)

    async def online(self):
        """Waits until the station is accepted; returns the central system's side of it."""
        await self.until(registration="Accepted", link="online")
        return await self.house.point(urllib.parse.quote(self.box, safe=""))

    async def charge(self, tag="DRIVER-1"):
        """Plugs a car in and starts remotely; returns the central system's side."""
        point = await self.online()
        await self.console("sim plug")
        await self.console("sim ready")
        await self.until(status="Preparing")
        answer = await point.ask("RemoteStartTransaction", id_tag=tag, connector_id=1)
        assert answer.status == "Accepted"
        await self.until(status="Charging")
        return point

    async def end(self):
        """Ends the firmware in an orderly way."""
        if self.process:
            if self.process.returncode is None:
                self.process.stdin.write(b"quit\n")
                try:
                    await asyncio.wait_for(self.process.wait(), 10)
                finally:
                    if self.process.returncode is None:
                        self.process.kill()
                        await self.process.wait()
            self.forget()
            self.errors.close()
            self.process = None
        elif self.task and not self.task.done():
            self._typed.put_nowait(b"quit\n")
            await asyncio.wait_for(self.task, 60)

    async def kill(self):
        """SIGKILL; or in this process, where tasks have a chance to tidy up, as good as that:
        nothing that happens from now on reaches the state folder."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()
            self.forget()
            self.errors.close()
            self.process = None
        else:
            state, then = self.folder / "state", self.folder / "then"
            shutil.copytree(state, then)
            self.task.cancel()
            await asyncio.wait((self.task,))
            shutil.rmtree(state)
            then.rename(state)
