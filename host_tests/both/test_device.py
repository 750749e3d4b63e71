"""The device's start and end: provisioning, the safe state, resets. On a chip in software."""

import json
import os
import sys

from firmware import device
from firmware.base import runtime
from host_tests.both.fake_machine import Chip, Reset, finish
from host_tests.virtual import Skip

GIVEN = {
    "model": "evh5a22n2s",
    "keys": {"IMaxUser": 16, "PhaseNumber": "3", "SupervisionUrl": "ws://house/ocpp"},
    "wifi": {"ssid": "House", "key": "secret word"},
    "meter": "iem3155",
    "unit": 7,
    "pins": {"permit": "32", "tamper": "-"},
}


class Parts:
    """Plain attributes."""


def changed(**more):
    given = dict(GIVEN)
    given.update(more)
    return given


def checked(given):
    options = Parts()
    device.check(given, options)
    return options


def refused(given, words):
    try:
        checked(given)
    except ValueError as why:
        assert words in str(why), str(why)
        return
    raise AssertionError("taken: %r" % given)


class Python:
    """`micropython` and `esp32` of the device."""

    HEAP_DATA = 4

    def __init__(self):
        self.interrupt = 3
        self.asked = 0
        self.grows = 20  # times idf_heap_info is asked until the heap has grown

    def kbd_intr(self, character):
        self.interrupt = character

    def idf_heap_info(self, what):
        assert what == self.HEAP_DATA
        self.asked += 1
        free = 60000 if self.asked < self.grows else 2000
        return [(1000, 500, 400, 300), (110000, free, 30000, 1000)]


class Device:
    """A chip with a flash that holds `provision.json`; ends as it began."""

    def __init__(self, given=None, memory=b"0 run", cause=None):
        self.folder = "/tmp/wallbridge-" + "".join(["%02x" % b for b in os.urandom(6)])
        os.mkdir(self.folder)
        self.file = device.FILE
        device.FILE = self.folder + "/provision.json"
        if given is not None:
            with open(device.FILE, "w") as file:
                file.write(given if isinstance(given, str) else json.dumps(given))
        names = ("machine", "micropython", "esp32")
        self.before = {name: sys.modules.get(name) for name in names}
        self.chip = Chip()
        self.chip.memory = memory
        self.chip.cause = cause or Chip.HARD_RESET
        self.python = sys.modules["micropython"] = sys.modules["esp32"] = Python()
        self.parts = Parts()
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
        device.FILE = self.file
        runtime.host_epoch = self.epoch
        runtime.set_host_epoch = self.set_epoch
        for name in self.before:
            sys.modules.pop(name, None)
            if self.before[name]:
                sys.modules[name] = self.before[name]
        for name in os.listdir(self.folder):
            os.remove(self.folder + "/" + name)
        os.rmdir(self.folder)

    def options(self, typed="", words=()):
        """`device.options`, with somebody typing at the safe state's console."""
        stdin, run = runtime.Stdin, runtime.run
        keys = [bytes([c]) for c in typed.encode()]

        class Typed:
            async def read(self):
                return keys.pop(0)

        runtime.Stdin, runtime.run = Typed, finish
        try:
            return device.options(self.parts, Parts(), words)
        finally:
            runtime.Stdin, runtime.run = stdin, run

    def ended(self, failed=None):
        """`device.ended`; whether the chip was reset."""
        try:
            device.ended(self.parts, failed)
            return False
        except Reset:
            return True


# provisioning


def test_what_the_installer_said():
    options = checked(GIVEN)
    assert options.model == "Evh5A22N2S"
    keys = {"IMaxUser": "16", "PhaseNumber": "3", "SupervisionUrl": "ws://house/ocpp"}
    assert options.provisioned == keys
    assert options.wifi == ("House", "secret word")
    assert (options.registers, options.unit) == ("iEM3155", 7)
    assert (options.pins["permit"], options.pins["tamper"], options.pins["cp"]) == (
        "32",
        "-",
        "36",
    )
    assert (options.run, options.meter, options.tic, options.speed) == ({}, None, None, 1)


def test_the_meters_line_is_as_delivered_or_as_the_installer_says():
    options = checked(changed(meter="SDM120"))
    assert (options.baud, options.parity) == (2400, "N")
    options = checked(changed(meter="SDM120", baud=9600))
    assert (options.baud, options.parity) == (9600, "N")
    options = checked(changed(meter="iEM3155", baud="9600", parity="o"))
    assert (options.baud, options.parity) == (9600, "O")


def test_how_long_to_wait_is_the_installers():
    options = checked(GIVEN)
    assert (options.tic_pause_s, options.switch_s) == (600, 60)
    options = checked(changed(tic_pause_s=0, switch_s="15"))
    assert (options.tic_pause_s, options.switch_s) == (0, 15)
    assert checked(changed(tic_pause_s=30, switch_s=120)).tic_pause_s == 30


def test_little_is_enough():
    options = checked({"model": "Evh5A07N2C7"})
    assert options.wifi == ("", "")
    assert options.ca is None and not options.insecure and not options.ntp
    assert checked({"model": "Evh5A07N2C7", "wifi": {"ssid": "open"}}).wifi == ("open", "")


def test_a_device_that_was_never_told_offers_nothing():
    for keys in ({}, {"IMaxUser": "16"}, {"PhaseNumber": "1"}):
        assert checked(changed(keys=keys)).provisioned["IMaxUser"] == "0"


def test_what_can_not_be_is_refused():
    refused([], "not an object")
    refused({}, "no model")
    refused(changed(model="X"), "no commercial reference X")
    refused(changed(modell="X"), "no such entry: modell")
    refused(changed(keys=[]), "keys: not an object")
    refused(changed(keys={"Imax": "16"}), "no such key: Imax")
    refused(changed(keys={"IMaxUser": "5"}), "from 6 to 32")
    refused(changed(keys={"IMaxUser": "33"}), "from 6 to 32")
    refused(changed(keys={"IMaxUser": "16.5"}), "a whole number")
    refused(changed(keys={"PhaseNumber": "2"}), "1 or 3")
    refused(changed(model="Evh5A07N2C7", keys={"PhaseNumber": "3"}), "PhaseNumber: 1")
    refused(changed(model="Evh5A11N2C7", keys={"IMaxUser": "20"}), "from 6 to 16")
    refused(changed(keys={"TICmode": "7"}), "TICmode")
    refused(changed(wifi={"ssid": "", "key": "long enough"}), "ssid")
    refused(changed(wifi={"ssid": "x" * 33, "key": "long enough"}), "ssid")
    refused(changed(wifi={"ssid": "x", "key": "short"}), "key")
    refused(changed(wifi="House"), "wifi")
    refused(changed(wifi={"ssid": "x", "key": "long enough", "Key": "y"}), "no such entry: Key")
    refused(changed(keys={"CpoName": "x", "cponame": "y"}), "CpoName: given twice")
    refused(changed(insecure="false"), "insecure: true or false")
    refused(changed(insecure=0), "insecure: true or false")
    refused(changed(aiorepl=None), "aiorepl: true or false")
    refused(changed(ntp="a b"), "ntp")
    refused(changed(unit=1.5), "unit")
    refused(changed(ca=5), "ca: a file")
    refused(changed(meter="Ferraris"), "no such meter")
    refused(changed(unit=248), "unit")
    refused(changed(baud=9601), "baud: 1200")
    refused(changed(baud=True), "baud: 1200")
    refused(changed(parity="M"), "parity: N, E or O")
    refused(changed(parity=""), "parity: N, E or O")
    refused(changed(tic_pause_s=29), "tic_pause_s: from 30")
    refused(changed(tic_pause_s=86401), "tic_pause_s: from 0 to 86400")
    refused(changed(tic_pause_s=-1), "tic_pause_s")
    refused(changed(switch_s=14), "switch_s: from 15 to 120")
    refused(changed(switch_s=121), "switch_s: from 15 to 120")
    refused(changed(board="arduino"), "no such board")
    refused(changed(pins={"permit": "35"}), "permit")
    refused(changed(pins={"pp": "-"}), "a socket needs pp")
    refused(changed(pins={"lock_close": "-", "lock_open": "-"}), "a socket needs lock_close")
    cable = changed(model="Evh5A22N2S", keys={}, pins={"pp": "-"})
    cable["model"] = "Evh5A07N2C7"
    assert checked(cable).pins["pp"] == "-"


# the start


def test_a_start():
    with Device(GIVEN) as d:
        options = d.options()
        assert options.model == "Evh5A22N2S"
        assert d.python.interrupt == -1  # Ctrl-C does not stop a charger
        assert options.cause == "Reboot"
        assert options.started == "a reset"
        assert 1700000000 < d.clock  # the build's date: earlier it is not
        assert d.python.asked >= d.python.grows


def test_a_clock_that_survived_is_kept():
    with Device(GIVEN) as d:
        runtime.host_epoch = lambda: 4000000000
        d.options()
        assert d.clock is None


def test_a_heap_that_does_not_grow_is_not_waited_for():
    if sys.maxsize >> 31:
        raise Skip("needs a heap that has an end")
    with Device(GIVEN) as d:
        d.python.grows = 1000000
        assert d.options()
        assert d.python.asked > 20


def test_why_it_starts():
    for cause, memory, started in (
        (Chip.PWRON_RESET, b"0 run", "the power came"),
        (Chip.WDT_RESET, b"1 run Meter silent", "Meter silent"),
        (Chip.HARD_RESET, b"1 run ValueError: no", "ValueError: no"),
    ):
        with Device(GIVEN, memory, cause) as d:
            options = d.options()
            assert options.started == started
            power = cause == Chip.PWRON_RESET
            assert options.cause == ("PowerLoss" if power else "Reboot")


def test_three_crashes_in_a_row_end_in_the_safe_state():
    for memory, safe in ((b"2 run x", False), (b"3 run ValueError: no", True), (b"9 run", True)):
        with Device(GIVEN, memory) as d:
            assert (d.options("status\nreset hard\n") is None) == safe
            assert not d.chip.outputs  # no pin is touched


def test_the_safe_state_says_why():
    said = []
    with Device(GIVEN, b"3 run ValueError: no") as d:
        device.print = lambda *words: said.append(" ".join([str(word) for word in words]))
        try:
            typed = "status\r\n\nhelp\ncharge!\nxstatu" + "y" * 200 + "\nreset hard\n"
            assert d.options(typed) is None
        finally:
            del device.print
        assert d.parts.outcome == "reset"
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
                assert d.options("maintenance\n") is None
            finally:
                del device.print
            assert words in said[0], said
            assert d.parts.outcome == "maintenance"
            assert not d.chip.outputs and not d.chip.pwm


def test_bytes_that_are_no_text_do_not_stop_the_safe_state():
    with Device(None) as d:
        d.options("é\x00\nreset hard\n")
        assert d.parts.outcome == "reset"


# the end


def test_a_reset_that_was_meant():
    for outcome in ("reset", "hard reset"):
        with Device(GIVEN, b"2 run") as d:
            d.parts.outcome = outcome
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
        d.parts.outcome = "maintenance"
        assert not d.ended()
        assert d.python.interrupt == 3
        assert d.chip.timeout_ms == 86400000
        assert d.chip.memory == b"0 ok"


def test_ctrl_d_in_maintenance_stays_there():
    with Device(GIVEN, b"0 run", Chip.SOFT_RESET) as d:
        assert d.options() is None
        assert d.parts.outcome == "maintenance" and d.python.interrupt != -1


def test_a_developer_has_no_watchdog_and_can_interrupt():
    with Device(GIVEN, b"2 run", Chip.SOFT_RESET) as d:
        made = d.options(words=["--dev"])
        assert made.dev and d.python.interrupt != -1
        assert d.chip.memory == b"0 ok"  # three crashes do not end in the safe state
