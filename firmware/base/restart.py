"""Starts the program again in the place of this process, after an update on a PC.

A program that runs from a slot is started by the same command, so that boot.py chooses the slot.
A program that runs from a checkout is replaced by the new slot this time only: the next start by
hand runs the checkout again.
"""

import array
import os
import sys

from firmware.base import runtime, slots
from firmware.base.store import Files


def restart_program(state: str, arguments: list) -> None:
    """`state`: the state folder; `arguments`: the command line's. Returns only where it can't be
    done."""
    if runtime.MICROPYTHON:
        with open("/proc/self/cmdline", "rb") as f:
            command = [str(word, "utf-8") for word in f.read().split(b"\0")[:-1]]
        program = "/proc/self/exe"
    else:
        program = sys.executable
        command = [program] + sys.orig_argv[1:]
    found = slots.find(Files(state))
    if not found.running:
        slot = found.files.path(found.read_boot()["slot"])
        at = 0  # up to the program's name, what stands there is the interpreter's
        while at < len(command) and command[at] not in ("-m", "-c") and command[at][-3:] != ".py":
            at += 1
        text = "import sys; sys.path.insert(0, %r); from firmware import app; app.main(%r)"
        command = command[:at] + ["-c", text % (slot, list(arguments))]
    if runtime.MICROPYTHON:
        _execv(program, command)
    else:
        os.execv(program, command)


def _execv(program, command):
    import ffi  # these two are desktop MicroPython's own
    import uctypes

    texts = [word.encode() + b"\0" for word in command]
    pointers = array.array("L", [uctypes.addressof(text) for text in texts] + [0])
    ffi.open(None).func("i", "execv", "sp")(program, uctypes.addressof(pointers))
