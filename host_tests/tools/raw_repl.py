"""MicroPython's REPL as its documentation has it, spoken by desktop MicroPython 1.25, which has no
raw one of its own. `pty_board.py` runs it as the board of the flash tool's tests.

    micropython raw_repl.py cold|soft    in the folder that is the board's flash

Ends with exit code 42 for a soft reset, 43 for a hard one.
"""

import io
import os
import sys

_WINDOW = 128  # of raw paste mode, bytes
_SOFT = 42
_HARD = 43
RAW = "raw REPL; CTRL-B to exit\r\n>"


class Reset(BaseException):
    pass


class Machine:
    """The module `machine` as far as the tools need it."""

    @staticmethod
    def reset():
        raise Reset

    class RTC:
        """Its memory is a file beside the flash."""

        def memory(self, data):
            with open("../rtc", "wb") as file:
                file.write(data)


class Repl:
    def __init__(self):
        self.names = {"__name__": "__main__"}
        self.input = sys.stdin.buffer

    def write(self, text):
        sys.stdout.write(text)

    def byte(self):
        data = self.input.read(1)
        if not data:
            sys.exit(0)
        return data[0]

    def execute(self, text, mode="exec"):
        """Runs code; the traceback, "" without one."""
        try:
            exec(compile(text, "<stdin>", mode), self.names)
        except Reset:
            sys.exit(_HARD)
        except SystemExit:
            sys.exit(_SOFT)
        except BaseException as error:
            trace = io.StringIO()
            sys.print_exception(error, trace)
            return trace.getvalue().replace("\n", "\r\n")
        return ""

    def friendly(self):
        self.write("\r\n>>> ")
        line = bytearray()
        while True:
            byte = self.byte()
            if byte == 1:
                return
            if byte == 4:
                self.write("\r\nMPY: soft reboot\r\n")
                sys.exit(_SOFT)
            if byte == 3:
                line = bytearray()
                self.write("\r\n>>> ")
            elif byte == 13:
                self.write("\r\n" + self.execute(line.decode(), "single") + ">>> ")
                line = bytearray()
            elif byte != 10:
                line.append(byte)
                self.write(chr(byte))

    def raw(self):
        self.write(RAW)
        line = bytearray()
        while True:
            byte = self.byte()
            if byte == 1:
                self.write(RAW)
                line = bytearray()
            elif byte == 2:
                return
            elif byte == 3:
                line = bytearray()
            elif byte == 4:
                if not line:
                    self.write("OK\r\nMPY: soft reboot\r\n")
                    sys.exit(_SOFT)
                self.write("OK")
                self.answer(line)
                line = bytearray()
            elif byte == 5 and not line:
                self.byte(), self.byte()
                self.answer(self.paste())
            else:
                line.append(byte)

    def paste(self):
        """Raw paste mode: at most a window of bytes at a time."""
        sys.stdout.buffer.write(b"R\x01" + bytes([_WINDOW, 0]))
        text = bytearray()
        left = _WINDOW
        while True:
            byte = self.byte()
            if byte == 4:
                self.write("\x04")
                return text
            text.append(byte)
            left -= 1
            if not left:
                self.write("\x01")
                left = _WINDOW

    def answer(self, text):
        trace = self.execute(text.decode())
        self.write("\x04" + trace + "\x04>")


def run_file(name):
    """boot.py or main.py, as the chip runs them; `../running` tells that Ctrl-C is theirs."""
    try:
        with open(name) as file:
            text = file.read()
    except OSError:
        return
    with open("../running", "w"):
        pass
    sys.argv[:] = [name]
    try:
        exec(compile(text, name, "exec"), {"__name__": "__main__"})
    except Reset:
        sys.exit(_HARD)
    except SystemExit:
        pass
    except BaseException as error:
        sys.print_exception(error)
    finally:
        os.remove("../running")


def main():
    how = sys.argv[1]
    sys.path[:] = ["", ".frozen", os.getcwd() + "/lib"]
    sys.modules["machine"] = Machine
    run_file("boot.py")
    if how == "cold":
        run_file("main.py")
    repl = Repl()
    raw = how == "soft"
    while True:
        if raw:
            repl.raw()
        else:
            repl.friendly()
        raw = not raw


main()
