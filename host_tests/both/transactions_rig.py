"""A Transactions on files in RAM, for the tests of it."""

import asyncio
import gc

from firmware.base import times
from firmware.base.journal import Journal
from firmware.base.store import Store
from firmware.metering import measurands
from firmware.transactions.transactions import Transactions
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryFiles

BUILD = 1795305600
NOW = 1800000000
HERE = 0xDEADBEEF
ENERGY = measurands.ENERGY
# The files lie in the same heap as the code: the device's has no room for many records.
MANY = 500 if not hasattr(gc, "mem_free") or gc.mem_free() > 200000 else 60
POWER = measurands.parse("Power.Active.Import")


class Clock:
    def __init__(self):
        self.now = 1000
        self.offset = None

    def number_boot(self, number):
        return number

    def ms(self):
        return self.now

    def set(self, epoch, ms=0):
        self.offset = epoch * 1000 + ms - self.now

    def epoch_at(self, ms):
        return None if self.offset is None else (self.offset + ms) // 1000

    def fraction_at(self, ms):
        return (self.offset + ms) % 1000


class Station:
    """A Transactions that can be switched off and on."""

    def __init__(self, clock_is_set=True, limit=1000000, **options):
        self.files = MemoryFiles(limit, slack=120)
        self.options: dict = {"reserve": 8192}
        self.options.update(options)
        self.epoch = NOW
        self.boot(clock_is_set)

    def boot(self, clock_is_set=True):
        self.clock = Clock()
        if clock_is_set:
            self.clock.set(self.epoch)
        self.log = Log()
        journal = Journal(self.files, self.log, **self.options)
        self.t = Transactions(journal, Store(self.files), self.clock, self.log, BUILD)
        asyncio.run(self.t.replay())
        self.outbox = self.t.outbox
        self.outbox.set_endpoint(HERE)
        return self.t

    def wait(self, seconds):
        self.clock.now += seconds * 1000
        self.epoch += seconds

    def start(self, meter=1000, tag="TAG", reservation=None, data=b""):
        asyncio.run(self.t.retention.make_room_for_transaction())
        return self.t.start(1, tag, meter, reservation, self.clock.now, data)

    def values(self, energy, mask=ENERGY, context="Sample.Periodic", stop_mask=0):
        reading = {"energy": energy, "power": 70000}
        asyncio.run(self.t.retention.make_room_for_values())
        return self.t.values(context, reading, mask, self.clock.now, 16000, stop_mask)

    def stop(self, meter, reason="Local", tag=None):
        self.t.stop(reason, meter, self.clock.now, tag)
        asyncio.run(self.t.retention.tidy_after_stop())

    def send(self, identity=42, most=1000):
        """Delivers; returns (action, payload) of each."""
        sent = []
        while len(sent) < most:
            message = self.outbox.head()
            if not message:
                break
            sent.append((message.action, payload_of(message)))
            self.outbox.delivered({"transactionId": identity, "idTagInfo": {"status": "Accepted"}})
            asyncio.run(self.outbox.tidy())
        return sent

    def listing(self):
        """The lines of the console's `queue`."""
        return [line for line in self.outbox.listing() if line is not None]


def payload_of(message):
    """What is sent."""
    return asyncio.run(message.payload())


def meter_value(payload):
    return int(payload["meterValue"][0]["sampledValue"][0]["value"])


def stamps(sent):
    """When each happened, Unix seconds."""
    return [
        times.parse(p["timestamp"] if "timestamp" in p else p["meterValue"][0]["timestamp"])
        for _, p in sent
    ]


def short(sent):
    """[(S, V or E, register, transactionId)]"""
    found = []
    for action, payload in sent:
        identity = payload.get("transactionId")
        if action == "StartTransaction":
            found.append(("S", payload["meterStart"], identity))
        elif action == "MeterValues":
            found.append(("V", meter_value(payload), identity))
        else:
            found.append(("E", payload["meterStop"], identity))
    return found


def raises(error, function, *args):
    try:
        function(*args)
    except error as why:
        return why
    raise AssertionError("nothing raised")
