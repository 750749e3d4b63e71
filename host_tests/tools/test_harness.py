"""What pytest does with a test that ends its worker's process."""

import os
import re
import shlex
import subprocess
import sys

from tools.runtimes import ROOT

TESTS = """
import os
import time

import pytest


@pytest.mark.parametrize("number", range(40))
def test_it(number):
    time.sleep(0.01)
    if number in (3, 20, 39):
        os._exit(1)
"""


def test_a_test_that_ends_its_process(tmp_path):
    """With the options of `make test`: it fails, all others run."""
    (tmp_path / "test_dead.py").write_text(TESTS)
    made = subprocess.run(
        ["make", "-n", "test", "ARGS="], cwd=ROOT, capture_output=True, text=True, check=True
    )
    options = shlex.split(re.search(r" -m pytest (.+)", made.stdout).group(1))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "host_tests.conftest"]
        + ["-c", ROOT / "pyproject.toml", tmp_path],
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "3 failed, 37 passed" in done.stdout.splitlines()[-1], done.stdout + done.stderr
