"""GetDiagnostics on whole stations: real servers, retries, and a link that gives way."""

import asyncio
import base64
import contextlib
import datetime
import logging
import re
import ssl
import sys
import threading
import types

import trustme
from aiohttp import web
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

from firmware.base import runtime as firmware_runtime
from firmware.net import dial
from firmware.ocpp import diagnostics, transfers
from host_tests.station import Rig, play
from host_tests.transfers.test_transfer_http import der

logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
SECRET = "0123456789-not-for-others"
NAME = re.compile(r"BOX_1___-\d{8}T\d{6}Z\.txt")


class Server:
    """An HTTP server that keeps what is put. `answers`: the next statuses, then 201; `hold`: a
    future that uploads wait for."""

    def __init__(self, context=None):
        self.context = context
        self.answers = []
        self.files = {}
        self.headers = []
        self.times = []
        self.hold = None

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{name:.*}", self.put)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()

    async def put(self, request):
        self.times.append(asyncio.get_running_loop().time())
        hold = self.hold
        self.headers.append(dict(request.headers))
        body = (await request.read()).decode()
        if hold:
            await hold
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        self.files[request.path[1:]] = body
        return web.Response(status=201)


def statuses(house):
    return [p["status"] for p in house.calls("DiagnosticsStatusNotification")]


def sections(text):
    found = {}
    for part in text.split("\n\n"):
        head, _, rest = part.partition("\n")
        found[head.strip("[]")] = rest
    return found


async def trigger(point, message="DiagnosticsStatusNotification"):
    answer = await point.ask("TriggerMessage", requested_message=message)
    assert answer.status == "Accepted"


def test_what_is_in_it(runtime, tmp_path):
    async def session():
        async with (
            Server() as server,
            Rig(runtime, tmp_path, "--key", "AuthorizationKey=" + SECRET) as rig,
        ):
            house = rig.house
            point = await rig.charge()
            await trigger(point)
            await house.heard_of("DiagnosticsStatusNotification")
            await rig.console("sim fault 0x100206 on")
            await rig.until(status="Faulted")
            url = f"http://us%20er:pass-word@localhost:{server.port}/store"
            answer = await point.ask("GetDiagnostics", location=url)
            assert NAME.fullmatch(answer.file_name)
            await house.heard_of("DiagnosticsStatusNotification", count=3)
            assert statuses(house) == ["Idle", "Uploading", "Uploaded"]
            await trigger(point)
            await house.heard_of("DiagnosticsStatusNotification", count=4)
            assert statuses(house)[3] == "Idle"
            text = server.files["store/" + answer.file_name]
            (headers,) = server.headers
            assert (
                headers["Authorization"]
                == "Basic " + base64.b64encode(b"us er:pass-word").decode()
            )
            found = sections(text)
            assert "version=" in found["station"] and "model=Evh5A22N2S" in found["station"]
            assert "registration=Accepted" in found["station"]
            assert "started_after=" in found["station"]
            assert re.search(r"(?m)^warnings\.\w+=\d+$", found["station"])
            assert "status=Faulted" in found["connector"]
            assert "fault=0x100206 Ground fault" in found["connector"]
            assert "meter.energy=" in found["connector"]
            assert "MeterValueSampleInterval=30" in found["configuration"]
            assert "AuthorizationKey=(set)" in found["configuration"]
            assert "heap_free=" in found["memory"] and "flash_free=" in found["memory"]
            assert "link=online\nconnections=1\n" in found["network"]
            assert "silent_for_s=" in found["network"]
            assert "registration Accepted" in found["log"]
            assert re.search(r"(?m)^20\d\d-\d\d-\d\dT[\d:]+Z I session: transaction started", text)
            log = "\n".join(await rig.console("log")) + ("" if rig.inside else rig.log())
            for secret in (SECRET, "pass-word", "us er", "us%20er"):
                assert secret not in text and secret not in log
            assert not (tmp_path / "state" / "diagnostics.txt").exists()
            assert house.errors() == []

    play(runtime, session())


def test_retries(runtime, tmp_path):
    async def session():
        async with Server() as server, Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            server.answers = [500, 503]
            url = f"http://localhost:{server.port}/"
            answer = await point.ask("GetDiagnostics", location=url, retries=2, retry_interval=40)
            await house.heard_of("DiagnosticsStatusNotification", count=2, timeout=300)
            assert statuses(house) == ["Uploading", "Uploaded"]
            assert answer.file_name in server.files
            gaps = [b - a for a, b in zip(server.times, server.times[1:])]
            assert all(0 <= gap * rig.speed - 40 < 20 for gap in gaps) and len(gaps) == 2
            # given up after one retry; and what can't be at once
            server.answers = [500, 503]
            await point.ask("GetDiagnostics", location=url, retries=1, retry_interval=1)
            await house.heard_of("DiagnosticsStatusNotification", count=4)
            for count, location in enumerate(("gopher://x/", "not a URL", "")):
                await point.ask("GetDiagnostics", location=location, retries=9)
                await house.heard_of("DiagnosticsStatusNotification", count=6 + 2 * count)
            assert statuses(house)[2:] == ["Uploading", "UploadFailed"] * 4

    play(runtime, session())


def test_while_it_goes_on(runtime, tmp_path):
    """TriggerMessage says Uploading; a new request takes the place of the old one."""

    async def session():
        async with Server() as server, Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            server.hold = asyncio.get_running_loop().create_future()
            url = f"http://localhost:{server.port}/"
            await point.ask("GetDiagnostics", location=url + "one")
            await house.heard_of("DiagnosticsStatusNotification")
            await trigger(point)
            await house.heard_of("DiagnosticsStatusNotification", count=2)
            assert "Uploading" in " ".join(await rig.console("transfers"))
            while not server.times:  # it says Uploading before it connects
                await rig.sleep(1)
            hold, server.hold = server.hold, None
            answer = await point.ask("GetDiagnostics", location=url + "two")
            await house.heard_of(
                "DiagnosticsStatusNotification", lambda p: p["status"] == "Uploaded"
            )
            hold.set_result(None)
            assert "two/" + answer.file_name in server.files
            assert statuses(house)[:2] == ["Uploading"] * 2
            assert statuses(house)[-1] == "Uploaded" and statuses(house).count("Uploaded") == 1
            while await rig.console("transfers") != ["nothing"]:
                await rig.sleep(1)

    play(runtime, session())


def test_a_restart_ends_an_upload(runtime, tmp_path):
    """The central system hears of it once; nothing is left."""

    async def session():
        async with Server() as server, Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            server.hold = asyncio.get_running_loop().create_future()
            url = f"http://localhost:{server.port}/"
            await point.ask("GetDiagnostics", location=url, retries=0)
            while not server.times:
                await rig.sleep(1)
            assert (tmp_path / "state" / "diagnostics.txt").exists()
            await rig.kill()
            await rig.start()
            await house.heard_of("DiagnosticsStatusNotification", count=2)
            assert statuses(house) == ["Uploading", "UploadFailed"]
            await rig.online()
            while await rig.console("transfers") != ["nothing"]:
                await rig.sleep(1)
            assert not (tmp_path / "state" / "diagnostics.txt").exists()
            server.hold.set_result(None)
            server.hold = None
            await rig.console("reset soft")
            await house.heard_of("BootNotification", count=3)
            point = await rig.online()
            await point.ask("GetDiagnostics", location=url)
            await house.heard_of("DiagnosticsStatusNotification", count=4)
            assert statuses(house)[2:] == ["Uploading", "Uploaded"]

    play(runtime, session())


async def test_a_job_that_does_not_hear_its_end(virtual_loop):
    """MicroPython's wait_for can swallow the end that a new request asks for: the new one waits
    until it is obeyed, since both write the same file."""
    steps = []

    class Slow:
        message = "SlowStatusNotification"

        def __init__(self, name):
            self.name = name

        async def run(self):
            steps.append("begin " + self.name)
            for _ in range(3):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if "what?" in steps:
                        raise
                    steps.append("what?")
            steps.append("end " + self.name)

    station = types.SimpleNamespace(log=lambda part: None, spawn=asyncio.ensure_future)
    slow = transfers.Transfers(station)
    slow.start(Slow("old"))
    await asyncio.sleep(1)
    slow.start(Slow("new"))
    await asyncio.sleep(200)
    assert steps == ["begin old", "what?", "begin new", "end new"]


def test_what_only_a_device_knows(monkeypatch):
    class Wlan:
        def isconnected(self):
            return True

        def ifconfig(self):
            return ("192.0.2.7", "", "", "")

        def status(self, what):
            return -61

    network = types.SimpleNamespace(STA_IF=0, WLAN=lambda which: Wlan())
    monkeypatch.setitem(sys.modules, "network", network)
    from firmware.net import wifi

    monkeypatch.setattr(wifi, "network", network)
    monkeypatch.setattr(firmware_runtime, "DEVICE", True)
    station = types.SimpleNamespace(
        connection=types.SimpleNamespace(
            state="online", connections=3, lost_ms=None, addresses=dial.Addresses()
        ),
        clock=types.SimpleNamespace(ms=lambda: 5000),
        rpc=types.SimpleNamespace(active_ms=3000),
    )
    assert "wifi=192.0.2.7, -61 dBm" in list(diagnostics._network(station))


def test_lines_of_a_time_only(tmp_path):
    async def session():
        async with Server() as server, Rig("cpython", tmp_path) as rig:
            house = rig.house
            point = await rig.online()

            def at(seconds):
                when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
                return when.strftime("%Y-%m-%dT%H:%M:%SZ")

            for number in range(4):
                await rig.console(f"config DefaultIdTag TAG{number}")
                await rig.console(f"authorize TAG{number}")
                await rig.sleep(100)
            begin = house.now() - 310
            url = f"http://localhost:{server.port}/"
            answer = await point.ask(
                "GetDiagnostics", location=url, start_time=at(begin), stop_time=at(begin + 200)
            )
            await house.heard_of("DiagnosticsStatusNotification", count=2)
            log = sections(server.files[answer.file_name])["log"].splitlines()
            dates = [line.split()[0] for line in log if not line.startswith("+")]
            assert dates and min(dates) >= at(begin) and max(dates) <= at(begin + 200)
            answer = await point.ask("GetDiagnostics", location=url)
            await house.heard_of("DiagnosticsStatusNotification", count=4)
            everything = sections(server.files[answer.file_name])["log"].splitlines()
            assert len(everything) > len(log) and log[0] in everything

    play("cpython", session())


def test_the_log_outlives_a_restart(tmp_path):
    """Kept in flash by a reset, and by a fault a moment later."""

    async def session():
        async with Server() as server, Rig("cpython", tmp_path) as rig:
            house = rig.house
            await rig.online()
            await rig.console("config DefaultIdTag BEFORE-RESET")
            await rig.console("reset soft")
            await house.heard_of("BootNotification", count=2)
            await rig.online()
            await rig.console("sim fault 0x100206 on")
            await rig.until(status="Faulted")
            await rig.sleep(12)
            await rig.kill()  # nothing is flushed
            await rig.start()
            point = await rig.online()
            url = f"http://localhost:{server.port}/"
            answer = await point.ask("GetDiagnostics", location=url)
            await house.heard_of("DiagnosticsStatusNotification", count=2)
            log = sections(server.files[answer.file_name])["log"]
            assert "DefaultIdTag changed" in log and "soft reset" in log
            assert "0x100206" in log

    play("cpython", session())


def test_the_link_gives_way_to_a_transfer(tmp_path, monkeypatch):
    """On a board with room for one TLS connection: the link is closed for the transfer and comes
    back, the notifications are in order, and no car is taken for one that comes offline."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    (tmp_path / "ca.der").write_bytes(der(ca))

    async def session():
        async with (
            Server(context) as server,
            Rig("cpython", tmp_path, "--ca", str(tmp_path / "ca.der"), tls=context) as rig,
        ):
            house = rig.house
            point = await rig.online()
            # what the memory of such a board says
            monkeypatch.setattr(
                firmware_runtime, "scarce_memory", lambda: 20000 if house.points else 60000
            )
            server.hold = asyncio.get_running_loop().create_future()
            url = f"https://localhost:{server.port}/"
            answer = await point.ask("GetDiagnostics", location=url)
            await rig.until(link="off")
            assert statuses(house) == ["Uploading"]  # said before
            await rig.console("sim plug")
            await rig.sleep(20)
            assert (await rig.status())["transaction"] is None
            server.hold.set_result(None)
            await rig.until(link="online")
            await house.heard_of("DiagnosticsStatusNotification", count=2)
            assert statuses(house) == ["Uploading", "Uploaded"]
            assert answer.file_name in server.files
            assert house.connections == 2 and len(house.calls("BootNotification")) == 1
            # and where that does not help
            monkeypatch.setattr(firmware_runtime, "scarce_memory", lambda: 20000)
            point = await rig.online()
            await point.ask("GetDiagnostics", location=url, retries=0)
            await rig.sleep(10)
            monkeypatch.undo()
            await house.heard_of("DiagnosticsStatusNotification", count=4, timeout=600)
            assert statuses(house)[2:] == ["Uploading", "UploadFailed"]
            assert (await rig.status())["link"] == "online"

    play("cpython", session())


def test_a_transfer_ends_when_the_chips_own_memory_is_low(tmp_path, monkeypatch):
    """On a board without PSRAM: the rest, Wi-Fi above all, goes on. One that is asked for then
    fails as well, and one that is asked for later does not."""
    free = [65000]
    monkeypatch.setattr(firmware_runtime, "scarce_memory", lambda: free[0])

    async def session():
        async with Server() as server, Rig("cpython", tmp_path) as rig:
            house = rig.house
            point = await rig.charge()
            server.hold = asyncio.get_running_loop().create_future()
            url = f"http://localhost:{server.port}/"
            await point.ask("GetDiagnostics", location=url, retries=0)
            await house.heard_of("DiagnosticsStatusNotification")
            await rig.sleep(5)
            assert not (await rig.status())["memory_low"]
            free[0] = 19000
            await house.heard_of("DiagnosticsStatusNotification", count=2, timeout=5)
            assert (await rig.status())["memory_low"]
            free[0] = 25000  # not enough yet
            await point.ask("GetDiagnostics", location=url, retries=0)
            await house.heard_of("DiagnosticsStatusNotification", count=4, timeout=5)
            free[0] = 31000
            server.hold = None
            await rig.sleep(2)
            assert not (await rig.status())["memory_low"]
            await point.ask("GetDiagnostics", location=url, retries=0)
            await house.heard_of("DiagnosticsStatusNotification", count=6, timeout=5)
            assert statuses(house) == ["Uploading", "UploadFailed"] * 2 + ["Uploading", "Uploaded"]
            log = "\n".join(await rig.console("log"))
            assert "only 19 KB of the chip's own memory are free: the transfer is ended" in log
            assert "upload: the chip's own memory is too low for a transfer" in log
            state = await rig.status()
            assert state["status"] == "Charging" and state["link"] == "online"
            assert house.connections == 1

    play("cpython", session())


@contextlib.contextmanager
def ftp(home):
    """pyftpdlib on a thread; its port."""
    authorizer = DummyAuthorizer()
    authorizer.add_user("box", "ftp-pass", str(home), perm="elradfmw")
    loop = IOLoop()
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    server = FTPServer(("127.0.0.1", 0), handler, ioloop=loop)
    stop = threading.Event()

    def run():
        while not stop.is_set():
            loop.loop(0.05, blocking=False)
        server.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield server.address[1]
    stop.set()
    thread.join()


def test_over_ftp(runtime, tmp_path):
    """In real time: the server is on a thread of its own."""

    async def session(port):
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            url = f"ftp://box:ftp-pass@localhost:{port}/"
            answer = await point.ask("GetDiagnostics", location=url)
            await rig.house.heard_of("DiagnosticsStatusNotification", count=2)
            assert statuses(rig.house) == ["Uploading", "Uploaded"]
            text = (tmp_path / "home" / answer.file_name).read_text()
            assert "[configuration]" in text and "ftp-pass" not in text + rig.log()

    (tmp_path / "home").mkdir()
    if runtime != "cpython":
        play(runtime, asyncio.sleep(0))  # skips without one
    with ftp(tmp_path / "home") as port:
        asyncio.run(session(port))
