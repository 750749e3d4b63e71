"""The firmware's own MicroPython images: the boards that have one, and what of them is pinned.

A folder here is the definition of a board for MicroPython's esp32 port; `python -m tools.image`
builds it (`make image BOARD=wroom`). What is common to all lies beside the folders.
"""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

from tools.runtimes import BUILD

# The only place that says what an image is built from. The two go together: MicroPython takes a
# few versions of ESP-IDF only, and memory and sizes were measured with this pair.
MICROPYTHON = "1.26.1"
ESP_IDF = "5.3.1"

HERE = Path(__file__).resolve().parent
BUILT = BUILD / "image"
FIRMWARE = "firmware.bin"  # bootloader, partition table and application in one, for esptool
APPLICATION = "micropython.bin"  # the application alone, for the update of a station that runs

# Bytes of an application that was built by hand without Bluetooth, PPP, Ethernet and ESP-NOW, and
# about what of it was the firmware.
MEASURED_APPLICATION = 1496176
MEASURED_FROZEN = 210000

# A board that has an image. `chip`: as esptool names it; `psram`: whether it needs one; `flash`:
# its least size in bytes; `offset`: where FIRMWARE goes; `name`: what to look for in a shop.
Board = namedtuple("Board", ("chip", "psram", "flash", "partitions", "offset", "name"))

BOARDS = {
    "wroom": Board("esp32", False, 4 << 20, "partitions-4MiB.csv", 0x1000, "ESP32-WROOM-32"),
    "wrover": Board("esp32", True, 4 << 20, "partitions-4MiB.csv", 0x1000, "ESP32-WROVER-E"),
    "s3": Board("esp32s3", True, 8 << 20, "partitions-8MiB.csv", 0, "ESP32-S3-WROOM-1-N8R8"),
}

# A row of a partition table; `offset` and `size` in bytes.
Partition = namedtuple("Partition", ("name", "type", "subtype", "offset", "size"))


def partitions(board: Board) -> list[Partition]:
    """The board's partition table, with the file system that MicroPython makes of what is left of
    the least flash."""
    found = []
    for line in (HERE / board.partitions).read_text().splitlines():
        row = [word.strip() for word in line.partition("#")[0].split(",")]
        if row != [""]:
            name, kind, subtype, offset, size = row
            found.append(Partition(name, kind, subtype, int(offset, 16), int(size, 16)))
    end = found[-1].offset + found[-1].size
    return [*found, Partition("vfs", "data", "fat", end, board.flash - end)]


def file_system(board: Board) -> int:
    """Where the board's file system begins in the flash, in bytes."""
    return partitions(board)[-1].offset


def slot_size(board: Board) -> int:
    """Bytes of each of the two slots for an application."""
    return next(row.size for row in partitions(board) if row.subtype == "ota_0")


def fitting(chip: str, psram: bool) -> str | None:
    """The name of the image for a board of this chip; None where there is none."""
    for name, board in BOARDS.items():
        if (board.chip, board.psram) == (chip, psram):
            return name
    return None


def built(name: str) -> Path | None:
    """The image that was built for a board; None without one."""
    path = BUILT / name / FIRMWARE
    return path if path.exists() else None


def arguments(name: str, port: str) -> list[str]:
    """The arguments with which esptool writes a built image."""
    board = BOARDS[name]
    return [
        "--chip", board.chip, "--port", port, "--baud", "460800",
        "write-flash", hex(board.offset), str(BUILT / name / FIRMWARE),
    ]  # fmt: skip
