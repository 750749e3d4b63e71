"""`main.py` as a program: its command line, and its console over pipes that nobody serves."""

import subprocess
import sys

import pytest

from host_tests.station import BITS, RUNTIMES
from tools import runtimes


def program(runtime):
    """The words that start it, and the rest for subprocess."""
    if runtime == "cpython":
        command = [sys.executable, str(runtimes.ROOT / "main.py")]
    else:
        if runtimes.find(BITS[runtime]) is None:
            pytest.skip(runtimes.why_missing(BITS[runtime]))
        command = [*runtimes.command(BITS[runtime]), "-m", "main"]
    runtimes.compile_device()
    return command, {
        "cwd": runtimes.DEVICE,
        "env": runtimes.environment(build=runtimes.DEVICE),
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
        (["--key", "MeterType=7"], "MeterType: from 0 to 1"),
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
