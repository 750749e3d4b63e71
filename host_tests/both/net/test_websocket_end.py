"""How a link ends, by a close from either side or by silence, and what keeps it alive."""

import asyncio

from firmware.base import runtime
from firmware.net.websocket import Closed
from host_tests import virtual
from host_tests.both.net.test_websocket import talk
from host_tests.both.ws_peer import CLOSE, PING, PONG, TEXT, closed, frame, said, text, unframe


async def test_the_peer_closes():
    for payload, code, reason, echo in (
        (b"\x03\xe9bye \xc3\xa9", 1001, "bye é", b"\x03\xe9"),
        (b"", 1005, "", b""),
        (b"\x0f\xa0", 4000, "", b"\x0f\xa0"),
    ):

        async def script(reader, writer, payload=payload, echo=echo):
            writer.write(frame(TEXT, b"last") + frame(CLOSE, payload))
            await writer.drain()
            assert await unframe(reader) == (CLOSE, echo)

        peer, link = await talk(script)
        assert await text(link) == "last"
        try:
            await link.recv()
            assert False, "not closed"
        except Closed as error:
            assert (error.code, error.reason) == (code, reason)
        for again in (link.recv(), link.send("x")):
            try:
                await again
                assert False, "not closed"
            except Closed as error:
                assert error.code == code
        await link.close()
        await link.keepalive(1, 1)
        await peer.__aexit__(None, None, None)


async def test_we_close():
    async def script(reader, writer):
        assert await said(reader) == (1001, "going away")
        writer.write(frame(TEXT, b"late") + frame(PING, b"late") + frame(CLOSE, b"\x03\xe9"))
        await writer.drain()
        assert await reader.read(10) == b""  # and nothing more comes

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    await link.close(1001, "going away")
    assert link.closed[0] == 1001
    assert runtime.ticks_diff(runtime.ticks_ms(), before) < 2500
    await peer.__aexit__(None, None, None)


async def test_we_close_while_another_task_receives():
    async def script(reader, writer):
        writer.write(frame(TEXT, b"one"))
        await writer.drain()
        assert await said(reader) == (1000, "")
        await asyncio.sleep(2)
        writer.write(frame(TEXT, b"two") + frame(CLOSE, b"\x03\xe8"))
        await writer.drain()

    for pause in (0, 1, 5):  # receiving; at work on a message for a while; for long
        got = []

        async def receive(link, got=got, pause=pause):
            try:
                while True:
                    got.append(await text(link))
                    await asyncio.sleep(pause)
            except Closed as error:
                got.append(error.code)

        peer, link = await talk(script)
        task = asyncio.create_task(receive(link))
        await asyncio.sleep(0.5)
        await link.close()
        await task
        assert got[0] == "one" and got[-1] == 1000, got
        await peer.__aexit__(None, None, None)


async def test_a_peer_that_ignores_our_close():
    async def script(reader, writer):
        await said(reader)
        await asyncio.sleep(10)

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    await link.close()
    assert 4500 < runtime.ticks_diff(runtime.ticks_ms(), before) < 6000
    assert link.closed[0] == 1000
    await peer.__aexit__(None, None, None)


async def test_a_lost_connection_is_1006():
    async def script(reader, writer):
        writer.write(frame(TEXT, b"x" * 600)[:300])
        await writer.drain()

    peer, link = await talk(script)
    assert await closed(link) == 1006
    await peer.__aexit__(None, None, None)


async def test_drop_wakes_who_waits():
    async def idle(reader, writer):
        await reader.read(100)

    peer, link = await talk(idle)
    task = asyncio.create_task(closed(link))
    keeper = asyncio.create_task(link.keepalive(60, 30))
    await asyncio.sleep(1)
    link.drop(1006, "enough")
    assert await asyncio.wait_for(task, 1) == 1006
    await asyncio.wait_for(keeper, 61)  # its next ping finds no link
    assert link.closed == (1006, "enough")
    await peer.__aexit__(None, None, None)


async def test_a_dropped_link_takes_no_bytes_of_the_next():
    """The next socket may have the same file descriptor at once."""

    async def idle(reader, writer):
        await reader.read(100)

    async def greet(reader, writer):
        writer.write(b"hello")
        await writer.drain()
        await reader.read(100)

    peer, link = await talk(idle)
    port = virtual.free_port()
    other = await asyncio.start_server(greet, "127.0.0.1", port)
    task = asyncio.create_task(closed(link))
    await asyncio.sleep(1)
    link.drop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.readexactly(5) == b"hello"
    assert await asyncio.wait_for(task, 1) == 1006
    writer.close()
    other.close()
    await peer.__aexit__(None, None, None)


async def test_a_silent_peer_is_noticed_within_interval_and_time_out():
    pings = []

    async def script(reader, writer):
        for _ in range(3):
            opcode, data = await unframe(reader)
            pings.append(opcode)
            writer.write(frame(PONG, data))
            await writer.drain()
        await asyncio.sleep(1000)

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    keeper = asyncio.create_task(link.keepalive(60, 30))
    assert await closed(link) == 1006
    passed = runtime.ticks_diff(runtime.ticks_ms(), before)
    assert 269000 < passed < 272000, passed  # the fourth ping is at 240 s
    assert link.pongs == 3 and pings == [PING] * 3
    assert "silent" in link.closed[1]
    await asyncio.wait_for(keeper, 1)
    await peer.__aexit__(None, None, None)


async def test_a_link_that_dies_after_a_large_answer_is_noticed_as_soon():
    """Whatever was sent to it, and however short the interval."""

    async def script(reader, writer):
        await asyncio.sleep(1000)

    for interval_s, timeout_s, size in ((60, 30, 5000), (60, 30, 40000), (10, 30, 40000)):
        peer, link = await talk(script)
        keeper = asyncio.create_task(link.keepalive(interval_s, timeout_s))
        await asyncio.sleep(interval_s - 2)  # just before a ping, which is the worst moment
        before = runtime.ticks_ms()
        for _ in range(size // 5000):
            await link.send("x" * 5000)
        assert await closed(link) == 1006
        passed = runtime.ticks_diff(runtime.ticks_ms(), before)
        assert passed < (interval_s + timeout_s) * 1000 + 500, (interval_s, size, passed)
        await asyncio.wait_for(keeper, 1)
        await peer.__aexit__(None, None, None)


async def test_a_slow_link_that_moves_is_kept():
    """3000 bytes take 30 s at 100 bytes/s, whenever the ping is due."""

    async def script(reader, writer):
        while True:
            opcode, data = await unframe(reader)
            if opcode == CLOSE:
                return
            if opcode == TEXT:
                await asyncio.sleep(30)
                writer.write(frame(TEXT, b"got it"))
            else:
                writer.write(frame(PONG, data))
            await writer.drain()

    for before_s in (1, 15, 29, 59):
        peer, link = await talk(script)
        keeper = asyncio.create_task(link.keepalive(60, 10))
        await asyncio.sleep(60 - before_s)
        await link.send("x" * 3000)
        assert await text(link) == "got it", before_s
        await link.close()
        await asyncio.wait_for(keeper, 61)
        await peer.__aexit__(None, None, None)


async def test_any_bytes_are_life():
    async def script(reader, writer):
        for i in range(20):
            writer.write(b"\x81\x7e\x03\xe8"[i : i + 1] if i < 4 else b"x")
            await writer.drain()
            await asyncio.sleep(10)
        await asyncio.sleep(1000)

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    keeper = asyncio.create_task(link.keepalive(20, 15))
    assert await closed(link) == 1006
    assert 200000 < runtime.ticks_diff(runtime.ticks_ms(), before) < 240000
    await keeper
    await peer.__aexit__(None, None, None)


async def test_interval_0_is_no_ping():
    async def script(reader, writer):
        await asyncio.sleep(500)
        writer.write(frame(TEXT, b"still here"))
        await writer.drain()
        assert await said(reader) == (1000, "")

    peer, link = await talk(script)
    await link.keepalive(0, 30)
    assert await text(link) == "still here"
    await link.close()
    await peer.__aexit__(None, None, None)


async def test_a_peer_that_reads_nothing_ends_the_link():
    async def script(reader, writer):
        await asyncio.sleep(1000)

    peer, link = await talk(script, timeout_s=10)
    before = runtime.ticks_ms()
    keeper = asyncio.create_task(link.keepalive(60, 30))
    count = 0
    try:
        while count < 30000:  # until the system's buffers are full
            await link.send("x" * 2000)
            count += 1
        assert False, "all taken"
    except Closed as error:
        assert error.code == 1006, error
    assert runtime.ticks_diff(runtime.ticks_ms(), before) < 92000
    await keeper
    await peer.__aexit__(None, None, None)
