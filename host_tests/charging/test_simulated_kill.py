"""The simulated meter's register outlives SIGKILL at any moment, on every runtime: what was told
once is the least that the next start shows."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from tools import runtimes

# A car charges 300 times faster than real time; every reading is told, as a Modbus answer would.
CHARGE = """
import sys, time
from firmware.board.simulated.board import Board
class Clock:
    speed = 1
    now = 0
    def ms(self):
        return self.now
clock = Clock()
board = Board(clock, path=sys.argv[1])
print("starts", board.energy, board.reactive)
for words in ("plug", "ready"):
    board.command([words])
board.pilot(533)
while True:
    clock.now += 300
    board.permit(True)
    print("told", board.reading()["energy"])
    time.sleep(0.001)
"""


@pytest.mark.parametrize("bits", [0, 64, 32])
def test_the_register_outlives_sigkill(bits, tmp_path):
    if bits and runtimes.find(bits) is None:
        pytest.skip(runtimes.why_missing(bits))
    script = tmp_path / "charge.py"
    script.write_text(CHARGE)
    python = runtimes.command(bits) if bits else [sys.executable, "-u"]
    env = runtimes.environment(source=True) | {"PYTHONPATH": str(runtimes.ROOT)}
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    register = tmp_path / "meter"
    told = 0
    for n in range(8):
        process = subprocess.Popen(
            [*python, str(script), str(register)], stdout=subprocess.PIPE, text=True, env=env
        )
        assert process.stdout
        begins = process.stdout.readline().split()
        assert begins[0] == "starts" and int(begins[1]) >= told, (seed, n, begins, told)
        assert int(begins[1]) <= told + 100  # what was in the pipe, or told to nobody
        time.sleep(chance.uniform(0.02, 0.12))
        process.kill()
        lines = process.stdout.read().split("\n")[:-1]
        process.stdout.close()
        process.wait()
        if lines:
            told = int(lines[-1].split()[1])
    assert told > 50
