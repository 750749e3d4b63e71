"""Networks that are there by half: half-open sockets, 100 B/s, a server that hangs up after each
message. The charge goes on, the queue keeps, the link comes back (virtual time)."""

import asyncio
import contextlib

import pytest

from firmware import program
from firmware.net import websocket
from host_tests import virtual
from host_tests.station import Rig
from host_tests.talk import statuses
from tools.central import House

BOX = "BOX"


class Network:
    """Stands between a station and its central system. `dead`: sockets stay open, and nothing
    gets through. `swallows`: nothing from the station does. `rate`: bytes/s each way. `hangs_up`:
    after each answer to the station."""

    def __init__(self, port, rate=None, hangs_up=False):
        self.port = port
        self.dead = self.swallows = False
        self.swallowed = 0  # bytes
        self.rate = rate
        self.hangs_up = hangs_up
        self.connections = 0

    async def open(self):
        self.server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        return "ws://127.0.0.1:%d/ocpp" % self.server.sockets[0].getsockname()[1]

    async def _client(self, reader, writer):
        self.connections += 1
        if self.dead:
            await asyncio.sleep(1e6)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        up = asyncio.create_task(self._pump(reader, far_writer, is_up=True))
        try:
            await self._pump(far_reader, writer, 2 if self.hangs_up else 0)  # handshake, answer
        finally:
            up.cancel()

    async def _pump(self, reader, writer, most=0, is_up=False):
        count = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(50 if self.rate else 4096):
                if self.rate:
                    await asyncio.sleep(len(data) / self.rate)
                if is_up and self.swallows:
                    self.swallowed += len(data)
                elif not self.dead:
                    writer.write(data)
                    await writer.drain()
                count += 1
                if count == most:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def behind(folder, *keys, **network):
    """(station, central system, network between them)"""
    house = House(now=Rig._now, timeout_s=300)
    url = await house.open()
    between = Network(int(url.split(":")[2].split("/")[0]), **network)
    words = ["--supervision-url", await between.open()]
    for key in keys:
        words += ["--key", key]
    async with Rig("cpython", folder, *words, house=False, box=BOX) as rig:
        yield rig, house, between
    between.server.close()
    await house.close()


async def charge(rig):
    await rig.console("sim plug")
    await rig.console("sim ready")
    await rig.console("authorize DRIVER")
    await rig.until(timeout=300, status="Charging")


async def lines(rig, what):
    return [line for line in await rig.console("queue") if what in line]


@pytest.mark.parametrize("ping", [300, 0])
def test_half_of_a_link_refuses_no_bill(ping, tmp_path):
    async def session():
        words = ("MessageTimeout=5", f"WebSocketPingInterval={ping}")
        async with behind(tmp_path, *words) as (rig, house, network):
            await rig.until(registration="Accepted")
            await charge(rig)
            await house.heard_of("StartTransaction")
            await rig.until(queue=0)
            network.dead = True
            await rig.console("sim unplug")
            await asyncio.sleep(900)
            state = await rig.status()
            assert state["queue"] >= 1 and state["link"] != "online"
            assert await lines(rig, "given up") == []
            network.dead = False
            stop = await house.heard_of("StopTransaction", timeout=600)
            assert stop["reason"] == "EVDisconnected"
            await rig.until(queue=0)

    virtual.run(session())


def test_a_link_that_dies_during_a_flood_is_noticed_as_soon(tmp_path):
    """150 calls arrive, and nothing of the answers to them gets through."""

    async def session():
        async with behind(tmp_path) as (rig, house, network):
            await rig.until(registration="Accepted")
            await asyncio.sleep(100)
            network.swallows = True
            for n in range(150):
                await house.points[BOX]._connection.send(f'[2,"{n}","GetConfiguration",{{}}]')
            await asyncio.sleep(1)
            assert network.swallowed > 150 * 100
            network.dead = True
            await asyncio.sleep(60 + 30 + 1)  # WebSocketPingInterval, MessageTimeout
            assert (await rig.status())["link"] == "connecting"

    virtual.run(session())


def test_it_dials_when_there_is_a_network_and_at_once_then(tmp_path, monkeypatch):
    class Unjoined(program.Parts):
        def __init__(self, options):
            super().__init__(options)
            self.network_joined.clear()
            made.append(self)

    made = []
    monkeypatch.setattr(program, "Parts", Unjoined)

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await asyncio.sleep(100)
            assert rig.house.connections == 0
            assert (await rig.status())["link"] == "connecting"
            made[0].network_joined.set()
            await rig.until(timeout=1, registration="Accepted")
            point = await rig.online()
            made[0].network_joined.clear()
            await asyncio.sleep(100)
            assert (await rig.status())["link"] == "online"  # as long as it lives
            await point._connection.socket.close()
            await asyncio.sleep(400)
            assert rig.house.connections == 1
            made[0].network_joined.set()
            await rig.until(timeout=1, link="online")

    virtual.run(session())


def test_a_link_whose_pings_end_is_made_anew(tmp_path, monkeypatch):
    """Without them nobody would notice that it is dead."""
    lives = websocket.WebSocket.lives
    broken = []

    async def breaks_once(socket, *words):
        if not broken:
            broken.append(socket)
            raise MemoryError
        return await lives(socket, *words)

    monkeypatch.setattr(websocket.WebSocket, "lives", breaks_once)

    async def session():
        async with Rig("cpython", tmp_path, "--key", "WebSocketPingInterval=60") as rig:
            await rig.until(registration="Accepted")
            await asyncio.sleep(59)
            assert rig.house.connections == 1
            await asyncio.sleep(60)
            assert rig.house.connections == 2 and (await rig.status())["link"] == "online"
            await asyncio.sleep(600)
            assert rig.house.connections == 2

    virtual.run(session())


def test_100_bytes_a_second(tmp_path):
    """Each message is sent once: an answer that is on its way is none that failed."""
    values = "Power.Active.Import,Current.Import,Voltage,Energy.Active.Import.Register"

    async def session():
        words = (
            "MessageTimeout=10",
            "MeterValueSampleInterval=120",
            f"StopTxnSampledData={values}",
        )
        async with behind(tmp_path, *words, rate=100) as (rig, house, network):
            await rig.until(timeout=300, registration="Accepted")
            await charge(rig)
            await asyncio.sleep(1800)
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", timeout=300)
            await rig.until(timeout=300, queue=0)
            assert await lines(rig, "given up") == []
            (stop,) = house.calls("StopTransaction")
            assert len(str(stop)) > 2500
            assert len(house.calls("StartTransaction")) == 1 and network.connections == 1

    virtual.run(session())


def test_a_server_that_hangs_up_after_each_message(tmp_path):
    async def session():
        async with behind(tmp_path, hangs_up=True) as (rig, house, network):
            await house.heard_of("BootNotification", timeout=300)
            await rig.until(timeout=300, registration="Accepted")
            await charge(rig)
            await asyncio.sleep(1200)
            await rig.console("sim unplug")
            await house.heard_of("StopTransaction", timeout=7200)
            await rig.until(timeout=600, queue=0)
            assert len(house.calls("MeterValues")) >= 40
            for connector in (0, 1):  # and both are told, too
                assert statuses(house, connector)[-1] == "Available"
            assert network.connections < 1000, "it did not stop for breath"

    virtual.run(session())
