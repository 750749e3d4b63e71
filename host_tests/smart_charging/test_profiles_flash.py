"""Charging profiles on a real LittleFS: power cuts at every step, and what the flash outlives."""

import pytest

from firmware.base.store import Store
from firmware.smart_charging import profile as records
from firmware.smart_charging.profile_files import ProfileFiles
from firmware.smart_charging.store import ProfileStore
from host_tests.both.logs import Log
from host_tests.both.profiles_rig import MAX, NOW, Clock, Station, Values, profile
from host_tests.both.smart_charging.test_profile_records import old_form
from host_tests.flash import REMOUNTED, STOCK, Flash
from host_tests.smart_charging.test_profiles_oracle import run

BLOCKS = 48
# of a ProfileTable, in the order of a Profile's fields
COLUMNS = (
    "ranks levels kinds in_watts counts valid_from valid_to starts durations transactions "
    "identities"
).split()


class Counting(ProfileFiles):
    """Counts what is written, and has what a station's Store has."""

    writes = 0

    def write(self, slot, record):
        self.writes += 1
        super().write(slot, record)

    def read(self, slot):
        return None if isinstance(slot, str) else super().read(slot)


def content(store):
    """id: (fields, charging periods) of all profiles."""
    found = {}
    for slot in store.slots():
        fields = records.Profile(*[getattr(store.table, name)[slot] for name in COLUMNS])
        found[fields.identity] = (fields, records.periods(store.record(slot) or b""))
    return found


def loaded(memory, geometry=REMOUNTED):
    """What a station finds that starts on this flash; and that it is the same at the next one."""
    flash = Flash(memory=bytearray(memory), geometry=geometry)
    log = Log()
    store = ProfileStore(ProfileFiles(flash.mount()), Clock(), log)
    found = content(store)
    log_lines = list(log.lines)
    flash.unmount()
    again = ProfileStore(ProfileFiles(flash.mount()), Clock(), log)
    assert content(again) == found
    assert not log_lines, log_lines
    keys = [(again.table.ranks[slot], -again.table.levels[slot]) for slot in again.slots()]
    assert keys == sorted(set(keys)), "two of the same purpose, connector and level"
    return found


def places(found):
    """The purposes, connectors and levels for which there is a profile."""
    return {(fields.rank, fields.level) for fields, _ in found.values()}


def large(n, level=0, **more):
    """With 100 periods. Every other one is too large for a small file: its limits are tenths of a
    watt."""
    if n % 2:
        return profile([(i * 60, n) for i in range(100)], level=level, identity=n, **more)
    limits = [(i * 60, 7000.1 + n + i) for i in range(100)]
    return profile(limits, level=level, identity=n, unit="W", **more)


def life(station):
    """(name, what to do): everything that writes."""

    def put(message, connector=1):
        return lambda: run(station.set(message, connector))

    def wait(seconds):
        def passing():
            for _ in range(seconds):
                station.clock.pass_s(1)
                station.profiles.maintain(station.transactions.running)

        return passing

    flush = station.profiles.flush
    yield "one", put(profile(10, level=1, identity=1))
    yield "five seconds", wait(5)
    yield "replaced soon", put(profile(11, level=1, identity=1))
    yield "replaced again", put(profile(12, level=1, identity=1))
    yield "ten seconds", wait(10)
    yield "and again", put(profile(13, level=1, identity=1))
    yield "flush", flush
    yield "by level", put(profile(13, level=1, identity=2))
    yield "flush", flush
    yield "another purpose", put(profile(14, level=1, identity=3, purpose=MAX), 0)
    yield "another connector", put(profile(15, level=1, identity=4), 0)
    yield "flush", flush
    yield "two at once", put(profile(16, level=1, identity=4))
    yield "flush", flush
    for n in range(5, 11):
        yield "large, which makes room", put(large(n, level=n))
    yield "flush", flush
    yield "large by id", put(large(7, level=107))
    yield "flush", flush
    yield "two large at once", put(large(9, level=107))
    yield "flush", flush
    station.start()
    yield "for the transaction", put(large(20, purpose="Tx", level=1))
    yield "and another", put(large(21, purpose="Tx", level=2))
    yield "and another, which makes room", put(large(22, purpose="Tx", level=3))
    yield "in the place of a default", put(profile(6, purpose="Tx", identity=6))
    yield "flush", flush
    station.stop()
    yield "the transaction ends", wait(1)
    for n in range(30, 44):
        yield "small, which fills its files", put(profile(n - 20, level=n, identity=n))
    for n in range(15):
        for message in (large(9, level=107), profile(n, level=31, identity=31)):
            yield "the same again", put(message)
            yield "a minute, with tidying", wait(61)
    yield "clear those of a level", lambda: run(station.clear(stackLevel=35))
    yield "in its place", put(profile(8, level=35, identity=350))
    yield "clear one", lambda: run(station.clear(id=10))
    yield "clear some", lambda: run(station.clear(chargingProfilePurpose="TxDefaultProfile"))
    yield "one more", put(profile(10, level=1, identity=1))
    yield "and gone before it was written", lambda: run(station.clear(id=1))
    yield "clear all", lambda: run(station.clear())


def check(name, before, after, found):
    """What a power cut between two states may leave."""
    if "clear" in name or "makes room" in name or name == "flush":
        # several files: each is old or new, and what is replaced is never missing
        assert places(found) >= places(before) & places(after), name
        for identity in found.keys() | before.keys() | after.keys():
            allowed = (before.get(identity), after.get(identity))
            assert found.get(identity) in allowed, (name, identity)
    else:
        assert found in (before, after), name


@pytest.mark.parametrize("geometry", [STOCK, REMOUNTED])
def test_a_power_cut_at_any_step(geometry):
    flash = Flash(BLOCKS, geometry=geometry)
    flash.history = []
    station = Station(Counting(flash.mount()))
    base = Flash(memory=bytearray(b"\xff" * len(flash.memory)), geometry=geometry)
    done = 0
    cuts = 0
    names = set()

    def replay(until):
        nonlocal done
        while done < until:
            base.apply(*flash.history[done])
            done += 1

    replay(len(flash.history))
    before = loaded(base.memory, geometry)
    for name, action in life(station):
        action()
        after = loaded(flash.memory, geometry)
        for cut in range(done, len(flash.history)):
            replay(cut)
            cuts += 1
            names.add(name)
            for half in (False, True):  # before this step, and in the middle of it
                torn = Flash(memory=bytearray(base.memory), seed=cut, geometry=geometry)
                if half:
                    torn.tear(*flash.history[cut])
                check(name, before, after, loaded(torn.memory, geometry))
        replay(len(flash.history))
        before = after
        known = content(station.profiles)
        written = (
            "flush",
            "one",
            "ten seconds",
            "another connector",
            "the transaction ends",
            "in its place",
        )
        if name in written or "two" in name or "small" in name or "tidying" in name:
            kept = {n: item for n, item in known.items() if item[0].rank != records.TX}
            assert after == kept, name
        elif "clear" in name or "gone" in name:
            assert after.keys() <= known.keys(), (name, "came back")
    assert after == {}
    assert cuts > 90 and {"two at once", "two large at once", "flush"} <= names, (cuts, names)


def old_values(station):
    """The records of a station as a firmware before this one had them."""
    values = Values()
    for slot, record in station.values.records():
        values.write(slot, old_form(record))
    return values


@pytest.mark.parametrize("geometry", [STOCK, REMOUNTED])
def test_what_a_firmware_before_has_kept(geometry):
    """It had a file for each profile. They are taken over at the start, wherever power fails."""
    flash = Flash(BLOCKS, geometry=geometry)
    station = Station()
    old = Store(flash.mount(), "profiles")
    for n in range(11):
        limits = [(i * 60, n) for i in range(1 if n % 2 else 100)]
        assert run(station.set(profile(limits, level=n, identity=n))) == "Accepted"
    for slot, record in station.values.records():
        old.write(str(slot), old_form(record))
    expected = content(Station(old_values(station)).profiles)
    flash.unmount()
    begun = bytearray(flash.memory)
    flash = Flash(memory=bytearray(begun), geometry=geometry)
    flash.history = []
    ProfileFiles(flash.mount())
    base = Flash(memory=begun, geometry=geometry)
    for cut, step in enumerate(flash.history):
        for half in (False, True):
            torn = Flash(memory=bytearray(base.memory), seed=cut, geometry=geometry)
            if half:
                torn.tear(*step)
            assert loaded(torn.memory, geometry) == expected
        base.apply(*step)
    assert not [name for name in flash.files.listdir("profiles") if name.isdigit()]
    assert len(flash.history) > 15


@pytest.mark.parametrize("geometry", [STOCK, REMOUNTED])
@pytest.mark.parametrize("blocks", [24, 25])
def test_what_a_firmware_before_has_kept_fills_the_flash(geometry, blocks):
    flash = Flash(blocks, geometry=geometry)
    station = Station()
    old = Store(flash.mount(), "profiles")
    for n in range(40):
        assert run(station.set(large(n, level=n))) == "Accepted"
    kept = 0
    try:
        for slot, record in station.values.records():
            old.write(str(slot), old_form(record))
            kept += 1
    except OSError:
        pass
    assert 10 < kept < 40
    flash.unmount()
    found = loaded(flash.memory, geometry)
    expected = content(Station(old_values(station)).profiles)
    assert found == {n: item for n, item in expected.items() if n < kept}


def test_a_damaged_record_is_no_profile_and_the_others_stay():
    flash = Flash(BLOCKS)
    station = Station(Counting(flash.mount()))
    for n in range(12):
        assert run(station.set(large(n, level=n))) == "Accepted"
    assert run(station.set(profile(10, level=100, identity=100))) == "Accepted"
    whole = flash.files
    names = []
    for folder in ("profiles", "profiles/segments0", "profiles/segments1"):
        names += [f"{folder}/{name}" for name in whole.listdir(folder) if "seg" not in name]
    kinds = ["segment" if "/segments" in name else "small" for name in names]
    assert kinds.count("segment") == 2 and "small" in kinds
    for name in names:
        with whole.open(name, "rb") as f:
            data = f.read()
        for at in (0, 5, 100, len(data) // 2, len(data) - 1):
            again = Flash(memory=bytearray(flash.memory))
            damaged = bytearray(data)
            damaged[at % len(data)] ^= 64
            with again.mount().open(name, "wb") as f:
                f.write(damaged)
            again.unmount()
            store = ProfileStore(ProfileFiles(again.mount()), Clock(), Log())
            if at != 5:  # what says how long a record is, says where the next one begins
                assert len(store.slots()) >= 12, (name, at)
            for slot in store.slots():
                assert store.record(slot)
            assert run(store.install(bytearray(station.profiles.record(0))))
            again.unmount()
            assert loaded(again.memory) == content(store)


@pytest.mark.parametrize("periods", [1, 100])
@pytest.mark.parametrize("purpose", ["TxDefault", "Tx", MAX])
def test_a_profile_every_ten_seconds_for_a_day(purpose, periods):
    """8640 profiles, and clearing in between: a flash of 100,000 erases a block outlives it."""
    hours = 24 if periods == 1 else 4
    flash = Flash(256)  # a megabyte: a quarter of the device's
    store = Counting(flash.mount())
    station = Station(store)
    station.start()
    begun = sum(flash.erases)
    for n in range(hours * 360):
        limits = [(i * 60, n % 33) for i in range(periods)]
        message = profile(limits, purpose=purpose, start=NOW - 9999999)
        assert run(station.set(message, 0 if purpose == MAX else 1)) == "Accepted"
        station.clock.pass_s(5)
        station.profiles.maintain(station.transactions.running)
        assert station.limit()[0] == min(n % 33, 32) * 1000
        station.clock.pass_s(5)
        station.profiles.maintain(station.transactions.running)
    # TxProfiles end with their transaction, and are not written
    assert store.writes == (0 if purpose == "Tx" else hours * 360)
    erases = (sum(flash.erases) - begun) / hours * 24 * 365 * 15 / flash.blocks
    print(f"{store.writes} writes in {hours} h; after 15 years {erases:.0f} erases a block")
    assert erases < 50000
    # far less than one erase for each profile
    assert sum(flash.erases) - begun < hours * 360 * (0.06 if periods == 1 else 0.2)


def test_an_erase_at_a_time():
    """An erase stops the CPU with the permit on: between two of them the pilot is looked at."""
    flash = Flash(256)
    station = Station(Counting(flash.mount()))
    most = before = 0

    def look():
        nonlocal most, before
        most = max(most, sum(flash.erases) - before)
        before = sum(flash.erases)

    def drive(work):
        try:
            while True:
                look()
                work.send(None)
        except StopIteration as end:
            look()
            assert end.value == "Accepted"

    look()
    most = 0
    for n in range(30):  # fifteen at a time fit what waits
        message = profile([(i, 9) for i in range(10)], level=n, identity=n)
        drive(station.set(message))
    for n in range(4):
        drive(station.set(large(n, level=n)))
    for _ in range(60):
        station.clock.pass_s(1)
        station.profiles.maintain(None)
        look()
    assert len(loaded(flash.memory)) == 30
    drive(station.set(large(1, level=2)))  # in the place of two
    drive(station.clear())
    assert 0 < most <= 2


def test_the_full_set_fits_a_megabyte():
    flash = Flash(256)
    station = Station(Counting(flash.mount()))
    for n in range(200):
        assert run(station.set(large(n, level=n))) == "Accepted"
    station.profiles.flush()
    used = flash.blocks - flash.files.free() // 4096
    print(f"{used} blocks of 4 KB")
    assert len(loaded(flash.memory)) == 200
    assert used < 230


def test_a_flash_that_is_full():
    flash = Flash(12)
    station = Station(Counting(flash.mount()))
    results = [run(station.set(large(n, level=n))) for n in range(40)]
    assert "Rejected" in results
    accepted = results.count("Accepted")
    assert len(station.profiles.slots()) == accepted
    for n in range(3):
        assert run(station.clear(id=n)) == "Accepted"
    for _ in range(120):
        station.clock.pass_s(1)
        station.profiles.maintain(None)
    assert loaded(flash.memory) == content(station.profiles)
    assert records.NEVER > station.piece().limit
