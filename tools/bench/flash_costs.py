"""What each operation costs on the flash: reads, programs and erases.

    python -m tools.bench.flash_costs

On littlefs-python's LittleFS with the files of a real board, each time it asks its flash counted.
Three boards: MicroPython's own mount and the firmware's (`board/esp32.py`) with two slots of .mpy
files in 2 MB, and what an image's partition table leaves of 4 MB, mounted by the firmware.

An operation lets others run in between, so its costliest step counts: in each column the most of
one step, and behind the stroke what the whole operation takes where that is more. Of operations
that are repeated the table has the median and the worst.

What that is in time was measured on an emulated ESP32 at 8 ns an instruction: SetChargingProfile
of 100 periods held the loop for 324 ms with 8,104 reads and for 118 without any, GetConfiguration
of a key for 331 ms with 6,603 and for 110: 25 to 33 us a read. An append of 60 bytes, one erase
and what goes with it, took 26 ms in the median. A real chip's erase takes longer: of the
W25Q64JV, such a flash, Winbond's data sheet is quoted with 45 ms as typical and 400 as the most
(sector erase, 4 KB). Nobody has measured one here.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from firmware.base.log import Logbook
from firmware.local_authorization.cache import MOST as MOST_CACHED
from firmware.local_authorization.cache import AuthorizationCache
from firmware.local_authorization.local_list import LocalList
from firmware.ocpp import json_reader, schemas
from firmware.ocpp.handlers import full_core
from host_tests.both.logs import Log
from host_tests.both.profile_records import pack_record
from host_tests.flash import REMOUNTED, STOCK, Flash
from tools.bench import messages
from tools.bench.wear import IMAGE_BLOCKS, MASK, Life
from tools.runtimes import ROOT

BOARDS = (
    ("stock mount, 2 slots", 512, 2, STOCK),
    ("firmware's mount, 2 slots", 512, 2, REMOUNTED),
    ("frozen image", IMAGE_BLOCKS, 0, REMOUNTED),
)
MPY_PERCENT = 45  # a .mpy's bytes of its source's
REPEATED = 48
SAVED_LINES = 40


class Cost:
    """The most of one step, and all of an operation; how many steps erased something, and how many
    of these more than one block."""

    def __init__(self, flash):
        self.flash = flash
        self.most = (0, 0, 0)
        self.all = (0, 0, 0)
        self.erasing = 0
        self.erasing_more = 0
        self.last = self._now()

    def _now(self):
        return (self.flash.reads, self.flash.programs, sum(self.flash.erases))

    def step(self) -> None:
        """A step has ended."""
        now = self._now()
        step = tuple(n - last for n, last in zip(now, self.last))
        self.last = now
        self.erasing += step[2] > 0
        self.erasing_more += step[2] > 1
        self.most = tuple(map(max, self.most, step))
        self.all = tuple(a + b for a, b in zip(self.all, step))


def _steps(work):
    """Goes through a coroutine."""
    try:
        while True:
            yield work.send(None)
    except StopIteration:
        pass


def measured(flash, work) -> Cost:
    """What a function, coroutine or generator costs."""
    cost = Cost(flash)
    if callable(work):
        work()
    else:
        for _ in _steps(work):
            cost.step()
    cost.step()
    return cost


class _Core(full_core.FullCore):
    """As much of it as takes a SendLocalList, and the cache. Each idTag has all that it may."""

    def __init__(self, life: Life):
        log = Log()
        life.files.mkdir("ids")
        self.local_list = LocalList(life.files, "ids", log, lambda: 1)
        self.cache = AuthorizationCache(life.files, "ids", life.clock, log, lambda: 1)
        for n in range(MOST_CACHED):
            self.cache.put(f"VISITOR-{n:012}", dict(_INFO, expiryDate=2000000000))

    async def receive(self, update_type: str, numbers):
        """A SendLocalList, in the windows in which it is read, until the list is in flash."""
        version = self.local_list.version + 1
        entries = [{"idTag": f"CARD-{n * 7 % 500:015}", "idTagInfo": _INFO} for n in numbers]
        payload = {
            "listVersion": version,
            "updateType": update_type,
            "localAuthorizationList": entries,
        }
        text = json.dumps([2, "1", "SendLocalList", payload]).encode()
        packers = dict(json_reader.PACKERS, localAuthorizationList=self.pack_entry)
        frame = await json_reader.read_message(memoryview(text), packers)
        checked = await schemas.checked("SendLocalList", frame[3], full_core._CALLS)
        (changes,) = checked["localAuthorizationList"]
        is_full = update_type == "Full"
        status = await self.local_list.update(version, changes, is_full)
        assert status == "Accepted"


_INFO = {
    "status": "Accepted",
    "parentIdTag": "FAMILY-OF-TWENTY-CHR",
    "expiryDate": "2099-01-01T00:00:00Z",
}


class Board:
    """A board with the files of a real one, and what its storage does."""

    def __init__(self, blocks: int, slots: int, geometry: dict):
        self.flash = Flash(blocks, geometry=geometry)
        files = self.flash.mount()
        for slot in "ab"[:slots]:
            _fill_slot(files, slot)
        for name, size in (("boot.py", 6550), ("main.py", 160), ("boot.txt", 22)):
            _write(files, name, size)
        for name, size in (("provision.json", 700), ("ca.pem", 1900)):
            _write(files, name, size)
        for name, size in (("old", 8000), ("new", 5000)):
            files.mkdir("log")
            _write(files, "log/" + name, size)
        self.life = Life(files)
        for name in ("faults", "tic-seen", "boots", "authorization", "session"):
            self.life.store.write(name, bytes(20))
        self.life.store.write("keys", bytes(600))
        self._offline_days()
        self.rows: list[tuple[str, list[Cost]]] = []
        self.refused = 0  # so many times for want of room
        self.life.log.error = self.life.log.warning = lambda *_: None

    def _offline_days(self):
        """A journal with what the central system is still owed: 40 segments."""
        life = self.life
        while len(life.transactions.journal.segments) < 40:
            self.start()
            for _ in range(100):
                self.sample()
            self.stop()

    def add(self, name, works) -> None:
        """A row: all of these, one after the other."""
        costs = []
        for work in works:
            costs.append(measured(self.flash, work))
        self.rows.append((name, costs))

    def add_tidying(self) -> None:
        """A row: tidying the journal, each time after as many messages as a segment has."""
        costs = []
        for _ in range(8):
            for _ in range(40):
                self.deliver()
            costs.append(measured(self.flash, self.life.transactions.outbox.tidy()))
        self.rows.append(("the journal tidied after 40 of them", costs))

    def start(self):
        life = self.life
        life.transactions.start(1, "04A1B2C3D4E5F6", life.energy, None, life.clock.now)

    def stop(self):
        life = self.life
        life.transactions.stop("EVDisconnected", life.energy, life.clock.now)

    def sample(self):
        life = self.life
        life.clock.now += 30000
        life.energy += 61
        reading = {"energy": life.energy, "power": 73450, "frequency": 49980}
        for phase in "123":
            reading |= {"i" + phase: 10650, "v" + phase: 230100, "p" + phase: 24483}
        life.transactions.values("Sample.Periodic", reading, MASK, life.clock.now, 16000)

    def progress(self):
        life = self.life
        life.clock.now += 60000
        life.energy += 61
        life.transactions.progress(life.energy, life.clock.now)

    def deliver(self):
        outbox = self.life.transactions.outbox
        outbox.head()
        outbox.delivered({"transactionId": 123456})

    async def set_profile(self, number, periods=100):
        """A SetChargingProfile, and that second's maintenance until it is in flash."""
        life = self.life
        message = messages.profile(periods)
        made = message["csChargingProfiles"]
        made["chargingProfileId"] = number
        made["stackLevel"] = number % 200
        schemas.check("SetChargingProfile", "req", message)
        record = pack_record(made, 1, -1, life.clock.epoch())
        if not await life.profiles.install(record):
            self.refused += 1
        for _ in range(70):
            life.clock.now += 1000
            await asyncio.sleep(0)
            life.profiles.maintain(life.transactions.running)

    def clear(self, number=None):
        profiles = self.life.profiles
        return profiles.clear(lambda slot: number in (None, profiles.table.identity(slot)))

    def read_profile(self, number):
        profiles = self.life.profiles
        assert profiles.record(profiles.slots()[number])

    def add_ids(self) -> None:
        """Rows: what FeatureSet `full` keeps of idTags. The list has all that it may have."""
        core = _Core(self.life)
        self.add("SendLocalList, 200 Full", [core.receive("Full", range(200))])
        more = [core.receive("Differential", range(n, n + 150)) for n in (200, 350)]
        self.add("SendLocalList, 150 more", more)
        works = [core.receive("Differential", range(n, n + 200)) for n in (0, 150, 300)]
        self.add("SendLocalList, 200 of 500 changed", works)
        found = [lambda n=n: core.local_list.find(f"card-{n:015}") for n in range(0, 500, 25)]
        self.add("an idTag looked up in 500", found)
        self.add("the cache written, 64 idTags", [core.cache.write] * REPEATED)

    def save_log(self):
        self.life.log.lines = [
            "%d station: line %d of the log" % (n, n) for n in range(SAVED_LINES)
        ]
        Logbook(self.life.files, self.life.log).save()

    def change_key(self):
        try:
            self.life.store.write("keys", bytes(600))
        except OSError:
            self.refused += 1

    def restart(self):
        self.life.loop.close()
        self.life = Life(self.flash.mount())
        self.life.log.error = self.life.log.warning = lambda *_: None

    def run(self) -> None:
        """All operations."""
        self.add("start-up with 40 segments owed", [self.restart])
        files = self.life.files
        self.add("free space, measured between cars", [files.free])
        self.add("StartTransaction", [self.start])
        self.add("a sample with its journal write", [self.sample] * REPEATED)
        self.add("a minute's register", [self.progress] * REPEATED)
        self.add("a message delivered", [self.deliver] * REPEATED)
        self.add_tidying()
        for first, last in ((0, 1), (1, 10), (10, 74), (74, 75), (75, 199), (199, 200)):
            works = [self.set_profile(number) for number in range(first, last)]
            name = "SetChargingProfile, the %d." % last
            if last - first > 1:
                name += " and those before"
            self.add(name, works)
        again = [self.set_profile(7, 24) for _ in range(REPEATED)]
        self.add("one of 24 periods again, of 200", again)
        count = len(self.life.profiles.slots())
        reads = [lambda n=n: self.read_profile(n) for n in range(0, count, 5)]
        self.add("the periods of a profile that wins", reads)
        self.add("ClearChargingProfile of one", [self.clear(n) for n in range(100, 110)])
        self.add("ChangeConfiguration", [self.change_key] * REPEATED)
        self.add("a fault's log", [self.save_log] * 12)
        self.add_ids()
        self.add("StopTransaction", [self.stop])
        self.add("start-up with 200 profiles", [self.restart])
        self.add("ClearChargingProfile of all", [self.clear()])
        self.add("the console's queue, a line", [self.life.transactions.outbox.listing()])


def _write(files, name, size):
    with files.open(name, "wb") as f:
        f.write(bytes(size))


def _fill_slot(files, slot):
    """A slot with a file for each module."""
    files.mkdir(slot)
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        name = path.relative_to(ROOT)
        for folder in reversed(name.parents):
            if folder != Path("."):
                files.mkdir(f"{slot}/{folder}")
        size = path.stat().st_size * MPY_PERCENT // 100
        _write(files, f"{slot}/{name.with_suffix('.mpy')}", size)


def _text(costs, column):
    """Median and worst of the steps, and of the whole where that is more."""
    most = sorted(cost.most[column] for cost in costs)
    whole = max(cost.all[column] for cost in costs)
    text = str(most[-1])
    if len(costs) > 1:
        text = f"{most[len(costs) // 2]} to {most[-1]}"
    return text if whole == most[-1] else f"{text} / {whole}"


def main() -> None:
    """Prints the table."""
    boards = []
    for _, blocks, slots, geometry in BOARDS:
        board = Board(blocks, slots, geometry)
        board.run()
        boards.append(board)
    print("what an operation costs on the flash: reads, programs, erases (see the module's text)")
    print(" " * 38 + "".join(f"{name:>38}" for name, *_ in BOARDS))
    for number in range(len(boards[0].rows)):
        line = f"{boards[0].rows[number][0]:38}"
        for board in boards:
            costs = board.rows[number][1]
            cells = [_text(costs, column) for column in range(3)]
            line += f"{cells[0]:>18}{cells[1]:>12}{cells[2]:>8}"
        print(line)
    refused = [board.refused for board in boards]
    if any(refused):
        print("the flash was full, so many times on each board:", *refused)


if __name__ == "__main__":
    main()
