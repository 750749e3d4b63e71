"""The WebSocket client against a peer that says byte by byte what it is told, in virtual time."""

import asyncio

from firmware.base import runtime
from firmware.net import websocket
from firmware.net.websocket import Closed
from host_tests.both.ws_peer import (
    BINARY,
    CLOSE,
    LIMIT,
    PING,
    PONG,
    TEXT,
    Peer,
    closed,
    frame,
    said,
    text,
    trickle,
    unframe,
    whole,
)


async def talk(script, limit=LIMIT, timeout_s=30):
    """(peer, link), connected."""
    peer = Peer(script)
    await peer.__aenter__()
    return peer, await websocket.connect(peer.url, limit=limit, timeout_s=timeout_s)


async def test_messages_of_many_sizes_both_ways():
    sizes = (0, 1, 125, 126, 127, 255, 256, 257, 1023, 1024, 1025, 2049, 4000)

    async def echo(reader, writer):
        for _ in sizes:
            opcode, data = await unframe(reader)
            assert opcode == TEXT
            writer.write(frame(TEXT, data))
            await writer.drain()

    peer, link = await talk(echo, 4000)
    for n in sizes:
        message = ("é" + "x" * n)[: n - 1] if n else ""  # n bytes
        await link.send(message)
        assert await text(link) == message
    assert await closed(link) == 1006
    await peer.__aexit__(None, None, None)


async def test_pieces_make_one_message():
    pieces = ["[2", "", ',"é', "x" * 301, '"', "]", "y" * 255, "z" * 7]
    whole = "".join(pieces).encode()

    async def script(reader, writer):
        for n in range(len(pieces) + 1):
            assert await unframe(reader) == (TEXT, whole), n

    peer, link = await talk(script)
    for n in range(len(pieces) + 1):  # each comes to lie at another turn of the mask
        sent = ["".join(pieces[:n])] + pieces[n:]
        await link.send(sent)
        assert sent == []
    assert await closed(link) == 1006
    await peer.__aexit__(None, None, None)


async def test_split_at_every_byte():
    stream = (
        frame(TEXT, b"one")
        + frame(TEXT, "zwölf".encode()[:3], False)
        + frame(PING, b"are you there")
        + frame(0, "zwölf".encode()[3:5], False)
        + frame(PONG, b"?")
        + frame(0, b"f")
        + frame(TEXT, b"y" * 130)
        + frame(TEXT, b"")
    )

    async def script(reader, writer):
        for i in range(len(stream)):
            writer.write(stream[i : i + 1])
            await writer.drain()
            await asyncio.sleep(0.001)
        for cut in range(1, len(stream), 9):
            for part in (stream[:cut], stream[cut:]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
        for _ in range(1 + len(range(1, len(stream), 9))):
            assert await unframe(reader) == (PONG, b"are you there")

    peer, link = await talk(script)
    rounds = 1 + len(range(1, len(stream), 9))
    for _ in range(rounds):
        assert await text(link) == "one"
        assert await text(link) == "zwölf"
        assert await text(link) == "y" * 130
        assert await text(link) == ""
    assert link.pongs == rounds
    await closed(link)
    await peer.__aexit__(None, None, None)


async def violation(data):
    """(code that recv raised, code that the peer saw, reason)."""
    seen = []

    async def script(reader, writer):
        writer.write(data)
        await writer.drain()
        seen.extend(await said(reader))

    peer, link = await talk(script)
    code = await closed(link)
    assert link.closed[0] == code
    await peer.__aexit__(None, None, None)
    return code, seen[0], seen[1]


async def test_violations_are_answered_with_their_code():
    cases = (
        (1002, frame(TEXT, b"x", bits=0x40)),
        (1002, frame(TEXT, b"x", bits=0x10)),
        (1002, frame(3, b"x")),
        (1002, frame(7)),
        (1002, frame(11)),
        (1002, frame(15, b"x")),
        (1002, b"\x81\x81abcdx"),  # masked
        (1002, frame(PING, b"x" * 126)),
        (1002, frame(PING, b"x", fin=False)),
        (1002, frame(CLOSE, b"\x03\xe8", fin=False)),
        (1002, frame(0, b"x")),
        (1002, frame(TEXT, b"x", False) + frame(TEXT, b"y")),
        (1002, frame(CLOSE, b"x")),
        (1002, frame(CLOSE, b"\x03\xed")),  # 1005
        (1002, frame(CLOSE, b"\x03\xee")),  # 1006
        (1002, frame(CLOSE, b"\x00\x01")),
        (1002, frame(CLOSE, b"\x0b\xb7")),  # 2999
        (1007, frame(CLOSE, b"\x03\xe8\xff")),
        (1003, frame(BINARY, b"x")),
        (1003, frame(BINARY, b"x" * 3000)),
        (1007, frame(TEXT, b"\xff")),
        (1007, frame(TEXT, b"\xc3", False) + frame(0, b"x")),
        (1007, frame(TEXT, b"x" * 300 + b"\xc3")),
        (1009, frame(TEXT, b"x" * (LIMIT + 1))),
        (1009, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 3000),
        (1009, frame(TEXT, b"x" * (LIMIT - 9), False) + frame(0, b"x" * 10)),
        (1009, b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
    )
    for code, data in cases:
        got, seen, reason = await violation(data)
        assert got == seen == code and reason, (code, got, seen, data[:20])


async def test_a_peer_that_goes_on_after_a_1009_gets_two_seconds():
    async def script(reader, writer):
        try:
            while True:
                writer.write(frame(TEXT, b"x" * 5000))
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            pass

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    assert await closed(link) == 1009
    assert 1500 < runtime.ticks_diff(runtime.ticks_ms(), before) < 3000
    await peer.__aexit__(None, None, None)


async def test_pongs_go_between_messages_of_others():
    async def script(reader, writer):
        got = []
        for i in range(5):
            writer.write(frame(PING, b"%d" % i))
        await writer.drain()
        while len(got) < 10:
            got.append(await unframe(reader))
        assert [d for o, d in got if o == PONG] == [b"%d" % i for i in range(5)]
        assert [d for o, d in got if o == TEXT] == [b"m" * 1100] * 5

    peer, link = await talk(script)
    tasks = [asyncio.create_task(link.send("m" * 1100)) for _ in range(5)]
    assert await closed(link) == 1006
    for task in tasks:
        await task
    await peer.__aexit__(None, None, None)


async def test_receiving_may_be_cancelled_anywhere():
    stream = frame(TEXT, b"a" * 200, False) + frame(PING, b"p") + frame(0, b"b" * 700)

    async def script(reader, writer):
        await trickle(writer, stream, 50, 1)
        await reader.read(100)

    peer, link = await talk(script)
    cancelled = 0
    message = None

    async def receive():
        nonlocal message
        if message is None:
            message = await link.recv()
        return await whole(message)

    found = None
    while found is None:
        task = asyncio.create_task(receive())
        await asyncio.sleep(0.7)
        if not task.done():
            task.cancel()
            cancelled += 1
        try:
            found = await task
        except asyncio.CancelledError:
            pass
    assert found == b"a" * 200 + b"b" * 700 and cancelled > 5
    link.drop()
    await peer.__aexit__(None, None, None)


async def test_a_long_message_is_received_as_it_is_read():
    """What was read can be forgotten; what nobody reads is skipped, and the next one comes."""
    one = "é".encode() * 1500
    stream = frame(TEXT, one[:700], False) + frame(PING, b"p") + frame(0, one[700:])
    stream += frame(TEXT, b"short") + frame(TEXT, b"u" * 3000) + frame(TEXT, b"last")

    async def script(reader, writer):
        await trickle(writer, stream, 90, 0.01)
        await reader.read(100)

    peer, link = await talk(script, 8192)
    message = await link.recv()
    at = 0
    while at < 3000:
        await message.fill(at + 200)
        assert 3000 >= len(message) >= min(at + 200, 3000) and len(message) < at + 600
        assert bytes(message[at : at + 200]) == one[at : at + 200]
        at += 200
        message.forget(at)
        assert bytes(message[:200]) == one[:200]  # its beginning stays
    try:
        message[600:700]
        raise AssertionError("it is still there")
    except ValueError:
        pass
    await message.fill(9000)
    assert len(message) == 3000
    assert await text(link) == "short"
    unread = await link.recv()
    assert len(unread) < 3000
    assert await text(link) == "last"
    await unread.fill(9000)  # its time is over
    link.drop()
    await peer.__aexit__(None, None, None)


async def test_what_nobody_reads_of_a_long_message_is_utf_8_too():
    """A reader that refuses a message at its beginning leaves the rest: it ends the link all the
    same where it is no UTF-8 (RFC 6455, 8.1)."""
    for rest in (b"u" * 2000 + b"\x80" + b"u" * 900, b"u" * 2900 + b"\xc3", b"\xc3\xa9" * 1500):
        is_good = rest[-1:] == b"\xa9"

        async def script(reader, writer, rest=rest, is_good=is_good):
            await trickle(writer, frame(TEXT, b"u" * 999 + rest) + frame(TEXT, b"last"), 90, 0.01)
            if not is_good:
                assert await said(reader) == (1007, "a text message is not UTF-8")
                writer.write(frame(CLOSE, b"\x03\xef"))
            await reader.read(100)

        peer, link = await talk(script, 8192)
        message = await link.recv()
        assert len(message) < 1000
        try:
            assert await text(link) == "last" and is_good
        except Closed as error:
            assert error.code == 1007 and not is_good
        link.drop()
        await peer.__aexit__(None, None, None)
