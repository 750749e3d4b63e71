"""Freezes the station into a MicroPython image of your own: its code then takes no heap.

    make -C micropython/ports/esp32 FROZEN_MANIFEST=$PWD/manifest.py

`boot.py` and `main.py` are frozen too. A slot that is flashed or updated later comes before what
is frozen.
"""

import os

# What a device never loads: tools/flash.py leaves the same out.
PC_ONLY = (
    "firmware/base/output.py",
    "firmware/base/sockets_cpython.py",
    "firmware/board/serial_pc.py",
    "firmware/board/simulated/commands.py",
    "firmware/board/simulated/board.py",
    "firmware/options.py",
    "firmware/sensing/meter_slave.py",
    "firmware/sensing/tic_encode.py",
    "firmware/simulated_lines.py",
)

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
require("aiohttp")  # noqa: F821
require("logging")  # noqa: F821
module("boot.py")  # noqa: F821
module("main.py")  # noqa: F821
for folder, _, names in sorted(os.walk("firmware")):
    for name in sorted(names):
        path = folder.replace(os.sep, "/") + "/" + name
        if name.endswith(".py") and path not in PC_ONLY:
            module(path, opt=0)  # noqa: F821
