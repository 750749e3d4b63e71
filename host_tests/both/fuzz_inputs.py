"""Seeded chance and damage for the fuzzing of decoders, the same on every Python."""

import asyncio
import binascii


class Random:
    """Numbers from a seed, the same on every Python (xorshift32)."""

    def __init__(self, seed: int):
        self._state = (seed * 2654435761 + 0x9E3779B9) & 0xFFFFFFFF or 1

    def below(self, n: int) -> int:
        x = self._state
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._state = x
        return x % n

    def pick(self, items):
        return items[self.below(len(items))]


PIECES = [
    bytes((n,))
    for n in b'[]{}:,"\\ \t\n\r\x00\x1f\x7f\x80\xff0123456789-+.eE%@/?#=()|;\x02\x03\x04'
]


PIECES += [
    b"\\u0000",
    b"\\ud83d",
    b"\xc3\xa9",
    b"\xe2\x82\xac",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
]


PIECES += [
    b"true",
    b"null",
    b"1e99",
    b"-0",
    b"4294967296",
    b"9" * 18,
    b"0.1",
    b"[]",
    b"{}",
    b"::1",
]


PIECES += [
    b"\r\n",
    b"\r\n\r\n",
    b"65536",
    b"-1",
    b"/../",
    b"%00",
    b"%ff",
    b"\xc2\xb2",
    b"\xd9\xa3",
]


def mutated(random: Random, seeds: list, most: int = 2000) -> bytes:
    """One of the seeds with something wrong, most of the time."""
    data = bytearray(random.pick(seeds))
    for _ in range(1 + random.below(4)):
        size = len(data)
        at = random.below(size + 1)
        n = 1 + random.below(8)
        what = random.below(9)
        if what < 2:
            if at < size:
                data[at] ^= 1 << random.below(8)
        elif what == 2:
            if at < size:
                data[at] = random.below(256)
        elif what < 5:
            data = data[:at] + random.pick(PIECES) + data[at + (n if what == 4 else 0) :]
        elif what == 5:
            data = data[:at] + data[at + n :]
        elif what == 6:
            data = data[:at] + data[at : at + n * random.below(9)] + data[at:]
        elif what == 7:
            other = random.pick(seeds)
            data = data[:at] + other[random.below(len(other) + 1) :]
        elif random.below(4) == 0:
            data = data[:at]
    return bytes(data[:most])


def plain(value) -> str:
    """The same text on every Python; dicts have no order there."""
    if type(value) is dict:
        return "{%s}" % ",".join(sorted(["%s:%s" % (k, plain(value[k])) for k in value]))
    if type(value) in (list, tuple):
        return "[%s]" % ",".join([plain(item) for item in value])
    if type(value) in (bytes, bytearray):
        return str(binascii.hexlify(value), "ascii")
    if type(value) is str:
        return "'%s'" % plain(value.encode())
    if type(value) is float:
        return "%.9g" % value
    return str(value)


def text(data: bytes):
    """The bytes as text, None where they are none. (MicroPython's str() takes surrogates.)"""
    from firmware.net import websocket

    return str(data, "utf-8") if websocket.valid_utf8(memoryview(data)) else None


class Stream:
    """A reader and a writer in one, whose peer has said all it has to say. `step` cuts it."""

    label = "image"  # as an OTA slot has one

    def __init__(self, data: bytes, step: int = 0):
        self.data = data
        self.step = step or len(data) or 1
        self.said = bytearray()
        self.s = self.transport = self.raw = self
        self.e = {"socket": self}

    async def read(self, n):
        n = min(n, self.step)
        piece, self.data = self.data[:n], self.data[n:]
        return piece

    async def readinto(self, view):
        piece = await self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def write(self, data):
        self.said.extend(data)

    async def drain(self):
        pass

    wait_closed = drain

    def close(self):
        pass

    abort = close

    def setblocking(self, on):
        pass


def finish(work):
    """Runs a coroutine to its end; returns its result."""
    return asyncio.run(work)
