"""How fast the permit falls after the pilot changed, and how long the event loop is held, while a
charging station is asked without a pause.

    python -m tools.bench.reaction [--runs 40] [--heap 256k]

32-bit MicroPython from .mpy files in real time, samples as often as on the device (20 ms). Beside
it the same two readings in a bare loop of the same process. A change is timed from when it was
due: a loop that is held then makes it no later.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
from pathlib import Path

from tools import runtimes
from tools.bench.live import Station, a_profile

HERE = Path(__file__).resolve().parent
# The station, with a car that stops again and again. A line that begins with \x01 is not for its
# console: it says what was measured since the last one.
SCRIPT = """
import sys, asyncio, os
from firmware import app
from firmware.board.simulated import board as simulated

class Car:
    \"\"\"At a moment that has nothing to do with the samples, wakes up and stops.\"\"\"

    def __init__(self):
        self.due = None
        self.took = []

    def seen(self):
        if self.due is not None:
            self.took.append(since_us(self.due))
            self.due = None

    async def stops(self, stop):
        await asyncio.sleep_ms(300 + os.urandom(1)[0])
        late = os.urandom(1)[0] * 100  # us
        due = now_us() + late
        await asyncio.sleep_ms(late // 1000)
        while since_us(due) < 0:
            pass
        self.due = due
        stop()
        while self.due is not None:
            await asyncio.sleep_ms(10)

car = Car()

class Bare:
    \"\"\"What takes the samples, and nothing else.\"\"\"

    on = True

    async def run(self):
        off = 0
        while True:
            off = 0 if self.on else off + 1
            if off > 1:
                car.seen()
            await asyncio.sleep_ms(20)

async def bare(runs):
    one = Bare()
    task = asyncio.create_task(one.run())
    for _ in range(runs):
        one.on = True
        await car.stops(lambda: setattr(one, "on", False))
    task.cancel()

asyncio.run(bare(RUNS))
print("took", " ".join([str(us) for us in car.took]))
holds = Holds()
Board = simulated.Board
permit = Board.permit

def permitted(self, on):
    permit(self, on)
    if not on:
        car.seen()

async def wait(self, ms):
    await asyncio.sleep_ms(min(self.pause(ms), 20 if self._permit else 100))

async def drive(board):
    def stop():
        board.ask = "B"
        board.s2 = False
    while True:
        while not (board.closed and board.ma > 1000):
            await asyncio.sleep_ms(50)
        await car.stops(stop)
        await asyncio.sleep_ms(200)
        board.ask = "C"
        board.s2 = True

Board.permit = permitted
Board.wait = wait

class Input:
    def __init__(self):
        self.source = asyncio.StreamReader(sys.stdin.buffer)

    async def read(self):
        while True:
            data = await self.source.read(1)
            if data != b"\\x01":
                return data
            what = await self.source.readline()
            if what == b"drive\\n":
                self.task = asyncio.create_task(drive(app_parts[0]))
                holds.longest.clear()
                car.took = []
            elif what == b"took\\n":
                print("took", " ".join([str(us) for us in car.took]))
            else:
                worst = sorted([(us, name) for name, us in holds.longest.items()])[-3:]
                print("held", " ".join(["%s=%d" % (n, us * 10 // holds.unit) for us, n in worst]))

app_parts = []
init = Board.__init__

def begins(self, *args, **named):
    init(self, *args, **named)
    app_parts.append(self)

Board.__init__ = begins
app.runtime.Stdin = Input
app.main(sys.argv[1:])
"""


def script(runs: int) -> str:
    """The script with what it measures by."""
    parts = [(HERE / name).read_text() for name in ("reference.py", "holds.py")]
    tools = "\n".join(parts).replace("from tools.bench import reference\n", "")
    return re.sub(r"\breference\.", "", tools) + SCRIPT.replace("RUNS", str(runs))


async def flood(point) -> int:
    """Calls without a pause, until cancelled: the large ones, and such as come in pairs."""
    while True:
        await point.ask("GetConfiguration")
        await point.ask("SetChargingProfile", **a_profile(100))
        await point.ask("GetCompositeSchedule", connector_id=1, duration=86400)
        await point.ask("TriggerMessage", requested_message="MeterValues")
        await point.ask("ChangeConfiguration", key="HeartbeatInterval", value="60")


async def took(station, runs) -> list[float]:
    """So many reactions in ms."""
    while True:
        station.process.stdin.write(b"\x01took\n")
        while not (line := await station.line()).startswith("took"):
            pass
        if len(line.split()) > runs:
            return [int(word) / 1000 for word in line.split()[1:]]
        await asyncio.sleep(1)


def row(title, times) -> None:
    """Prints a row of the table."""
    figures = min(times), statistics.median(times), max(times)
    print(f"{title:44} " + " ".join(f"{ms:7.1f}" for ms in figures), flush=True)


def names() -> dict[str, list[str]]:
    """What the coroutines of the device's build are called in the sources."""
    found: dict[str, list[str]] = {}
    project = runtimes.project(runtimes.SHIPPED, runtimes.MPY)
    for path in sorted((runtimes.ROOT / "firmware").rglob("*.py")):
        for name in re.findall(r"async def (\w+)", path.read_text()):
            found.setdefault(project.names.get(name, name), []).append(f"{path.stem}.{name}")
    return found


async def held(station) -> None:
    """Prints the longest holds since the last time."""
    station.process.stdin.write(b"\x01held\n")
    line = await station.line()
    coroutines = names()
    for word in reversed(line.split()[1:]):
        name, _, tenths = word.rpartition("=")
        name = " or ".join(coroutines.get(name, [name]))
        print(f"    held by {name:58} {int(tenths) / 10:6.1f} reference ms")


async def main(words) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--heap", default="256k", help="the station's heap")
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args(words)
    for refusal in runtimes.compile_mpy().values():
        print(f"not compiled: {refusal}")
    print(f"\n{'pilot leaves C, permit falls; ms':44} {'least':>7} {'median':>7} {'worst':>7}")
    station = Station(options.heap, "1", [], script(options.runs))
    async with station:
        line = await station.line()
        row("a bare loop that samples", [int(word) / 1000 for word in line.split()[1:]])
        point = await station.house.point("BOX")
        await station.until(registration="Accepted", link="online")
        await station.ask("sim plug")
        await station.ask("sim ready")
        await station.until(status="Preparing")
        await point.ask("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)
        await station.until(status="Charging")
        for title, work in (("the station, charging", None), ("the same, flooded", flood)):
            station.process.stdin.write(b"\x01drive\n")
            task = work and asyncio.create_task(work(point))
            row(title, await took(station, options.runs))
            if task:
                task.cancel()
            await held(station)
            said = len(station.house.messages)
        print(f"    {said} messages both ways")
        if station.house.errors():
            raise SystemExit(f"a message broke a schema: {station.house.errors()[:1]}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
