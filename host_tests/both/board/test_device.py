"""The device's start and end: the safe state, resets. On a chip in software."""

import json
import os
import sys

from firmware import device, provisioning
from firmware.base import runtime, store
from host_tests.both.board.test_provisioning import GIVEN, changed
from host_tests.both.fake_machine import Chip, Reset, finish
from host_tests.virtual import Skip


class Python:
    """`micropython` of the device."""

    def __init__(self):
        self.interrupt = 3

    def kbd_intr(self, character):
        self.interrupt = character


class Esp32:
    """`esp32` of a chip without a file system of its own."""

    HEAP_DATA = 4

    @staticmethod
    def idf_heap_info(kind):
        return ()

    class Partition:
        TYPE_DATA = 1

        @staticmethod
        def find(kind, label):
            assert (kind, label) == (1, "vfs")
            return []


class Device:
    """A chip with a flash that holds `provision.json`; ends as it began."""

    def __init__(self, given=None, memory=b"0 run", cause=None):
        self.folder = "/tmp/wallbridge-" + "".join(["%02x" % b for b in os.urandom(6)])
        os.mkdir(self.folder)
        self.file = provisioning.FILE
        provisioning.FILE = self.folder + "/provision.json"
        if given is not None:
            with open(provisioning.FILE, "w") as file:
                file.write(given if isinstance(given, str) else json.dumps(given))
        names = ("machine", "micropython", "esp32")
        self.before = {name: sys.modules.get(name) for name in names}
        self.chip = Chip()
        self.chip.memory = memory
        self.chip.cause = cause or Chip.HARD_RESET
        self.python = sys.modules["micropython"] = Python()
        sys.modules["esp32"] = Esp32
        self.outcome = None
        self.clock = None  # what the device's clock was set to
        self.epoch = runtime.host_epoch
        self.set_epoch = runtime.set_host_epoch
        runtime.host_epoch = lambda: 946684800
        runtime.set_host_epoch = self.set_clock

    def set_clock(self, epoch):
        self.clock = epoch

    def __enter__(self):
        return self

    def __exit__(self, *_):
        provisioning.FILE = self.file
        runtime.host_epoch = self.epoch
        runtime.set_host_epoch = self.set_epoch
        for name in self.before:
            sys.modules.pop(name, None)
            if self.before[name]:
                sys.modules[name] = self.before[name]
        for name in os.listdir(self.folder):
            os.remove(self.folder + "/" + name)
        os.rmdir(self.folder)

    def start(self, typed="", arguments=()):
        """`device.start`, with somebody typing at the safe state's console. None where no
        station starts; then `outcome` says what does."""
        stdin, run = runtime.Stdin, runtime.run
        keys = [bytes([c]) for c in typed.encode()]

        class Typed:
            async def read(self):
                return keys.pop(0)

        runtime.Stdin, runtime.run = Typed, finish
        try:
            return device.start(arguments)
        except device.NoStart as instead:
            self.outcome = instead.outcome
            return None
        finally:
            runtime.Stdin, runtime.run = stdin, run

    def ended(self, failed=None):
        """`device.end`; whether the chip was reset."""
        try:
            device.end(self.outcome, failed)
            return False
        except Reset:
            return True


# the start


class Watched:
    """A block device that knows the largest piece that was read of it."""

    def __init__(self, flash):
        self.flash = flash
        self.largest = 0
        self.writeblocks = flash.writeblocks
        self.ioctl = flash.ioctl

    def readblocks(self, block, buffer, offset=0):
        self.largest = max(self.largest, len(buffer))
        self.flash.readblocks(block, buffer, offset)


flash = None  # for the modules on it


def test_the_file_system_is_mounted_again_while_modules_are_imported_from_it():
    global flash
    try:
        from host_tests.both.vfs_flash import Flash
    except ImportError:
        raise Skip("needs MicroPython's LittleFS")
    import vfs

    plain = Flash(32)
    files = plain.mount()
    texts = {
        "flash_main.py": "from flash_first import answer\nfrom flash_third import text\n",
        "flash_first.py": "from host_tests.both.board import test_device\n"
        "test_device.store.remount(test_device.flash, '/flash')\n"
        "from flash_second import answer\n",
        "flash_second.py": "answer = 42\n" + "# much\n" * 1000,
        "flash_third.py": "text = open('/flash/text').read()\n",
        "text": "a line",
    }
    for name in texts:
        with files.open(name, "wb") as f:
            f.write(texts[name].encode())
    flash = Watched(plain)
    vfs.umount("/flash")
    vfs.mount(vfs.VfsLfs2(flash, readsize=32, progsize=32, lookahead=32), "/flash")
    sys.path.insert(0, "/flash")
    where = os.getcwd()
    try:
        assert open("/flash/flash_second.py").read() and flash.largest <= 128
        os.chdir("/flash")
        import flash_main  # type: ignore

        assert (flash_main.answer, flash_main.text) == (42, "a line")
        assert flash.largest > 128
        assert os.getcwd() in ("/", "/flash")  # "/" on the device, where it is the same
        with open("/flash/text", "w") as f:
            f.write("x" * 400)
        broken = Watched(Flash(32))  # nothing is on it: what there is stays
        store.remount(broken, "/flash")
        assert open("/flash/text").read() == "x" * 400
    finally:
        sys.path.remove("/flash")
        os.chdir(where)
        vfs.umount("/flash")
        for name in texts:
            sys.modules.pop(name.split(".")[0], None)
    vfs.mount(vfs.VfsLfs2(plain, readsize=32, progsize=32, lookahead=32), "/flash")
    assert open("/flash/text").read() == "x" * 400
    Flash.mounted = plain
    plain.unmount()


def test_a_start():
    with Device(GIVEN) as d:
        options = d.start()
        assert options.model == "Evh5A22N2S"
        assert d.python.interrupt == -1  # Ctrl-C does not stop a charger
        assert options.restart_reason == "Reboot"
        assert options.started == "a reset"
        assert 1700000000 < d.clock  # the build's date: earlier it is not
        assert d.chip.hz == 240000000


def test_a_clock_that_survived_is_kept():
    with Device(GIVEN) as d:
        runtime.host_epoch = lambda: 4000000000
        d.start()
        assert d.clock is None


def test_why_it_starts():
    for cause, memory, started in (
        (Chip.PWRON_RESET, b"0 run", "the power came"),
        (Chip.WDT_RESET, b"1 run Meter silent", "Meter silent"),
        (Chip.HARD_RESET, b"1 run ValueError: no", "ValueError: no"),
    ):
        with Device(GIVEN, memory, cause) as d:
            options = d.start()
            assert options.started == started
            power = cause == Chip.PWRON_RESET
            assert options.restart_reason == ("PowerLoss" if power else "Reboot")


def test_three_crashes_in_a_row_end_in_the_safe_state():
    for memory, safe in ((b"2 run x", False), (b"3 run ValueError: no", True), (b"9 run", True)):
        with Device(GIVEN, memory) as d:
            assert (d.start("status\nreset hard\n") is None) == safe
            assert not d.chip.outputs  # no pin is touched


def test_the_safe_state_says_why():
    said = []
    with Device(GIVEN, b"3 run ValueError: no") as d:
        device.print = lambda *words: said.append(" ".join([str(word) for word in words]))
        try:
            typed = "status\r\n\nhelp\ncharge!\nxstatu" + "y" * 200 + "\nreset hard\n"
            assert d.start(typed) is None
        finally:
            del device.print
        assert d.outcome == "reset"
    why = "crashed 3 times in a row: ValueError: no"
    assert said[0] == "safe state: " + why
    assert json.loads(said[1]) == {"safe": True, "error": why, "contactor": "open"}
    assert said[2] == "ok"
    assert said[3] == device.HELP and said[4] == "ok"
    assert said[5] == said[6] == "error: safe state: %s; try help" % why
    assert said[7:] == ["ok"]


def test_a_device_that_is_not_provisioned_touches_nothing():
    for given, words in (
        (None, "not provisioned"),
        ("{", "provision.json"),
        ("[1]", "not an object"),
        (changed(unit="x"), "provision.json"),
        (changed(ca="nowhere.der"), "nowhere.der"),
    ):
        said = []
        with Device(given) as d:
            device.print = lambda *words, said=said: said.append(str(words[0]))
            try:
                assert d.start("maintenance\n") is None
            finally:
                del device.print
            assert words in said[0], said
            assert d.outcome == "maintenance"
            assert not d.chip.outputs and not d.chip.pwm


def test_bytes_that_are_no_text_do_not_stop_the_safe_state():
    with Device(None) as d:
        d.start("é\x00\nreset hard\n")
        assert d.outcome == "reset"


# the end


def test_a_reset_that_was_meant():
    for outcome in ("reset", "hard reset"):
        with Device(GIVEN, b"2 run") as d:
            d.outcome = outcome
            assert d.ended()
            assert d.chip.memory == b"0 ok"


def test_a_crash_is_kept_for_the_next_start():
    with Device(GIVEN, b"1 run") as d:
        try:
            raise ValueError("no such thing")
        except ValueError as error:
            assert d.ended(error)
        assert d.chip.memory.startswith(b"1 bad ValueError: no such thing")


def test_maintenance():
    with Device(GIVEN, b"1 run") as d:
        d.python.interrupt = -1
        d.outcome = "maintenance"
        assert not d.ended()
        assert d.python.interrupt == 3
        assert d.chip.timeout_ms == 86400000
        assert d.chip.memory == b"0 ok"


def test_ctrl_d_in_maintenance_stays_there():
    with Device(GIVEN, b"0 run", Chip.SOFT_RESET) as d:
        assert d.start() is None
        assert d.outcome == "maintenance" and d.python.interrupt != -1


def test_a_developer_has_no_watchdog_and_can_interrupt():
    with Device(GIVEN, b"2 run", Chip.SOFT_RESET) as d:
        made = d.start(arguments=["--dev"])
        assert made.dev and d.python.interrupt != -1
        assert d.chip.memory == b"0 ok"  # three crashes do not end in the safe state


def test_pins_that_the_chips_psram_has_end_in_the_safe_state():
    """A WROVER that was provisioned as a devkit would crash at the first byte to the meter."""
    chip = runtime.chip
    runtime.chip = lambda: "esp32+psram"
    try:
        with Device(changed(board="devkit")) as wrong:
            assert wrong.start("reset hard\r") is None and wrong.outcome == "reset"
        with Device(GIVEN) as right:
            assert right.start().pins["meter_rx"] == "15"
    finally:
        runtime.chip = chip
