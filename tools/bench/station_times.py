"""How long a whole station takes to start, and to deliver a full queue.

    python -m tools.bench.station_times

The frozen build in the heap of a device without PSRAM. What counts is the processor's time of its
process, in reference milliseconds (tools/bench/reference.py), which are about a device's: a PC
waits for nothing else. A device waits for its Wi-Fi and its flash as well.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tools import frozen
from tools.bench.live import Station

HEAP = "112k"
SPEED = "400"  # of the station's clock while the queue fills
QUEUE = 100  # messages
# What is good: a station that is switched on shall be seen within so many seconds, Wi-Fi (3 s) not
# included; a queue of a day offline (MeterValues each 15 minutes) shall be gone within a minute.
START_S = 5
MESSAGE_MS = 500

UNIT = "from tools.bench import reference; print(reference.calibrate())"


def unit_us() -> float:
    """Microseconds of one reference millisecond in the frozen build."""
    command = [*frozen.command("1m"), "-c", UNIT]
    folder, environment = frozen.FOLDER, frozen.environment()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return float(done.stdout)


def processor_us(process) -> float:
    """The processor's time that a process has had so far."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1000


async def start(unit: float) -> None:
    """Prints how long it takes from nothing to an accepted BootNotification."""
    times = []
    for _ in range(5):
        async with Station(True, HEAP, "1", [], "main") as station:
            await station.house.heard_of("BootNotification")
            times.append(processor_us(station.process))
    seconds = sum(times) / len(times) / unit / 1000
    verdict = "good" if seconds <= START_S else f"more than {START_S} s"
    print(f"{'switched on, to BootNotification':44} {seconds:8.1f} reference s: {verdict}")


async def queue(unit: float) -> None:
    """Prints what a full queue takes, message by message: it fills while the clock runs fast, and
    another station delivers it."""
    async with Station(True, HEAP, SPEED, [], "main") as station:
        await station.until(registration="Accepted", link="online")
        await station.ask("sim link down")
        await station.ask("sim plug")
        await station.ask("sim ready")
        await station.until(status="Charging")
        await station.at_least("queue", QUEUE)
        await station.ask("sim unplug")
        await station.until(status="Available")
    after = Station(True, HEAP, "1", [], "main")
    after.folder, after.port = station.folder, station.port
    async with after as station:
        await station.house.heard_of("StartTransaction")
        spent = processor_us(station.process)
        said = len(station.house.messages)
        await station.house.heard_of("StopTransaction", timeout=120)
        spent = processor_us(station.process) - spent
        said = (len(station.house.messages) - said) // 2
        if station.house.errors():
            raise SystemExit(f"a message broke a schema: {station.house.errors()[:1]}")
    each = spent / unit / said
    verdict = "good" if each <= MESSAGE_MS else f"more than {MESSAGE_MS} ms"
    print(f"{f'a queue of {said} messages, each of them':44} {each:8.0f} reference ms: {verdict}")


async def main() -> int:
    """Prints the table."""
    if frozen.why_missing():
        print(frozen.why_missing())
        return 1
    unit = unit_us()
    await start(unit)
    await queue(unit)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
