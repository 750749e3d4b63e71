"""Any fragments, control frames and chunks on a link, and what they allocate."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.net import receiving, websocket
from firmware.net.websocket import Closed
from host_tests import virtual
from host_tests.both.net.test_websocket import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Peer,
    frame,
    said,
    trickle,
    unframe,
    whole,
)
from host_tests.net.test_websocket import program


class FedLink:
    """A WebSocket whose bytes come from the test, without a network."""

    def __init__(self, limit):
        self.reader = asyncio.StreamReader()
        self.out = b""
        self.transport = self
        self.link = websocket.WebSocket(receiving.ReadAhead(self.reader), self, limit, 30)

    def write(self, data):
        self.out += data

    async def drain(self):
        await asyncio.sleep(0)

    def abort(self):
        if not self.reader.at_eof():
            self.reader.feed_eof()

    async def frames(self):
        """What the link has sent."""
        reader = asyncio.StreamReader()
        reader.feed_data(self.out)
        reader.feed_eof()
        while not reader.at_eof():
            yield await unframe(reader)


controls = st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2)


texts = st.text(max_size=40) | st.text("aé€😀", min_size=60, max_size=400)


@st.composite
def streams(draw):
    """(bytes of a stream, its messages, its pings)."""
    data, messages, pings = b"", draw(st.lists(texts, max_size=5)), []

    def some_controls():
        nonlocal data
        for opcode, payload in draw(controls):
            data += frame(opcode, payload)
            if opcode == PING:
                pings.append(payload)

    for message in messages:
        whole = message.encode()
        cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
        edges = [0, *cuts, len(whole)]
        for i in range(len(edges) - 1):
            some_controls()
            last = i == len(edges) - 2
            data += frame(TEXT if i == 0 else 0, whole[edges[i] : edges[i + 1]], last)
    some_controls()
    return data, messages, pings


@settings(max_examples=60, deadline=None)
@given(streams(), st.lists(st.integers(1, 400), max_size=40), st.booleans())
def test_any_stream_yields_its_messages(stream, sizes, cancel):
    data, messages, pings = stream

    async def feed(fed):
        at = 0
        for size in [*sizes, len(data)]:
            fed.reader.feed_data(data[at : at + size])
            at += size
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        fed.reader.feed_eof()

    message = []

    async def receive(link):
        if not message:
            message.append(await link.recv())
        return await whole(message[0])

    async def main():
        fed = FedLink(2000)
        feeder = asyncio.create_task(feed(fed))
        got = []
        try:
            while True:
                task = asyncio.create_task(receive(fed.link))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                if cancel and not task.done():
                    task.cancel()
                try:
                    got.append((await task).decode())
                    message.clear()
                except asyncio.CancelledError:
                    pass
        except Closed as error:
            assert error.code == 1006, error
        await feeder
        answers = [data async for opcode, data in fed.frames() if opcode == PONG]
        return got, answers

    got, answers = virtual.run(main())
    assert got == messages
    if not cancel:  # a pong may be cut short, which ends the link
        assert answers == pings


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | streams().map(lambda s: s[0]), st.data())
def test_no_bytes_do_harm(data, draw):
    """Anything at all gives messages in UTF-8 and then Closed, with a close frame that fits."""
    if data:
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]

    async def main():
        fed = FedLink(200)
        fed.reader.feed_data(data)
        fed.reader.feed_eof()
        with pytest.raises(Closed) as closed:
            while True:
                (await whole(await fed.link.recv())).decode()
        with pytest.raises(Closed):
            await fed.link.recv()
        opcodes = [opcode async for opcode, _ in fed.frames()]
        assert set(opcodes[:-1]) <= {PONG}
        assert closed.value.code == 1006 or opcodes[-1] == CLOSE

    virtual.run(main())


SEGMENTS = """
import asyncio, gc, json
from firmware.net import websocket

async def main():
    link = await websocket.connect("ws://127.0.0.1:%s/x" % sys.argv[1])
    gc.collect()
    await link.send("go")
    before = gc.mem_alloc()
    message = await link.recv()
    most = 0
    for at in range(0, 6000, 400):  # as json_reader.py does
        message.forget(at)
        await message.fill(at + 401)
        gc.collect()
        most = max(most, gc.mem_alloc() - before)
    gc.collect()
    text = "y" * 6000
    gc.disable()
    before = gc.mem_alloc()
    await link.send(text)
    sent = gc.mem_alloc() - before
    gc.enable()
    print(json.dumps([len(message), most, sent]))

asyncio.run(main())
"""


async def test_what_a_segmented_message_takes():
    """Of a 6 KB message in 100-byte segments only what is being read is in memory. One that is
    sent is written 256 bytes at a time: 24 times the 2.3 KB that the streams take for that."""

    async def script(reader, writer):
        await unframe(reader)
        data = frame(TEXT, b"x" * 6000)
        await trickle(writer, data, 100, 0.002)
        assert (await unframe(reader))[1] == b"y" * 6000

    async with Peer(script) as peer:
        [[size, most, sent]] = await program("micropython32", SEGMENTS, peer.port)
    assert size == 6000
    assert most < 3000 and sent < 60000


async def test_the_largest_message_over_a_small_heap():
    """Neither is it a MemoryError when the peer's message is as large as it likes."""

    async def script(reader, writer):
        writer.write(b"\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00" + b"x" * 100000)
        assert (await said(reader))[0] == 1009

    code = """
import asyncio, json
from firmware.net import websocket

async def main():
    link = await websocket.connect("ws://127.0.0.1:%s/x" % sys.argv[1])
    try:
        await link.recv()
    except OSError as error:
        print(json.dumps([error.code, error.reason]))

asyncio.run(main())
"""
    async with Peer(script) as peer:
        lines = await program("micropython32", code, peer.port)
    assert lines == [[1009, "message over 8192 bytes"]]
