"""The folder of a fleet's flash: what a killed process left goes, what is in use stays."""

import os
import subprocess
import sys
import time

import pytest

from tools.fleet.folder import PREFIX, flash_folder
from tools.runtimes import ROOT

HOLD = """
import sys
from pathlib import Path
from tools.fleet.folder import flash_folder
with flash_folder(Path(sys.argv[1])) as folder:
    (folder / "FLEET-0-00001").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Starts a process that has a folder; returns both."""
    processes = []

    def start():
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        processes.append(process)
        return process, tmp_path / process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def grow_old(folder):
    old = time.time() - 3600
    os.utime(folder, (old, old))


def test_what_a_killed_fleet_left_is_removed(hold, tmp_path):
    process, left = hold()
    _, used = hold()
    process.kill()
    process.wait()
    grow_old(left)
    grow_old(used)
    other = tmp_path / "fleet-of-somebody"
    other.mkdir()
    grow_old(other)
    with flash_folder(tmp_path) as folder:
        assert sorted(tmp_path.iterdir()) == sorted([used, folder, other])
        assert (used / "FLEET-0-00001").exists()
    assert not folder.exists()


def test_a_folder_that_is_about_to_be_locked_stays(tmp_path):
    young = tmp_path / (PREFIX + "young")
    young.mkdir()
    with flash_folder(tmp_path):
        assert young.exists()
    grow_old(young)
    with flash_folder(tmp_path):
        assert not young.exists()


def test_an_orderly_end_leaves_nothing(hold, tmp_path):
    process, _ = hold()
    process.stdin.close()
    assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []
