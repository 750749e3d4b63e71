"""The journal: how soon a station is ready by what it owes, and how long its work holds the loop

Ready: the journal opened and replayed. The holds are of a full journal: reading it, recording with
a flush each few records, delivering with the tidying that follows, the console's list of all of
it, and looking for a message behind all of another central system's. Times are reference
milliseconds (reference.py) of the processor's time; the files are a PC's: what a device's flash
takes comes on top.
"""

import asyncio
import gc
import os

from firmware.base.journal import Journal
from firmware.base.store import Files, Store
from firmware.metering import measurands
from firmware.transactions.transactions import Transactions
from tools.bench import reference
from tools.bench.holds import Holds

NOW = 1800000000
HERE = 0xDEADBEEF
ELSEWHERE = 0xDEADBEE0
FULL = 5858  # messages that fill the journal, as they were found on a device
SIZES = (0, 650, FULL)
VALUES = 20  # of a transaction
DELIVERED = 400
WORKED_MS = 10  # reference ms, each so many ms
WORK_EACH_MS = 10
MASK = measurands.parse(
    "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Frequency"
)
READING = {"power": 73450, "i1": 10650, "i2": 10650, "i3": 10650, "p1": 24483, "p2": 24483}
READING.update({"v1": 230100, "v2": 230100, "v3": 230100, "p3": 24483, "frequency": 49980})


class Clock:
    """Is set, and moves when it is told to."""

    now = 1000

    def ms(self):
        return self.now

    def number_boot(self, number):
        return number

    def epoch_at(self, ms):
        return NOW + ms // 1000

    def fraction_at(self, ms):
        return 0


class Log:
    """Says nothing."""

    def note(self, *words):
        pass

    info = warning = error = note


def folder():
    """A new one, for the flash."""
    try:
        os.mkdir("/tmp/bench-journal")
    except OSError:
        pass
    path = "/tmp/bench-journal/%d" % reference.now_us()
    os.mkdir(path)
    return path


def remove(path):
    """A folder with all that is in it."""
    for entry in os.ilistdir(path):
        name = path + "/" + entry[0]
        if entry[1] == 0x4000:
            remove(name)
        else:
            os.remove(name)
    os.rmdir(path)


def opened(path, endpoint_id):
    """The transactions of a station, whose journal is not read yet."""
    files = Files(path)
    t = Transactions(Journal(files, Log()), Store(files), Clock(), Log())
    t.outbox.set_endpoint(endpoint_id)
    return t


class Charger:
    """Records one transaction after the other."""

    def __init__(self, t):
        self.t = t
        self.energy = 21000000
        self.values = 0  # of the transaction that runs

    def record(self):
        """The next event."""
        t = self.t
        t.event_times._clock.now += 60000
        now = t.event_times._clock.now
        self.energy += 180
        if not t.running:
            t.start(1, "04A1B2C3D4E5F6", self.energy, None, now)
            self.values = 0
        elif self.values == VALUES:
            t.stop("EVDisconnected", self.energy, now)
        else:
            self.values += 1
            READING["energy"] = self.energy
            assert t.values("Sample.Periodic", READING, MASK, now, 16000)


async def fill(t, count):
    """Records until so many messages are owed."""
    await t.replay()
    charger = Charger(t)
    while t.outbox.pending < count:
        charger.record()


async def replaying(t):
    await t.replay()


async def recording(t):
    """Until it is cancelled."""
    charger = Charger(t)
    while True:
        charger.record()
        await asyncio.sleep(0)


async def delivering(t):
    for _ in range(DELIVERED):
        await t.outbox.look_up_head(HERE)
        t.outbox.head()
        t.outbox.delivered({"transactionId": 123456})
        await asyncio.sleep(0)
        await t.outbox.tidy()
        await asyncio.sleep(0)


async def listing(t):
    count = 0
    for line in t.outbox.listing():
        count += line is not None
        await asyncio.sleep(0)
    assert count > FULL // 2, count


async def looking(t):
    await t.outbox.look_up_head(ELSEWHERE)
    assert t.outbox.head()


async def beside(work, t):
    """The work, while new events are recorded."""
    recorder = asyncio.create_task(recording(t))
    await asyncio.create_task(work(t))
    recorder.cancel()


async def replay_in_reference_ms(clock, path, messages):
    """How long the journal takes to be read, in reference milliseconds. These are worked in
    between, since a PC's processor is faster and slower from one second to the next."""
    start = clock.now_us()
    apart = worked = 0
    t = opened(path, HERE)
    replay = asyncio.create_task(t.replay())
    while not replay.done():
        begun = clock.now_us()
        reference.work(WORKED_MS)
        apart += clock.now_us() - begun
        worked += WORKED_MS
        await asyncio.sleep_ms(WORK_EACH_MS)
    assert t.outbox.pending == messages
    return (clock.now_us() - start - apart) * worked / apart


def ready(clock, path, messages):
    """Prints how soon a station is ready that owes so many messages."""
    gc.collect()
    took = asyncio.run(replay_in_reference_ms(clock, path, messages))
    print("figure: %5d messages owed: ready in %.0f reference ms" % (messages, took))


def main():
    path = folder()
    gc.threshold(65536)  # else what a large heap takes counts, too
    clock = Holds()
    for messages in SIZES:
        asyncio.run(fill(opened(path, HERE), messages))
        ready(clock, path, messages)
    holds = Holds(10, 300000)
    t = opened(path, HERE)
    asyncio.run(asyncio.wait_for(replaying(t), 1000))
    asyncio.run(beside(delivering, t))
    asyncio.run(asyncio.wait_for(listing(t), 1000))
    t.outbox.set_endpoint(ELSEWHERE)
    if t.running:
        t.stop("Local", 30000000, t.event_times._clock.now)
    Charger(t).record()
    asyncio.run(asyncio.wait_for(looking(t), 1000))
    holds.report(9)
    remove(path)


if __name__ == "__main__":
    main()
