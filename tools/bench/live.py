"""What a running station has in its heap, moment by moment, over a real central system.

    python -m tools.bench.live                  frozen and as .mpy files, one after the other
    python -m tools.bench.live --peaks          the smallest heap that each moment is reached with
    python -m tools.bench.live --frozen         only the frozen build; --files only the .mpy files
    python -m tools.bench.live --heap 112k      a heap in the place of a large one

32-bit MicroPython, the simulated board included. Frozen is how a device without PSRAM has it
(tools/frozen.py), .mpy files are for boards with PSRAM. docs/memory.md has the results.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from firmware.base.store import Files, Store
from tools import bundle, frozen, runtimes
from tools.bench.messages import profile
from tools.central import House

ROOMY = "8m"  # a heap that nothing here fills
PROFILES = 200
LONG_AGO = "2020-01-01T00:00:00Z"  # a retrieveDate: at once
FROZEN_BOUNDS = 64, 160, 1  # KB between which the smallest heap is looked for, and how finely
FILES_BOUNDS = 240, 480, 8
LIVES = 3  # that are lived at once, to find the smallest heaps


class Station:
    """The process, its console, and the central system that it talks to. `module` is what it
    runs, with words before the options: the bench's own, which answers questions, or main."""

    # Given another station's, it goes on with what that one stored, and owes its central system.
    folder: tempfile.TemporaryDirectory | None = None
    port = 0

    def __init__(self, is_frozen, heap, speed, args, *module):
        self.is_frozen = is_frozen
        self.heap = heap
        self.module = module or ("tools.bench.probe",)
        self.speed = speed
        self.args = args
        self.house = House()

    async def __aenter__(self):
        self.folder = self.folder or tempfile.TemporaryDirectory()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        Store(Files(self.folder.name + "/state")).write("update_key", bundle.modulus(key))
        needs = f"micropython {bundle.MICROPYTHON} 6"
        self.bundle = bundle.bundle(bundle.compiled(), "9.9.9", needs, [bundle.PC], key)
        url = await self.house.open(port=self.port)
        self.port = int(url.split(":")[2].split("/")[0])
        words = ["--state", self.folder.name + "/state", "--box-id", "BOX", "--speed", self.speed]
        words += ["--supervision-url", url, *self.args]
        self.log = Path(self.folder.name) / "log"
        if self.is_frozen:
            command, folder = frozen.command(self.heap), frozen.FOLDER
            environment = frozen.environment()
        else:
            command, folder = runtimes.command(32, self.heap), runtimes.MPY
            environment = runtimes.environment()
        with open(self.log, "wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command,
                "-m",
                *self.module,
                *words,
                cwd=folder,
                env=environment,
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
        self.log.unlink()

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

    async def at_least(self, name, number):
        """Waits until `status` shows so much."""
        while json.loads((await self.ask("status"))[0])[name] < number:
            await asyncio.sleep(0.05)

    async def question(self, name) -> str:
        """Asks tools/bench/probe.py; returns the answer's line."""
        self.process.stdin.write(b"\x01" + name.encode() + b"\n")
        return await self.line()

    async def in_use(self) -> int:
        """Bytes in use when nothing but waiting is done."""
        await asyncio.sleep(0.5)
        _, used = (await self.question("used")).split()
        return int(used)


class Shelf:
    """An HTTP server for transfers: has a bundle to get, takes what is put."""

    def __init__(self, content: bytes):
        self.content = content

    async def __aenter__(self):
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/{name:.*}", self._get)
        app.router.add_put("/{name:.*}", self._put)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://127.0.0.1:%d/" % site._server.sockets[0].getsockname()[1]  # type: ignore
        return self

    async def __aexit__(self, *error):
        await self.runner.cleanup()

    async def _get(self, request):
        return web.Response(body=self.content)

    async def _put(self, request):
        await request.read()
        return web.Response(status=201)


def a_profile(periods: int, number: int = 0) -> dict:
    """The arguments of a SetChargingProfile of so many periods; 100 make 6 KB."""
    found = profile(periods)["csChargingProfiles"]
    found.update({"chargingProfileId": number + 1, "stackLevel": number})
    return {"connector_id": 1, "cs_charging_profiles": found}


async def session(station):
    """A life: yields what has been done, moment by moment. All of it is seen by the central
    system: the console's commands take memory of their own."""
    house = station.house
    seen = 0

    async def told(status):
        nonlocal seen
        count = len(house.calls("StatusNotification"))
        while not any(
            call["connectorId"] == 1 and call["status"] == status
            for call in house.calls("StatusNotification")[seen:]
        ):
            count += 1
            await house.heard_of("StatusNotification", count=count, timeout=60)
        seen = len(house.calls("StatusNotification"))

    async def accepted(action, **words):
        answer = await point.ask(action, **words)
        assert answer.status == "Accepted", answer

    async def charges():
        await station.ask("sim plug")
        await station.ask("sim ready")
        await told("Preparing")
        await accepted("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)
        await told("Charging")

    async def unplugged():
        await station.ask("sim unplug")
        await house.heard_of("StopTransaction", timeout=60)
        await told("Available")

    point = await house.point("BOX")
    await told("Available")
    yield "connected, no car"
    await charges()
    await house.heard_of("MeterValues", count=3, timeout=120)
    yield "charging"
    await point._connection.socket.close()
    await told("Charging")
    point = await house.point("BOX")
    yield "connected again while charging"
    await accepted("SetChargingProfile", **a_profile(100))
    yield "a profile of 100 periods"
    await accepted("GetCompositeSchedule", connector_id=1, duration=86400)
    yield "GetCompositeSchedule"
    answer = await point.ask("GetConfiguration")
    assert len(answer.configuration_key) > 40, answer
    yield "GetConfiguration of all keys"
    await station.ask("sim tic historique")
    for _ in range(200):
        answer = await point.ask("GetConfiguration", key=["TICdetection"])
        if answer.configuration_key[0]["value"] == "true":
            break
        await asyncio.sleep(0.2)
    else:
        raise RuntimeError("no TIC")
    yield "a TIC line"
    await accepted("SetChargingProfile", **a_profile(100))
    yield "a profile of 100 periods beside a TIC line"
    await unplugged()
    yield "unplugged and billed"
    await station.until(status="Available", transaction=None, queue=0)
    yield "the console's status"
    await station.ask("config")
    yield "the console's config"
    async with Shelf(station.bundle) as shelf:
        await charges()
        await point.ask("GetDiagnostics", location=shelf.url)
        await house.heard_of(
            "DiagnosticsStatusNotification", lambda p: p["status"] == "Uploaded", timeout=60
        )
        yield "diagnostics uploaded while the next car charges"
        await unplugged()
        shelf.content = shelf.content[:-1] + b"!"  # else the station would restart into it
        await point.ask("UpdateFirmware", location=shelf.url, retrieve_date=LONG_AGO, retries=0)
        await house.heard_of(
            "FirmwareStatusNotification", lambda p: p["status"] == "DownloadFailed", timeout=120
        )
        yield "an update downloaded and verified"
        await charges()
    for n in range(PROFILES):
        await accepted("SetChargingProfile", **a_profile(100, n))
    yield "200 profiles of 100 periods"
    await accepted("GetCompositeSchedule", connector_id=1, duration=86400)
    answer = await point.ask("GetConfiguration")
    assert len(answer.configuration_key) > 40, answer
    yield "GetCompositeSchedule and GetConfiguration then"
    assert not house.errors(), house.errors()


async def reached(is_frozen: bool, heap: int, keys, limit_s: float = 600) -> list[str]:
    """The moments that a station with so many KB of heap reaches within so many seconds, none of
    its tasks out of memory on the way."""
    passed: list[str] = []

    async def live(station):
        async for moment in session(station):
            if "MemoryError" in station.log.read_text():
                return
            passed.append(moment)

    async with Station(is_frozen, f"{heap}k", "20", keys, "main") as station:
        life = asyncio.create_task(live(station))
        end = time.monotonic() + limit_s
        while not life.done() and station.process.returncode is None and time.monotonic() < end:
            await asyncio.wait([life], timeout=0.2)
            if "MemoryError" in station.log.read_text():
                break
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)  # out of memory, in one way or another
    return passed


async def peaks(is_frozen: bool, keys, low: int, high: int, step: int = 1) -> dict[str, int]:
    """The smallest heap in KB with which each moment is reached, to `step` KB."""
    lives: dict[int, asyncio.Task] = {}
    places = asyncio.Semaphore(LIVES)

    begun = time.monotonic()
    moments = await reached(is_frozen, 8192, keys)
    limit_s = LIVES * 2 * (time.monotonic() - begun)  # some are lived at once

    async def live(heap):
        async with places:
            return await reached(is_frozen, heap, keys, limit_s)

    async def least_for(moment):
        least, most = low, high
        while most - least > step:
            middle = (least + most) // 2 // step * step
            if middle not in lives:
                lives[middle] = asyncio.create_task(live(middle))
            if moment in await lives[middle]:
                most = middle
            else:
                least = middle
        return most

    return dict(zip(moments, await asyncio.gather(*map(least_for, moments)), strict=True))


async def used(is_frozen: bool, options, keys) -> dict[str, int]:
    """Bytes in use at each moment of a life."""
    rows = {}
    async with Station(is_frozen, options.heap, options.speed, keys) as station:
        try:
            async for moment in session(station):
                rows[moment] = await station.in_use()
        except Exception:
            print(station.log.read_text()[-6000:])
            raise
        if options.log:
            print(station.log.read_text())
    return rows


async def main(words) -> int:
    """Prints the table; returns the process' exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frozen", action="store_true", help="only the frozen build")
    parser.add_argument("--files", action="store_true", help="only the .mpy files")
    parser.add_argument("--heap", default=ROOMY, help="the station's heap")
    parser.add_argument("--speed", default="20")
    parser.add_argument("--peaks", action="store_true", help="the smallest heaps, by bisection")
    parser.add_argument("--log", action="store_true", help="the station's log")
    parser.add_argument("--key", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(words)
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # of lives that ended in the middle
    keys = [word for key in options.key for word in ("--key", key)]
    builds = [True] * (not options.files) + [False] * (not options.frozen)
    for refusal in runtimes.compile_mpy().values() if False in builds else ():
        print(f"not compiled: {refusal}")
    columns = []
    for is_frozen in builds:
        title = "frozen" if is_frozen else ".mpy files"
        columns.append(("in use, " + title, await used(is_frozen, options, keys), 1024))
        if options.peaks:
            bounds = FROZEN_BOUNDS if is_frozen else FILES_BOUNDS
            columns.append(("smallest, " + title, await peaks(is_frozen, keys, *bounds), 1))
    print(f"{'KB of heap':50} " + " ".join(f"{title:>20}" for title, _, _ in columns))
    for moment in columns[0][1]:
        figures = [column.get(moment) for _, column, _ in columns]
        units = [unit for _, _, unit in columns]
        cells = ["-" if n is None else str(-(-n // unit)) for n, unit in zip(figures, units)]
        print(f"{moment:50} " + " ".join(f"{cell:>20}" for cell in cells), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
