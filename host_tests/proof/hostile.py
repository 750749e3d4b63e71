"""The central system that a station would not like to meet."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import time

from host_tests.ocpp.ocpp_messages import (
    as_received,
    validator,
)
from host_tests.proof.fuzz_decoders import Missing
from tools.central import iso

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Hostile:
    """A central system that says bytes. Answers the station's calls well unless told otherwise;
    holds all that the station says against the schemas."""

    def __init__(self, now=time.time):
        self.now = now
        self.answers = {}  # id -> the station's answers
        self.calls = []  # (action, payload)
        self.wrong = []  # what the station should not have said
        self.pongs = 0
        self.connections = 0
        self.transactions = {}
        self.mangle = None  # (text of the answer) -> bytes to send instead, or None
        self.meet = None  # instead of the handshake: async (reader, writer)
        self.held = None  # answers that wait for the end of a frame sent byte by byte
        self.writer = None
        self.open = asyncio.Event()
        self._changed = asyncio.Event()

    async def listen(self) -> str:
        self.server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        return "ws://127.0.0.1:%d/ocpp" % self.server.sockets[0].getsockname()[1]

    async def close(self):
        self.drop()
        self.server.close()
        await self.server.wait_closed()

    def drop(self, reset=False):
        """The line is cut."""
        if self.writer:
            if reset:
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
            self.writer.transport.abort() if reset else self.writer.close()
        self.open.clear()

    def write(self, data):
        if self.writer and not self.writer.is_closing():
            self.writer.write(data)

    async def _met(self, reader, writer):
        self.connections += 1
        self.writer = writer
        try:
            if self.meet:
                meet, self.meet = self.meet, None
                await meet(reader, writer)
                return
            head = await reader.readuntil(b"\r\n\r\n")
            key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
            token = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            writer.write(
                b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                % token.encode()
            )
            self.open.set()
            self._changed.set()
            while True:
                await self._frame(reader, writer)
        except (EOFError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.writer is writer:
                self.open.clear()
            writer.close()
            self._changed.set()

    async def _frame(self, reader, writer):
        first, size = await reader.readexactly(2)
        if not size & 128 or first & 0x70 or not first & 128:
            self.wrong.append("a frame that is not masked, or not whole")
        size &= 127
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        key = await reader.readexactly(4)
        data = await reader.readexactly(size)
        data = bytes(c ^ key[n & 3] for n, c in enumerate(data))
        opcode = first & 15
        if opcode == 1:
            self._message(data, writer)
        elif opcode == 9:
            self._reply(writer, framed(data, 10))
        elif opcode == 10:
            self.pongs += 1
        elif opcode == 8:
            raise EOFError
        else:
            self.wrong.append("opcode %d" % opcode)
        self._changed.set()

    def _message(self, data, writer):
        try:
            message = json.loads(data)
            kind, uid = message[:2]
        except (ValueError, TypeError):
            self.wrong.append(data)
            return
        if kind in (3, 4):
            self.answers.setdefault(uid, []).append(message)
            return
        action, payload = message[2:]
        self.calls.append((action, payload))
        for error in validator(action, "req").iter_errors(as_received(payload)):
            self.wrong.append((message, error.message))
        text = json.dumps([3, uid, self._answer(action, payload)]).encode()
        if self.mangle:
            text = self.mangle(text)
        if text is not None:
            self._reply(writer, framed(text))

    def _reply(self, writer, data):
        if self.held is None:
            writer.write(data)
        else:
            self.held.append((writer, data))

    async def dribble(self, data, pause=0):
        """Sends it byte by byte; `release` follows."""
        self.held = []
        for at in range(len(data)):
            self.write(data[at : at + 1])
            await asyncio.sleep(pause)

    def release(self):
        """What waited for the end of that."""
        held, self.held = self.held, None
        for writer, data in held or ():
            writer.write(data)

    def _answer(self, action, payload):
        info = {"status": "Accepted"}
        if action == "BootNotification":
            return {"currentTime": iso(self.now()), "interval": 300, "status": "Accepted"}
        if action == "Heartbeat":
            return {"currentTime": iso(self.now())}
        if action == "Authorize":
            return {"idTagInfo": info}
        if action == "StartTransaction":
            key = (payload["timestamp"], payload["idTag"], payload["meterStart"])
            identity = self.transactions.setdefault(key, 1001 + len(self.transactions))
            return {"idTagInfo": info, "transactionId": identity}
        return {"status": "Accepted"} if action == "DataTransfer" else {}

    async def until(self, what, wanted, seconds=60):
        """Waits until `what()` is true; `wanted` says what that is. Raises Missing."""
        try:
            async with asyncio.timeout(seconds):
                while not what():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Missing(f"{wanted}: not within {seconds} s") from None


def framed(data: bytes, opcode: int = 1, last: bool = True) -> bytes:
    """A server's frame."""
    first = bytes((opcode | (0x80 if last else 0),))
    if len(data) < 126:
        return first + bytes((len(data),)) + data
    if len(data) < 65536:
        return first + b"\x7e" + len(data).to_bytes(2, "big") + data
    return first + b"\x7f" + len(data).to_bytes(8, "big") + data
