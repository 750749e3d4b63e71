"""Serial devices and ptys on a PC, by termios: the same on CPython and desktop MicroPython."""

import os
import select
import sys
import termios  # type: ignore  # (the device's library has none)

# Linux' and macOS' own numbers, for MicroPython, whose termios knows only few names.
_LINUX = (
    "B1200 9 B2400 11 B4800 12 B9600 13 B19200 14 B38400 15 B57600 4097 B115200 4098 CS7 32 "
    "CS8 48 CREAD 128 PARENB 256 PARODD 512 CLOCAL 2048 VMIN 6 VTIME 5"
)
_DARWIN = "CS7 512 CS8 768 CREAD 2048 PARENB 4096 PARODD 8192 CLOCAL 32768 VMIN 16 VTIME 17"
_WHY = {
    2: "no such device",
    6: "no such device",
    13: "permission denied (is the user in the group dialout?)",
    16: "busy",
    19: "no such device",
    25: "not a serial device",
}


def _number(name):
    if hasattr(termios, name):
        return getattr(termios, name)
    mac = sys.platform == "darwin"  # lint: the kernel, not the Python, has other numbers
    words = (_DARWIN if mac else _LINUX).split()
    if name in words:
        return int(words[words.index(name) + 1])
    if mac and name[0] == "B":
        return int(name[1:])
    raise OSError("%s: no such baud rate here" % name[1:])


class SerialPort:
    """An open device. `parity`: N, E or O; `bits`: 7 or 8. Raises OSError with a clear text.

    `read` and `write` never wait and never raise: a device that goes away (an adapter pulled
    out) reads as silence, is logged, and is opened again as soon as it is back.
    """

    def __init__(self, path: str, baud: int, parity: str = "N", bits: int = 8, log=None):
        self.path = path
        self._log = log
        self._line = (baud, parity, bits)
        self._missing = 0
        self._file = self._open()

    def _open(self):
        file = None
        try:
            if hasattr(os, "open"):
                # Not the process' controlling terminal, and no wait for a carrier.
                flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK  # type: ignore
                file = open(os.open(self.path, flags), "r+b", buffering=0)
            else:
                file = open(self.path, "r+b", buffering=0)
            self._set(file)
            self._poll = select.poll()
            self._poll.register(file, select.POLLIN | select.POLLOUT)
            return file
        except Exception as why:  # CPython's termios.error is no OSError
            if file:
                file.close()
            text = _WHY.get(why.args[0] if why.args else 0, str(why))
            raise OSError("%s: %s" % (self.path, text))

    def setup(self, baud: int, parity: str = "N", bits: int = 8) -> None:
        """Another speed or format, on the open device."""
        self._line = (baud, parity, bits)
        if self._file:
            try:
                self._set(self._file)
            except Exception as why:
                self._gone(why)

    def tune(self, baud: int):
        """As a TIC line at that speed, 7E1; the port itself."""
        self.setup(baud, "E", 7)
        return self

    def _set(self, file):
        baud, parity, bits = self._line
        fd = file.fileno()
        state = termios.tcgetattr(fd)
        flags, speed = _number("CS%d" % bits) | _number("CREAD") | _number("CLOCAL"), state[4:6]
        if parity != "N":
            flags |= _number("PARENB") | (_number("PARODD") if parity == "O" else 0)
        cc = state[6]
        cc[_number("VMIN")] = cc[_number("VTIME")] = 0
        rate = _number("B%d" % baud)
        try:
            termios.tcsetattr(fd, termios.TCSANOW, [0, 0, flags, 0, rate, rate, cc])
        except Exception:  # a pty that knows no baud rates: raw is enough
            flags = _number("CS8") | _number("CREAD")
            termios.tcsetattr(fd, termios.TCSANOW, [0, 0, flags, 0, speed[0], speed[1], cc])

    def _ready(self, wanted):
        """Whether the device can be read or written; opens it again when it was gone."""
        try:
            if self._file is None:
                self._missing += 1
                if self._missing % 100:  # a look at each call would be too often
                    return False
                self._file = self._open()
                if self._log:
                    self._log.info("%s is back", self.path)
            events = self._poll.poll(0)
            flags = events[0][1] if events else 0
            if flags & (select.POLLERR | select.POLLHUP):
                raise OSError("gone")
            return flags & wanted
        except OSError as why:
            self._gone(why)
            return False

    def _gone(self, why):
        if self._file:
            self.close()
            if self._log:
                self._log.error("%s: %s", self.path, why)

    def read(self, n: int) -> bytes:
        """What has come, at most `n` bytes; b"" when nothing has."""
        if self._ready(select.POLLIN):
            try:
                return self._file.read(n) or b""
            except OSError as why:
                self._gone(why)
        return b""

    def write(self, data: bytes) -> None:
        """Sends; a device that takes nothing loses it, as a wire would."""
        if self._ready(select.POLLOUT):
            try:
                self._file.write(data)
            except OSError as why:
                self._gone(why)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
