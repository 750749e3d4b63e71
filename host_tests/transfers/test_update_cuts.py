"""Power cuts at every step of an update, on LittleFS as on the device, with the real boot.py:
one of the two versions always starts, whole, and the update ends as it should."""

import asyncio
import hashlib
import os
import sys

import pytest

from firmware.base import bundle, slots
from firmware.base.store import Store
from firmware.ocpp import update
from firmware.ocpp.handlers import firmware_management
from firmware.ocpp.transfers import Transfers
from host_tests.both import bundles
from host_tests.both.board import test_ota
from host_tests.flash import REMOUNTED, STOCK, Flash
from tools.runtimes import ROOT

BOOT = compile((ROOT / "boot.py").read_text(), "boot.py", "exec")
OLD = {"a/firmware/__init__.mpy": b"old version", "a/firmware/app.mpy": b"old" * 900}
BEFORE = {"b/firmware/__init__.mpy": b"older version", "b/firmware/gone.mpy": b"older" * 100}
NEW = [("firmware/__init__.mpy", b"new version"), ("firmware/app.mpy", b"new!" * 900),
       ("firmware/net/more.mpy", b"more" * 300)]  # fmt: skip
BUNDLE = bundles.make(NEW)
REQUEST = {"location": "http://server/new", "retrieveDate": 1796083200, "retries": 1}


class Told(Transfers):
    """Transfers at once: the central system hears all, and a download takes no time."""

    def notify(self, message, status, last=False):
        if last:
            self.clear_status(message)
        else:
            self.set_status(message, status)
        self.station.heard.append(status)

    async def notified(self, longest_s=0):
        pass

    async def no_transaction(self):
        pass

    async def download(self, url, sink):
        assert url == "http://server/new"
        bundle = self.station.bundle
        for at in range(sink.received, len(bundle), 2048):
            await sink.write(bundle[at : at + 2048])
        sink.finish()


class Station:
    """What update.py sees of a station; `registers`: whether it reaches the central system."""

    def __init__(self, files, running, bundle=BUNDLE, registers=True):
        self.files = files
        self.running = running
        self.store = Store(files)
        self.bundle = bundle
        self.registers = registers
        self.heard = []  # by the central system
        self.ended = None
        self.version = ""
        self.config = self.session = self.registration = self.online = self
        self.clock = self.connection = self.security = self
        self.transaction = self.status = None
        self.status = "Accepted" if registers else "none"
        self.transfers = Told(self)

    # the clock, the registration, the log
    def epoch(self):
        return 1800000000 if self.registers else None

    def is_set(self):
        return self.registers

    async def wait(self):
        pass

    async def sleep_ms(self, ms):
        assert ms == 60000

    def log(self, part):
        return self

    def info(self, *words):
        pass

    debug = warning = error = security_event = info

    # the session
    def refuse_transactions(self):
        pass

    accept_transactions = refuse_transactions

    def end(self, outcome):
        self.ended = outcome

    # what the test does
    def ask(self):
        asyncio.run(firmware_management.UpdateFirmware(self, REQUEST))

    def run(self, most=100):
        """Its steps, so many at most."""

        async def steps():
            job = update.UpdateJob(self)
            for _ in range(most):
                if await job.step() or self.ended:
                    break

        asyncio.run(steps())
        return self.heard


@pytest.fixture(autouse=True)
def running(monkeypatch):
    """Which slot runs is the test's word: this process runs a checkout."""
    now = {}

    monkeypatch.setattr(slots, "find", lambda files: slots.Slots(files, now["slot"]))
    monkeypatch.setattr("firmware.base.runtime.wait", lambda event, ms: _nothing())
    return now


async def _nothing():
    pass


def put(files, tree):
    for path, data in tree.items():
        parts = path.split("/")[:-1]
        for i in range(len(parts)):
            files.mkdir("/".join(parts[: i + 1]))
        with files.open(path, "wb") as f:
            f.write(data)


def fresh(geometry=REMOUNTED):
    flash = Flash(48, geometry=geometry)
    files = flash.mount()
    put(files, OLD | BEFORE)
    slots.Slots(files).write_boot(slot="a", trial="0", tries="0")
    Store(files).write("update_key", bundles.KEY)
    Store(files).write("keys", b"BoxIdentifier=BOX1")
    return flash


def boot_settings(files):
    return slots.Slots(files).read_boot()


def boot(files, folder, running):
    """Runs the real boot.py on a copy of what it looks at; the slot that it starts, which must be
    whole. The copy is the flash's afterwards."""
    before, path = os.getcwd(), list(sys.path)
    for name in ("boot.txt", "boot.new"):
        (folder / name).unlink(missing_ok=True)
        try:
            with files.open(name, "rb") as f:
                (folder / name).write_bytes(f.read())
        except OSError:
            pass
    was = (folder / "boot.txt").read_bytes()
    for slot in "ab":
        (folder / slot).mkdir(exist_ok=True)
    os.chdir(folder)
    try:
        exec(BOOT, {"__name__": "boot"})
        slot = sys.path[1][-1]
    finally:
        os.chdir(before)
        sys.path[:] = path
    if (folder / "boot.txt").read_bytes() != was:
        with files.open("boot.new", "wb") as f:
            f.write((folder / "boot.txt").read_bytes())
        files.rename("boot.new", "boot.txt")
    running["slot"] = slot
    found = bundles.tree(files, slot)
    found.pop(slot + "/bundle", None)
    assert found == (OLD if slot == "a" else {"b/" + path: data for path, data in NEW})
    assert Store(files).read("keys") == b"BoxIdentifier=BOX1"
    return slot


def life(files, folder, running, ask=True, bundle=BUNDLE, works=True):
    """From the request to the end; what the central system was told. `works`: whether the new
    version reaches the central system."""
    told = []
    slot = boot(files, folder, running)
    station = Station(files, slot, bundle, registers=works or slot == "a")
    if ask:
        station.ask()
    told += station.run()
    for _ in range(8):
        if station.ended != "update":
            break
        slot = boot(files, folder, running)
        station = Station(files, slot, bundle, registers=works or slot == "a")
        told += station.run()
    assert station.ended is None
    assert Store(files).read("update") is None
    return told


ALL = ["Downloading", "Downloaded", "Installing", "Installed"]


def test_an_update_without_trouble(running, tmp_path):
    flash = fresh()
    assert life(flash.files, tmp_path, running) == ALL
    assert running["slot"] == "b"
    assert boot_settings(flash.files) == {
        "slot": "b",
        "trial": "0",
        "tries": "0",
        "failed": "0",
    }
    for _ in range(5):  # and it stays
        assert boot(flash.files, tmp_path, running) == "b"
    back = bundles.make([(path[2:], data) for path, data in OLD.items()])
    assert life(flash.files, tmp_path, running, bundle=back) == ALL
    assert running["slot"] == "a"


def test_what_a_former_version_has_stored(running, tmp_path):
    """The bytes of an update under way stay what they were: a version that was downloaded by the
    one before has to go on with it."""
    flash = fresh()
    boot(flash.files, tmp_path, running)
    store = Store(flash.files)
    station = Station(flash.files, "a")
    station.ask()
    assert store.read("update") == b"new\nhttp://server/new\n1796083200\n2\n60\nb"
    for phase, told in (("new", ALL[:3]), ("wait", ALL[:3]), ("DownloadFailed", None)):
        store.write("update", phase.encode() + b"\nhttp://server/new\n1796083200\n2\n60\nb")
        assert Station(flash.files, "a").run() == (told or [phase])
    station = Station(flash.files, "b")
    running["slot"] = "b"
    store.write("update", b"trial\nhttp://server/new\n1796083200\n1\n60\nb")
    assert station.run() == ["Installed"] and store.read("update") is None


def test_a_version_that_does_not_reach_the_central_system(running, tmp_path):
    flash = fresh()
    told = life(flash.files, tmp_path, running, works=False)
    assert told == [*ALL[:3], "InstallationFailed"] and running["slot"] == "a"
    assert boot_settings(flash.files)["failed"] == "0"


def test_a_version_that_crashes(running, tmp_path):
    flash = fresh()
    station = Station(flash.files, boot(flash.files, tmp_path, running))
    station.ask()
    told = station.run()
    starts = 0
    while boot(flash.files, tmp_path, running) == "b":
        starts += 1  # and nothing more is heard of it
    assert starts == 3
    told += Station(flash.files, "a").run()
    assert told == [*ALL[:3], "InstallationFailed"]


def test_a_bundle_that_is_not_signed(running, tmp_path):
    flash = fresh()
    told = life(flash.files, tmp_path, running, bundle=bundles.make(NEW, signed=False))
    assert told == ["Downloading", "Downloaded", "InstallationFailed"]
    assert running["slot"] == "a" and BEFORE.items() <= bundles.tree(flash.files, "b").items()


def test_no_key(running, tmp_path):
    flash = fresh()
    Store(flash.files).remove("update_key")
    assert life(flash.files, tmp_path, running) == ["InstallationFailed"]


@pytest.mark.parametrize("works", [True, False])
def test_a_whole_image(works, running, tmp_path, monkeypatch):
    """Into the other OTA slot; a bootloader goes back to the one that has proved itself."""
    monkeypatch.setitem(sys.modules, "esp32", test_ota.Esp32)
    test_ota.Esp32.Partition = partition = test_ota.Partition
    monkeypatch.setattr(partition, "runs", "ota_0")
    monkeypatch.setattr(partition, "valid", 0)
    image = bytes(range(256)) * 20
    digest = hashlib.sha256(image).hexdigest()
    manifest = f"version 2\nneeds {bundles.here()}\nboards pc\nreads 0\n"
    manifest += f"image {len(image)} {digest}\n"
    flash = fresh()
    slot = boot(flash.files, tmp_path, running)
    station = Station(flash.files, slot, bundles.pack(manifest, image))
    station.ask()
    told = station.run()
    assert station.ended == "update" and partition.boots == "ota_1"
    assert partition.blocks[("ota_1", 0)] == image[:4096]
    assert boot_settings(flash.files)["image"] == "ota_0"
    partition.runs = "ota_1"
    station = Station(flash.files, slot, registers=works)
    told += station.run()
    assert partition.valid == (1 if works else 0)
    assert boot_settings(flash.files)["image"] == ("" if works else "ota_0")
    if not works:
        assert station.ended == "update" and boot_settings(flash.files)["tries"] == "99"
        partition.runs = "ota_0"
        told += Station(flash.files, slot).run()
    assert told == [*ALL[:3], "Installed" if works else "InstallationFailed"]
    assert boot(flash.files, tmp_path, running) == "a"


def step(station):
    """One step of the update; whether all is done."""
    return asyncio.run(update.UpdateJob(station).step())


def test_a_version_that_is_accepted_late(running, tmp_path):
    """After its ten minutes a transaction runs: it is looked at again before going back."""
    flash = fresh()
    station = Station(flash.files, boot(flash.files, tmp_path, running))
    station.ask()
    station.run()
    for status in ("Accepted", "Pending"):
        boot(flash.files, tmp_path, running)
        station = Station(flash.files, "b", registers=False)
        step(station)  # ten minutes
        station.transaction = "runs"
        for _ in range(3):
            assert not step(station) and station.ended is None
        if status == "Pending":
            station.transaction = None
        station.status = status
        step(station)
        if status == "Pending":
            assert station.ended == "update" and boot_settings(flash.files)["tries"] == "99"
        else:
            assert station.ended is None and boot_settings(flash.files)["trial"] == "0"
            assert station.store.read("update").startswith(b"Installed")
            station.store.write("update", b"trial" + station.store.read("update")[9:])
            slots.Slots(flash.files).write_boot(trial="1")


@pytest.mark.parametrize("phase", ["new", "wait", "ready"])
def test_flashed_by_wire_meanwhile(phase, running, tmp_path):
    """The slot that an update was meant for runs now: it takes the other one, and is installed
    only once it has run."""
    flash = fresh()
    files = flash.files
    boot(files, tmp_path, running)
    station = Station(files, "a")
    station.ask()
    if phase == "ready":
        station.transaction = "runs"
        station.run(3)
    job = station.store.read("update").decode().split("\n")
    assert job[5] == "b"
    if phase == "wait":
        station.store.write("update", "\n".join(["wait", *job[1:]]).encode())
    # make flash: other files, no bundle
    asyncio.run(bundle.remove_tree(files, "b"))
    put(files, {"b/" + path: data for path, data in NEW})
    slots.Slots(files).write_boot(slot="b", trial="0", tries="0")
    assert boot(files, tmp_path, running) == "b"
    again = bundles.make([(path[2:], data) for path, data in OLD.items()])
    station = Station(files, "b", again)
    assert station.run()[-1] == "Installing" and station.ended == "update"
    assert boot_settings(files)["slot"] == "a" and boot_settings(files)["trial"] == "1"
    assert boot(files, tmp_path, running) == "a"
    assert Station(files, "a").run() == ["Installed"]


@pytest.mark.parametrize("works", [True, False])
@pytest.mark.parametrize("geometry, least", [(STOCK, 60), (REMOUNTED, 40)])
def test_cut_at_every_step(geometry, least, works, running, tmp_path):
    """The power fails in the middle of each step of the flash in turn."""
    flash = fresh(geometry)
    start = bytearray(flash.memory)
    flash.history = []
    assert life(flash.files, tmp_path, running, works=works)[:3] == ALL[:3]
    history = flash.history
    assert len(history) > least
    memory = start
    ends = set()
    for cut, step in enumerate(history):
        torn = Flash(memory=bytearray(memory), seed=cut, geometry=geometry)
        torn.tear(*step)
        files = torn.mount()
        asked = Store(files).read("update") is not None
        told = life(files, tmp_path, running, ask=False, works=works)
        # each ends well, or nothing had been promised, or all was over
        if asked:
            assert told[-1] == ("Installed" if works else "InstallationFailed"), (cut, told)
            order = [ALL.index(status) for status in told if status in ALL]
            assert order == sorted(order), (cut, told)
        else:
            assert told == [], (cut, told)
        ends.add((asked, running["slot"]))
        apply(memory, *step)
    assert {(False, "a"), (True, "b" if works else "a")} <= ends


def apply(memory, block, offset, data):
    begin = block * 4096 + offset
    data = data or b"\xff" * 4096
    memory[begin : begin + len(data)] = data
