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
import time
import tty

import pytest

from tools import board, board_facts, flash, image, runtimes
from tools.board import Board, Trouble
from tools.image import esptool

pytestmark = pytest.mark.micropython


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
    given = {"back": False, "all": True, "index": None, "platform": "linux", "files": False}
    return argparse.Namespace(**{**given, **words})


def run(target, **words):
    said = []
    with Board(target.port) as opened:
        flash.flash(opened, options(**words), said.append)
    return said


def test_a_first_flash_a_second_and_a_changed_one(pty_board, index, monkeypatch):
    own = pty_board.flash / "lib" / "aiorepl.py"  # somebody's, by mip
    own.parent.mkdir()
    own.write_bytes(b"mine = 1")
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
    assert (state / "keys").read_bytes() == b"kept" and own.read_bytes() == b"mine = 1"
    # no reset of the tool's counts as a crash
    assert (pty_board.flash.parent / "rtc").read_bytes() == b"0 ok"

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

    # but not to a slot that is whole no more
    (pty_board.flash / "b" / "firmware" / "app.mpy").unlink()
    with pytest.raises(Trouble, match="slot b is not whole"):
        run(pty_board, back=True)
    assert "slot=a" in (pty_board.flash / "boot.txt").read_text()


def test_a_slot_that_does_not_start_is_left_again(pty_board, index, monkeypatch):
    run(pty_board, index=index)
    broken = {**flash.application(True), "firmware/app.mpy": b"no bytecode"}
    monkeypatch.setattr(flash, "application", lambda everything: broken)
    monkeypatch.setattr(flash, "STARTS_S", 3)
    with pytest.raises(Trouble, match="back at slot a"):
        run(pty_board)
    assert "slot=a" in (pty_board.flash / "boot.txt").read_text()


def test_a_cable_that_is_pulled_leaves_no_slot_to_go_back_to(pty_board, index, monkeypatch):
    run(pty_board, index=index)
    changed = {**flash.application(True), "firmware/extra.mpy": b"M\x06\x00\x1f\x00"}
    monkeypatch.setattr(flash, "application", lambda everything: changed)
    put = Board.put

    def pulled(self, name, data):
        if name == "b/firmware/extra.mpy":
            raise Trouble("lost the board")
        put(self, name, data)

    monkeypatch.setattr(Board, "put", pulled)
    with pytest.raises(Trouble, match="lost the board"):
        run(pty_board)
    monkeypatch.setattr(Board, "put", put)
    with Board(pty_board.port) as target:
        flash.selftest(target, lambda line: None)  # it has started again
    with pytest.raises(Trouble, match="slot b is not whole"):
        run(pty_board, back=True)
    with Board(pty_board.port) as target:
        flash.selftest(target, lambda line: None)
    said = run(pty_board)  # and it goes on where it was
    assert any("slot b" in line and ", 1 of them sent" in line for line in said), said
    assert run(pty_board, back=True)


def test_what_an_update_has_filled_is_whole_by_its_manifest():
    digest = "0" * 64
    head = b"WALLBRIDGE 1 99 256\n" + bytes(range(256))
    text = f"version 1.0\nfile firmware/app.mpy 12 {digest}\n".encode()
    assert flash.unpacked(head + text) == {"firmware/app.mpy": digest}
    assert flash.unpacked(b"") == flash.unpacked(b"WALLBRIDGE") == flash.unpacked(head) == {}


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
    facts = board_facts.look_at
    monkeypatch.setattr(board_facts, "look_at", lambda b: facts(b)._replace(free=100000))
    with pytest.raises(Trouble, match="no room: 97 KB are free"):
        run(pty_board, index=index)


GOOD = board_facts.Facts(
    "esp32", (1, 25, 0), 6, 2000000, "Generic ESP32 module with SPIRAM with ESP32",
    "ESP32_GENERIC-SPIRAM", True, 4 << 20, 0x200000,
)  # fmt: skip


def test_the_board_must_be_the_right_one():
    board_facts.check(GOOD, "esp32")
    board_facts.check_files(GOOD)
    for changes, words in (
        ({"platform": "rp2"}, "no ESP32"),
        ({"version": (1, 24, 1)}, "1.24 on the board is too old"),
        ({"mpy": 5}, ".mpy files of version 5"),
        ({"flash": 2 << 20}, "2 MB of flash are too little"),
    ):
        with pytest.raises(Trouble, match=words):
            facts = GOOD._replace(**changes)
            board_facts.check(facts, "esp32")
            board_facts.check_files(facts)


def test_what_a_board_gets(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "BUILT", tmp_path)
    stock = GOOD._replace(
        machine="Generic ESP32 module with ESP32", build="ESP32_GENERIC", psram=False
    )
    ours = stock._replace(machine="Wallbridge on ESP32 with ESP32", build="wroom")
    s3 = GOOD._replace(machine="Generic ESP32S3 module with ESP32S3", flash=8 << 20)
    other = stock._replace(machine="ESP32C3 module with ESP32C3", build="ESP32_GENERIC_C3")
    for facts in (GOOD, s3):
        assert board_facts.image_for(facts) is None
    for facts, words in (
        (stock, "no PSRAM, and a stock .*`make image BOARD=wroom`.*--erase --board wroom"),
        (ours, "in this board's image: `make image BOARD=wroom`"),
        (other, "an esp32c3 without PSRAM can't be the station"),
    ):
        with pytest.raises(Trouble, match=words) as trouble:
            board_facts.image_for(facts)
        assert "\n" not in str(trouble.value)

    for name in image.BOARDS:
        (tmp_path / name).mkdir()
        (tmp_path / name / image.FIRMWARE).write_bytes(b"an image")
    files_at = {name: image.file_system(board) for name, board in image.BOARDS.items()}
    assert board_facts.image_for(ours._replace(files_at=files_at["wroom"])) == "wroom"
    wrover = GOOD._replace(files_at=files_at["wrover"])
    assert board_facts.image_for(wrover) == "wrover"
    assert board_facts.image_for(wrover, files=True) is None
    assert board_facts.image_for(s3._replace(files_at=files_at["s3"])) == "s3"
    for facts, words in (
        (stock, "has stored.*--erase --board wroom"),  # its file system is elsewhere
        (s3._replace(flash=4 << 20), "needs 8 MB of flash, this board has 4"),
    ):
        with pytest.raises(Trouble, match=words):
            board_facts.image_for(facts)


CHIP = """
HEAP_DATA = 4
def idf_heap_info(kind):
    return [(113792, 41000, 26000, 9000), (16072, 9000, 8000, 100)]
class Partition:
    TYPE_DATA = 1
    @staticmethod
    def find(kind, label):
        return [Partition()]
    def info(self):
        return (1, 129, 0x350000, 0xb0000, "vfs", False)
"""


@pytest.fixture
def bare_chip(pty_board, monkeypatch, tmp_path):
    """The board has no PSRAM, and its flash is divided as our images do."""
    library = pty_board.flash / "lib"
    library.mkdir()
    (library / "esp32.py").write_text(CHIP)
    (library / "esp.py").write_text("def flash_size():\n    return 4 << 20\n")
    monkeypatch.setattr(board_facts, "chip", lambda facts: "esp32")
    built = tmp_path / "image"
    monkeypatch.setattr(image, "BUILT", built)
    return pty_board


def test_a_stock_image_without_psram_is_refused(bare_chip):
    with pytest.raises(Trouble, match="no PSRAM.*make image BOARD=wroom"):
        run(bare_chip)
    assert sorted(path.name for path in bare_chip.flash.iterdir()) == ["lib"]


def test_an_image_is_written_with_esptool(bare_chip, monkeypatch, tmp_path):
    """What esptool does is put in its place: the firmware, as if it were frozen."""
    (image.BUILT / "wroom").mkdir(parents=True)
    (image.BUILT / "wroom" / image.FIRMWARE).write_bytes(b"an image")
    for path in ("a/firmware/net/old.mpy", "b/firmware/old.mpy", "state/kept", "boot.txt"):
        (bare_chip.flash / path).parent.mkdir(parents=True, exist_ok=True)
        (bare_chip.flash / path).write_bytes(b"slot=b")
    ran = []

    def writes(words):
        ran.append(words)
        with Board(bare_chip.port):  # the port is free
            pass
        for name, data in flash.application(True).items():
            (bare_chip.flash / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
            (bare_chip.flash / "lib" / name).write_bytes(data)
        for name in ("logging.py", "aiohttp/__init__.py"):
            (bare_chip.flash / "lib" / name).parent.mkdir(exist_ok=True)
            (bare_chip.flash / "lib" / name).write_bytes((runtimes.STANDINS / name).read_bytes())
        for name, data in flash.started().items():
            (bare_chip.flash / name).write_bytes(data)
        with Board(bare_chip.port) as target:  # as esptool resets it at its end
            target.enter()
            target.reset()

    monkeypatch.setattr(esptool, "run", writes)
    monkeypatch.setattr(esptool, "command", lambda: ["esptool"])
    said = run(bare_chip)
    assert ran == [image.arguments("wroom", bare_chip.port)]
    assert "4 MB of flash, without PSRAM, " in said[1]
    assert any(line.startswith("  pilot: ") for line in said), said
    assert not (bare_chip.flash / "a").exists() and not (bare_chip.flash / "b").exists()
    assert (bare_chip.flash / "state" / "kept").exists()


def test_without_esptool_nothing_is_changed(bare_chip, monkeypatch):
    (image.BUILT / "wroom").mkdir(parents=True)
    (image.BUILT / "wroom" / image.FIRMWARE).write_bytes(b"an image")
    (bare_chip.flash / "a").mkdir()
    monkeypatch.setattr(esptool.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(esptool.shutil, "which", lambda name: None)
    with pytest.raises(Trouble, match="pip install esptool"):
        run(bare_chip)
    assert (bare_chip.flash / "a").exists()


def test_an_erased_board_gets_an_image(bare_chip, monkeypatch):
    ran = []
    monkeypatch.setattr(esptool, "run", ran.append)
    monkeypatch.setattr(flash, "selftest", lambda target, say: ran.append("selftest"))
    with pytest.raises(Trouble, match="no image yet: `make image BOARD=wroom`"):
        flash.erase(bare_chip.port, "wroom", lambda line: None)
    (image.BUILT / "wroom").mkdir(parents=True)
    (image.BUILT / "wroom" / image.FIRMWARE).write_bytes(b"an image")
    asks = Board.stand_aside

    def charges(self):
        raise Trouble("a car is being charged")

    monkeypatch.setattr(Board, "stand_aside", charges)
    with pytest.raises(Trouble, match="a car is being charged"):
        flash.erase(bare_chip.port, "wroom", lambda line: None)
    assert ran == []
    monkeypatch.setattr(Board, "stand_aside", asks)
    flash.erase(bare_chip.port, "wroom", lambda line: None)
    erased = ["--chip", "esp32", "--port", bare_chip.port, "erase-flash"]
    assert ran == [erased, image.arguments("wroom", bare_chip.port), "selftest"]


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


class Starting(threading.Thread):
    """A board that starts: what is typed meanwhile it answers all at once, when it has."""

    def __init__(self, busy_s):
        super().__init__(daemon=True)
        self.busy_s = busy_s
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.asked = []
        self.start()

    def run(self):
        os.write(self.master, b"boot: slot a\r\n")
        time.sleep(self.busy_s)
        typed = b""
        while True:
            try:
                typed += os.read(self.master, 100)
            except OSError:
                return
            while b"\r\n" in typed:
                line, _, typed = typed.partition(b"\r\n")
                self.asked.append(line.decode())
                reply = {b"status": b'{"status": "Available"}', b"selftest": b"pilot: ok, 12 V"}
                os.write(self.master, line + b"\r\n" + reply[line] + b"\r\nok\r\n")

    def close(self):
        os.close(self.slave)
        self.join()  # its last read ends with that: else it might read from the next test's pty
        os.close(self.master)


@pytest.mark.parametrize("again_s", [10, 0.5])
def test_the_self_test_that_is_shown_is_no_earlier_answer(monkeypatch, again_s):
    monkeypatch.setattr(board, "AGAIN_S", again_s)
    monkeypatch.setattr(board, "QUIET_S", 0.5)
    station = Starting(3)
    said = []
    with Board(os.ttyname(station.slave)) as target:
        flash.selftest(target, said.append)
    assert said == ["the station runs; its self-test:", "  pilot: ok, 12 V"]
    assert station.asked.count("selftest") == 1
    assert station.asked.count("status") == 1 or again_s < 1
    station.close()


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
