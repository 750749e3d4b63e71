"""Serial devices and ptys on a PC, by termios: the same on CPython and desktop MicroPython."""

import os
import select
import sys
import termios  # type: ignore  # (the device's library has none)

# Linux' and macOS' own numbers, for MicroPython, whose termios knows only few names.
_LINUX = {
    "B1200": 9,
    "B2400": 11,
    "B4800": 12,
    "B9600": 13,
    "B19200": 14,
    "B38400": 15,
    "B57600": 4097,
    "B115200": 4098,
    "CS7": 32,
    "CS8": 48,
    "CREAD": 128,
    "PARENB": 256,
    "PARODD": 512,
    "CLOCAL": 2048,
    "VMIN": 6,
    "VTIME": 5,
}
_MACOS = {
    "CS7": 512,
    "CS8": 768,
    "CREAD": 2048,
    "PARENB": 4096,
    "PARODD": 8192,
    "CLOCAL": 32768,
    "VMIN": 16,
    "VTIME": 17,
}
_ERRNO_TEXTS = {
    2: "no such device",
    6: "no such device",
    13: "permission denied (is the user in the group dialout?)",
    16: "busy",
    19: "no such device",
    25: "not a serial device",
}

_LOOK_CALLS = 100  # while the device is away it is looked for at one in so many


def _constant(name):
    """The number of one of termios' names. Raises OSError for a baud rate that is not there."""
    if hasattr(termios, name):
        return getattr(termios, name)
    macos = sys.platform == "darwin"  # lint: the kernel, not the Python, has other numbers
    numbers = _MACOS if macos else _LINUX
    if name in numbers:
        return numbers[name]
    if macos and name[0] == "B":
        return int(name[1:])  # a baud rate is its own number there
    raise OSError("%s: no such baud rate here" % name[1:])


class SerialPort:
    """An open device. `parity`: N, E or O; `bits`: 7 or 8. Raises OSError with a clear text.

    `read` and `write` never wait and never raise: a device that goes away (an adapter pulled
    out) reads as silence, is logged, and is opened again as soon as it is back.
    """

    def __init__(self, path: str, baud: int, parity: str = "N", bits: int = 8, log=None):
        self.path = path
        self._log = log
        self._baud = baud
        self._parity = parity
        self._bits = bits
        self._calls_without = 0  # while the device is away
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
            self._configure(file)
            self._poll = select.poll()
            self._poll.register(file, select.POLLIN | select.POLLOUT)
            return file
        except Exception as why:  # CPython's termios.error is no OSError
            if file:
                file.close()
            text = _ERRNO_TEXTS.get(why.args[0] if why.args else 0, str(why))
            raise OSError("%s: %s" % (self.path, text))

    def setup(self, baud: int, parity: str = "N", bits: int = 8) -> None:
        """Another speed or format, on the open device."""
        self._baud = baud
        self._parity = parity
        self._bits = bits
        if self._file:
            try:
                self._configure(self._file)
            except Exception as why:
                self._lose_device(why)

    def tune(self, baud: int):
        """As a TIC line at that speed, 7E1; the port itself."""
        self.setup(baud, "E", 7)
        return self

    def _configure(self, file):
        """Sets the open device's speed and format, and that reading never waits."""
        fd = file.fileno()
        _, _, _, _, in_speed, out_speed, characters = termios.tcgetattr(fd)
        flags = _constant("CS%d" % self._bits) | _constant("CREAD") | _constant("CLOCAL")
        if self._parity != "N":
            flags |= _constant("PARENB") | (_constant("PARODD") if self._parity == "O" else 0)
        characters[_constant("VMIN")] = characters[_constant("VTIME")] = 0
        rate = _constant("B%d" % self._baud)
        try:
            termios.tcsetattr(fd, termios.TCSANOW, [0, 0, flags, 0, rate, rate, characters])
        except Exception:  # a pty that knows no baud rates: raw is enough
            flags = _constant("CS8") | _constant("CREAD")
            raw = [0, 0, flags, 0, in_speed, out_speed, characters]
            termios.tcsetattr(fd, termios.TCSANOW, raw)

    def _is_ready(self, wanted):
        """Whether the device can be read or written; opens it again when it was gone."""
        try:
            if self._file is None:
                self._calls_without += 1
                if self._calls_without % _LOOK_CALLS:
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
            self._lose_device(why)
            return False

    def _lose_device(self, why):
        if self._file:
            self.close()
            if self._log:
                self._log.error("%s: %s", self.path, why)

    def read(self, n: int) -> bytes:
        """What has come, at most `n` bytes; b"" when nothing has."""
        if self._is_ready(select.POLLIN):
            try:
                return self._file.read(n) or b""
            except OSError as why:
                self._lose_device(why)
        return b""

    def write(self, data: bytes) -> None:
        """Sends. The data are lost when the device does not take them, as on a wire."""
        if self._is_ready(select.POLLOUT):
            try:
                self._file.write(data)
            except OSError as why:
                self._lose_device(why)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
