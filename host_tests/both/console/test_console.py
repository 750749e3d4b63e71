"""The serial console: a line edited as it is typed, its echo, replies in pieces."""

import asyncio

from firmware.base import runtime
from firmware.console.console import Console


class Station:
    """What a command needs of one."""

    def __init__(self):
        self.written = []

    def log(self, part):
        return self

    def error(self, text, *args):
        self.written.append(text % args)


class Locked(Station):
    """A station whose console has a password: a wrong one is answered two seconds later."""

    login_ends_ms = 0

    def __init__(self):
        super().__init__()
        self.config = self

    def get(self, name):
        return "open-sesame"

    def security_event(self, text):
        pass


class Typed(Console):
    """Takes lines as commands; `typed` goes in byte by byte, or all in one."""

    def __init__(self, typed, whole=False, echo=True):
        self.parts = [typed] if whole else [bytes([byte]) for byte in typed]
        self.said = ""
        self.lines = []
        self.echo = echo
        Console.__init__(self, self.next, self.take)

    async def next(self):
        if self.parts:
            return self.parts.pop(0)
        raise EOFError

    def take(self, text):
        self.said += text

    async def execute(self, station, line):
        self.lines.append(line.decode())


async def typed(data, **words):
    console = Typed(data, **words)
    try:
        await console.run(Station())
    except EOFError:
        return console


async def test_a_line_is_edited():
    for data, line in (
        (b"stax\x08tus\r\n", "status"),
        (b"stax\x7ftus\n", "status"),
        (b"rubbish\x15status\r", "status"),
        (b"sta\x1b[A\x1b[1;5Dtus\x1bOP\n", "status"),
        ("authorize \u00e9\u20ac\x08\x08x\n".encode(), "authorize x"),
        (b"\x08\x08\x7fstatus\n", "status"),
        (b"\x00\x01sta\x07tus\x1b\n", "status"),
        (b"\x1b[\nstatus\n", "status"),
        (b"config\tHeartbeatInterval\n", "config HeartbeatInterval"),
        (b"x" * 600 + b"\x15status\n", "status"),
    ):
        for whole in (False, True):
            console = await typed(data, whole=whole)
            assert console.lines == [line], (data, console.lines)


async def test_the_device_shows_what_is_typed():
    console = await typed(b"stax\x08tus\r\nstop\n")
    assert console.said == "stax\x08 \x08tus\nstop\n", console.said
    console = await typed("\u00e9\x7fab\x15c\r\n".encode())
    assert console.said == "*\x08 \x08ab\x08 \x08\x08 \x08c\n", console.said
    console = await typed(b"\x1b[A\x01help\r\n")
    assert console.said == "help\n"
    assert (await typed(b"stax\x08tus\r\n", echo=False)).said == ""  # a PC's terminal does it


async def test_a_password_is_not_shown():
    console = await typed(b" login open-sesame\r\n")
    assert console.lines == [" login open-sesame"]
    assert console.said == " login************\n", console.said


async def test_a_long_reply_lets_others_have_their_turns():
    turns = []

    async def other():
        while True:
            turns.append(0)
            await runtime.sleep_ms(1)

    console = Typed(b"")
    calls = []

    def take(text):
        calls.append(0)
        taken = text[: len(calls) % 3 * 32]  # now and then there is no room at all
        console.said += taken
        return len(taken)

    console.write = take
    task = asyncio.create_task(other())
    lines = ["%d %s" % (n, "y" * (3 * n)) for n in range(40)]
    await console.reply(lines)
    await runtime.stop([task])
    assert console.said == "\n".join(lines) + "\nok\n"
    assert len(turns) >= len(lines)


class Uart:
    """A chip's: 128 bytes have room in it, and it sends 11.5 a ms. Python stands still while the
    rest of a text waits for room."""

    def __init__(self):
        self.us = 0
        self.empty_us = 0  # when all is sent
        self.turn_us = 0  # when others had their turn
        self.longest_us = 0  # between two turns
        self.said = ""

    def write(self, text):
        self.said += text
        self.empty_us = max(self.empty_us, self.us) + len(text) * 1000000 // 11520
        self.us = max(self.us, self.empty_us - 128 * 1000000 // 11520)

    async def sleep_ms(self, ms):
        self.longest_us = max(self.longest_us, self.us - self.turn_us)
        self.us += ms * 1000
        self.turn_us = self.us


async def test_a_long_line_is_not_made_and_written_in_one_step():
    before = runtime.DEVICE, runtime.sleep_ms
    uart = Uart()

    def lines():
        for n in (900, 100, 120, 0, 600):
            uart.us += 60000  # what making it takes
            yield "x" * n

    try:
        runtime.DEVICE = True
        runtime.sleep_ms = uart.sleep_ms
        await Console(None, uart.write).reply(lines())
    finally:
        runtime.DEVICE, runtime.sleep_ms = before
    assert len(uart.said) == 1720 + 5 + 3 and uart.said.endswith("\nok\n")
    assert uart.longest_us < 80000, uart.longest_us


async def test_who_does_not_read_loses_the_rest():
    console = Typed(b"")
    room = [8]

    def take(text):
        text = text[: room[0]]
        room[0] -= len(text)
        console.said += text
        return len(text)

    console.write = take
    begun = runtime.ticks_ms()
    await console.reply(["one", "two", "three"])
    assert console.said == "one\ntwo\n"
    assert 4900 <= runtime.ticks_diff(runtime.ticks_ms(), begun) <= 5200
    room[0] = 100
    await console.reply((), "what comes next has a line of its own")
    assert console.said == "one\ntwo\n\nerror: what comes next has a line of its own\n"


async def test_a_reset_cuts_no_reply():
    console = Typed(b"")
    lines = ["line %d" % n for n in range(20)]
    task = asyncio.create_task(console.reply(lines))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert console.said and not console.said.endswith("ok\n")
    await runtime.stop([task])
    assert console.said == "\n".join(lines) + "\nok\n"


async def test_each_line_has_its_reply_though_the_station_restarts():
    """What is cancelled in the middle is told, and what was typed behind it waits."""
    said = []

    class Restarted(Console):
        echo = False

    blocks = [b"login one\nhelp\nlogin two\n", b"help\n"]

    async def read():
        if blocks:
            return blocks.pop(0)
        return b""

    console = Restarted(read, said.append)
    for _ in range(2):  # stations, each reset while a command runs
        task = asyncio.create_task(console.run(Locked()))
        await runtime.sleep_ms(1000)
        await runtime.stop([task])
    task = asyncio.create_task(console.run(Locked()))
    await runtime.sleep_ms(5000)
    await runtime.stop([task])
    replies = [line for line in "".join(said).split("\n") if line == "ok" or line[:7] == "error: "]
    assert len(replies) == 4, said
    assert "restart" in replies[0] and replies[1] == replies[3] == "ok"
    assert "restart" in replies[2], replies
