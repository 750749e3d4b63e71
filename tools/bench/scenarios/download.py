"""The download of a firmware bundle over HTTP: server, flash and a bare station included."""

import asyncio
import binascii
import gc
import hashlib
import os
import sys

from firmware.base.store import Files, Store
from firmware.net.dial import Addresses
from host_tests.virtual import free_port

ROOT = "/tmp/wallbridge-bench-" + binascii.hexlify(os.urandom(6)).decode()
FILE = bytes(range(256)) * 16
COUNT = 12
BOARD = "pc"


class Station:
    """What a download sees of a station."""

    def __init__(self):
        self.files = Files(ROOT)
        self.store = Store(self.files)
        self.config = self.registration = self.online = self.clock = self
        self.connection = self.security = self
        self.session = self
        self.transaction = None
        self.addresses = Addresses()
        self.heap = {}

    def epoch(self):
        return None

    def is_set(self):
        return True

    def log(self, part):
        return self

    def info(self, text, *words):
        gc.collect()
        self.heap[text.split(" ")[0] + str(len(self.heap))] = gc.mem_alloc()

    debug = warning = info

    def error(self, text, *words):
        raise SystemExit(text % words)

    def spawn(self, work):
        return asyncio.create_task(work)

    async def wait(self):
        pass

    async def call(self, message, payload):
        pass

    @property
    def rpc(self):
        return self


def bundle(head):
    """The bundle's manifest, or a piece of its contents at a time."""
    digest = binascii.hexlify(hashlib.sha256(FILE).digest()).decode()
    needs = "%s 1.25 0" % sys.implementation.name
    lines = ["version 1", "needs " + needs, "boards " + BOARD]
    for number in range(COUNT):
        lines.append("file firmware/f%d.mpy %d %s" % (number, len(FILE), digest))
    text = "\n".join(lines) + "\n"
    return b"WALLBRIDGE 1 %d 0\n" % len(text) + text.encode() if head else FILE


async def serve(reader, writer):
    """Answers one request with the bundle."""
    while (await reader.readline()).strip():
        pass
    head = bundle(True)
    size = len(head) + COUNT * len(FILE)
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    writer.write(head)
    await writer.drain()
    for _ in range(COUNT):
        writer.write(FILE)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def main():
    """One download, and what of the heap it took."""
    port = free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    station = Station()
    station.store.write("update_key", b"unsigned")
    gc.collect()
    station.heap["before"] = before = gc.mem_alloc()
    from firmware.ocpp import update
    from firmware.ocpp.transfers import Transfers

    station.transfers = Transfers(station)
    update.request(station, "http://127.0.0.1:%d/x" % port, 0, 1, 60)
    await update.UpdateJob(station).step()
    assert update.stored(station.store).phase == update.READY, station.store.read("update")
    gc.collect()
    after = gc.mem_alloc()
    server.close()
    for name in sorted(station.heap):
        print("heap at", name, station.heap[name] - before)
    print("figure: %d bytes more while it loads" % (max(station.heap.values()) - before))
    print("figure: %d bytes more afterwards" % (after - before))


asyncio.run(main())
