"""How long the flash lasts: busy days, again and again.

    python -m tools.bench.wear [--days N]

A day: ten sessions of two hours with values every 30 s, a charging profile every ten seconds of
them, a reservation for each, one session more without a central system (the register is kept each
minute), 24 changes of a key, 24 saves of the log. The profiles have 24 charging periods, 100, or
100 whose limits are tenths of a watt over 6.5 kW, the least compact there are.

On littlefs-python's LittleFS with the device's geometry: 2 MB of which the two firmware slots
take a part that never moves, and what an image's partition table leaves of 4 MB. Erases are
counted block by block. LittleFS moves what is erased often, a folder, after 100 erases, and over
the years that comes out even: of 45 blocks where each was moved to 19 times, the worst had 1.1
times the mean's erases. So that is what the worst block is taken for, or what the worst has had
without three stays, which in some days may come to one block by chance.
"""

from __future__ import annotations

import argparse
import asyncio

from firmware.base.journal import Journal
from firmware.base.log import Logbook
from firmware.base.store import Store
from firmware.local_authorization.cache import AuthorizationCache
from firmware.local_authorization.local_list import LocalList
from firmware.local_authorization.records import pack_record as pack_id
from firmware.metering import measurands
from firmware.ocpp import schemas
from firmware.smart_charging.profile_files import ProfileFiles
from firmware.smart_charging.store import ProfileStore
from firmware.transactions.transactions import Transactions
from host_tests import flash as flashes
from host_tests.both.logs import Log
from host_tests.both.profile_records import pack_record
from host_tests.flash import BLOCK, Flash
from tools import image
from tools.bench import messages

CYCLES = 100_000
UNEVEN = 1.1
CHANCE_STAYS = 3
SLOTS_KB = 2 * 250
IMAGE_BLOCKS = image.partitions(image.BOARDS["wroom"])[-1].size // BLOCK
BOARDS = {"2 MB with two slots": (512, SLOTS_KB), "a frozen image": (IMAGE_BLOCKS, 0)}
PROFILES = {
    "24 periods": (24, False),
    "100 periods": (100, False),
    "100, tenths of a watt": (100, True),
}
SESSIONS = 10
SESSION_S = 2 * 3600
EVERY_S = 30
MASK = measurands.parse(
    "Voltage,Power.Active.Import,Energy.Active.Import.Register,Current.Import,Current.Offered,"
    "Frequency"
)


class _Clock:
    def __init__(self):
        self.now = 0

    def number_boot(self, number):
        return number

    def ms(self):
        return self.now

    def epoch_at(self, ms):
        return 1800000000 + ms // 1000

    def fraction_at(self, ms):
        return 0

    def epoch(self):
        return self.epoch_at(self.now)


class _Log:
    """`lines` are what the logbook saves."""

    def __init__(self, clock):
        self.clock = clock
        self.lines = []

    def note(self):
        self.lines = [f"{self.clock.now // 1000} station: line {n} of the log" for n in range(40)]

    def unsaved_lines(self):
        return self.lines

    def lines_saved(self):
        self.lines = []

    def warning(self, text, *args):
        raise AssertionError(text % args)

    error = info = debug = warning


class Life:
    """What the station's storage does, on these files. `periods`: charging periods of the
    profiles, `in_tenths`: their limits are tenths of a watt."""

    def __init__(self, files, periods: int = 24, in_tenths: bool = False):
        self.periods = periods
        self.in_tenths = in_tenths
        self.clock = _Clock()
        self.log = _Log(self.clock)
        self.files = files
        self.store = Store(files)
        journal = Journal(files, self.log)
        self.transactions = Transactions(journal, self.store, self.clock, self.log)
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.transactions.replay())
        self.transactions.outbox.set_endpoint(1)
        self.profiles = ProfileStore(ProfileFiles(files), self.clock, self.log)
        self.energy = 21_000_000
        self.count = 0

    def deliver(self):
        while self.transactions.outbox.head():
            self.transactions.outbox.delivered({"transactionId": 123456})
            self.loop.run_until_complete(self.transactions.outbox.tidy())

    def wait(self, seconds):
        """Energy flows; a profile comes every 10 s."""
        for _ in range(seconds // 10):
            self.clock.now += 10000
            self.count += 1
            self.loop.run_until_complete(self.profiles.install(self.record()))
            self.profiles.maintain(self.transactions.running)

    def record(self):
        message = messages.profile(self.periods)
        made = message["csChargingProfiles"]
        periods = made["chargingSchedule"]["chargingSchedulePeriod"]
        periods[3]["limit"] = 6 + self.count % 20
        if self.in_tenths:
            made["chargingSchedule"]["chargingRateUnit"] = "W"
            for number, period in enumerate(periods):
                period["limit"] = 7000.1 + number + self.count % 2000
        schemas.check("SetChargingProfile", "req", message)
        return pack_record(made, 1, -1, self.clock.epoch())

    def session(self):
        t = self.transactions
        self.store.write("reservation", b'[1, 17, 1800003600, "04A1B2C3D4E5F6", ""]')
        self.store.remove("reservation")
        t.start(1, "04A1B2C3D4E5F6", self.energy, 17, self.clock.now)
        self.deliver()
        for n in range(SESSION_S // EVERY_S):
            self.wait(EVERY_S)
            self.energy += 61
            power = 73450 + n % 50
            reading = {"energy": self.energy, "power": power, "frequency": 49980}
            for phase in "123":
                reading |= {"i" + phase: 10650, "v" + phase: 230100, "p" + phase: power // 3}
            t.values("Sample.Periodic", reading, MASK, self.clock.now, 16000)
            t.progress(self.energy, self.clock.now)
            self.deliver()
        t.stop("EVDisconnected", self.energy, self.clock.now)
        self.deliver()

    def alone(self):
        """A session that no central system hears of."""
        t = self.transactions
        t.outbox.set_endpoint(0)
        t.start(1, "freeCharge", self.energy, None, self.clock.now)
        for _ in range(SESSION_S // 10):
            self.clock.now += 10000
            self.energy += 20
            t.progress(self.energy, self.clock.now)
        t.stop("EVDisconnected", self.energy, self.clock.now)
        self.loop.run_until_complete(t.retention.tidy_after_stop())
        t.outbox.set_endpoint(1)

    def day(self):
        for _ in range(SESSIONS):
            self.session()
        self.alone()
        for hour in range(24):
            self.clock.now += 60000
            self.store.write("keys", b"HeartbeatInterval=%d\nCpoName=%s" % (hour, bytes(200)))
            self.log.note()
            Logbook(self.files, self.log).save()


class IdsLife:
    """What FeatureSet `full` keeps beside that: sessions of drivers whose idTag gets a new expiry
    date each time that the central system is asked, and the list sent anew each night, 500 idTags
    in three messages. `with_list`: else the cache alone."""

    def __init__(self, files, with_list: bool):
        self.clock = _Clock()
        log = Log()
        files.mkdir("ids")
        self.cache = AuthorizationCache(files, "ids", self.clock, log, lambda: 1)
        self.list = LocalList(files, "ids", log, lambda: 1)
        self.with_list = with_list
        self.version = 0
        self.sessions = 0

    def hear(self, driver):
        """An Authorize.conf, or a StopTransaction.conf; a quarter of an hour passes."""
        info = {"status": "Accepted", "expiryDate": self.clock.epoch() + 3600}
        self.cache.put(f"04A1B2C3D4{driver:04}", info)
        for _ in range(15):
            self.clock.now += 60000
            self.cache.maintain()

    async def night(self):
        for first in range(0, 500, 200):
            changes = self.list.begin()
            for n in range(first, min(500, first + 200)):
                changes.add(pack_id(f"04A1B2C3D4{n:04}", {"status": "Accepted"}))
            self.version += 1
            assert await self.list.update(self.version, changes, first == 0) == "Accepted"

    def day(self):
        for _ in range(SESSIONS):
            self.sessions += 1
            driver = self.sessions * 37 % 80  # more of them than the cache has room for
            self.hear(driver)
            self.clock.now += SESSION_S * 1000
            self.hear(driver)
        if self.with_list:
            asyncio.run(self.night())


def measure_ids(days: int, with_list: bool) -> float:
    """Erases a day."""
    flash = Flash(BOARDS["a frozen image"][0])
    life = IdsLife(flash.mount(), with_list)
    before = sum(flash.erases)
    for _ in range(days):
        life.day()
    return (sum(flash.erases) - before) / days


def measure(
    days: int, board: str = "2 MB with two slots", profiles: str = "24 periods"
) -> dict[str, float]:
    """Erases a day in all, those of the worst block, programs a day, years until it is worn."""
    blocks, slots_kb = BOARDS[board]
    flash = Flash(blocks)
    files = flash.mount()
    for number in range(slots_kb // 25):
        with files.open(f"module{number}", "wb") as f:
            f.write(bytes(25 * 1024))
    life = Life(files, *PROFILES[profiles])
    before = list(flash.erases)
    programs = flash.programs
    for _ in range(days):
        life.day()
    life.loop.close()
    erases = [now - then for now, then in zip(flash.erases, before)]
    moving = blocks - slots_kb * 1024 // BLOCK - 4
    by_chance = CHANCE_STAYS * flashes.CYCLES
    worst = max((max(erases) - by_chance) / days, UNEVEN * sum(erases) / days / moving)
    return {
        "erases": sum(erases) / days,
        "worst": worst,
        "programs": (flash.programs - programs) / days,
        "years": CYCLES / worst / 365.25,
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=20)
    days = parser.parse_args().days
    print(f"wear of the flash, {days} days simulated, {CYCLES} erases a block:")
    for board in BOARDS:
        for profiles in PROFILES:
            row = measure(days, board, profiles)
            print(
                f"{board + ', ' + profiles:44} {row['erases']:5.0f} erases a day, "
                f"{row['worst']:4.1f} of the worst block, {row['programs']:5.0f} programs: "
                f"{row['years']:4.0f} years",
                flush=True,
            )
    cache = measure_ids(days, False)
    both = measure_ids(days, True)
    print(f"FeatureSet full adds {cache:.0f} erases a day for the cache", end=", ")
    print(f"{both - cache:.0f} for a list of 500 idTags sent anew each night")


if __name__ == "__main__":
    main()
