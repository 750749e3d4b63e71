"""From boot.py to a charging car: slots that an old boot.py starts, and the device's whole life
on a chip in software, on the real MicroPython with a folder as its flash."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from tools import runtimes
from tools.runtimes import MPY, ROOT, STANDINS

BITS = {"micropython": 64, "micropython32": 32}
START = "import sys; exec(open('boot.py').read()); exec(open('main.py').read())"
PROVISION = {
    "model": "Evh5A22N2S",
    "keys": {"IMaxUser": "16", "PhaseNumber": "3", "SupervisionUrl": ""},
}


def flash(folder, **slots):
    """A flash with boot.py, main.py and slots: each "real", or the text of its firmware/app.py."""
    for name in ("boot.py", "main.py"):
        shutil.copy(ROOT / name, folder)
    for slot, app in slots.items():
        if app == "real":
            shutil.copytree(
                MPY / "firmware", folder / slot / "firmware", ignore=shutil.ignore_patterns(".*")
            )
        else:
            (folder / slot / "firmware").mkdir(parents=True)
            (folder / slot / "firmware" / "__init__.py").write_text("")
            (folder / slot / "firmware" / "app.py").write_text(app)
    return folder


OLD = "def main(words):\n    print('the old one', words)\n"
NEW = "def main(words):\n    print('the new one', words)\n"
BAD = "this is no Python"


def command(runtime):
    if runtime == "cpython":
        return [sys.executable]
    if runtimes.find(BITS[runtime]) is None:
        pytest.skip(runtimes.why_missing(BITS[runtime]))
    return runtimes.command(BITS[runtime], "2m")


def environment(*folders):
    path = [*map(str, folders), ".frozen", "/usr/lib/micropython", str(STANDINS)]
    return {"PATH": os.environ["PATH"], "MICROPYPATH": ":".join(path), "PYTHONPATH": ""}


def start(folder, runtime):
    return subprocess.run(
        [*command(runtime), "-c", START],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_main_is_short_and_knows_nothing():
    lines = (ROOT / "main.py").read_text().splitlines()
    assert len(lines) <= 20


@pytest.mark.parametrize("runtime", ["cpython", "micropython", "micropython32"])
def test_an_old_boot_starts_a_new_slot(tmp_path, runtime):
    flash(tmp_path, a=OLD, b=NEW)
    assert "the old one" in start(tmp_path, runtime).stdout
    (tmp_path / "boot.txt").write_text("slot=b trial=1 tries=0\n")
    assert "the new one" in start(tmp_path, runtime).stdout
    (tmp_path / "boot.txt").write_text("slot=b trial=0 tries=0\n")
    assert "the new one" in start(tmp_path, runtime).stdout


@pytest.mark.parametrize("runtime", ["cpython", "micropython", "micropython32"])
def test_a_new_slot_that_can_not_be_loaded_is_given_up(tmp_path, runtime):
    flash(tmp_path, a=OLD, b=BAD)
    (tmp_path / "boot.txt").write_text("slot=b trial=1 tries=0\n")
    for _ in range(3):
        assert "SyntaxError" in start(tmp_path, runtime).stderr
    assert "the old one" in start(tmp_path, runtime).stdout
    assert "failed=1" in (tmp_path / "boot.txt").read_text()


def harness(folder):
    """Where only what the tests add can be imported: the firmware comes from the slot."""
    both = folder / "host_tests" / "both"
    both.mkdir(parents=True)
    for name in ("fake_machine", "device_day"):
        shutil.copy(MPY / "host_tests" / "both" / f"{name}.mpy", both)
    return folder


class Device:
    """The device's life in a process; its console over pipes."""

    def __init__(self, tmp_path, memory="0 run", cause=1, provision=PROVISION, car="comes"):
        if runtimes.find(64) is None:
            pytest.skip(runtimes.why_missing(64))
        errors = runtimes.compile_mpy()
        assert not errors, errors
        self.folder = tmp_path / "flash"
        if not self.folder.exists():
            self.folder.mkdir()
            flash(self.folder, b="real")
            harness(tmp_path / "harness")
            (self.folder / "boot.txt").write_text("slot=b trial=1 tries=0\n")
        if provision is not None:
            (self.folder / "provision.json").write_text(json.dumps(provision))
        words = ["-m", "host_tests.both.device_day", memory, str(cause), car]
        self.process = subprocess.Popen(
            [*runtimes.command(64, "2m"), *words],
            cwd=self.folder,
            env=environment(tmp_path / "harness"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.said = []
        self.timer = threading.Timer(60, self.process.kill)  # nobody waits for a line for ever
        self.timer.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()

    def until(self, words):
        """The next line that begins so."""
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith(words):
                return line.strip()
        raise AssertionError(f"no {words!r} in\n" + "".join(self.said))

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def status(self):
        self.type("status")
        return json.loads(self.until("{"))

    def wait(self, seconds=30, **wanted):
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if all(status[name] == value for name, value in wanted.items()):
                return status
            assert time.monotonic() < end, (status, "".join(self.said))
            time.sleep(0.1)


def test_a_device_charges_from_boot_to_reset(tmp_path):
    with Device(tmp_path) as device:
        device.until("boot: slot b, on trial")
        device.until("interrupt key -1")
        status = device.wait(status="Charging")
        assert status["contactor"] == "closed"
        assert status["locked"]
        assert status["limits"]["imax_user"] == 16000
        assert status["offered_ma"] == 16000
        device.type("maintenance")
        assert "a transaction is running" in device.until("error")
        device.type("reset hard")
        assert device.until("reset 0") == "reset 0 0 ok"
    with Device(tmp_path, "0 ok", 2, car="already") as device:
        assert device.wait(status="Finishing")["contactor"] == "open"  # one for each plugging-in


def test_a_device_that_was_never_told_offers_no_current(tmp_path):
    with Device(tmp_path, provision={"model": "Evh5A22N2S", "keys": {"SupervisionUrl": ""}}) as d:
        d.until("boot:")
        status = d.wait(plugged=True)
        time.sleep(2)
        status = d.status()
        assert status["offered_ma"] == 0
        assert status["contactor"] == "open"
        assert any("never told" in line for line in d.said)
        d.type("stop")
        d.wait(transaction=None)
        d.type("maintenance")
        d.until("maintenance: the permit is off")
        assert d.until("repl") == "repl 0 86400000"


def test_a_device_that_crashed_three_times_says_so(tmp_path):
    with Device(tmp_path, "2 bad ValueError: broken", 2) as device:
        device.until("safe state: crashed 3 times in a row: ValueError: broken")
        assert device.status()["safe"]
        device.type("reset hard")
        assert device.until("reset 0") == "reset 0 0 ok"


def test_a_program_that_dies_is_counted(tmp_path):
    with Device(tmp_path) as device:
        device.wait(plugged=True)
    (device.folder / "b" / "firmware" / "program.mpy").unlink()
    with Device(tmp_path, "1 run", 2) as device:
        line = device.until("reset")
        assert line.startswith("reset 0 2 bad ImportError"), line


def test_a_device_that_is_not_provisioned_says_so(tmp_path):
    with Device(tmp_path, provision=None) as device:
        device.until("safe state: not provisioned")
        assert "provision.json" in device.status()["error"]
