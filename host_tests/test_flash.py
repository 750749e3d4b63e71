"""tools/flash.py against a board that speaks the raw REPL: real mpremote, real MicroPython, a
folder as flash. The REPL itself is `raw_repl.py`: MicroPython's own is in its unix port only from
1.27 on. Not tested: a real ESP32's USB and its watchdog.
"""

import argparse
import errno
import functools
import hashlib
import http.server
import json
import os
import threading

import pytest

from host_tests.pty_board import PtyBoard
from tools import board, flash, runtimes
from tools.board import Board, Trouble

pytestmark = [pytest.mark.micropython, pytest.mark.xdist_group("flash")]


@pytest.fixture
def pty_board(tmp_path, micropython):
    micropython(64)
    with PtyBoard(tmp_path) as made:
        yield made


@pytest.fixture
def index(tmp_path_factory):
    """A package index as mip expects one, with stand-ins for the two libraries."""
    root = tmp_path_factory.mktemp("index")
    for name, path in (("aiohttp", "aiohttp/__init__.py"), ("logging", "logging.py")):
        text = (runtimes.STANDINS / path).read_bytes()
        digest = hashlib.sha256(text).hexdigest()[:8]
        stored = root / "file" / digest[:2] / digest
        stored.parent.mkdir(parents=True)
        stored.write_bytes(text)
        package = root / "package" / "6" / name / "latest.json"
        package.parent.mkdir(parents=True)
        package.write_text(json.dumps({"v": 1, "hashes": [[path, digest]]}))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=root)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def options(**words):
    given = {"back": False, "all": True, "index": None, "platform": "linux"}
    return argparse.Namespace(**{**given, **words})


def run(target, **words):
    said = []
    with Board(target.port) as opened:
        flash.flash(opened, options(**words), said.append)
    return said


def test_a_first_flash_a_second_and_a_changed_one(pty_board, index, monkeypatch):
    state = pty_board.flash / "state" / "store"
    state.mkdir(parents=True)
    (state / "keys").write_bytes(b"kept")
    said = run(pty_board, index=index)
    slot = pty_board.flash / "a"
    sent = {path.relative_to(slot).as_posix(): path.read_bytes() for path in slot.rglob("*.mpy")}
    assert sent == flash.application(True)
    assert (pty_board.flash / "lib" / "aiohttp" / "__init__.py").exists()
    assert (pty_board.flash / "boot.txt").read_text().split()[0] == "slot=a"
    assert any("slot a:" in line for line in said), said
    assert any(line.startswith("  pilot: ") for line in said), said  # the station's self-test
    assert (state / "keys").read_bytes() == b"kept"

    # again: nothing is sent, and no package index is asked
    assert any(
        "slot a is up to date" in line for line in run(pty_board, index="http://127.0.0.1:9")
    )

    # half an install is no install, whatever it has
    half = pty_board.flash / "lib" / "aiohttp" / "__init__.py"
    whole = half.read_bytes()
    half.write_bytes(whole[:100])
    with pytest.raises(Trouble, match="mip could not install aiohttp"):
        run(pty_board, index="http://127.0.0.1:9")
    with Board(pty_board.port) as target:
        flash.selftest(target, lambda line: None)  # it has started again
    assert any(line == "installing aiohttp" for line in run(pty_board, index=index))
    assert half.read_bytes() == whole

    # one file changed: the other slot gets it, and copies of the rest
    made = flash.application(True)
    changed = {**made, "firmware/extra.mpy": b"M\x06\x00\x1f\x00"}
    monkeypatch.setattr(flash, "application", lambda everything: changed)
    said = run(pty_board)
    assert any("slot b" in line and ", 1 of them sent" in line for line in said), said
    assert "slot=b" in (pty_board.flash / "boot.txt").read_text()
    assert (pty_board.flash / "b" / "firmware" / "extra.mpy").exists()

    # and back
    run(pty_board, back=True)
    assert "slot=a" in (pty_board.flash / "boot.txt").read_text()
    assert b"boot: slot a\n" in pty_board.said[-3000:]


def test_a_slot_that_does_not_start_is_left_again(pty_board, index, monkeypatch):
    run(pty_board, index=index)
    broken = {**flash.application(True), "firmware/app.mpy": b"no bytecode"}
    monkeypatch.setattr(flash, "application", lambda everything: broken)
    monkeypatch.setattr(flash, "STARTS_S", 3)
    with pytest.raises(Trouble, match="back at slot a"):
        run(pty_board)
    assert "slot=a" in (pty_board.flash / "boot.txt").read_text()


def test_what_arrives_damaged_is_not_started(pty_board, index, monkeypatch):
    put = Board.put

    def damaged(self, name, data):
        put(self, name, data[:-1] + b"?" if name.endswith("a/firmware/app.mpy") else data)

    monkeypatch.setattr(Board, "put", damaged)
    with pytest.raises(Trouble, match=r"a/firmware/app\.mpy .* not what was sent"):
        run(pty_board, index=index)
    assert not (pty_board.flash / "boot.txt").exists()


def test_no_network_for_mip(pty_board):
    with pytest.raises(Trouble, match="(?s)could not install aiohttp.*online"):
        run(pty_board, index="http://127.0.0.1:9")


def test_no_room(pty_board, index, monkeypatch):
    facts = flash.target_facts
    monkeypatch.setattr(flash, "target_facts", lambda b: (*facts(b)[:3], 100000, "x"))
    with pytest.raises(Trouble, match="no room: 97 KB are free"):
        run(pty_board, index=index)


def test_the_board_must_be_the_right_one():
    good = ("esp32", (1, 25, 0), 6, 2000000, "Generic ESP32 module with ESP32")
    flash.check(good, "esp32")
    for at, value, words in (
        (0, "rp2", "no ESP32"),
        (1, (1, 24, 1), "1.24 on the board is too old"),
        (2, 5, ".mpy files of version 5"),
    ):
        facts = list(good)
        facts[at] = value
        with pytest.raises(Trouble, match=words):
            flash.check(tuple(facts), "esp32")


def test_no_board(tmp_path):
    with pytest.raises(Trouble, match="no board at .*: Ports with a board|no board at"):
        Board(str(tmp_path / "ttyUSB7"))


def test_a_port_in_use(pty_board):
    with Board(pty_board.port):
        with pytest.raises(Trouble, match="in use"):
            Board(pty_board.port)


def test_no_permission():
    denied = OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert "usermod -aG dialout" in board.why("/dev/ttyUSB0", denied)


def test_a_board_that_says_nothing(monkeypatch):
    monkeypatch.setattr(board, "SILENT_S", 0.1)
    monkeypatch.setattr(board, "ENTER_S", 0.2)
    master, slave = os.openpty()
    with Board(os.ttyname(slave)) as silent:
        with pytest.raises(Trouble, match="does not answer"):
            silent.enter()
    os.close(master)
    os.close(slave)


class Console:
    """A station's console, as far as `stand_aside` talks to it."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.typed = []

    def type(self, command):
        self.typed.append(command)

    def lines(self, seconds):
        return ["maintenance: the permit is off", ">>>"]

    def ask(self, command):
        self.type(command)
        return [], self.answers.pop(0)


def test_a_car_that_is_charged_is_left_alone():
    station = Console("error: a transaction is running: stop it first")
    with pytest.raises(Trouble, match="end the transaction first"):
        Board.stand_aside(station)


def test_the_consoles_password_is_asked_for(monkeypatch, capsys):
    monkeypatch.setenv(board.PASSWORD, "open-sesame")
    needed = "error: password needed: login PASSWORD"
    station = Console(needed, "ok", "ok")
    Board.stand_aside(station)
    assert station.typed == ["", "maintenance", "login open-sesame", "maintenance"]
    with pytest.raises(Trouble, match="does not take this password") as trouble:
        Board.stand_aside(Console(needed, "error: a wrong password"))
    assert "sesame" not in str(trouble.value) + "".join(capsys.readouterr())
