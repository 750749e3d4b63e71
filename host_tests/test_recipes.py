"""What docs/architecture.md says under "How to add", done in a copy of the tree: a row is all."""

import shutil
import subprocess
import sys

import pytest

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

    def run(self, *words):
        """Runs Python there; its output."""
        done = subprocess.run(
            [sys.executable, *words], cwd=self.folder, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def passes(self, *files):
        """Its own tests on CPython, and the rules."""
        self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not micropython", *files)
        self.run("tools/lint_firmware.py")


@pytest.mark.slow
def test_a_meter_is_a_row(tmp_path):
    tree = Tree(tmp_path / "tree")
    tree.put_before(
        "firmware/sensing/meter_table.py",
        '    Model("SDM72DM", ',
        '    Model("SDM230", 4, 80, 9600, "N", 0, 1, (_SDM_ONE_PHASE,)),',
    )
    tree.passes(
        "host_tests/both/test_meters.py",
        "host_tests/both/test_metering.py",
        "host_tests/both/test_modbus.py",
        "host_tests/both/test_command_line.py",
        "host_tests/both/test_provisioning.py",
        "host_tests/both/test_fuzz_decoders.py",
        "host_tests/test_meters_exact.py",
        "host_tests/test_provision.py",
    )
    told = tree.run(
        "-c",
        "from firmware.sensing.meters import RegisterMap\n"
        "meter = RegisterMap('sdm230')\n"
        "print(meter.model, meter.baud, meter.parity, *[tuple(b) for b in meter.blocks])",
    )
    assert told == "SDM230 9600 N (0, 78)\n"
