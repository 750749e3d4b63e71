"""A board at a serial port: the station's console, and MicroPython's REPL by mpremote's transport.

What goes wrong is a `Trouble`: one clear text that says what to do.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import getpass
import io
import os
import sys
import time

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial.tools import list_ports

CHUNK = 512  # bytes of a file in one command: the board holds it as text and as bytes
QUIET_S = 2
SILENT_S = 5  # a board that says nothing for so long in the middle of something is gone
ENTER_S = 10
RUN_S = 60  # code that runs on the board may be silent for so long: littlefs may take its time
AGAIN_S = 10  # a station that is busy or starts keeps what is typed, and answers in that time
# Without the first a reset would be a crash, of which a few in a row end in the safe state
# (boot.py).
RESET = """
import machine
if hasattr(machine, "RTC"):
    machine.RTC().memory(b"0 ok")
machine.reset()
"""
IN_USE_S = 1  # other programs look at a new port, too, for a moment
# The station's watchdog can't be stopped, but made patient; the reset at the end ends that.
PATIENCE = """
import machine
if hasattr(machine, "WDT"):
    machine.WDT(timeout=3600000)
"""
PROMPTS = (">>> ", "--> ")  # Python's, aiorepl's
PASSWORD = "WALLBRIDGE_PASSWORD"  # the environment's variable with the console's password


class Trouble(Exception):
    """What went wrong and what to do next."""


def ports() -> list[str]:
    """The USB serial ports of this machine."""
    return sorted(port.device for port in list_ports.comports() if port.vid is not None)


def pick(port: str | None) -> str:
    """The port that was named, or the only board there is."""
    if port:
        return port
    found = ports()
    if len(found) == 1:
        return found[0]
    if found:
        raise Trouble(f"several boards: name one with PORT=, of {', '.join(found)}")
    raise Trouble(
        "no board: plug it in with a USB cable that carries data, or name its port with PORT="
    )


def why(port: str, error: Exception) -> str:
    """What a failed opening of a port means."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT:
        others = ", ".join(ports()) or "none: is the board plugged in?"
        return f"no board at {port}. Ports with a board: {others}"
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"no permission for {port}. Join the group that may use it, then log in again:\n"
            f"    sudo usermod -aG dialout {getpass.getuser()}"
        )
    # The last is mpremote's for a port that could be opened just before.
    if number in (errno.EBUSY, errno.EAGAIN) or "lock" in text or "failed to access" in text:
        return f"{port} is in use: close the other program (a terminal, an editor's monitor)"
    return f"{port}: {text}"


class Board:
    """An open port. `run` and what builds on it need `maintenance`, or `enter`."""

    def __init__(self, port: str, say=print):
        self.port = port
        self.say = say
        self._open()

    def _open(self):
        end = time.monotonic() + IN_USE_S
        while True:
            try:  # mpremote's transport does not tell why it can't open a port
                serial.serial_for_url(self.port, baudrate=115200, exclusive=True).close()
                self.transport = SerialTransport(self.port, timeout=SILENT_S)
                return
            except (OSError, TransportError) as error:
                reason = why(self.port, error)
                if "in use" not in reason or time.monotonic() > end:
                    raise Trouble(reason) from None
                time.sleep(0.1)

    @contextlib.contextmanager
    def released(self):
        """The port is another program's meanwhile."""
        self.close()
        yield
        self._open()

    def close(self):
        """Lets go of the port."""
        with contextlib.suppress(OSError):
            self.transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # the station's console

    def lines(self, seconds: float, prompts=PROMPTS[:1]):
        """Yields the lines that come until the board has been silent for so long (or has talked
        for a minute), or until it prompts; the last one may be without its end."""
        line = b""
        port = self.transport.serial
        end = time.monotonic() + seconds
        last = time.monotonic() + 60
        port.timeout = 0.1
        try:
            while time.monotonic() < min(end, last):
                data = port.read(1)
                if data:
                    end = time.monotonic() + seconds
                    if data == b"\n":
                        yield line.decode(errors="replace").rstrip()
                        line = b""
                    else:
                        line += data
                        if line.decode(errors="replace") in prompts:
                            break
        finally:
            port.timeout = SILENT_S
        if line:
            yield line.decode(errors="replace").rstrip()

    def type(self, command: str) -> None:
        """Types a line."""
        self.transport.serial.write(command.encode() + b"\r\n")

    def ask(self, command: str, seconds: float = AGAIN_S, each=None) -> tuple[list[str], str]:
        """A command at the console: (lines of the reply, "ok", "error: WHY", ">>>", or "" when
        nobody answered). Log lines may be among them. `each` is called with every line."""
        self.type(command)
        return self._reply(command, seconds, each)

    def ask_at_start(self, command: str, longest_s: float) -> tuple[list[str], str]:
        """As `ask`, of a station that is starting: waits for its answer, and returns only when it
        has answered all that was typed. Its console may be busy for long, and answers then."""
        said = list(self.lines(QUIET_S, PROMPTS))  # what is typed before may be lost
        end = time.monotonic() + longest_s
        answer = ""
        asked = 0
        while not answer and time.monotonic() < end:
            self.type(command)
            asked += 1
            lines, answer = self._reply(command, AGAIN_S, prompts=PROMPTS)
            said += lines
        if asked > 1:  # it may answer to all of them
            said += self.lines(QUIET_S)
        return said, answer

    def _reply(self, command, seconds, each=None, prompts=PROMPTS[:1]):
        found: list[str] = []
        for line in self.lines(seconds, prompts):
            if line == "ok" or line.startswith(("error:", ">>>")) or line + " " in prompts:
                return found, line
            if line == command or line.startswith("login *"):
                continue  # the station's echo
            found.append(line)
            if each:
                each(line)
        return found, ""

    def stand_aside(self) -> None:
        """Asks a station that runs to give up the board; it does not while a car is charged. One
        that is busy, or starts, gets the time to answer: what it says is no answer to what is
        asked later."""
        self.type("")
        for _ in range(3):
            _, end = self.ask("maintenance")
            if "password" in end:
                word = os.environ.get(PASSWORD) or getpass.getpass("the console's password: ")
                _, end = self.ask("login " + word)
                if end != "ok":
                    raise Trouble("the station does not take this password")
                continue
            if end.startswith("error:") and "transaction" in end:
                raise Trouble("a car is being charged: end the transaction first (stop)")
            if end == "ok":  # what is typed before the prompt is the station's still
                for line in self.lines(ENTER_S):
                    if line.startswith(">>>"):
                        break
            return  # or nobody answers: it may be Python in the middle of something

    def enter(self) -> None:
        """Into MicroPython's raw REPL, with an empty heap: after a soft reset."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                self.transport.enter_raw_repl(soft_reset=True, timeout_overall=ENTER_S)
        except (TransportError, OSError):
            raise Trouble(
                f"the board at {self.port} does not answer as MicroPython does. If it has none "
                "yet, or a program that can't be interrupted, docs/operations.md tells how to put "
                "it there"
            ) from None
        self.run(PATIENCE)

    @contextlib.contextmanager
    def maintenance(self):
        """MicroPython's raw REPL, the station aside; whatever happens, the board starts again."""
        self.stand_aside()
        self.enter()
        try:
            yield
        finally:
            self.reset()

    # MicroPython

    def run(self, code: str, each=None) -> str:
        """Runs code; what it printed. `each` is called with every line as it comes."""
        line = bytearray()

        def consume(data):
            line.extend(data.replace(b"\x04", b""))
            while b"\n" in line:
                text, _, rest = bytes(line).partition(b"\n")
                line[:] = rest
                each(text.decode().rstrip("\r"))

        try:
            said, wrong = self.transport.exec_raw(code, RUN_S, consume if each else None)
        except (TransportError, OSError) as error:
            raise Trouble(f"lost the board: {error}; plug it in again, and start again") from None
        if wrong:
            last = wrong.decode(errors="replace").strip().rsplit("\n", 1)[-1]
            if "ENOSPC" in last or "Errno 28" in last:
                raise Trouble("no room: the board's file system is full")
            raise Trouble(f"the board says: {last}")
        return said.decode().replace("\r\n", "\n") if said else ""

    def value(self, code: str):
        """The value of an expression."""
        return ast.literal_eval(self.run(f"print(repr({code}))"))

    def get(self, name: str) -> bytes | None:
        """A file's content; None when it is not there. For small ones, after flash.TOOLS."""
        return self.value(f"content({name!r})")

    def put(self, name: str, data: bytes) -> None:
        """Writes a file."""
        self.run(f"f=open({name!r},'wb')\nw=f.write")
        for at in range(0, len(data), CHUNK):
            self.run(f"w({data[at : at + CHUNK]!r})")
        self.run("f.close()")

    def reset(self) -> None:
        """Starts the board afresh, as its reset button does; the station's console is next."""
        with contextlib.suppress(TransportError, OSError):
            self.transport.exec_raw_no_follow(RESET)
        self.transport.in_raw_repl = False


def main(work) -> None:
    """Runs a tool's main function; a Trouble is one text on stderr and exit code 1."""
    try:
        sys.exit(work())
    except Trouble as trouble:
        sys.stdout.flush()
        sys.stderr.write(f"{os.path.basename(sys.argv[0])}: {trouble}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
