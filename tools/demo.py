"""make demo: a charging session, from plugging in to the bill, over a real central system.

Starts the central system of `central.py` on loopback and the firmware with its simulated charger
(on CPython, or with --runtime micropython on desktop MicroPython), plugs a car in, starts it
remotely, shows what happens and stops it. A page on localhost shows it live (`tools/live`). On a
terminal, or with --stay, the station is left running for you to play with.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import websockets  # noqa: E402

from tools import runtimes  # noqa: E402
from tools.central import House  # noqa: E402
from tools.live import PORT, Live  # noqa: E402

BOX = "WALLBRIDGE-DEMO"
RUNTIMES = ("cpython", "micropython", "micropython32")
SPEED = 60  # a second of the demo is a minute of charging
COLOUR = sys.stdout.isatty()
LINE = 120  # characters of a message's line where no terminal says
BAR = 24  # characters of the bar of kWh
NO_POWER = "the power is cut: type power on, or use the switch on the page"


def say(text="", colour=""):
    """Prints a line, in colour on a terminal."""
    print("\033[%sm%s\033[0m" % (colour, text) if COLOUR and colour else text, flush=True)


def brief(value):
    """JSON for reading: no quotes."""
    text = json.dumps(value, separators=(", ", ": ")).replace('"', "")
    return text[1:-1]


def cut(text):
    """A line that fits the terminal."""
    width = shutil.get_terminal_size((LINE, 24)).columns if COLOUR else LINE
    return text if len(text) <= width else text[: width - 3] + "..."


def measured(payload):
    """The newest energy and power of a MeterValues, not those of single phases."""
    values = payload["meterValue"][-1]["sampledValue"]
    return ", ".join(
        "%s %s" % (value["value"], value["unit"])
        for value in values
        if "phase" not in value and value.get("unit") in ("Wh", "kWh", "W", "kW")
    )


class FastClock:
    """Unix time from now on, `speed` times faster: the clock of both ends of the demo."""

    def __init__(self, speed):
        self.speed = speed
        self.began = time.time()
        self.began_s = time.monotonic()

    def __call__(self):
        return self.began + (time.monotonic() - self.began_s) * self.speed


def prompt():
    """Where the next line is typed."""
    print("> ", end="", flush=True)


class Demo:
    """The two processes and what they say."""

    def __init__(self, runtime, port=PORT, stay=False, speed=SPEED):
        self.runtime = runtime
        self.port = port
        self.stay = stay
        self.speed = speed
        clock = FastClock(speed)
        self.live = Live(self.type, self.send, self.power, clock, BOX, speed)
        self.typing = asyncio.Lock()
        self.asked = {}
        self.show = True
        self.house = House(interval=3600, watch=self.message, now=clock)
        self.process = None
        self.started_with = ("", "")  # the URL and the folder, to start it again
        self.power_is_cut = False
        self.behind = 0  # replies that are still to come
        self.log = deque(maxlen=200)  # what the station says on stderr
        self.log_ended = None  # the task that reads it
        self.folded = []  # MeterValues that are not shown one by one

    def message(self, box_id, way, message):
        """Prints an OCPP message, answers under the name of their call, MeterValues as one."""
        self.live.message(way, message)
        if not self.show or str(message[1]).startswith("live-"):
            return
        arrow = "station -> central" if way == "<" else "station <- central"
        if message[0] == 2:
            self.asked[message[1]] = message[2]
            if message[2] == "MeterValues":
                self.folded.append(message[3])
                return
            self.unfold()
            say(cut("  %s  %-22s %s" % (arrow, message[2], brief(message[3]))), "36")
        else:
            name = self.asked.pop(message[1], "?")
            if name == "MeterValues" and message[0] == 3:
                return
            self.unfold()
            what = "error" if message[0] == 4 else "answer"
            body = message[2:4] if message[0] == 4 else message[2]
            said = ": " + brief(body) if body else ""
            say(cut("  %s    %s to %s%s" % (arrow, what, name, said)), "2;36")

    def unfold(self):
        """Prints a line for the MeterValues since the last."""
        if self.folded:
            values = "%d times, at last %s" % (len(self.folded), measured(self.folded[-1]))
            say(cut("  station -> central  %-22s %s" % ("MeterValues", values)), "36")
            self.folded = []

    def step(self, text):
        """Prints the heading of what comes next."""
        self.unfold()
        say("\n" + text, "1")

    async def start(self, url, state):
        python = {
            "cpython": lambda: [sys.executable, "main.py"],
            "micropython": lambda: [*runtimes.command(64), "-m", "main"],
            "micropython32": lambda: [*runtimes.command(32), "-m", "main"],
        }[self.runtime]()
        if self.runtime != "cpython" and not self.process:
            say("Compiling the firmware for MicroPython, if it has changed ...")
            runtimes.compile_mpy()
        self.started_with = (url, state)
        command = python + [
            "--supervision-url", url, "--box-id", BOX,
            "--state", state, "--speed", str(self.speed),
        ]  # fmt: skip
        self.process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT if self.runtime == "cpython" else runtimes.MPY,
            env=runtimes.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.behind = 0
        self.log.clear()
        self.log_ended = asyncio.ensure_future(self.read_log(self.process.stderr))

    async def read_log(self, stream):
        """Keeps what the station says on stderr, and hands it to the page."""
        while line := await stream.readline():
            text = line.decode(errors="replace").rstrip()
            self.log.append(text)
            self.live.logged(text)

    async def power(self, on):
        """Cuts the station's power: its process is killed at once, and flushes nothing. Or starts
        it again, with the same flash and meter."""
        if on == (self.process is not None and self.process.returncode is None):
            return
        if on:
            await self.start(*self.started_with)
        else:
            self.power_is_cut = True
            self.process.kill()
            await self.process.wait()
        self.power_is_cut = not on
        self.live.powered(on)

    async def send(self, text):
        """Puts a message on the wire to the station."""
        point = self.house.points.get(BOX)
        if not point:
            raise ConnectionError("the station is not connected")
        try:
            await point._connection.send(text)
        except websockets.ConnectionClosed:
            raise ConnectionError("the station is gone") from None

    async def type(self, line):
        """Types one command at the station's console; returns (the reply's lines, the error)."""
        async with self.typing:
            if not self.process:
                raise ConnectionError("the station has not started")
            if line.split() == ["sim", "power", "off"]:
                self.power_is_cut = True
            self.behind += 1
            reply = []
            with contextlib.suppress(ConnectionError):  # what it said at last is still to be read
                self.process.stdin.write((line + "\n").encode())
                await self.process.stdin.drain()
            while True:
                text = (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode()
                if not text:
                    if self.power_is_cut:
                        self.live.powered(False)
                        raise ConnectionError(NO_POWER)
                    raise ConnectionError("the station has ended" + await self.last_words())
                text = text.rstrip()
                if text != "ok" and not text.startswith("error:"):
                    reply.append(text)
                    continue
                self.behind -= 1
                if not self.behind:  # else it answers what was given up waiting for
                    if text == "ok":
                        self.live.typed(line)
                        return reply, None
                    return reply, text[7:]
                reply = []

    async def last_words(self):
        """What a station that has ended wrote to stderr at last."""
        await asyncio.wait([self.log_ended], timeout=2)
        return "".join("\n" + line for line in list(self.log)[-12:])

    async def console(self, line):
        """Types one command; returns the reply's lines, an error among them."""
        lines, error = await self.type(line)
        return lines if error is None else [*lines, "error: " + error]

    async def progress(self, seconds):
        """Shows the session, a line a second of the demo."""
        for _ in range(seconds):
            state = json.loads((await self.console("status"))[0])
            running = state["transaction"] or {}
            energy = running.get("energy_wh", 0)
            full = 22080 * self.speed * seconds / 3600  # Wh, when the car takes all that it may
            bar = "#" * min(BAR, round(BAR * energy / full))
            say(
                "%-12s %4.1f A  %5.2f kW  %7.3f kWh %s"
                % (state["status"], state["offered_ma"] / 1000, state["power_w"] / 1000,
                   energy / 1000, bar),
                "32",
            )  # fmt: skip
            await asyncio.sleep(1)

    async def until(self, status, timeout=30):
        """Waits for a status. Raises TimeoutError with what the station is instead."""
        end = time.monotonic() + timeout
        while True:
            state = json.loads((await self.console("status"))[0])
            if state["status"] == status:
                return
            if time.monotonic() > end:
                raise TimeoutError("the station is %s, not %s" % (state["status"], status))
            await asyncio.sleep(0.1)

    async def unless_it_ends(self, work):
        """Waits for `work`. Raises ConnectionError when the station ends before that."""
        task, ended = asyncio.ensure_future(work), asyncio.ensure_future(self.process.wait())
        await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait([task])
        raise ConnectionError("the station has ended" + await self.last_words())

    def has_ended(self):
        """Whether the station has ended for another reason than a cut of its power."""
        return self.process.returncode is not None and not self.power_is_cut

    async def play(self):
        """A console on the terminal until its end or `quit`."""
        self.show = False
        if not sys.stdin.isatty():
            say("\nThe station stays until you stop this (Ctrl-C): %s" % self.live.url, "1")
            while not self.has_ended():
                await asyncio.sleep(0.5)
            return
        say("\nThe station's console is yours: try help, show, sim unplug; power off and power on;"
            " quit.\nThe page: %s" % self.live.url, "1")  # fmt: skip
        lines = asyncio.Queue()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self.pump, args=(loop, lines), daemon=True).start()
        prompt()
        while not self.has_ended():
            try:
                line = await asyncio.wait_for(lines.get(), 0.5)
            except asyncio.TimeoutError:
                continue  # it may have ended by what was done on the page
            words = line.decode(errors="replace").strip()
            if not words or words == "quit":
                return
            for text in await self.obeyed(words):
                say(text)
            if not self.has_ended():
                prompt()
        say("The station has ended." + await self.last_words())

    async def obeyed(self, line):
        """The reply to a line at the terminal: as the station's own, `ok` or the error last."""
        try:
            if line in ("power on", "power off"):
                await self.power(line == "power on")
                return ["ok"]
            lines, error = await self.type(line)
        except OSError as why:
            return ["error: %s" % str(why).split("\n")[0]]
        return [*lines, "ok" if error is None else "error: " + error]

    @staticmethod
    def pump(loop, lines):
        """Hands on what is typed, a line at a time; the terminal's own editing has made it one."""
        data, descriptor = b"x", sys.stdin.fileno()
        while data:
            try:
                data = os.read(descriptor, 4096)
            except OSError:
                data = b""
            for line in data.split(b"\n") if data else [b""]:
                if line.strip() or not data:
                    try:
                        loop.call_soon_threadsafe(lines.put_nowait, line)
                    except RuntimeError:  # the loop has ended
                        return

    async def run(self):
        url = await self.house.open()
        page = await self.live.open(self.port)
        say("Central system on %s, firmware on %s, %d times faster than real time."
            % (url, self.runtime, self.speed), "1")  # fmt: skip
        say("The live view: %s" % page, "1")
        with tempfile.TemporaryDirectory() as state:
            try:
                await self.start(url, state)
                stay = self.stay or sys.stdin.isatty()
                try:
                    await self.unless_it_ends(self.session())
                except (OSError, TimeoutError):
                    if not (stay and self.power_is_cut):
                        raise
                    say("\nThe power is cut, so the session ends here. What was charged is kept.")
                if stay:
                    await self.play()
                if self.process.returncode is None:
                    await self.console("quit")
                    await asyncio.wait_for(self.process.wait(), 10)
            finally:
                if self.process and self.process.returncode is None:
                    self.process.kill()
                    await self.process.wait()
                await self.live.close()
                await self.house.close()

    async def session(self):
        self.step("1. The station registers.")
        point = await self.house.point(BOX)
        await asyncio.wait_for(self.house.booted.wait(), 30)
        self.step("2. A car is plugged in and asks for energy; the station waits for a start.")
        await self.console("sim plug")
        await self.console("sim ready")
        await self.until("Preparing")
        self.step("3. The central system starts a transaction remotely.")
        await point.ask("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)
        await self.until("Charging")
        await self.progress(10)
        self.step("4. The central system stops it.")
        start = self.house.calls("StartTransaction")[-1]
        number = self.house.next_transaction - 1
        await point.ask("RemoteStopTransaction", transaction_id=number)
        stop = await self.house.heard_of("StopTransaction")
        await self.until("Finishing")
        await self.console("sim unplug")
        await self.until("Available")
        self.unfold()
        energy = stop["meterStop"] - start["meterStart"]
        say("\nCharged %.3f kWh, from %s to %s; %d messages, %d of them refused."
            % (energy / 1000, start["timestamp"], stop["timestamp"], len(self.house.messages),
               len(self.house.errors())), "1")  # fmt: skip
        if self.house.errors():
            raise SystemExit("the central system refused a message: %s" % self.house.errors())


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runtime", default="cpython", choices=RUNTIMES)
    parser.add_argument("--port", type=int, default=PORT, help="of the live view on localhost")
    parser.add_argument("--speed", type=int, default=SPEED, help="times real time")
    parser.add_argument("--stay", action="store_true", help="leave it running at the end")
    args = parser.parse_args()
    try:
        asyncio.run(Demo(args.runtime, args.port, args.stay, args.speed).run())
    except KeyboardInterrupt:
        say("\nended")
    except (FileNotFoundError, ConnectionError, TimeoutError) as why:
        sys.exit("demo: %s" % why)


if __name__ == "__main__":
    main()
