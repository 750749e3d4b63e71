"""The control loop has its turns while the station is busy with something long: at the console,
with a message, a sample, a TIC frame. Turns are counted; what they take is the bench's to tell
(tools/bench/stops.py)."""

import asyncio

from firmware import options
from firmware.board.simulated import serial_lines
from firmware.console.console import Console
from firmware.ocpp import diagnostics
from firmware.program import Parts
from firmware.sensing import tic
from firmware.station import Station
from host_tests.both import bundles

READING = {"energy": 5000, "power": 30000, "i1": 13000, "v1": 230000, "frequency": 50000}


class Turns:
    """A task that wants a turn as often as it can have one, as the control loop might."""

    def __init__(self):
        self.count = 0

    async def run(self):
        while True:
            self.count += 1
            await asyncio.sleep(0)


class Life:
    """A station in a folder of its own, nothing of it running yet, and who counts the turns."""

    async def __aenter__(self):
        self.files = bundles.folder()
        words = ["--state", self.files.root, "--supervision-url", "ws://10.0.0.1/x"]
        self.station = Station(Parts(options.parse(words)), "Reboot")
        await self.station.transactions.replay()
        self.turns = Turns()
        self.task = asyncio.create_task(self.turns.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error):
        self.task.cancel()
        bundles.remove(self.files)

    async def type(self, line):
        """Runs a console command. Returns its lines, and at how many turns each was written."""
        said = []

        def write(text):
            said.append((text.strip(), self.turns.count))

        await Console(None, write).execute(self.station, line)
        return [text for text, _ in said], [count for _, count in said]


async def test_the_console_writes_line_by_line():
    async with Life() as life:
        for line, least in ((b"config", 50), (b"help", 15)):
            lines, counts = await life.type(line)
            assert lines[-1] == "ok" and len(lines) > least, (line, lines)
            assert all(a < b for a, b in zip(counts, counts[1:])), (line, counts)


async def test_the_self_test_and_the_status_take_turns():
    async with Life() as life:
        life.station.evse.plugged = True  # the lock does not move

        async def read_now():
            return READING

        life.station.meter.read_now = read_now
        for line, turns in ((b"selftest", 14), (b"status", 2)):
            before = life.turns.count
            await life.type(line)
            assert life.turns.count - before >= turns, line


async def test_the_queue_is_looked_for_in_steps():
    async with Life() as life:
        transactions = life.station.transactions
        transactions.start(1, "DRIVER", 1000, None, life.station.clock.ms())
        for _ in range(40):
            transactions.values("Sample.Periodic", READING, 4, life.station.clock.ms())
        lines, counts = await life.type(b"queue")
        assert len(lines) == 42 and all(a < b for a, b in zip(counts, counts[1:]))
        for _ in range(40):  # delivered: there is no line, and as much to be read
            transactions.outbox.head()
            transactions.outbox.delivered({"transactionId": 1})
        before = life.turns.count
        lines, _ = await life.type(b"queue")
        assert len(lines) == 2 and life.turns.count - before >= 5


async def test_diagnostics_are_written_line_by_line():
    async with Life() as life:
        before = life.turns.count
        await diagnostics.write(life.station, "diagnostics.txt", "", "")
        with life.files.open("diagnostics.txt", "rb") as f:
            lines = len(f.read().split(b"\n"))
        assert lines > 80 and life.turns.count - before > lines - 20


async def test_a_sample_is_written_in_a_turn_of_its_own():
    async with Life() as life:
        station = life.station
        station.meter.last = READING
        transaction = station.transactions.start(1, "DRIVER", 1000, None, station.clock.ms())
        recorded = []
        keys = ("MeterValuesSampledData", "StopTxnSampledData")
        station.transactions.values = lambda *args: recorded.append(life.turns.count)
        before = life.turns.count
        await station.sampler._take("Sample.Periodic", *keys, READING, 0)
        assert recorded[0] > before
        station.transactions.running = transaction
        taking = station.sampler._take("Sample.Periodic", *keys, READING, 0)
        task = asyncio.create_task(taking)
        await asyncio.sleep(0)
        station.transactions.running = None  # it ends meanwhile: its last values are recorded
        await task
        assert len(recorded) == 1


async def test_a_tic_frame_is_decoded_in_steps():
    async with Life() as life:
        facts = {"i": [5000], "v": [230000], "subscribed": 60000, "energy": 1234567}
        frame = serial_lines.tic_frame(tic.STANDARD, facts)
        rest = [frame]
        fed = []

        class Port:
            def read(self, n):
                part, rest[0] = rest[0][:n], rest[0][n:]
                return part

        line = tic.TicLine(
            lambda baud: Port(), life.station.clock, life.station.log("tic"), None, tic.STANDARD
        )
        line._decoder = tic.Decoder()
        feed = line._decoder.feed

        def feeds(data):
            fed.append((len(data), life.turns.count))
            return feed(data)

        line._decoder.feed = feeds
        task = asyncio.create_task(line.run())
        while not line.frame:
            await life.station.clock.sleep_ms(20)
        task.cancel()
        fed = [(size, count) for size, count in fed if size]
        assert max(size for size, _ in fed) <= 24 and len(fed) >= len(frame) // 24
        counts = [count for _, count in fed]
        assert all(a < b for a, b in zip(counts, counts[1:])), counts


class Link:
    """What rpc sends over."""

    def __init__(self, turns):
        self.turns = turns
        self.sent = []

    async def send(self, text):
        self.sent.append(self.turns.count)


async def test_the_turns_of_a_call():
    async with Life() as life:
        station = life.station
        station.registration.status = "Accepted"
        link = Link(life.turns)
        station.rpc.attach(link)
        handled = []
        handler = station.rpc.handler

        async def noted(action, payload):
            handled.append(life.turns.count)
            return await handler(action, payload)

        station.rpc.handler = noted
        reservation = b'[2,"1","CancelReservation",{"reservationId":1}]'
        data = b'[2,"2","DataTransfer",{"vendorId":"nobody","data":"%s"}]' % (b"x" * 200)
        turns = []
        for text in (reservation, data):
            before = life.turns.count
            await station.rpc.received(memoryview(text))
            assert before <= handled[-1] < link.sent[-1], (before, handled, link.sent)
            turns.append(handled[-1] - before)
        # A long message is read in two turns, and that is enough work for the second one.
        assert turns[1] - turns[0] >= 2, turns
