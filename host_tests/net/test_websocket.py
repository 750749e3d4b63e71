"""The WebSocket client against the `websockets` library and a hostile network, on every Python;
any fragments, control frames and chunks; what it allocates."""

import asyncio
import http
import json
import os
import socket
import subprocess
import sys
import time

import pytest
import websockets

from firmware.base import runtime
from firmware.net import dial, websocket
from firmware.net.websocket import Closed
from host_tests.both.net.test_websocket import (
    Peer,
)
from tools import runtimes

RUNTIMES = ("cpython", "micropython", "micropython32")


BITS = {"micropython": 64, "micropython32": 32}


async def program(name, code, *args):
    """Runs code on a runtime, beside this loop; its standard output, JSON a line."""
    start = f"import sys; sys.argv[1:] = {[str(a) for a in args]!r}\n"
    if name == "cpython":
        command, env = [sys.executable, "-c", start + code], {"PYTHONPATH": str(runtimes.ROOT)}
    else:
        if runtimes.find(BITS[name]) is None:
            pytest.skip(runtimes.why_missing(BITS[name]))
        assert not runtimes.compile_mpy_once()
        command, env = [*runtimes.command(BITS[name]), "-c", start + code], runtimes.environment()
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **env}, cwd=runtimes.MPY, stdout=subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    except BaseException:
        process.kill()
        raise
    text = out.decode()
    assert process.returncode == 0, text
    return [json.loads(line) for line in text.splitlines()]


SESSION = """
import asyncio, json
from firmware.net import websocket
from firmware.net.websocket import Closed
from firmware.net.websocket_handshake import Refused
from firmware.net.url import basic_authorization
url = sys.argv[1]
limit = 6000

def tell(*what):
    print(json.dumps(what))

async def status(path, headers=()):
    try:
        link = await websocket.connect(url + path, headers, limit=limit)
        await link.close()
        return "open"
    except Refused as error:
        return error.status

async def main():
    good = (("Authorization", basic_authorization("BOX", b"\\x00\\xffkey")),)
    tell(await status("/none", good), await status("/BOX"), await status("/BOX", good))
    tell(await status("/other-protocol", good))
    link = await websocket.connect(url + "/BOX", good, limit=limit)
    for n in (0, 1, 125, 126, 6000):
        text = ("\\u20ac" * n)[: n // 3] + "x" * (n % 3)
        await link.send(text)
        back = await link.recv()
        if hasattr(back, "fill"):
            await back.fill(limit)
        tell(len(back), bytes(back[:]) == text.encode())
    await link.send("fragments")
    tell(bytes((await link.recv())[:]).decode())
    keeper = asyncio.create_task(link.keepalive(1, 5))
    await link.send("ping")
    tell(bytes((await link.recv())[:]).decode())
    await asyncio.sleep(1.3)
    await link.send("close")
    try:
        await link.recv()
    except Closed as error:
        tell(error.code, error.reason, link.pongs)
    await keeper
    link = await websocket.connect(url + "/BOX", good, limit=limit)
    await link.send("last")
    await link.close(1001, "rebooting")

asyncio.run(main())
"""


@pytest.mark.parametrize("name", RUNTIMES)
async def test_a_session_with_the_websockets_library(name):
    closings = []

    def process_request(connection, request):
        if request.path.endswith("/none"):
            return connection.respond(http.HTTPStatus.NOT_FOUND, "no such box\n")
        if request.headers.get("Authorization") != "Basic Qk9YOgD/a2V5":
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "who?\n")
        return None

    def select_subprotocol(connection, offered):
        return None if "other" in connection.request.path else "ocpp1.6"

    async def serve(connection):
        try:
            async for message in connection:
                if message == "fragments":
                    await connection.send(["fra", "", "gmen", "ts"])
                elif message == "ping":
                    waiter = await connection.ping(b"123")
                    await asyncio.wait_for(waiter, 5)
                    await connection.send("pong seen")
                elif message == "close":
                    await connection.close(4001, "za\u00e9")
                elif message != "last":
                    await connection.send(message)
        except websockets.ConnectionClosedError:
            pass
        closings.append((connection.close_code, connection.close_reason))

    server = await websockets.serve(
        serve,
        "127.0.0.1",
        0,
        process_request=process_request,
        select_subprotocol=select_subprotocol,
    )
    port = server.sockets[0].getsockname()[1]
    lines = await program(name, SESSION, f"ws://127.0.0.1:{port}/ocpp")
    assert lines == [
        [404, 401, "open"],
        [101],  # refused: its answer names no protocol
        *[[n // 3 * 3 + n % 3, True] for n in (0, 1, 125, 126, 6000)],
        ["fragments"],
        ["pong seen"],
        [4001, "za\u00e9", 1],
    ]
    server.close()
    await server.wait_closed()
    assert closings[0] == (1000, "") and closings[-2:] == [(4001, ""), (1001, "rebooting")]


LEAKS = """
import asyncio, gc, json, os
from firmware.base import runtime
from firmware.net import websocket
good, refusing, silent, closed = sys.argv[1:]
limit = 2000

async def one(port, timeout_s=1):
    try:
        url = "ws://127.0.0.1:%s/x" % port
        link = await websocket.connect(url, limit=limit, timeout_s=timeout_s)
    except runtime.LINK_ERRORS:
        return
    receiver = asyncio.create_task(link.recv())
    keeper = asyncio.create_task(link.keepalive(60, 60))
    await asyncio.sleep(0)
    link.drop()
    try:
        await receiver
    except OSError:
        pass
    keeper.cancel()
    try:
        await keeper
    except asyncio.CancelledError:
        pass

async def main():
    for round in range(6):
        for i in range(5):
            await one(good)
            await one(refusing)
            await one(closed)
        try:
            await asyncio.wait_for(one(silent, 30), 0.05)
        except asyncio.TimeoutError:
            pass
        await asyncio.sleep(0.01)
        gc.collect()
        runtime.collect()
        print(json.dumps([len(os.listdir("/proc/self/fd")), runtime.memory().heap_free]))

asyncio.run(main())
"""


@pytest.mark.parametrize("name", RUNTIMES)
async def test_nothing_leaks(name):
    async def idle(reader, writer):
        await reader.read()

    async def refuse(writer, token):
        writer.write(b"HTTP/1.1 404 no\r\n\r\n")

    async def silent(writer, token):
        await asyncio.sleep(1)

    async with Peer(idle) as a, Peer(answer=refuse) as b, Peer(answer=silent) as c, Peer() as d:
        d.server.close()
        lines = await program(name, LEAKS, a.port, b.port, c.port, d.port)
        for peer in (a, b, c):
            peer.error = None  # they see resets
    assert len({files for files, _ in lines}) == 1, lines
    assert min(free for _, free in lines[2:]) >= lines[1][1] - 500, lines


async def test_no_task_stays():
    async def leave(reader, writer):
        await reader.read(1)

    async with Peer(leave) as peer:
        link = await websocket.connect(peer.url)
        before = asyncio.all_tasks()
        tasks = [asyncio.create_task(link.recv()), asyncio.create_task(link.keepalive(1, 1))]
        await asyncio.sleep(0.01)
        await link.close()
        await asyncio.wait(tasks, timeout=5)
        with pytest.raises(Closed):
            tasks[0].result()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before


async def test_a_host_that_takes_no_connection():
    """Its queue is full, so the kernel leaves the SYN unanswered."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        begin = time.monotonic()
        with pytest.raises(OSError, match="connecting"):
            await websocket.connect(f"ws://127.0.0.1:{port}/", timeout_s=1)
        assert time.monotonic() - begin < 20
        for filler in fillers:
            filler.close()


async def test_a_name_that_takes_long(monkeypatch):
    """The loop goes on, and there is one lookup at a time."""
    calls, addresses, ticks = [], dial.Addresses(), []
    real = socket.getaddrinfo

    def slow(*args):
        calls.append(args)
        time.sleep(1.5)
        return real("127.0.0.1", 9, 0, socket.SOCK_STREAM)

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.01)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    ticker = asyncio.create_task(tick())
    with pytest.raises(OSError, match="no answer in 1 s"):
        await addresses.resolve("box.example", 9, 1)
    assert len(ticks) > 5
    found = await addresses.resolve("box.example", 9, 1)
    assert found[0][-1] == ("127.0.0.1", 9) and len(calls) == 1 and not addresses._lookups
    ticker.cancel()


async def test_too_little_memory_for_tls(monkeypatch):
    monkeypatch.setattr(runtime, "scarce_memory", lambda: 30000)
    with pytest.raises(OSError, match="30 KB are free"):
        await dial.dial("127.0.0.1", 9, tls=object())


async def test_ipv6():
    try:
        server = await asyncio.start_server(lambda r, w: w.close(), "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(OSError, match="handshake"):
        await websocket.connect(f"ws://[::1]:{port}/")
    server.close()
