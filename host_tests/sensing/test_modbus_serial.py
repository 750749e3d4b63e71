"""Serial devices on a PC: termios on ptys, on CPython and on MicroPython."""

import os
import pty
import termios
import threading
import time
import tty

import pytest

from firmware.board.serial_pc import SerialPort
from host_tests.both.logs import Log

# What each Python must show; `near` is a pty whose other end only this test holds.
SCRIPT = """
import sys
from firmware.board.serial_pc import SerialPort
near, plain = sys.argv[1:3]
for path in ("/dev/no-such-device", plain, "/dev/null"):
    try:
        SerialPort(path, 9600)
        print("opened", path)
    except OSError as why:
        print(why)
port = SerialPort(near, 19200, "E")
print(port.read(64))
for _ in range(20000):  # nobody listens: it must not wait
    port.write(b"12345678")
port.setup(1200, "E", 7)
print(port.read(64))
port.close()
print(port.read(64))
"""


@pytest.fixture
def ptys():
    """Makes pty pairs: (master's descriptor, device); both ends are open."""
    fds = []

    def make():
        master, slave = pty.openpty()
        fds.extend((master, slave))
        os.set_blocking(master, False)
        return master, slave, os.ttyname(slave)

    yield make
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


def read_all(port, size, n=64):
    """Reads until `size` bytes have come, for at most twenty seconds."""
    got = b""
    end = time.monotonic() + 20
    while len(got) < size and time.monotonic() < end:
        got += port.read(n)
    return got


def test_bytes_both_ways(ptys):
    master, _, device = ptys()
    port = SerialPort(device, 19200, "E")
    assert port.read(100) == b""
    everything = bytes(range(256))  # nothing is translated, echoed or taken for a signal
    os.write(master, everything)
    assert read_all(port, 256, 100) == everything
    port.write(everything)
    got = b""
    while len(got) < 256:
        got += os.read(master, 256)
    assert got == everything
    assert port.read(100) == b""


def test_never_more_than_asked_for(ptys):
    master, _, device = ptys()
    port = SerialPort(device, 9600)
    os.write(master, b"abcdef")
    assert read_all(port, 4, 4)[:4] == b"abcd"
    assert read_all(port, 2) == b"ef"


def test_reading_takes_no_time(ptys):
    master, _, device = ptys()
    port = SerialPort(device, 1200, "E", 7)
    begin = time.monotonic()
    for _ in range(1000):
        port.read(64)
    os.write(master, b"half a li")  # and no more: nothing waits for the rest
    assert read_all(port, 9) == b"half a li"
    assert time.monotonic() - begin < 5  # 5 ms each, however busy the machine is


@pytest.mark.parametrize("baud, parity, bits", [(1200, "E", 7), (9600, "N", 8), (19200, "O", 8)])
def test_the_line_is_set(ptys, baud, parity, bits):
    _, slave, device = ptys()
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        real = termios.tcsetattr
        patch.setattr(termios, "tcsetattr", lambda *a: (seen.append(a[2]), real(*a)))
        port = SerialPort(device, 2400)
        port.setup(baud, parity, bits)
    iflag, oflag, cflag, lflag, rate_in, rate_out, cc = seen[-1]
    assert (iflag, oflag, lflag) == (0, 0, 0)
    assert cflag & termios.CSIZE == getattr(termios, f"CS{bits}")
    assert bool(cflag & termios.PARENB) == (parity != "N")
    assert bool(cflag & termios.PARODD) == (parity == "O")
    assert not cflag & termios.CSTOPB
    assert rate_in == rate_out == getattr(termios, f"B{baud}")
    assert cc[termios.VMIN] == cc[termios.VTIME] == 0
    assert termios.tcgetattr(slave)[4] == rate_in


def test_a_pty_without_baud_rates(ptys, monkeypatch):
    master, slave, device = ptys()
    real = termios.tcsetattr
    rates = termios.tcgetattr(slave)[4:6]

    def strict(fd, when, attributes):
        if attributes[4:6] != rates or attributes[2] & termios.PARENB:
            raise termios.error(22, "Invalid argument")
        real(fd, when, attributes)

    monkeypatch.setattr(termios, "tcsetattr", strict)
    port = SerialPort(device, 19200, "E")
    os.write(master, b"\r\n\x03\x04")
    assert read_all(port, 4) == b"\r\n\x03\x04"


def test_clear_errors(tmp_path):
    for path, why in (
        ("/dev/no-such-device", "no such device"),
        (tmp_path / "plain", "not a serial device"),
        ("/dev/null", "not a serial device"),
    ):
        if path == tmp_path / "plain":
            path.write_bytes(b"x")
        with pytest.raises(OSError, match=why) as error:
            SerialPort(str(path), 9600)
        assert str(path) in str(error.value)
    with pytest.raises(OSError, match="baud"):
        master, slave = pty.openpty()
        try:
            SerialPort(os.ttyname(slave), 12345)
        finally:
            os.close(master)
            os.close(slave)


def test_no_permission(ptys, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="permission denied"):
        SerialPort("/dev/ttyUSB0", 9600)


def test_an_adapter_pulled_out_and_put_back(ptys, tmp_path):
    """A symbolic link stands for /dev/ttyUSB0, a pty for the adapter behind it."""
    master, slave, device = ptys()
    name = tmp_path / "ttyUSB0"
    name.symlink_to(device)
    log = Log()
    port = SerialPort(str(name), 9600, log=log)
    os.close(slave)
    os.close(master)
    name.unlink()
    for _ in range(500):
        assert port.read(10) == b""
        port.write(b"x")
    assert log.levels == ["error"]
    master, slave, device = ptys()
    tty.setraw(slave)
    name.symlink_to(device)
    os.write(master, b"back")
    got = b""
    for _ in range(300):
        got += port.read(10)
    assert got == b"back"
    assert log.levels == ["error", "info"]


def test_a_device_that_is_only_read_is_missed_too(ptys):
    master, slave, device = ptys()
    log = Log()
    port = SerialPort(device, 9600, log=log)
    os.close(slave)
    os.close(master)
    for _ in range(5):
        assert port.read(10) == b""
    assert log.levels == ["error"]


@pytest.mark.parametrize("bits", [64, 32])
def test_micropython(ptys, micropython, tmp_path, bits):
    master, slave, device = ptys()
    plain = tmp_path / "plain"
    plain.write_bytes(b"x")
    tty.setraw(slave)  # what comes before the device is opened is as it was left
    os.write(master, b"\x00\xff\x03\x04\r\n")
    said = micropython(bits).run(SCRIPT, device, plain, timeout=20).stdout.splitlines()
    assert said == [
        "/dev/no-such-device: no such device",
        f"{plain}: not a serial device",
        "/dev/null: not a serial device",
        r"b'\x00\xff\x03\x04\r\n'",
        "b''",
        "b''",
    ]


def test_micropython_reads_what_trickles_in(ptys, micropython):
    master, _, device = ptys()
    code = f"""
import time
from firmware.board.serial_pc import SerialPort
port = SerialPort({device!r}, 9600)
port.write(b"go")
got = []
while len(b"".join(got)) < 10:
    got.append(port.read(64))
    time.sleep_ms(1)
print(b"".join(got), b"" in got)  # what waits for a byte never comes back without one
"""

    def talk():
        while True:
            try:
                if os.read(master, 2):
                    break
            except BlockingIOError:
                time.sleep(0.005)
        for i in range(10):
            os.write(master, b"%d" % i)
            time.sleep(0.01)

    thread = threading.Thread(target=talk)
    thread.start()
    assert micropython(64).run(code).stdout.strip() == "b'0123456789' True"
    thread.join()
