"""make flash PORT=...: puts the station on a board, which keeps what it has stored; starts it.

Looks at the board first. Where an image was built for it (`make image`), esptool writes that. Else
a board with PSRAM gets .mpy files: compiles, installs the two libraries, fills the slot that does
not run, verifies every file by its SHA-256 and only then switches to it; sends what changed,
nothing else. Ends with the station's own self-test. `--back` goes back to the other slot instead.
`--erase --board NAME` writes an image to an empty board, or to one whose flash is divided another
way: all that it has stored goes.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware.base import bundle  # noqa: E402
from tools import board, board_facts, image, runtimes  # noqa: E402
from tools.board import Board, Trouble  # noqa: E402
from tools.image import esptool  # noqa: E402

LIBRARIES = tuple(runtimes.manifest()[1])
BUNDLE = "bundle"  # in a slot that an update has filled: what it was filled from
WHOLE = "whole"  # in a slot: the `summary` of all its files, once they have been verified
LIBRARY_FILES = "lib.json"  # on the board: their files' SHA-256
BLOCK = 4096  # what a file takes of the flash at least
SPARE = 128 * 1024  # for the journal, profiles and keys of a station's life
PATIENCE_S = 30  # for what takes its time after a start
SLOW = {"wifi", "network", "meter", "tic"}
STARTS_S = 40  # until the console must answer after a reset

# Removes the slots: their files would come before what is frozen into an image.
NO_SLOTS = """
def empty(name):
    try:
        entries = os.listdir(name)
    except OSError:
        entries = []
    for e in entries:
        path = name + "/" + e
        if os.stat(path)[0] & 0x4000:
            empty(path)
        else:
            os.remove(path)
    try:
        os.rmdir(name)
    except OSError:
        pass
for name in ("boot.txt", "boot.new"):
    try:
        os.remove(name)
    except OSError:
        pass
for name in ("a", "b"):
    empty(name)
    print(name)
"""
TOOLS = """
import os, hashlib, binascii
def digest(name):
    h = hashlib.sha256()
    with open(name, "rb") as f:
        while True:
            b = f.read(1024)
            if not b:
                return binascii.hexlify(h.digest()).decode()
            h.update(b)
def walk(name):
    try:
        if os.stat(name)[0] & 0x4000:
            for e in os.listdir(name):
                walk(name + "/" + e)
        else:
            print(name, digest(name), os.stat(name)[6])
    except OSError:
        pass
def content(name):
    try:
        with open(name, "rb") as f:
            return f.read()
    except OSError:
        return None
def folders(name):
    at = name.find("/")
    while at > 0:
        try:
            os.mkdir(name[:at])
        except OSError:
            pass
        at = name.find("/", at + 1)
def copy(old, new):
    with open(old, "rb") as f, open(new, "wb") as g:
        while True:
            b = f.read(1024)
            if not b:
                break
            g.write(b)
"""


def sha256(data: bytes) -> str:
    """As the board prints it."""
    return hashlib.sha256(data).hexdigest()


def summary(files: dict[str, str]) -> bytes:
    """One hash for all files of a slot; `files` is path to SHA-256."""
    return sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).encode()


def unpacked(head: bytes) -> dict[str, str]:
    """What should be in a slot that an update has filled: path to SHA-256, from the file BUNDLE
    in it (firmware/base/bundle.py). Empty where that says nothing."""
    line, _, rest = head.partition(b"\n")
    try:
        lines = io.BytesIO(rest[int(line.split()[3]) :])
        entries = bundle.manifest_entries(bundle.manifest_lines(lines))
        return {entry.path: entry.sha256 for entry in entries}
    except (IndexError, ValueError, bundle.BadBundle):
        return {}


def application(everything: bool = False) -> dict[str, bytes]:
    """What goes into a slot: path to content, compiled."""
    try:
        return runtimes.shipped(everything)
    except ValueError as error:
        raise Trouble(str(error)) from None


def started() -> dict[str, bytes]:
    """What starts the slots, and that no update changes."""
    return {name: (ROOT / name).read_bytes() for name in ("boot.py", "main.py")}


def room(files: dict, replaced: int) -> int:
    """Bytes of flash that the files need beyond what they replace."""
    folders = {name.rsplit("/", 1)[0] for name in files if "/" in name}
    blocks = sum(-(-len(data) // BLOCK) for data in files.values()) + 2 * len(folders)
    return blocks * BLOCK - replaced


class Flash:
    """One run of the tool on an entered board."""

    def __init__(self, target: Board, say=print):
        self.board = target
        self.say = say
        self.there: dict[str, tuple[str, int]] = {}  # path to (SHA-256, size)

    def look(self) -> None:
        """What the board holds of ours."""
        self.there = {}

        def each(line):
            name, digest, size = line.rsplit(" ", 2)
            self.progress(f"looking at {name}")
            self.there[name] = digest, int(size)

        self.board.run(TOOLS)
        names = ("a", "b", "lib", "boot.py", "main.py", "boot.txt")
        self.board.run("for n in %r: walk(n)" % (names,), each)
        self.progress("")

    def words(self) -> dict[str, str]:
        """boot.txt (see boot.py)."""
        if "boot.txt" not in self.there:
            return {}
        text = self.board.run("print(open('boot.txt').read())")
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def holds(self, slot: str) -> dict[str, str]:
        """The files of a slot: path in it to SHA-256."""
        return {
            name[2:]: digest
            for name, (digest, _) in self.there.items()
            if name.startswith(slot + "/") and name != slot + "/" + WHOLE
        }

    def check_whole(self, slot: str) -> None:
        """Raises Trouble for a slot that was filled by half, by this tool or by an update."""
        held = self.holds(slot)
        if not held:
            raise Trouble(f"there is nothing in slot {slot} to go back to")
        if self.board.get(slot + "/" + WHOLE) == summary(held):
            return
        listed = unpacked(self.board.get(slot + "/" + BUNDLE) or b"")
        if not listed or any(held.get(name) != digest for name, digest in listed.items()):
            raise Trouble(
                f"slot {slot} is not whole: it was filled by half, or changed since; the board "
                "stays as it is. Flash instead"
            )

    def switch(self, slot: str, words: dict) -> None:
        """Starts this slot from the next reset on, in one step."""
        words = {**words, "slot": slot, "trial": "0", "tries": "0"}
        self.replace("boot.txt", (" ".join("%s=%s" % w for w in words.items()) + "\n").encode())

    def replace(self, name: str, data: bytes) -> None:
        """A file in the root: the old or the new one, whenever the cable is pulled."""
        part = name.split(".")[0] + ".new"
        self.board.put(part, data)
        if self.board.value(f"digest({part!r})") != sha256(data):
            raise Trouble(f"{name} did not arrive as it was sent: flash again")
        self.board.run(f"os.rename({part!r}, {name!r})")

    def libraries(self, index: str | None) -> None:
        """aiohttp and logging of micropython-lib, with mip, unless they are there as they were
        once they had been installed: LIBRARY_FILES tells."""
        recorded = self.recorded()
        missing = []
        for name in LIBRARIES:
            files = self.library(name)
            if not files or recorded.get(name) != files:
                missing.append(name)
        if not missing:
            return
        from mpremote import mip
        from mpremote.commands import CommandError

        self.say(f"installing {' and '.join(missing)}")
        for name in missing:
            try:  # what is there already is kept by its hash
                with contextlib.redirect_stdout(io.StringIO()):
                    mip._install_package(
                        self.board.transport, name, index or mip._PACKAGE_INDEX, "lib", None, True
                    )
            except (CommandError, OSError) as error:
                raise Trouble(
                    f"mip could not install {name}: {error}\nIs this computer online? The board "
                    "itself needs no network for this. Then flash again"
                ) from None
        self.look()
        found = {name: self.library(name) for name in LIBRARIES}
        self.replace(LIBRARY_FILES, json.dumps(found).encode())

    def library(self, name: str) -> dict[str, str]:
        """The files of a library that the board has: path to SHA-256."""
        start = re.compile(f"lib/{name}(/|\\.m?py$)")
        return {path: digest for path, (digest, _) in self.there.items() if start.match(path)}

    def recorded(self) -> dict:
        """What the libraries were when they had been installed."""
        try:
            return json.loads(self.board.get(LIBRARY_FILES) or b"{}")
        except ValueError:
            return {}

    def fill(self, slot: str, files: dict[str, bytes], free: int) -> int:
        """Makes a slot hold exactly these files; returns how many were sent. What the other slot
        has is copied on the board."""
        other = self.holds("b" if slot == "a" else "a")
        held = self.holds(slot)
        wanted = {name: sha256(data) for name, data in files.items()}
        change = [name for name in files if held.get(name) != wanted[name]]
        local = [name for name in change if other.get(name) == wanted[name]]
        send = [name for name in change if name not in local]
        replaced = sum(
            -(-size // BLOCK) * BLOCK
            for name, (_, size) in self.there.items()
            if name.startswith(slot + "/") and (name[2:] in change or name[2:] not in files)
        )
        need = room({name: files[name] for name in change}, replaced) + SPARE
        if need > free:
            raise Trouble(
                f"no room: {free // 1024} KB are free, {need // 1024} KB are needed "
                f"({SPARE // 1024} KB of them for what the station stores)"
            )
        if slot + "/" + WHOLE in self.there:
            self.board.run(f"os.remove({slot + '/' + WHOLE!r})")
        for name in held:
            if name not in files:
                self.progress(f"removing {name}")
                self.board.run(f"os.remove({slot + '/' + name!r})")
        for name in sorted({name.rsplit("/", 1)[0] for name in change}):
            self.board.run(f"folders({slot + '/' + name + '/'!r})")
        old = "b" if slot == "a" else "a"
        for name in local:
            self.progress(f"copying {name}")
            self.board.run(f"copy({old + '/' + name!r}, {slot + '/' + name!r})")
        total = sum(len(files[name]) for name in send) or 1
        done = 0
        for number, name in enumerate(send, 1):
            self.progress(f"{done * 100 // total:3} %  {number}/{len(send)}  {name}")
            self.board.put(slot + "/" + name, files[name])
            done += len(files[name])
        self.verify(slot, wanted)
        self.board.put(slot + "/" + WHOLE, summary(wanted))
        return len(send)

    def verify(self, slot: str, wanted: dict[str, str]) -> None:
        """Every file of the slot is what was meant, by its SHA-256."""
        found = {}

        def each(line):
            name, digest, _ = line.rsplit(" ", 2)
            self.progress(f"verifying {name}")
            found[name] = digest

        self.board.run(f"walk({slot!r})", each)
        self.progress("")
        wanted = {slot + "/" + name: digest for name, digest in wanted.items()}
        for name in sorted(set(found) | set(wanted)):
            if found.get(name) != wanted.get(name):
                raise Trouble(f"{name} on the board is not what was sent: flash again")

    def progress(self, text: str) -> None:
        """A line that stays in its place, on a terminal."""
        if sys.stdout.isatty():
            print("\r\033[K" + text[:78], end="", flush=True)


def flash(target: Board, args, say=print) -> None:
    """The whole of it, on an open board."""
    work = Flash(target, say)
    with target.maintenance():
        facts = board_facts.look_at(target)
        board_facts.check(facts, args.platform)
        say("MicroPython %d.%d.%d on %s" % (*facts.version, facts.machine))
        if facts.flash:
            psram = "with" if facts.psram else "without"
            say(f"{facts.flash >> 20} MB of flash, {psram} PSRAM, {facts.free // 1024} KB free")
        name = None if args.back else board_facts.image_for(facts, args.files)
        if not name:
            board_facts.check_files(facts)
            work.look()
            words = work.words()
            running = words.get("slot", "a")
            slot = go_back(work, running) if args.back else install(work, running, args)
            if words.get("slot") != slot or words.get("trial") == "1":
                work.switch(slot, words)
        elif esptool.command():  # before anything is changed
            target.run(TOOLS)
            target.run(NO_SLOTS, lambda line: None)
    if name:
        write_image(target, name, say)
        selftest(target, say)
    else:
        begin(work, slot, running, words)


def write_image(target: Board, name: str, say=print) -> None:
    """Writes the image that was built, and starts the board with it."""
    say(f"writing the image {name}, {image.built(name)}")
    with target.released():
        esptool.run(image.arguments(name, target.port))


def erase(port: str, name: str, say=print) -> None:
    """Writes an image to a board of which nothing else is known: all that it holds goes."""
    if not image.built(name):
        raise Trouble(f"there is no image yet: `make image BOARD={name}`")
    chip_name = image.BOARDS[name].chip
    with Board(port) as target:
        target.stand_aside()  # a station that charges a car is left alone
    esptool.run(["--chip", chip_name, "--port", port, "erase-flash"])
    with Board(port) as target:
        write_image(target, name, say)
        selftest(target, say)


def go_back(work: Flash, running: str) -> str:
    """The slot that ran before."""
    other = "b" if running == "a" else "a"
    work.check_whole(other)
    return other


def install(work: Flash, running: str, args) -> str:
    """Brings a slot, the libraries and what starts them up to date; which slot is to run."""
    files = application(args.all)
    work.libraries(args.index)
    for name, data in started().items():
        if work.there.get(name, ("",))[0] != sha256(data):
            work.replace(name, data)
            work.say(f"{name} is new")
    now = work.holds(running)
    if now == {name: sha256(data) for name, data in files.items()}:
        work.say(f"slot {running} is up to date: {len(files)} files, verified")
        return running
    slot = running if not now else "b" if running == "a" else "a"
    sent = work.fill(slot, files, board_facts.look_at(work.board).free)
    work.say(f"slot {slot}: {len(files)} files verified, {sent} of them sent")
    return slot


def begin(work: Flash, slot: str, before: str, words: dict) -> None:
    """Waits for the station and its self-test. A slot that does not come up is left again, for
    the one before."""
    target = work.board
    try:
        selftest(target, work.say)
    except Silent:
        if slot == before or not work.holds(before):
            raise
        with target.maintenance():
            target.run(TOOLS)
            work.switch(before, words)
        raise Trouble(
            f"the station in slot {slot} does not start; what it said is above. "
            f"The board is back at slot {before}"
        ) from None


class Silent(Trouble):
    """No console came."""


def selftest(target: Board, say) -> None:
    """Waits for the console after a reset, and runs the station's self-test."""
    said, prompts, answer = [], 0, ""
    end = time.monotonic() + STARTS_S
    while time.monotonic() < end and prompts < 3:  # at Python's prompt: it has ended
        lines, answer = target.ask_at_start("status", end - time.monotonic())
        said += lines
        if answer.startswith("-->"):
            say("the station runs; aiorepl has the console's place: there is no self-test")
            return
        prompts += answer.startswith(">>>")
        if answer == "ok" or "password" in answer:
            break
    if answer != "ok" and "password" not in answer:
        say("\n".join(said[-12:]))
        raise Silent("the station does not start; what it said is above")
    end = time.monotonic() + PATIENCE_S
    while True:
        lines, answer = target.ask("selftest", 30)
        failed = set(answer.rpartition(": ")[2].split(", "))
        if answer == "ok" or not failed <= SLOW or time.monotonic() > end:
            break
        time.sleep(3)
    say("the station runs; its self-test:")
    for line in lines:
        say("  " + line)
    if "not provisioned" in answer:
        say(f"{answer[7:]}\nnext: make provision PORT={target.port}")
    elif "password" in answer:
        say("the console asks for its password: log in, then type selftest")
    elif answer != "ok":
        raise Trouble(f"the self-test says {answer or 'nothing'}: the lines above tell what to do")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="make flash",
        description=__doc__.split("\n")[0],
        epilog="With make: PORT=/dev/ttyUSB0 ARGS='--back'",
    )
    parser.add_argument("--port", help="the board's serial port (the only one there is)")
    parser.add_argument("--back", action="store_true", help="go back to the other slot")
    parser.add_argument("--all", action="store_true", help="with the simulated board too")
    parser.add_argument(
        "--files", action="store_true", help=".mpy files, whatever image was built"
    )
    parser.add_argument("--erase", action="store_true", help="erase all, then write an image")
    parser.add_argument("--board", choices=sorted(image.BOARDS), help="whose image, for --erase")
    parser.add_argument("--index", help="where mip finds its packages")
    parser.add_argument("--platform", default="esp32", help=argparse.SUPPRESS)  # the tests' board
    args = parser.parse_args()
    if args.erase != bool(args.board):
        parser.error("--erase and --board go together")
    port = board.pick(args.port)
    if args.erase:
        erase(port, args.board)
    else:
        with Board(port) as target:
            flash(target, args)
    return 0


if __name__ == "__main__":
    board.main(main)
