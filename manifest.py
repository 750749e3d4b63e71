"""Freezes the station into a MicroPython image of its own: its code then takes no heap.

`make image` builds one (tools/image). `boot.py` and `main.py` are frozen too. A slot that is
flashed or updated later comes before what is frozen. The tests freeze the same into a desktop
MicroPython (host_tests/frozen/manifest.py), with `pc=True`: what only a PC loads is added, what
only a device has is left out.
"""

# These names are what MicroPython's build gives to a manifest.
# ruff: noqa: F821

import os

# What a device never loads: tools/flash.py sends it to no board either.
PC_ONLY = (
    "firmware/base/output.py",
    "firmware/base/restart.py",
    "firmware/base/sockets_cpython.py",
    "firmware/board/serial_pc.py",
    "firmware/board/simulated/board.py",
    "firmware/board/simulated/serial_lines.py",
    "firmware/board/simulated/world.py",
)

if not options.pc:
    module("_boot.py", base_path="tools/image/modules")  # it mounts the file system
    module("flashbdev.py", base_path="$(PORT_DIR)/modules")
    include("$(MPY_DIR)/extmod/asyncio")
    require("aiohttp")
    require("logging")
module("boot.py")
module("main.py", opt=3)
for folder, _, names in sorted(os.walk("firmware")):
    for name in sorted(names):
        path = folder.replace(os.sep, "/") + "/" + name
        if name.endswith(".py") and (options.pc or path not in PC_ONLY):
            module(path, opt=3)
