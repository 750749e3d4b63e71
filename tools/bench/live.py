"""What a running station has in its heap, moment by moment, over a real central system.

    python -m tools.bench.live [--heap 112k] [--modules] [--key NAME=VALUE ...]
    python -m tools.bench.live --peaks       the smallest heap that each moment is reached with

32-bit MicroPython from .mpy files, as on the device, the simulated board included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tools import runtimes
from tools.bench.messages import profile
from tools.central import House

# Runs the station. A line that begins with \\x01 is not for its console: it says what is in use.
STATION = """
import sys, gc, asyncio, micropython
from firmware import app

class Input:
    def __init__(self):
        self.source = asyncio.StreamReader(sys.stdin.buffer)

    async def read(self):
        while True:
            data = await self.source.read(1)
            if data != b"\\x01":
                return data
            await self.source.readline()
            gc.collect(); gc.collect()
            names = [n for n in sys.modules if n.startswith("firmware") or len(n) < 3]
            print("used", gc.mem_alloc(), " ".join(names))
            micropython.qstr_info()

app.runtime.Stdin = Input
app.runtime.stdout = lambda: sys.stdout.write  # as on the device
app.runtime.stderr = lambda: sys.stderr
app.main(sys.argv[1:])
"""


class Station:
    """The process, its console, and the central system that it talks to."""

    def __init__(self, heap, speed, args, script=STATION):
        self.heap = heap
        self.script = script
        self.speed = speed
        self.args = args
        self.house = House()
        self.rows = []

    async def __aenter__(self):
        self.folder = tempfile.TemporaryDirectory()
        url = await self.house.open()
        words = ["--state", self.folder.name + "/state", "--box-id", "BOX", "--speed", self.speed]
        words += ["--supervision-url", url, *self.args]
        self.log = Path(self.folder.name) / "log"
        with open(self.log, "wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *runtimes.command(32, self.heap),
                "-c",
                f"import sys; sys.argv[1:] = {words!r}\n" + self.script,
                cwd=runtimes.MPY,
                env=runtimes.environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        return self

    async def __aexit__(self, *error):
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self.house.close()
        self.folder.cleanup()

    async def line(self):
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        if not line:
            raise RuntimeError(f"the station ended:\n{self.log.read_text()[-3000:]}")
        return line.decode().rstrip("\n")

    async def ask(self, line):
        """A command of the console; returns the reply's lines."""
        self.process.stdin.write(line.encode() + b"\n")
        lines = []
        while (said := await self.line()) != "ok":
            if said.startswith("error: "):
                raise RuntimeError(f"{line}: {said}\n{self.log.read_text()[-3000:]}")
            lines.append(said)
        return lines

    async def until(self, **wanted):
        """Waits until `status` shows these values."""
        for _ in range(600):
            status = json.loads((await self.ask("status"))[0])
            if all(status[name] == value for name, value in wanted.items()):
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"not {wanted}: {status}")

    async def measure(self, title):
        """Prints a row of the table: what is in use when nothing but waiting is done."""
        await asyncio.sleep(0.5)
        self.process.stdin.write(b"\x01\n")
        _, used, *modules = (await self.line()).split()
        words = dict(word.split("=") for word in (await self.line()).split()[2:])
        words = {name: int(value.strip(",")) for name, value in words.items()}
        names, size = words["n_qstr"], words["n_total_bytes"]
        print(f"{title:44} {used:>7} {len(modules):8} {names:6} {size:6}", flush=True)
        self.modules = modules


def a_profile(periods: int) -> dict:
    """The arguments of a SetChargingProfile of so many periods; 100 make 6 KB."""
    found = profile(periods)["csChargingProfiles"]
    return {"connector_id": 1, "cs_charging_profiles": found}


async def session(station):
    """A life: connects, charges, gets the largest profile, reads the house meter, is unplugged.
    Yields what has been done, moment by moment. All of it is seen by the central system: the
    console's commands take memory of their own."""
    house = station.house

    async def told(status):
        count = len(house.calls("StatusNotification"))
        while not any(
            call["connectorId"] == 1 and call["status"] == status
            for call in house.calls("StatusNotification")[station.seen :]
        ):
            count += 1
            await house.heard_of("StatusNotification", count=count, timeout=60)
        station.seen = len(house.calls("StatusNotification"))

    station.seen = 0
    point = await house.point("BOX")
    await told("Available")
    yield "connected, no car"
    await station.ask("sim plug")
    await station.ask("sim ready")
    await told("Preparing")
    yield "a car is plugged in"
    await point.ask("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)
    await told("Charging")
    await house.heard_of("MeterValues", count=3, timeout=120)
    yield "charging"
    await point._connection.socket.close()
    await told("Charging")
    point = await house.point("BOX")
    yield "connected again"
    answer = await point.ask("SetChargingProfile", **a_profile(100))
    assert answer.status == "Accepted", answer
    yield "a profile of 100 periods"
    answer = await point.ask("GetCompositeSchedule", connector_id=1, duration=86400)
    assert answer.status == "Accepted", answer
    yield "GetCompositeSchedule"
    answer = await point.ask("GetConfiguration")
    assert len(answer.configuration_key) > 40, answer
    yield "GetConfiguration"
    await station.ask("sim tic historique")
    for _ in range(200):
        answer = await point.ask("GetConfiguration", key=["TICdetection"])
        if answer.configuration_key[0]["value"] == "true":
            break
        await asyncio.sleep(0.2)
    else:
        raise RuntimeError("no TIC")
    yield "a TIC line"
    answer = await point.ask("SetChargingProfile", **a_profile(100))
    assert answer.status == "Accepted", answer
    yield "a profile of 100 periods with a TIC line"
    await station.ask("sim unplug")
    await house.heard_of("StopTransaction", timeout=60)
    await told("Available")
    yield "unplugged and billed"
    await station.until(status="Available", transaction=None, queue=0)
    yield "the console's status"
    assert not house.errors(), house.errors()


async def reached(heap: int, keys) -> list[str]:
    """The moments that a station with so many KB of heap reaches, none of its tasks out of memory
    on the way."""
    passed: list[str] = []

    async def live(station):
        async for moment in session(station):
            if "MemoryError" in station.log.read_text():
                return
            passed.append(moment)

    async with Station(f"{heap}k", "20", keys) as station:
        life = asyncio.create_task(live(station))
        while not life.done() and station.process.returncode is None:
            await asyncio.wait([life], timeout=0.2)
            if "MemoryError" in station.log.read_text():
                break
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)  # out of memory, in one way or another
    return passed


async def peaks(keys, low: int = 64, high: int = 192) -> None:
    """Prints the smallest heap in KB with which each moment is reached."""
    tried: dict[int, list] = {}

    async def fits(moment, heap):
        if heap not in tried:
            tried[heap] = await reached(heap, keys)
        return moment in tried[heap]

    print(f"{'':44} smallest heap, KB")
    for moment in await reached(8192, keys):
        least, most = low, high
        while most - least > 1:
            middle = (least + most) // 2
            if await fits(moment, middle):
                most = middle
            else:
                least = middle
        print(f"{moment:44} {most:7}", flush=True)


async def table(station) -> None:
    """Runs a session and prints a row for each moment."""
    print(f"{'':44} {'in use':>7} {'modules':>8} {'names':>6} {'bytes':>6}")
    async for moment in session(station):
        await station.measure(moment)
    station.process.stdin.write(b"quit\n")
    await asyncio.wait_for(station.process.wait(), 10)


async def main(words) -> int:
    """Runs a session and prints the table; the exit code is the station's."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--heap", default="8m", help="the station's heap")
    parser.add_argument("--speed", default="20")
    parser.add_argument("--peaks", action="store_true", help="the smallest heaps, by bisection")
    parser.add_argument("--modules", action="store_true", help="what is loaded")
    parser.add_argument("--log", action="store_true", help="the station's log")
    parser.add_argument("--key", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(words)
    for refusal in runtimes.compile_mpy().values():
        print(f"not compiled: {refusal}")
    keys = [word for key in options.key for word in ("--key", key)]
    if options.peaks:
        await peaks(keys)
        return 0
    async with Station(options.heap, options.speed, keys) as station:
        try:
            await table(station)
        except Exception:
            print(station.log.read_text()[-6000:])
            raise
        if options.modules:
            print("loaded in the end:\n    " + "\n    ".join(sorted(station.modules)))
        if options.log:
            print(station.log.read_text())
        return station.process.returncode


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
