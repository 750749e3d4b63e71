"""`main.py` as a program: its command line, and its console over pipes that nobody serves."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from host_tests.station import BITS, RUNTIMES
from tools import runtimes


def program(runtime):
    """The words that start it, and the rest for subprocess."""
    if runtime == "cpython":
        return [sys.executable, str(runtimes.ROOT / "main.py")], {}
    if runtimes.find(BITS[runtime]) is None:
        pytest.skip(runtimes.why_missing(BITS[runtime]))
    command = [*runtimes.command(BITS[runtime]), "-m", "main"]
    runtimes.compile_mpy()
    return command, {
        "cwd": runtimes.MPY,
        "env": runtimes.environment(),
    }


@pytest.fixture(params=RUNTIMES[:2])
def runtime(request):
    return request.param


@pytest.mark.parametrize(
    "words, why",
    [
        (["--key", "IMaxUser=3"], "IMaxUser: from 6 to 32 A"),
        (["--key", "IMaxUser=0"], "IMaxUser: from 6 to 32 A"),
        (["--key", "IMaxUser=20", "--model", "Evh5A11N2C7"], "IMaxUser: from 6 to 16 A"),
        (["--key", "PhaseNumber=2"], "PhaseNumber: 1 or 3"),
        (["--key", "PhaseNumber=0"], "PhaseNumber: 1 or 3"),
        (["--key", "PhaseNumber=3", "--model", "Evh5A07N2C7"], "PhaseNumber: 1 for Evh5A07N2C7"),
        (["--key", "MeterType=7"], "MeterType: a whole number from 0 to 1"),
        (["--nonsense"], "no such option"),
    ],
)
def test_a_bad_option_is_one_line(tmp_path, words, why):
    command, rest = program("cpython")
    done = subprocess.run(
        [*command, "--state", str(tmp_path / "state"), *words],
        **rest, input="quit\n", capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2 and why in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and not done.stdout


def begin(runtime, folder, out, err):
    command, rest = program(runtime)
    return subprocess.Popen(
        [*command, "--state", str(folder / "state"), "--supervision-url", "", "--speed", "60"],
        **rest, stdin=subprocess.PIPE, stdout=out, stderr=err, bufsize=0,
    )  # fmt: skip


def meter(folder):
    """The simulated meter's register: it goes on while the station lives."""
    path = folder / "state" / "meter"
    return path.read_bytes() if path.exists() else b""


def goes_on(folder, process, seconds=20):
    """Whether the station still does its work."""
    before = meter(folder)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None
        if meter(folder) != before:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("what", ["pipe", "terminal"])
def test_a_peer_that_does_not_read_stops_nothing(runtime, tmp_path, what):
    """Far more than a pipe or a terminal holds, replies and log lines, then a car."""
    ours, theirs = os.pipe() if what == "pipe" else os.openpty()
    process = begin(runtime, tmp_path, theirs, theirs)
    os.close(theirs)
    try:
        for line in ("sim plug", "sim ready"):
            process.stdin.write(line.encode() + b"\n")
        assert goes_on(tmp_path, process)
        typed = threading.Thread(target=flood, args=(process,), daemon=True)
        typed.start()
        time.sleep(1)
        assert goes_on(tmp_path, process) and goes_on(tmp_path, process)
        assert typed.is_alive()  # who types without end is made to wait, and fills no memory
        assert resident(process) < 60_000_000
        # and once somebody reads, all is as it was
        heard = threading.Thread(target=drain, args=(ours,), daemon=True)
        heard.start()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
        process.wait()


def flood(process):
    with contextlib.suppress(OSError):
        while True:
            process.stdin.write(b"help\nlog debug\nprofiles\nnonsense\n" * 20)


def drain(descriptor):
    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):
            pass


def resident(process):
    """Bytes of memory."""
    text = Path(f"/proc/{process.pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_peer_that_hangs_up_stops_nothing(runtime, tmp_path):
    ours, theirs = os.pipe()
    process = begin(runtime, tmp_path, theirs, theirs)
    os.close(theirs)
    os.close(ours)
    try:
        process.stdin.write(b"sim plug\nsim ready\nhelp\nlog debug\n")
        assert goes_on(tmp_path, process) and goes_on(tmp_path, process)
        process.stdin.write(b"quit\n")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_log_lines_have_colours_on_a_terminal_only(runtime, tmp_path):
    ours, theirs = os.openpty()
    process = begin(runtime, tmp_path, subprocess.PIPE, theirs)
    process.stdin.write(b"sim fault 0x100206 on\n")
    said = b""
    try:
        while b"\x1b[m\r\n" not in said:
            said += os.read(ours, 4096)
        process.stdin.write(b"log\nquit\n")
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
    coloured = [line for line in said.split(b"\r\n") if b"\x1b" in line]
    assert all(line.startswith((b"\x1b[33m", b"\x1b[31m")) for line in coloured), said
    assert coloured and b" I console: sim fault\r\n" in said
    assert b"\x1b" not in out and b"ok\n" in out
