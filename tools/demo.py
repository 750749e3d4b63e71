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
import subprocess
import sys
import tempfile
import threading
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


def say(text="", colour=""):
    """Prints a line, in colour on a terminal."""
    print("\033[%sm%s\033[0m" % (colour, text) if COLOUR and colour else text, flush=True)


def brief(value, width=96):
    """JSON for reading: no quotes, cut."""
    text = json.dumps(value, separators=(", ", ": ")).strip("{}").replace('"', "")
    return text if len(text) <= width else text[: width - 3] + "..."


class Demo:
    """The two processes and what they say."""

    def __init__(self, runtime, port=PORT, stay=False, speed=SPEED):
        self.runtime = runtime
        self.port = port
        self.stay = stay
        self.speed = speed
        self.live = Live(self.type, self.send)
        self.typing = asyncio.Lock()
        self.asked = {}
        self.show = True
        self.house = House(interval=3600, watch=self.message)
        self.process = None
        self.behind = 0  # replies that are still to come
        self.errors = tempfile.TemporaryFile()  # what the station says there

    def message(self, box_id, way, message):
        """Prints an OCPP message, answers under the name of their call."""
        self.live.message(way, message)
        if not self.show or str(message[1]).startswith("live-"):
            return
        arrow = "station -> central" if way == "<" else "station <- central"
        if message[0] == 2:
            self.asked[message[1]] = message[2]
            say("  %s  %-22s %s" % (arrow, message[2], brief(message[3])), "36")
        else:
            name = self.asked.pop(message[1], "?")
            what = "error" if message[0] == 4 else "answer"
            body = message[2:4] if message[0] == 4 else message[2]
            say("  %s    %s to %s: %s" % (arrow, what, name, brief(body)), "2;36")

    async def start(self, url, state):
        python = {
            "cpython": lambda: [sys.executable, "main.py"],
            "micropython": lambda: [*runtimes.command(64), "-m", "main"],
            "micropython32": lambda: [*runtimes.command(32), "-m", "main"],
        }[self.runtime]()
        runtimes.compile_mpy()
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
            stderr=self.errors,
        )

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
            self.behind += 1
            reply = []
            with contextlib.suppress(ConnectionError):  # what it said at last is still to be read
                self.process.stdin.write((line + "\n").encode())
                await self.process.stdin.drain()
            while True:
                text = (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode()
                if not text:
                    raise ConnectionError("the station has ended" + self.last_words())
                text = text.rstrip()
                if text != "ok" and not text.startswith("error:"):
                    reply.append(text)
                    continue
                self.behind -= 1
                if not self.behind:  # else it answers what was given up waiting for
                    return reply, None if text == "ok" else text[7:]
                reply = []

    def last_words(self):
        """What a station that has ended wrote to stderr at last."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").rstrip().split("\n")[-12:]
        return "\n" + "\n".join(lines) if any(lines) else ""

    async def console(self, line):
        """Types one command; returns the reply's lines, an error among them."""
        lines, error = await self.type(line)
        return lines if error is None else [*lines, "error: " + error]

    async def progress(self, seconds):
        """Shows the session, a line a second of the demo."""
        for _ in range(seconds):
            state = json.loads((await self.console("status"))[0])
            running = state["transaction"] or {}
            minute = running.get("energy_wh", 0)
            bar = "#" * min(20, state["power_w"] // 1100)
            say(
                "%-12s offered %4.1f A  %6.2f kW %-20s %7.3f kWh"
                % (state["status"], state["offered_ma"] / 1000, state["power_w"] / 1000, bar,
                   minute / 1000),
                "32",
            )  # fmt: skip
            await asyncio.sleep(1)

    async def until(self, status, timeout=30):
        async def look():
            while json.loads((await self.console("status"))[0])["status"] != status:
                await asyncio.sleep(0.1)

        await asyncio.wait_for(look(), timeout)

    async def play(self):
        """A console on the terminal until its end or `quit`."""
        self.show = False
        if not sys.stdin.isatty():
            say("\nThe station stays until you stop this (Ctrl-C): %s" % self.live.url, "1")
            await self.process.wait()
            return
        say("\nThe station's console is yours: try help, status, sim unplug, quit. The page: %s"
            % self.live.url, "1")  # fmt: skip
        lines = asyncio.Queue()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self.pump, args=(loop, lines), daemon=True).start()
        ended = asyncio.ensure_future(self.process.wait())
        while not ended.done():
            line = asyncio.ensure_future(lines.get())
            await asyncio.wait((line, ended), return_when=asyncio.FIRST_COMPLETED)
            if not line.done():  # sim power off, here or on the page
                line.cancel()
                break
            if not line.result() or line.result().strip() == b"quit":
                ended.cancel()
                return
            try:
                for text in await self.console(line.result().decode(errors="replace").strip()):
                    say(text)
            except OSError:  # as above
                break
        say("The station has ended.")

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
                await self.session()
                if self.stay or sys.stdin.isatty():
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
        say("\n1. The station registers.", "1")
        point = await self.house.point(BOX)
        await asyncio.wait_for(self.house.booted.wait(), 30)
        say("\n2. A car is plugged in and asks for energy; the station waits for a start.", "1")
        await self.console("sim plug")
        await self.console("sim ready")
        await self.until("Preparing")
        say("\n3. The central system starts a transaction remotely.", "1")
        await point.ask("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)
        await self.until("Charging")
        await self.progress(10)
        say("\n4. The central system stops it.", "1")
        start = self.house.calls("StartTransaction")[-1]
        number = self.house.next_transaction - 1
        await point.ask("RemoteStopTransaction", transaction_id=number)
        stop = await self.house.heard_of("StopTransaction")
        await self.until("Finishing")
        await self.console("sim unplug")
        await self.until("Available")
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
    except ConnectionError as why:
        sys.exit("demo: %s" % why)


if __name__ == "__main__":
    main()
