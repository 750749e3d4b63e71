"""Transactions on a real LittleFS: a full flash, and how many erases the events cost."""

import asyncio

import pytest

from firmware.base.journal import Journal
from firmware.base.store import Store
from firmware.metering import measurands
from firmware.transactions.transactions import Transactions
from host_tests.both.logs import Log
from host_tests.both.transactions_rig import BUILD, HERE, NOW, Clock, payload_of, short
from host_tests.flash import BLOCK, Flash

READING = {"energy": 0, "power": 110400, "frequency": 49980}
for phase in "123":
    READING |= {"i" + phase: 16000, "v" + phase: 230100, "p" + phase: 36800}


class Station:
    def __init__(self, blocks=64, **options):
        self.flash = Flash(blocks)
        self.files = self.flash.mount()
        self.options = options
        self.boot()

    def boot(self):
        self.clock = Clock()
        self.clock.set(NOW)
        self.log = Log()
        journal = Journal(self.files, self.log, **self.options)
        self.t = Transactions(journal, Store(self.files), self.clock, self.log, BUILD)
        asyncio.run(self.t.replay())
        self.outbox = self.t.outbox
        self.outbox.set_endpoint(HERE)

    def start(self, tag, meter, reservation=None, data=b""):
        asyncio.run(self.t.retention.make_room_for_transaction())
        return self.t.start(1, tag, meter, reservation, self.clock.now, data)

    def values(self, energy):
        reading = {**READING, "energy": energy}
        self.clock.now += 30000
        asyncio.run(self.t.retention.make_room_for_values())
        return self.t.values("Sample.Periodic", reading, measurands.ALL, self.clock.now, 16000)

    def send(self):
        sent = []
        while message := self.outbox.head():
            sent.append((message.action, payload_of(message)))
            self.outbox.delivered({"transactionId": 5})
            asyncio.run(self.outbox.tidy())
        return sent

    def hog(self, leave=0):
        """Somebody else takes the flash, but for some blocks."""
        try:
            with self.files.open("hog", "wb") as f:
                while self.files.free() > leave * BLOCK:
                    f.write(bytes(BLOCK // 2))
        except OSError:
            pass


def registers(sent):
    """[(action, register)], StartTransaction and StopTransaction only."""
    return [(kind, register) for kind, register, _ in short(sent) if kind != "V"]


@pytest.mark.parametrize("before", [0, 5, 20, 50])
def test_a_running_transaction_ends_well_on_a_flash_without_a_free_block(before):
    s = Station(reserve=16384)
    s.start("T", 1000)
    for n in range(before):
        assert s.values(1001 + n)
    s.hog()
    assert s.files.free() < BLOCK
    for n in range(40):
        s.values(1101 + n)
    s.t.stop("Local", 2000, s.clock.now)
    with pytest.raises(OSError):
        s.start("T", 2000)
    s.boot()
    assert s.t.interrupted is None
    assert registers(s.send()) == [("S", 1000), ("E", 2000)]
    s.boot()
    s.files.remove("hog")
    s.start("T", 2000)
    assert s.values(2001)


def test_a_small_flash_fills_with_transactions_and_empties_again():
    s = Station(26, reserve=24576)
    meter = 1000
    expected = []
    while True:
        try:
            s.start("04A1B2C3D4E5F6", meter)
        except OSError:
            break
        for n in range(1, 10):
            s.values(meter + n)
        s.t.stop("EVDisconnected", meter + 50, s.clock.now)
        expected += [("S", meter), ("E", meter + 50)]
        meter += 100
    assert len(expected) > 100
    assert s.log.said("old MeterValues are dropped")
    assert s.log.said("no meter values are kept")
    assert s.files.free() >= 2 * BLOCK
    s.boot()
    assert registers(s.send()) == expected
    for n in range(30):  # each that is delivered tidies a little
        s.values(meter + n)
        s.send()
    used = s.flash.blocks - s.files.free() // BLOCK
    assert used < 16, used
    s.outbox.save()
    s.boot()
    assert s.outbox.pending == 0


def test_a_value_costs_a_tenth_of_an_erase():
    s = Station(512)
    s.start("04A1B2C3D4E5F6", 1000)
    s.send()
    before = sum(s.flash.erases)
    for n in range(500):
        s.values(1001 + n)
        s.send()
    assert sum(s.flash.erases) - before <= 75
    # so does what is kept of the register between two of them
    before = sum(s.flash.erases)
    for n in range(100):
        s.clock.now += 60000
        s.t.progress(2000 + n, s.clock.now)
    assert sum(s.flash.erases) - before <= 15


def test_values_fit_a_slot_that_littlefs_keeps_among_its_metadata():
    data = measurands.pack({**READING, "energy": 99_999_999, "reactive": 9999}, 16000, 127)
    s = Station()
    s.start("X" * 20, 99_999_999, 99999, data)
    sizes = [s.files.size(f"journal/tail/{name}") for name in s.files.listdir("journal/tail")]
    s.values(99_999_999)
    sizes += [s.files.size(f"journal/tail/{name}") for name in s.files.listdir("journal/tail")]
    assert len(sizes) == 3 and max(sizes) <= 128, sizes
