"""make image BOARD=wroom|wrover|s3: builds the MicroPython with the firmware in it for a board.

With ESP-IDF on this machine (`idf.py` on the path), or in Espressif's container with docker or
podman. Puts the image into build/image/BOARD and prints what to write with esptool. MicroPython's
sources come from its repository once, into build/image; MICROPYTHON=FOLDER names others.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tools import image
from tools.board import Trouble
from tools.board import main as run
from tools.runtimes import ROOT

SOURCES = "https://github.com/micropython/micropython"
CONTAINER = f"docker.io/espressif/idf:v{image.ESP_IDF}"
ENGINES = ("docker", "podman")


def how_to_build() -> list[str]:
    """What a build's command begins with: nothing for an ESP-IDF of this machine, else the
    container. Trouble says what to install."""
    if shutil.which("idf.py"):
        said = subprocess.run(["idf.py", "--version"], capture_output=True, text=True).stdout
        if f"v{image.ESP_IDF}" not in said.split():
            raise Trouble(
                f"this ESP-IDF is {said.strip() or 'of an unknown version'}, and the image is "
                f"made with v{image.ESP_IDF}: install that one, or leave idf.py out of PATH to "
                "build in the container"
            )
        return []
    for engine in ENGINES:
        if shutil.which(engine):
            return container(engine)
    raise Trouble(
        f"an image is built with ESP-IDF v{image.ESP_IDF}, which is not here. Install docker or "
        "podman (the build then takes Espressif's container), or ESP-IDF itself:\n"
        "    https://docs.espressif.com/projects/esp-idf/en/"
        f"v{image.ESP_IDF}/esp32/get-started/linux-macos-setup.html"
    )


def container(engine: str) -> list[str]:
    """Runs a command in Espressif's container, which sees this folder at its own place and writes
    its files as this user."""
    words = [engine, "run", "--rm", "--volume", f"{ROOT}:{ROOT}", "--workdir", str(ROOT)]
    if engine == "docker":  # podman makes this user root in there anyway
        words += ["--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp"]
    return [*words, CONTAINER]


def sources(folder: Path, given: str | None) -> Path:
    """MicroPython's sources of the pinned version."""
    if given:
        path = Path(given).resolve()
        if not (path / "ports" / "esp32").is_dir():
            raise Trouble(f"{given}: no MicroPython")
        said = do(["git", "-C", str(path), "describe", "--tags", "--always"], quietly=True)
        if said.strip() != f"v{image.MICROPYTHON}":
            raise Trouble(
                f"{given} is MicroPython {said.strip()}: the image is made of "
                f"v{image.MICROPYTHON} (git checkout v{image.MICROPYTHON})"
            )
        return path
    path = folder / f"micropython-{image.MICROPYTHON}"
    if not path.exists():
        part = folder / f"{path.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        do(["git", "clone", "--depth", "1", "--branch", f"v{image.MICROPYTHON}", SOURCES, part])
        part.rename(path)
    return path


def script(micropython: Path, name: str) -> str:
    """What is built, one after the other, as a shell takes it."""
    board, objects = image.HERE / name, image.BUILT / name / "objects"
    make = f"make -C {shlex.quote(str(micropython))}/"
    port = (
        f"{make}ports/esp32 BOARD_DIR={shlex.quote(str(board))} BUILD={shlex.quote(str(objects))}"
    )
    return f"{make}mpy-cross && {port} submodules && {port} all"


def do(command: list, quietly: bool = False) -> str:
    """Runs a command, visibly unless `quietly`; what it said then."""
    # MicroPython's make must not take over the variables of ours
    environment = {name: v for name, v in os.environ.items() if name not in ("MAKEFLAGS", "BOARD")}
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, env=environment, capture_output=quietly, text=True, check=True
        )
    except (subprocess.CalledProcessError, OSError):
        raise Trouble(
            f"this did not succeed; what it said is above:\n    {shlex.join(words)}"
        ) from None
    return done.stdout or ""


def build(name: str, given: str | None = None, say=print) -> None:
    """Builds a board's image, and says how to write it."""
    board = image.BOARDS[name]
    begin = how_to_build()
    folder = image.BUILT / name
    folder.mkdir(parents=True, exist_ok=True)
    micropython = sources(image.BUILT, given)
    if begin and given:
        begin[3:3] = ["--volume", f"{micropython}:{micropython}"]
    do([*begin, "bash", "-c", script(micropython, name)])
    take(name, folder / "objects")
    size = (folder / image.APPLICATION).stat().st_size
    room = image.slot_size(board) - size
    say(f"{folder / image.FIRMWARE} for {board.name}: the application has {size} bytes")
    say(f"and leaves {room} of its slot free. No chip has run it yet: try it on a bench first.")
    say("The first time, which erases all that the board has stored:")
    say(f"    esptool --chip {board.chip} --port PORT erase-flash")
    say("Then, and each time:")
    say("    esptool " + " ".join(image.arguments(name, "PORT")))
    say("or `make flash PORT=...`, which does that and runs the self-test.")


def take(name: str, objects: Path) -> None:
    """Takes over what was built; Trouble where the application has outgrown its slot."""
    size = (objects / image.APPLICATION).stat().st_size
    slot = image.slot_size(image.BOARDS[name])
    if size > slot:
        raise Trouble(f"the application has {size} bytes, its slot {slot}")
    for file in (image.APPLICATION, image.FIRMWARE):
        shutil.copyfile(objects / file, image.BUILT / name / file)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make image", description=__doc__.split("\n")[0])
    parser.add_argument("--board", choices=sorted(image.BOARDS), help="the board to build for")
    args = parser.parse_args()
    if not args.board:
        names = ", ".join(f"{name} ({board.name})" for name, board in image.BOARDS.items())
        raise Trouble(f"name a board with BOARD=: {names}")
    build(args.board, os.environ.get("MICROPYTHON"))
    return 0


if __name__ == "__main__":
    sys.argv[0] = "make image"
    run(main)
