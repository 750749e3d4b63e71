"""A board to flash: real desktop MicroPython with a folder as its flash, behind a pty.

What a chip does around MicroPython: power, and both kinds of reset. While the station runs, what
is typed is echoed and Ctrl-C does nothing, as on the device, and `maintenance` is the PC's `quit`:
both end at Python's prompt.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import tty
from pathlib import Path

from tools import runtimes

SCRIPT = Path(__file__).with_name("raw_repl.py")
_SOFT, _HARD = 42, 43


class PtyBoard:
    """`port` is what to connect to, `flash` the folder. Use as a context."""

    def __init__(self, folder: Path, bits: int = 64, translate: bool = True):
        self.flash = folder / "flash"
        self.flash.mkdir()
        self.bits = bits
        self.translate = translate  # else what runs has a `maintenance` and an echo of its own
        self.starts = []  # "cold" and "soft"
        self.said = bytearray()  # all that the board wrote
        self._running = folder / "running"
        self._master, self._slave = os.openpty()  # the slave stays open: no hang-up in between
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._off = threading.Event()
        self._child = None
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._off.set()
        self._thread.join()  # not before: the descriptors' numbers are soon somebody else's
        os.close(self._master)
        os.close(self._slave)

    def _live(self):
        how = "cold"
        while not self._off.is_set():
            self.starts.append(how)
            self._child = subprocess.Popen(
                [*runtimes.command(self.bits, heap="4m"), str(SCRIPT), how],
                cwd=self.flash,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
            )
            try:
                self._carry(self._child)
            finally:
                self._child.kill()
                code = self._child.wait()
            self._running.unlink(missing_ok=True)
            if code not in (0, _SOFT, _HARD):
                self._off.wait(0.5)  # a crash of the board's own program
            how = "soft" if code == _SOFT else "cold"

    def _carry(self, child):
        """Bytes both ways until the process ends."""
        while not self._off.is_set():
            ready, _, _ = select.select([self._master, child.stdout], [], [], 0.2)
            if child.stdout in ready:
                data = os.read(child.stdout.fileno(), 4096)
                if not data:
                    child.wait()
                    return
                self.said += data
                self._tell(data)
            if self._master in ready:
                data = os.read(self._master, 4096)
                if self._running.exists():
                    data = data.replace(b"\x03", b"")
                    if self.translate:
                        self._tell(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
                        data = data.replace(b"maintenance", b"quit")
                try:
                    child.stdin.write(data)
                except BrokenPipeError:
                    return

    def _tell(self, data):
        """Writes to the pty, which takes little while nobody reads it."""
        while data and not self._off.is_set():
            if select.select([], [self._master], [], 0.2)[1]:
                data = data[os.write(self._master, data) :]
