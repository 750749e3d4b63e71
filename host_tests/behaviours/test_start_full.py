"""A station that starts with much to tell: nothing queued, an evening's worth, a full journal.

It is registered soon and delivers all of it in order; the charger works while the journal is read.
"""

import asyncio
import binascii
import json
import random

import pytest
import websockets

from firmware.base.journal import Journal
from firmware.base.store import Files, Store
from firmware.metering import measurands
from firmware.transactions.transactions import Transactions
from host_tests.both.transactions_rig import NOW, Clock, Log
from host_tests.station import BITS, FROZEN, RUNTIMES, Rig, play, why_missing
from tools.central import iso

FULL = 1000000  # messages, more than fit
READING = {"power": 73450, "i1": 10650, "i2": 10650, "i3": 10650, "frequency": 49980}
READING |= {f"{kind}{n}": 230100 for kind in "vp" for n in (1, 2, 3)}


class FastCentral:
    """A central system that answers at once, checks nothing, and keeps what is to be compared."""

    def __init__(self):
        self.booted = 0
        self.heard = []  # (action, register or None, transactionId)
        self.all_heard = asyncio.Event()
        self.wanted = 0

    async def __aenter__(self):
        self._server = await websockets.serve(
            self._serve, "127.0.0.1", 0, subprotocols=["ocpp1.6"], ping_interval=None
        )
        self.url = "ws://127.0.0.1:%d/" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, socket):
        async for text in socket:
            kind, uid, *rest = json.loads(text)
            if kind == 2:
                await socket.send(json.dumps([3, uid, self._answer(*rest)]))

    def _answer(self, action, payload):
        if action == "BootNotification":
            self.booted += 1
            return {"status": "Accepted", "currentTime": iso(NOW + 10**7), "interval": 3600}
        if action == "Heartbeat":
            return {"currentTime": iso(NOW + 10**7)}
        if action == "StartTransaction":
            self._hear(action, payload["meterStart"])
            return {"transactionId": payload["meterStart"], "idTagInfo": {"status": "Accepted"}}
        if action == "StopTransaction":
            self._hear(action, payload["meterStop"], payload["transactionId"])
        elif action == "MeterValues":
            (values,) = payload["meterValue"]
            register = [
                int(value["value"])
                for value in values["sampledValue"]
                if value["measurand"] == "Energy.Active.Import.Register"
            ]
            self._hear(action, register[0], payload["transactionId"])
        return {}

    def _hear(self, *what):
        self.heard.append(what)
        if len(self.heard) >= self.wanted:
            self.all_heard.set()


def owe(folder, endpoint, count):
    """A state folder of a station that has charged without a link, one car after the other, until
    it owed so many messages or its journal was full; returns what the central system must hear."""
    files = Files(str(folder))
    clock = Clock()
    clock.set(NOW)
    t = Transactions(Journal(files, Log()), Store(files), clock, Log())
    asyncio.run(t.replay())
    t.outbox.set_endpoint(binascii.crc32(endpoint))
    energy = 1000
    wanted = []
    is_full = False
    while len(wanted) < count and not is_full:
        begun = energy
        t.start(1, "04A1B2C3D4E5F6", begun, None, clock.now)
        wanted.append(("StartTransaction", begun))
        for _ in range(min(20, count - len(wanted) - 1)):
            clock.now += 60000
            energy += 180
            reading = {"energy": energy, **READING}
            if not t.values("Sample.Periodic", reading, measurands.ALL, clock.now, 16000):
                is_full = True
                break
            wanted.append(("MeterValues", energy, begun))
        t.stop("EVDisconnected", energy, clock.now)
        wanted.append(("StopTransaction", energy, begun))
        energy += 1
    assert t.outbox.pending == len(wanted) and is_full == (count == FULL)
    return wanted


@pytest.mark.parametrize("count", [0, 650, FULL])
@pytest.mark.parametrize("runtime", [*RUNTIMES, FROZEN])
def test_all_is_delivered_in_order(runtime, count, tmp_path):
    missing = runtime != "cpython" and why_missing(runtime)
    if missing:
        pytest.skip(missing)

    async def session():
        async with FastCentral() as central:
            endpoint = b"%s\nBOX" % central.url.encode()
            wanted = await asyncio.to_thread(owe, tmp_path / "state", endpoint, count)
            central.wanted = len(wanted)
            words = ("--supervision-url", central.url)
            async with Rig(runtime, tmp_path, *words, house=None, speed=1, box="BOX") as rig:
                await rig.until(registration="Accepted", link="online")
                if wanted:
                    await asyncio.wait_for(central.all_heard.wait(), 400)
                await rig.until(queue=0)
                assert central.heard == wanted and central.booted == 1
                assert (await rig.status())["why"] is None
            if runtime in (*BITS, FROZEN):
                log = rig.log()
                assert "MemoryError" not in log and "silent" not in log

    asyncio.run(session())


@pytest.mark.parametrize("runtime", [*RUNTIMES, FROZEN])
def test_killed_while_the_journal_is_read(runtime, tmp_path):
    """Five times, at any moment of the start: nothing is lost, nothing is doubled."""
    missing = runtime != "cpython" and why_missing(runtime)
    if missing:
        pytest.skip(missing)
    chance = random.Random(7)

    async def session():
        async with FastCentral() as central:
            endpoint = b"%s\nBOX" % central.url.encode()
            wanted = await asyncio.to_thread(owe, tmp_path / "state", endpoint, 2000)
            central.wanted = len(wanted)
            words = ("--supervision-url", central.url)
            reading = 0  # kills while it was being read
            async with Rig(runtime, tmp_path, *words, house=None, speed=1, box="BOX") as rig:
                for _ in range(5):
                    why = (await rig.status())["why"] or ""
                    await asyncio.sleep(chance.random() / 20)
                    await rig.kill()
                    reading += "the journal is being read" in why and not central.heard
                    await rig.start()
                await asyncio.wait_for(central.all_heard.wait(), 400)
                await rig.until(queue=0)
            assert reading
            # what was sent and not answered before a kill is sent again
            assert list(dict.fromkeys(central.heard)) == wanted

    asyncio.run(session())


def test_a_car_that_comes_while_the_journal_is_read_waits(tmp_path, monkeypatch):
    """The reading is made to last: a minute of virtual time."""
    replay = Transactions.replay
    fed = []

    async def slow(transactions):
        for _ in range(60):
            transactions.alive = True
            await asyncio.sleep(1)
        await replay(transactions)

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            monkeypatch.setattr("firmware.board.simulated.board.Board.feed", feed, raising=True)
            await rig.console("sim plug")
            await rig.console("sim ready")
            status = await rig.until(status="Preparing", plugged=True)
            assert "the journal is being read" in status["why"]
            assert status["contactor"] == "open" and status["transaction"] is None
            assert status["link"] == "off" and status["duty"] == 1000
            _, error = await rig.ask("queue")
            assert "the journal is being read" in error
            await asyncio.sleep(30)
            assert not rig.house.messages
            assert len(fed) >= 7 and set(fed) == {""}
            point = await rig.online()
            await point.ask("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)
            status = await rig.until(status="Charging", link="online")
            assert status["why"] is None and status["transaction"]["id_tag"] == "DRIVER-1"
            assert set(fed) == {""}

    def feed(board, silent):
        fed.append(silent)

    monkeypatch.setattr(Transactions, "replay", slow)
    play("cpython", session())


def test_a_reset_while_the_journal_is_read_changes_nothing(tmp_path, monkeypatch):
    wanted = []

    async def session():
        async with Rig("cpython", tmp_path, start=False) as rig:
            endpoint = f"{rig.url}\n{rig.box}".encode()
            wanted.extend(await asyncio.to_thread(owe, tmp_path / "state", endpoint, 60))
            kept = files_of(tmp_path / "state" / "journal")
            monkeypatch.setattr(Transactions, "replay", asyncio.Event().wait)
            await rig.start()
            await rig.console("reset soft")
            await asyncio.sleep(30)
            assert "the journal is being read" in (await rig.status())["why"]
            monkeypatch.undo()
            assert files_of(tmp_path / "state" / "journal") == kept
            await rig.end()
            assert files_of(tmp_path / "state" / "journal") == kept
            await rig.start()
            await rig.until(queue=0, link="online")
            heard = [call["meterStop"] for call in rig.house.calls("StopTransaction")]
            assert heard == [what[1] for what in wanted if what[0] == "StopTransaction"]

    play("cpython", session())


def files_of(folder):
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
