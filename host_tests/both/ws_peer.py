"""The other end of a link under test: frames and handshakes by hand, as good or as bad as
a test wants them."""

import asyncio
import hashlib
import os
from binascii import b2a_base64

from firmware.base import runtime
from firmware.net import websocket
from firmware.net.websocket import Closed

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


LIMIT = 1100  # of most links here: what the tests take themselves is a load on the device's heap


def frame(opcode, payload=b"", fin=True, bits=0):
    """A server's frame."""
    n = len(payload)
    first = (0x80 if fin else 0) | bits | opcode
    if n < 126:
        return bytes((first, n)) + payload
    if n < 65536:
        return bytes((first, 126)) + n.to_bytes(2, "big") + payload
    return bytes((first, 127)) + n.to_bytes(8, "big") + payload


async def unframe(reader):
    """The client's next frame: (opcode, payload). It must be whole and masked."""
    first, n = await reader.readexactly(2)
    assert first & 0x70 == 0 and n & 0x80
    n &= 127
    if n > 125:
        n = int.from_bytes(await reader.readexactly(2 if n == 126 else 8), "big")
    key = await reader.readexactly(4)
    data = bytearray(n)
    at = 0
    while at < n:
        part = await reader.read(min(1000, n - at))
        assert part
        data[at : at + len(part)] = part
        at += len(part)
    assert first & 0x80
    websocket.mask(memoryview(data), key)
    return first & 15, data


async def said(reader):
    """The code and the reason of the client's close frame."""
    opcode, data = await unframe(reader)
    assert opcode == CLOSE
    return int.from_bytes(data[:2], "big"), bytes(data[2:]).decode()


class Peer:
    """`async with Peer(script) as peer`: a server on loopback; script(reader, writer) runs once
    the handshake is answered. What it raises comes out at the end."""

    def __init__(self, script=None, answer=None):
        self.script = script
        self.answer = answer
        self.request = b""
        self.error = None
        self.met = 0

    async def __aenter__(self):
        while True:
            self.port = 20000 + int.from_bytes(os.urandom(2), "big") % 40000
            try:
                self.server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
                break
            except OSError:
                pass
        self.url = "ws://127.0.0.1:%d/ocpp/BOX" % self.port
        return self

    async def __aexit__(self, kind, error, trace):
        await asyncio.sleep(0.1)
        self.server.close()
        if self.error:
            raise self.error

    async def _meet(self, reader, writer):
        self.met += 1
        try:
            line = None
            while line != b"\r\n":
                line = await reader.readline()
                if not line:
                    return
                self.request += line
                if line.startswith(b"Sec-WebSocket-Key: "):
                    key = line[19:].strip()
            if self.answer:
                await self.answer(writer, accept(key))
            else:
                writer.write(welcome(accept(key)))
            await writer.drain()
            if self.script:
                await self.script(reader, writer)
        except Exception as error:
            self.error = error
        finally:
            writer.close()
            if runtime.MICROPYTHON:
                await writer.wait_closed()


def accept(key):
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return b2a_base64(hashlib.sha1(key + guid).digest()).strip()


def welcome(token, protocol=b"ocpp1.6", upgrade=b"websocket", more=b""):
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: " + upgrade + b"\r\n"
        b"Connection: keep-alive, Upgrade\r\nSEC-WEBSOCKET-ACCEPT:" + token + b"\r\n"
        b"Sec-WebSocket-Protocol: " + protocol + b" \r\n" + more + b"\r\n"
    )


async def trickle(writer, stream, size, pause):
    """Writes a stream in pieces of so many bytes, so many seconds apart."""
    for i in range(0, len(stream), size):
        writer.write(stream[i : i + size])
        await writer.drain()
        await asyncio.sleep(pause)


async def whole(message):
    """All bytes of a received message."""
    if hasattr(message, "fill"):
        await message.fill(1 << 20)
    return bytes(message[:])


async def text(link):
    return (await whole(await link.recv())).decode()


async def closed(link):
    """What ends the link's recv."""
    try:
        while True:
            await whole(await link.recv())
    except Closed as error:
        return error.code
