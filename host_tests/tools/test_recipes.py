"""What docs/architecture.md says under "How to add", done in a copy of the tree: a row is all."""

import shutil
import subprocess
import sys

from tools.runtimes import ROOT

COPIED = ("firmware", "host_tests", "tools", "docs")


class Tree:
    """A copy of this tree to change and to test."""

    def __init__(self, folder):
        self.folder = folder
        for name in COPIED:
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=skipped)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for name in ("boot.py", "main.py", "manifest.py", "package.json"):
            shutil.copy(ROOT / name, folder)

    def put_before(self, name, line, new):
        """Puts lines before the first one that begins so."""
        path = self.folder / name
        lines = path.read_text().split("\n")
        at = next(n for n, text in enumerate(lines) if text.startswith(line))
        path.write_text("\n".join([*lines[:at], new, *lines[at:]]))

    def run(self, *words, typed=""):
        """Runs Python there; its output."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder, input=typed, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def console(self, *lines, options=()):
        """What a standalone station replies to these lines."""
        typed = "\n".join((*lines, "quit")) + "\n"
        return self.run("main.py", "--supervision-url", "", *options, typed=typed)

    def passes(self, *files):
        """Its own tests on CPython, and the rules."""
        self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not micropython", *files)
        self.run("tools/lint_firmware.py")

    def change(self, name, edit):
        """Puts `edit(line)` in the place of each line."""
        path = self.folder / name
        path.write_text("\n".join([edit(line) for line in path.read_text().split("\n")]))


def test_a_board_is_a_column(tmp_path):
    """Here with the pins of the first one, but for the meter's."""
    tree = Tree(tmp_path / "tree")

    def in_the_table(line):
        words = line.split()
        if words[:2] == ["signal", "kind"]:
            return line + "  other"
        if words[:2] == ["chip", "c"]:
            return line + "  esp32"
        if words[:1] in (["meter_tx"], ["meter_rx"]):
            return line + ("  2" if words[0] == "meter_tx" else "  12")
        return line

    def on_the_page(line):
        cells = line.split("|")
        if len(cells) != 7 or not line.startswith("| "):
            return line
        name = cells[1].strip()
        added = {"signal": " other ", "---": " --- ", "meter_tx": " 2 ", "meter_rx": " 12 "}
        return "|".join([*cells[:4], added.get(name, cells[2]), *cells[4:]])

    tree.change("firmware/board/pins.py", in_the_table)
    tree.change("docs/wiring.md", on_the_page)
    tree.passes("host_tests/tools/test_wiring.py", "host_tests/both/board/test_esp32.py")
    told = tree.run(
        "-c",
        "from firmware.board import pins\n"
        "table = pins.load('other')\n"
        "print(table['meter_tx'], table['meter_rx'], table['permit'])",
    )
    assert told == "2 12 25\n"


def test_a_meter_is_a_row(tmp_path):
    tree = Tree(tmp_path / "tree")
    tree.put_before(
        "firmware/sensing/meters.py",
        '        Model("SDM72DM", ',
        '        Model("SDM230", 4, 80, 9600, "N", 0, 1, (_SDM_ONE_PHASE,)),',
    )
    tree.passes(
        "host_tests/both/sensing/test_meters.py",
        "host_tests/both/metering/test_metering.py",
        "host_tests/both/sensing/test_modbus.py",
        "host_tests/both/board/test_command_line.py",
        "host_tests/both/board/test_provisioning.py",
        "host_tests/both/proof/test_fuzz_decoders.py",
        "host_tests/sensing/test_meters_exact.py",
        "host_tests/tools/test_provision.py",
    )
    told = tree.run(
        "-c",
        "from firmware.sensing.meters import RegisterMap\n"
        "meter = RegisterMap('sdm230')\n"
        "print(meter.model, meter.baud, meter.parity, *[tuple(b) for b in meter.blocks])",
    )
    assert told == "SDM230 9600 N (0, 78)\n"


def test_a_console_command_is_a_function_and_a_row(tmp_path):
    tree = Tree(tmp_path / "tree")
    name = "firmware/console/commands.py"
    tree.put_before(
        name,
        "# A row: the command's name",
        """async def _uptime(station, arguments, text):
    return ["%d s" % (station.clock.ms() // 1000)]


""",
    )
    row = '    yield Command("uptime", "uptime: how long the station has run", _uptime, NEVER)'
    tree.put_before(name, '    yield Command("stop", ', row)
    said = tree.console("uptime", "uptime now", "help")
    assert said.startswith("0 s\nok\nerror: uptime takes no argument\n")
    assert "\nuptime: how long the station has run\nstop: " in said


def test_a_key_is_a_row(tmp_path):
    tree = Tree(tmp_path / "tree")
    row = '    ("DisplayLanguage", RW, _STRING, "en", 2),'
    tree.put_before("firmware/ocpp/keys.py", '    ("CpoName", ', row)
    lines = ("config displaylanguage", "config DisplayLanguage frfr", "config DisplayLanguage fr")
    said = tree.console(*lines, "config DisplayLanguage")
    refused = "Rejected\nDisplayLanguage: at most 2 characters\nok\n"
    want = f"DisplayLanguage=en\nok\n{refused}Accepted\nok\nDisplayLanguage=fr\nok\n"
    assert said.startswith(want)
    told = tree.console("config DisplayLanguage", options=("--key", "DisplayLanguage=de"))
    assert told.startswith("DisplayLanguage=de\n")


OPERATION = """
import json, sys
from pathlib import Path
from host_tests import virtual
from host_tests.station import Rig

async def session():
    async with Rig("cpython", Path(sys.argv[1])) as rig:
        point = await rig.online()
        for number, payload in enumerate(({"colour": "green"}, {"colour": "pink"}, {})):
            await point._connection.send(json.dumps([2, str(number), "SetLight", payload]))
            await rig.sleep(1)
        for _, way, message in rig.house.messages:
            if way == "<" and message[0] != 2 and message[1] in ("0", "1", "2"):
                print(json.dumps(message[:3]))

virtual.run(session())
"""


def test_an_operation_is_its_fields_a_function_and_a_row(tmp_path):
    tree = Tree(tmp_path / "tree")
    row = '    "SetLight.req": (("colour", "red|green|off", REQUIRED),),'
    tree.put_before("firmware/ocpp/schemas.py", '    "Reset.req": ', row)
    (tree.folder / "firmware/ocpp/handlers/light.py").write_text(
        '''"""SetLight: an operation that OCPP does not know."""


async def SetLight(station, payload):
    station.log("light").info("%s", payload["colour"])
    return {"status": "Accepted"}
'''
    )
    name = "firmware/ocpp/handlers/__init__.py"
    tree.put_before(name, "    smart_charging,", "    light,")
    tree.put_before(name, '    "Reset": ', '    "SetLight": light.SetLight,')
    assert tree.run("-c", OPERATION, str(tmp_path)).splitlines() == [
        '[3, "0", {"status": "Accepted"}]',
        '[4, "1", "PropertyConstraintViolation"]',
        '[4, "2", "OccurenceConstraintViolation"]',
    ]
