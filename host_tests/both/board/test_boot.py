"""boot.py: the permit, the slots and their trials, crashes in a row. In a folder; on 64-bit
MicroPython on its own LittleFS, where the power also goes at every step."""

import os
import sys

from host_tests.both.fake_machine import Chip, Reset
from host_tests.virtual import Skip

LITTLEFS = sys.implementation.name == "micropython" and sys.maxsize > 1 << 32
SOURCE = ""
for place in ("boot.py", "../../boot.py"):  # from the checkout, from build/mpy
    try:
        with open(place) as file:
            SOURCE = file.read()
        break
    except OSError:
        pass
else:
    raise OSError("no boot.py")

if LITTLEFS:
    from host_tests.both.vfs_flash import Flash


class Device:
    """A flash with two slots in the current folder; leaves all as it was at its end."""

    def __init__(self, slots="ab", marker=None, flash=None):
        self.home = os.getcwd()
        self.path = list(sys.path)
        self.machine = sys.modules.get("machine")
        if LITTLEFS:
            self.flash = flash or Flash(16)
            self.flash.mount()
            os.chdir("/flash")
        else:
            self.folder = "/tmp/wallbridge-" + os.urandom(6).hex()
            os.mkdir(self.folder)
            os.chdir(self.folder)
        if not flash:
            for slot in slots:
                os.mkdir(slot)
            if marker is not None:
                self.write("boot.txt", marker)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.chdir(self.home)
        sys.path[:] = self.path
        sys.modules.pop("machine", None)
        if self.machine:
            sys.modules["machine"] = self.machine
        if LITTLEFS:
            self.flash.unmount()
        else:
            for name in os.listdir(self.folder):
                path = self.folder + "/" + name
                (os.rmdir if name in "ab" else os.remove)(path)
            os.rmdir(self.folder)

    def write(self, name, text):
        with open(name, "w") as file:
            file.write(text)

    def marker(self):
        """boot.txt's words."""
        with open("boot.txt") as file:
            return dict([word.split("=") for word in file.read().split()])

    def start(self, chip=None):
        """Runs boot.py as the device does; returns the slot, "" for none."""
        sys.path[:] = self.path
        sys.modules.pop("machine", None)
        if chip:
            sys.modules["machine"] = chip
        scope = {"__name__": "__main__"}
        exec(SOURCE, scope)
        assert "boot" not in scope and "machine" not in scope  # no heap is left with it
        added = [path for path in sys.path if path not in self.path]
        assert len(added) < 2
        if not added:
            return ""
        assert sys.path[1] == added[0]
        root = os.getcwd()
        assert added[0][: len(root)] == root
        return added[0][-1]


# slots


def test_a_first_start_takes_slot_a():
    with Device() as device:
        for _ in range(2):
            assert device.start() == "a"
            assert device.marker() == {"slot": "a", "trial": "0", "tries": "0"}


def test_a_flash_with_one_slot():
    with Device("b") as device:
        assert device.start() == "b"
        assert device.marker() == {"slot": "b", "trial": "0", "tries": "0"}
    with Device("a", "slot=b trial=0 tries=0") as device:
        assert device.start() == "a"
    with Device("") as device:
        assert device.start() == ""  # frozen, or a working tree
        assert "boot.txt" not in os.listdir()


def test_a_slot_that_has_proved_itself():
    with Device(marker="slot=b trial=0 tries=2 failed=0\n") as device:
        for _ in range(5):
            assert device.start() == "b"
        assert device.marker() == {"slot": "b", "trial": "0", "tries": "2", "failed": "0"}


def test_three_starts_on_trial_then_back():
    with Device(marker="slot=b trial=1 tries=0") as device:
        for count in "123":
            assert device.start() == "b"
            assert device.marker()["tries"] == count
        for _ in range(3):
            assert device.start() == "a"
            assert device.marker() == {"slot": "a", "trial": "0", "tries": "0", "failed": "1"}


def test_an_application_that_is_content_stays():
    with Device(marker="slot=b trial=1 tries=0") as device:
        assert device.start() == "b"
        device.write("boot.txt", "slot=b trial=0 tries=0")
        for _ in range(5):
            assert device.start() == "b"


def test_words_of_a_later_time_are_kept():
    with Device(marker="colour=blue slot=b tries=1 trial=1 checked") as device:
        assert device.start() == "b"
        assert device.marker() == {
            "colour": "blue", "slot": "b", "tries": "2", "trial": "1", "checked": ""
        }  # fmt: skip


def test_a_marker_that_says_nothing_useful():
    for text in (
        "",
        "\n",
        "slot=c trial=1 tries=0",
        "slot",
        "garbage \x00",
        "slot=ab",
        "x" * 5000,
    ):
        with Device(marker=text) as device:
            for _ in range(5):
                assert device.start() == "a", text
    with Device(marker="slot=b trial=1 tries=many") as device:
        assert [device.start() for _ in range(4)] == ["b", "b", "b", "a"]


def test_a_marker_that_is_no_text():
    with Device() as device:
        with open("boot.txt", "wb") as file:
            file.write(b"slot=b \xff\xfe\x80")
        assert device.start() == "a"


def test_a_trial_whose_slot_is_not_there():
    with Device("a", "slot=b trial=1 tries=0") as device:
        assert device.start() == "a"
        assert device.marker()["failed"] == "1"


def test_a_trial_without_another_slot_goes_on():
    with Device("b", "slot=b trial=1 tries=0") as device:
        for _ in range(5):
            assert device.start() == "b"


def test_what_can_not_be_counted_is_not_tried():
    with Device(marker="slot=b trial=1 tries=0") as device:
        os.mkdir("boot.new")  # it can't be written
        assert device.start() == "a"
        assert device.marker() == {"slot": "b", "trial": "1", "tries": "0"}
        os.rmdir("boot.new")
        assert device.start() == "b"


def test_the_power_goes_at_any_step_of_a_start():
    if not LITTLEFS:
        raise Skip("needs MicroPython's LittleFS and a heap for a flash")
    for marker, before, after in (
        ("", None, ("a", "0", "0")),
        ("slot=b trial=1 tries=0", ("b", "1", "0"), ("b", "1", "1")),
        ("slot=b trial=1 tries=3", ("b", "1", "3"), ("a", "0", "0")),
    ):
        with Device(marker=marker) as device:
            flash = device.flash
            memory = bytearray(flash.memory)
            flash.history = []
            device.start()
            steps = flash.history
        assert len(steps) >= 2
        for cut in range(len(steps) + 1):
            replay = Flash(0, bytearray(memory), cut)
            for step in steps[:cut]:
                replay.apply(*step)
            if cut < len(steps):
                replay.tear(*steps[cut])
            with Device(flash=replay) as device:
                words = device.marker()
                found = (words["slot"], words["trial"], words["tries"]) if words else None
                assert found in (before, after), (cut, found)
                over = found in (None, ("b", "1", "3"), ("a", "0", "0"))
                assert device.start() == ("a" if over else "b"), (cut, found)


# the permit


def test_the_permit_is_low_before_anything_else():
    with Device() as device:
        chip = Chip()
        chip.outputs[25] = 1  # a soft reset leaves it as it was
        order = []
        chip.on_out = lambda number, level: order.append((number, level))
        assert device.start(chip) == "a"
        assert order == [(25, 0)]


def test_the_permits_pin_is_the_provisioned_one():
    for text, expected in (
        ('{"pins": {"permit": "32"}}', {32: 0}),
        ('{"pins": {"permit": "!32"}}', {32: 1}),
        ('{"pins": {"permit": 32}}', {32: 0}),
        ('{"pins": {"beat": "4"}}', {25: 0}),
        ("{}", {25: 0}),
        ("{", {25: 0}),
        ('{"pins": {"permit": "x"}}', {}),
        ('{"pins": {"permit": "6"}}', {}),
        ("[]", {25: 0}),
    ):
        with Device() as device:
            device.write("provision.json", text)
            chip = Chip()
            assert device.start(chip) == "a"
            assert chip.outputs == expected, text


def test_the_default_pin_is_every_boards():
    from firmware.board import pins

    for board in ("devkit", "wrover"):
        assert pins.load(board)["permit"] == "25"
    assert pins.load("s3")["permit"] == "5"


# crashes


def test_crashes_in_a_row_are_counted():
    with Device() as device:
        chip = Chip()
        chip.memory = b"7 bad luck"  # chance, or what was before the power cut
        device.start(chip)
        assert chip.memory == b"0 run"
        for cause, left, found in (
            (chip.WDT_RESET, None, b"1 run the watchdog"),
            (chip.HARD_RESET, b" bad ValueError: no", b"2 run ValueError: no"),
            (chip.SOFT_RESET, None, b"2 run"),  # somebody at the console
            (chip.HARD_RESET, None, b"3 run the chip's own reset"),
            (chip.WDT_RESET, b" bad Meter silent", b"4 run Meter silent"),
            (chip.HARD_RESET, b" ok", b"0 run"),
            (chip.HARD_RESET, b" bad", b"1 run"),
            (chip.PWRON_RESET, None, b"0 run"),
        ):
            if left is not None:
                chip.memory = chip.memory[:1] + left
            chip.cause = cause
            device.start(chip)
            assert chip.memory == found, (cause, left, chip.memory)


def test_memory_that_is_garbage():
    for memory in (b"", b"\xff\xfe", b"x run", b"3", b"run"):
        with Device() as device:
            chip = Chip()
            chip.cause = chip.WDT_RESET
            chip.memory = memory
            device.start(chip)
            assert chip.memory[1:5] == b" run", memory


class Esp32:
    """The module: its OTA slots."""


class Partition:
    RUNNING = 1
    runs = boots = "ota_1"

    def __init__(self, which):
        self.label = Partition.runs if which == Partition.RUNNING else which

    def info(self):
        return (0, 16, 65536, 1 << 20, self.label, False)

    def set_boot(self):
        if self.label == "gone":
            raise OSError(-261)
        Partition.boots = self.label


def start(device, chip):
    """Starts; whether boot.py itself resets."""
    chip.timeout_ms = None
    Esp32.Partition = Partition
    sys.modules["esp32"] = Esp32
    try:
        device.start(chip)
        return False
    except Reset:
        return True
    finally:
        del sys.modules["esp32"]


def test_an_image_that_the_application_can_not_start_in():
    """Under the watchdog three times, then back, whatever the bootloader does by itself."""
    Partition.runs = Partition.boots = "ota_1"
    with Device(marker="slot=a trial=0 tries=0 image=ota_0") as device:
        chip = Chip()
        for count in "123":
            assert not start(device, chip)
            assert chip.timeout_ms == 180000 and device.marker()["tries"] == count
            chip.cause = chip.WDT_RESET
        assert start(device, chip) and Partition.boots == "ota_0"
        Partition.runs = "ota_0"
        chip.cause = chip.HARD_RESET
        for _ in range(4):
            assert not start(device, chip)
            assert chip.timeout_ms is None and chip.memory == b"0 run"
            chip.memory = b"0 ok"
        words = {"slot": "a", "trial": "0", "tries": "0", "failed": "1", "image": ""}
        assert device.marker() == words


def test_an_image_that_the_bootloader_has_gone_back_from():
    Partition.runs = Partition.boots = "ota_0"
    with Device(marker="slot=a trial=0 tries=1 image=ota_0") as device:
        chip = Chip()
        assert not start(device, chip)
        assert chip.timeout_ms is None and device.marker()["image"] == ""


def test_an_image_that_can_not_be_counted_or_gone_back_from():
    Partition.runs = Partition.boots = "ota_1"
    with Device(marker="slot=a trial=0 tries=0 image=ota_0") as device:
        os.mkdir("boot.new")  # it can't be written
        assert start(device, Chip()) and Partition.boots == "ota_0"
        os.rmdir("boot.new")
    with Device(marker="slot=a trial=0 tries=3 image=gone") as device:
        chip = Chip()
        assert not start(device, chip)  # there is none to go back to: on with this one
        assert chip.timeout_ms is None and device.marker()["image"] == ""


def test_an_image_that_is_content_stays():
    Partition.runs = Partition.boots = "ota_1"
    with Device(marker="slot=a trial=0 tries=1 image= failed=0") as device:
        chip = Chip()
        for _ in range(5):
            assert not start(device, chip)
            assert chip.timeout_ms is None and device.marker()["tries"] == "1"


def test_a_trial_runs_under_the_watchdog():
    with Device(marker="slot=b trial=1 tries=0") as device:
        chip = Chip()
        for _ in range(3):
            chip.timeout_ms = None
            device.start(chip)
            assert chip.timeout_ms == 180000
            chip.cause = chip.WDT_RESET
        assert chip.memory[:1] == b"2"
        chip.timeout_ms = None
        assert device.start(chip) == "a"
        assert chip.timeout_ms is None
        assert chip.memory == b"0 run"  # the old slot did not crash
