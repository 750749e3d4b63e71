"""Which of the firmware's functions a message runs through, and in how many files.

    python -m tools.bench.ways

A whole station on CPython, in virtual time, is sent a SetChargingProfile of 100 periods, and later
its car is unplugged. Listed are the functions that ran (lambdas, generators and methods each count
once), by file, without the board's, the log's and those that also run while nothing happens. It is
what docs/architecture.md, "A message's way", is written from.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from host_tests import virtual
from host_tests.station import Rig
from tools.bench.live import a_profile
from tools.runtimes import ROOT

FIRMWARE = str(ROOT / "firmware") + "/"
NOT_COUNTED = ("board/", "base/log.py", "console/", "command_line.py")
IDLE_S = 3  # in which no message is due


class Trace:
    """`with Trace() as ran`: `ran.functions` are the (file, first line, name) that were called."""

    def __enter__(self):
        self.functions: dict[tuple[str, int, str], int] = {}
        sys.setprofile(self._called)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def _called(self, frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(FIRMWARE):
            name = code.co_filename[len(FIRMWARE) :]
            if not name.startswith(NOT_COUNTED) and code.co_name[0] != "<":
                self.functions.setdefault((name, code.co_firstlineno, code.co_name), 0)


def show(title: str, ran: Trace, idle: Trace) -> None:
    """Prints what ran besides what always does, in the order of the first calls."""
    files: dict[str, list[str]] = {}
    for place in ran.functions:
        if place not in idle.functions:
            files.setdefault(place[0], []).append(place[2])
    count = sum(len(names) for names in files.values())
    print(f"\n{title}: {count} functions in {len(files)} files")
    for name, functions in files.items():
        print(f"    {name}: {', '.join(functions)}")


async def measure(folder: str) -> None:
    """Prints both ways."""
    async with Rig("cpython", folder) as rig:
        point = await rig.online()
        await rig.charge()
        with Trace() as idle:
            await rig.sleep(IDLE_S)
        with Trace() as ran:
            await point.ask("SetChargingProfile", **a_profile(100))
        show("a SetChargingProfile, up to its answer", ran, idle)
        with Trace() as ran:
            await rig.sleep(1)
        show("what follows on it", ran, idle)
        with Trace() as ran:
            await rig.ask("sim unplug")
            await rig.house.heard_of("StopTransaction")
            await asyncio.sleep(0.5)
        show("an unplugging, until its StopTransaction is answered", ran, idle)


def main() -> int:
    """Runs the station."""
    with tempfile.TemporaryDirectory() as folder:
        virtual.run(measure(str(Path(folder) / "state")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
