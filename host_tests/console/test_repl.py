"""aiorepl in the console's place: with and without its package, and what the tools make of it."""

import argparse
import json

import pytest

from host_tests.tools.pty_board import PtyBoard
from tools import flash, provision, runtimes
from tools.board import Board, Trouble

pytestmark = pytest.mark.micropython

# A station as far as the REPL needs one, under its own name in the compiled firmware.
MAIN = """
import sys
sys.path.insert(0, %r)
import asyncio
from firmware.base import log
from firmware.ocpp import keys
from firmware.console.console import Repl

class Part:
    transaction = %r
    values = {"ConsolePassword": %r}
    def get(self, name):
        return self.values[name]
    def ms(self):
        return 0

class Station:
    config = session = clock = Part()
    def __init__(self):
        self.log = log.Log()
        self.ended = asyncio.Event()
        self.login_ends_ms = 1
    def prolong_login(self, ms):
        pass
    def end(self, how):
        print("ended:", how)
        self.ended.set()
    async def run(self):
        task = asyncio.create_task(Repl().run(self))
        await self.ended.wait()
        task.cancel()

asyncio.run(Station().run())
"""


@pytest.fixture
def start(tmp_path, micropython):
    """Starts a board with this program; with aiorepl's package or without."""
    micropython(64)
    runtimes.compile_mpy()
    boards = []

    def made(package, transaction=None, password="", program=MAIN):
        pty = PtyBoard(tmp_path, translate=False)
        boards.append(pty)
        text = program and program % (str(runtimes.MPY), transaction, password)
        (pty.flash / "main.py").write_text(text)
        if package:
            (pty.flash / "lib").mkdir()
            source = runtimes.STANDINS / "aiorepl.py"
            (pty.flash / "lib" / "aiorepl.py").write_bytes(source.read_bytes())
        pty.__enter__()
        return pty

    yield made
    for pty in boards:
        pty.__exit__()


def test_maintenance_is_a_word_there(start):
    pty = start(True)
    with Board(pty.port) as target:
        said = []
        flash.selftest(target, said.append)
        assert said == ["the station runs; aiorepl has the console's place: there is no self-test"]
        with target.maintenance():
            assert target.value("1 + 1") == 2
    assert b"ended: maintenance" in pty.said


def test_not_while_a_car_is_charged(start):
    with Board(start(True, transaction=1).port) as target:
        with pytest.raises(Trouble, match="a car is being charged"):
            target.stand_aside()


@pytest.mark.parametrize("package, why", [(False, b"no aiorepl"), (True, b"no ConsolePassword")])
def test_the_console_stays(start, package, why):
    pty = start(package, password="open-sesame" if package else "")
    with Board(pty.port) as target:
        lines, end = target.ask("help", 10)
        assert end == "ok" and any(line.startswith("maintenance:") for line in lines), lines
    assert why in pty.said


def test_provisioning_looks_for_the_package(start, tmp_path):
    pty = start(False, program="")  # at its prompt, where nothing ignores Ctrl-C
    path = tmp_path / "house.json"
    keys = {"IMaxUser": 16, "PhaseNumber": 1}
    path.write_text(json.dumps({"model": "Evh5A07N2C7", "keys": keys, "aiorepl": True}))
    with Board(pty.port) as target:
        target.ask("", 1)
        args = argparse.Namespace(file=path, overrule=False)
        target.stand_aside = lambda: None
        with pytest.raises(Trouble, match="mip install aiorepl"):
            provision.provision(target, args, lambda line: None)
    assert not (pty.flash / "provision.json").exists()
