"""How fast the permit falls after the pilot changed, and how long the event loop is held, while a
charging station is asked without a pause.

    python -m tools.bench.reaction [--runs 40] [--heap 192k] [--files]

The frozen build (`--files`: .mpy files, for boards with PSRAM) in real time, in a heap in which
no call of a flood is refused, samples as often as on the device (20 ms). Beside it the same in a
bare loop of the same process. A change is timed from when it was due: a loop that is held then
makes it no later. A hold is one step of one task: the time from one look at timers and streams to
the next, in reference milliseconds (tools/bench/reference.py), which are about the device's; of
each coroutine the tenth longest is told, as a PC makes single ones longer (tools/bench/holds.py).
A write to a file is in it: 30 to 35 here, 26 in the median on a device, in flash.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys

from tools import frozen, runtimes
from tools.bench.live import Station, a_profile

FROZEN_HEAP = "192k"
FILES_HEAP = "4m"
LIMIT = 20  # reference ms that a call may hold the loop
# The same of the build for which the source was rewritten, as it shipped (.mpy files in 256 KB).
BEFORE = {"charging": 719.3, "flooded": 819.0}


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
        _, *times = (await station.question("took")).split()
        if len(times) >= runs:
            return [int(word) / 1000 for word in times]
        await asyncio.sleep(1)


def row(title, times) -> None:
    """Prints a row of the table."""
    figures = min(times), statistics.median(times), max(times)
    print(f"{title:44} " + " ".join(f"{ms:7.1f}" for ms in figures), flush=True)


def coroutines() -> dict[str, list[str]]:
    """The firmware's coroutines by their name, as `module.name`."""
    found: dict[str, list[str]] = {}
    for path in sorted((runtimes.ROOT / "firmware").rglob("*.py")):
        for name in re.findall(r"async def (\w+)", path.read_text()):
            found.setdefault(name, []).append(f"{path.stem}.{name}")
    return found


async def held(station, before: float) -> None:
    """Prints the longest holds since the last time."""
    _, *words = (await station.question("held")).split()
    known = coroutines()
    for word in words:
        name, _, tenths = word.rpartition("=")
        name = " or ".join(known.get(name, [name]))
        print(f"    held by {name[:58]:58} {int(tenths) / 10:6.1f} reference ms")
    longest = int(words[0].rpartition("=")[2]) / 10
    verdict = "good" if longest <= LIMIT else f"ABOVE THE LIMIT OF {LIMIT}"
    print(f"    the longest: {longest:.1f} ({verdict}); before the rewriting {before:.1f}")


async def main(words) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--heap", help=f"the station's; {FROZEN_HEAP} or {FILES_HEAP}")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--files", action="store_true", help=".mpy files in the place of frozen")
    options = parser.parse_args(words)
    is_frozen = not options.files
    heap = options.heap or (FROZEN_HEAP if is_frozen else FILES_HEAP)
    if is_frozen and frozen.why_missing():
        print(frozen.why_missing())
        return 1
    if not is_frozen:
        for refusal in runtimes.compile_mpy().values():
            print(f"not compiled: {refusal}")
    print(f"\n{'pilot leaves C, permit falls; ms':44} {'least':>7} {'median':>7} {'worst':>7}")
    module = ("tools.bench.braking_car", str(options.runs))
    async with Station(is_frozen, heap, "1", [], *module) as station:
        line = await station.line()
        row("a bare loop that samples", [int(word) / 1000 for word in line.split()[1:]])
        point = await station.house.point("BOX")
        await station.until(registration="Accepted", link="online")
        await station.ask("sim plug")
        await station.ask("sim ready")
        await station.until(status="Preparing")
        await point.ask("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)
        await station.until(status="Charging")
        for title, work in (("charging", None), ("flooded", flood)):
            await station.question("drive")
            said = len(station.house.messages)
            task = work and asyncio.create_task(work(point))
            row(f"the station, {title}", await took(station, options.runs))
            if task and task.done():
                print(station.log.read_text()[-3000:])
                task.result()
            if task:
                task.cancel()
            await held(station, BEFORE[title])
        print(f"    {len(station.house.messages) - said} messages both ways")
        if station.house.errors():
            raise SystemExit(f"a message broke a schema: {station.house.errors()[:1]}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
