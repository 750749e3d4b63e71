"""How long the event loop, and with it the control loop, is held by each thing that happens while
a car charges.

    python -m tools.bench.stops [--runs 5] [--files] [--heap 192k] [--only WORD]

A station charges in real time and is asked for one thing after the other; tools/bench/
stops_station.py runs in it and times each step of each task, in reference milliseconds
(tools/bench/reference.py), which are about a device's. Of each thing the longest step is told, of
each task the least of the runs, and whose it was: computed, and then with the flash's cost charged
to it as time. A PC makes single steps longer, hence the least; the worst is beside it, in which
what does not come each time is too. A collection of the garbage counts in none of them: it has a
row of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from ocpp.exceptions import GenericError, OCPPError

from tools import frozen, runtimes
from tools.bench.live import PROFILES, Shelf, Station, a_profile
from tools.bench.reaction import coroutines

LIMIT = 20  # reference ms that one step may compute
LIMIT_WITH_FLASH = 100
ALIKE = 5  # things that are done one after the other are compared, where they are many
# Garbage is collected between the steps, when 64 KB are left: enough for any step.
FROZEN_HEAP = "192k"
FILES_HEAP = "4m"
SAMPLE_S = 2
KEYS = {
    "MeterValueSampleInterval": "2",
    "ClockAlignedDataInterval": "0",
    "StopTxnSampledData": "Energy.Active.Import.Register,Current.Import",
    "MessageTimeout": "2",
}
TRIGGERED = ("BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification")
TRIGGERED += ("Heartbeat", "MeterValues", "StatusNotification")
COMMANDS = ("help", "status", "config", "config HeartbeatInterval", "config HeartbeatInterval 60")
COMMANDS += ("selftest", "faults", "queue", "profiles", "meter", "tic", "transfers", "log")


class Row:
    """What was measured of one thing: of each run the longest step of each task, in ms."""

    def __init__(self, title: str):
        self.title = title
        self.computed: list[dict[str, float]] = []
        self.charged: list[dict[str, float]] = []

    def add(self, words) -> None:
        """The answer to `held` after one run."""
        cells = [word.split("=") for word in words]
        self.computed.append({name: int(least) / 10 for name, least, _ in cells})
        self.charged.append({name: int(most) / 10 for name, _, most in cells})

    def longest(self, runs) -> tuple[float, str]:
        """(ms, whose): the longest step of all tasks, of each the least of runs that follow on
        each other; what the machine does besides makes single ones longer."""
        found = (0.0, "-")
        size = min(len(runs), ALIKE)
        for first in range(len(runs) - size + 1):
            some = runs[first : first + size]
            for name in some[0]:
                found = max(found, (min(run.get(name, 0.0) for run in some), name))
        return found

    def show(self, known) -> None:
        """Prints it."""
        cells = []
        for runs, limit in ((self.computed, LIMIT), (self.charged, LIMIT_WITH_FLASH)):
            least, name = self.longest(runs)
            worst = max([ms for run in runs for ms in run.values()], default=0.0)
            name = " or ".join(known.get(name, [name]))
            mark = "!" if least > limit else " "
            cells.append(f"{least:6.1f}{mark} {worst:6.1f}  {name[:34]:34}")
        print(f"{self.title[:46]:46} " + " ".join(cells), flush=True)


class Measurement:
    """A station, and what is done with it."""

    def __init__(self, station, runs: int, only: str):
        self.station = station
        self.house = station.house
        self.runs = runs
        self.only = only
        self.known = coroutines()
        self.point = None

    async def measure(self, title: str, *steps, after_s: float = 0.2, runs: int = 0) -> None:
        """`steps` are coroutine functions: one for each run, or one that is repeated, `runs` times
        or as often as asked for. What goes on for `after_s` seconds after each belongs to it."""
        if self.only and self.only not in title:
            for step in steps:
                await step()
            return
        row = Row(title)
        for step in steps if len(steps) > 1 else steps * (runs or self.runs):
            await self.station.question("clear")
            await step()
            await asyncio.sleep(after_s)
            _, *words = (await self.station.question("held")).split()
            row.add(words)
        row.show(self.known)

    def call(self, action: str, **request):
        """A call of the central system."""

        async def step():
            try:
                await self.point.ask(action, **request)
            except OCPPError:
                pass  # a refusal is measured like an answer

        return step

    def command(self, line: str):
        """A console command; one that fails is measured like the others."""

        async def step():
            try:
                await self.station.ask(line)
            except RuntimeError as why:
                if "error: " not in str(why):
                    raise

        return step

    def raw(self, text: str):
        """A message as it is."""

        async def step():
            await self.point._connection.socket.send(text)

        return step

    async def start(self) -> None:
        """A transaction starts and the car charges."""
        count = len(self.house.calls("StartTransaction"))
        await self.call("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)()
        await self.house.heard_of("StartTransaction", count=count + 1)
        await self.station.until(status="Charging")

    async def started(self) -> None:
        """The same without the console's `status`, which takes its time."""
        count = len(self.house.calls("StartTransaction"))
        await self.call("RemoteStartTransaction", id_tag="DRIVER-1", connector_id=1)()
        await self.house.heard_of("StartTransaction", count=count + 1)
        await asyncio.sleep(3)

    async def stopped(self) -> None:
        """It is stopped by the central system."""
        count = len(self.house.calls("StopTransaction"))
        status = json.loads((await self.station.ask("status"))[0])
        await self.station.question("clear")
        await self.call("RemoteStopTransaction", transaction_id=status["transaction"]["id"])()
        await self.house.heard_of("StopTransaction", count=count + 1)

    async def everything(self) -> None:
        """The table."""
        station = self.station
        self.point = await self.house.point("BOX")
        await station.until(registration="Accepted", link="online")
        await station.ask("sim plug")
        await station.ask("sim ready")
        await station.until(status="Preparing")
        await self.start()
        await self.alone()
        await self.calls()
        await self.console()
        await self.many_profiles()
        await self.starts_and_stops()
        await self.diagnostics()
        await self.full_core()
        broken = [
            error for error in self.house.errors() if "later" not in error
        ]  # our own refusal
        if broken:
            raise SystemExit(f"a message broke a schema: {broken[:1]}")

    async def alone(self) -> None:
        """What happens by itself."""

        async def wait():
            await asyncio.sleep(1)

        async def sample():
            await self.house.heard_of(
                "MeterValues", count=len(self.house.calls("MeterValues")) + 1
            )

        async def collect():
            times.append(int((await self.station.question("collect")).split()[1]) / 10)

        await self.measure("charging, nothing else for a second", wait, after_s=0)
        await self.measure("a periodic sample, written and sent", sample)
        times: list[float] = []
        await asyncio.gather(*[collect() for _ in range(1)])
        await collect()
        print(f"{'a garbage collection':46} {times[-1]:6.1f}", flush=True)
        await self.station.ask("sim tic standard")
        await asyncio.sleep(12)
        await self.measure("TIC frames, standard mode, for 2 seconds", wait, after_s=1)

    async def calls(self) -> None:
        """The guide's calls, small and large."""
        measure, call = self.measure, self.call
        await measure("GetConfiguration of one key", call("GetConfiguration", key=["TICmode"]))
        await measure("GetConfiguration of all", call("GetConfiguration"))
        names = [f"NoKey{n:03}" for n in range(100)]
        await measure("GetConfiguration of 100 unknown", call("GetConfiguration", key=names))
        change = {"key": "HeartbeatInterval", "value": "60"}
        await measure("ChangeConfiguration", call("ChangeConfiguration", **change))
        change = {"key": "StopTxnAlignedData", "value": "Voltage,Frequency"}
        await measure("ChangeConfiguration, measurands", call("ChangeConfiguration", **change))
        await measure("SetChargingProfile of 1 period", call("SetChargingProfile", **a_profile(1)))
        await measure("SetChargingProfile of 100", call("SetChargingProfile", **a_profile(100)))
        day = {"connector_id": 1, "duration": 86400}
        await measure("GetCompositeSchedule of a day", call("GetCompositeSchedule", **day))
        await measure("ClearChargingProfile of all", call("ClearChargingProfile"))
        for message in TRIGGERED:
            trigger = call("TriggerMessage", requested_message=message)
            await measure(f"TriggerMessage {message}", trigger, after_s=0.5)
        booking = {"connector_id": 1, "expiry_date": "2036-01-01T00:00:00Z"}
        booking |= {"id_tag": "DRIVER-2", "reservation_id": 7}
        await measure("ReserveNow", call("ReserveNow", **booking))
        await measure("CancelReservation", call("CancelReservation", reservation_id=7))
        await measure("DataTransfer", call("DataTransfer", vendor_id="x", data="y" * 3000))
        await measure("RemoteStart, refused", call("RemoteStartTransaction", id_tag="X"))
        await measure("RemoteStop, refused", call("RemoteStopTransaction", transaction_id=-5))
        late = json.dumps([3, "late-1", {"currentTime": "2026-01-01T00:00:00Z"}])
        await measure("a late answer", self.raw(late))
        late = json.dumps([3, "late-2", {"data": [{"a": "b" * 20} for _ in range(200)]}])
        await measure("a late answer of 6 KB", self.raw(late))
        await measure("no JSON, 6 KB", self.raw('[2,"x","GetConfiguration",{' + "x" * 6000))
        large = [{"idTag": f"TAG-{n}"} for n in range(250)]
        large = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": large}
        text = json.dumps([2, "list", "SendLocalList", large])
        await measure("SendLocalList of 250 (not supported)", self.raw(text))

        async def slow():
            trouble = self.house.trouble
            count = len(self.house.calls("MeterValues"))
            self.house.trouble = refuse
            await self.house.heard_of("MeterValues", count=count + 1)
            self.house.trouble = trouble

        def refuse(action):
            raise GenericError("later")

        await measure("MeterValues refused, and sent again", slow, after_s=2)

    async def console(self) -> None:
        """The console's commands."""
        for line in COMMANDS:
            await self.measure(f"console: {line}", self.command(line))

    async def many_profiles(self) -> None:
        """All that can be installed."""

        def install(n):
            return self.call("SetChargingProfile", **a_profile(100, n))

        installs = [install(n) for n in range(PROFILES)]
        await self.measure(f"SetChargingProfile of 100, {PROFILES} times", *installs, after_s=0)
        day = {"connector_id": 1, "duration": 86400}
        composite = self.call("GetCompositeSchedule", **day)
        await self.measure(f"GetCompositeSchedule with {PROFILES}", composite)
        watts = self.call("GetCompositeSchedule", charging_rate_unit="W", **day)
        await self.measure(f"GetCompositeSchedule with {PROFILES}, W", watts)
        await self.measure("console: profiles, all of them", self.command("profiles"))
        sample = self.call("TriggerMessage", requested_message="MeterValues")
        await self.measure(f"TriggerMessage MeterValues with {PROFILES}", sample, after_s=0.5)
        title = f"ClearChargingProfile of {PROFILES}, once"
        await self.measure(title, self.call("ClearChargingProfile"), runs=1)

    async def diagnostics(self) -> None:
        """Diagnostics over HTTP. An update is no part of it: files are written between
        transactions."""
        async with Shelf(self.station.bundle) as shelf:

            async def upload():
                said = len(self.house.calls("DiagnosticsStatusNotification"))
                await self.call("GetDiagnostics", location=shelf.url)()
                await self.house.heard_of("DiagnosticsStatusNotification", count=said + 2)

            await self.measure("GetDiagnostics", upload, upload)

    async def full_core(self) -> None:
        """What FeatureSet `full` adds; the station registers anew for it."""
        count = len(self.house.calls("BootNotification"))
        await self.station.ask("config FeatureSet full")
        await self.house.heard_of("BootNotification", count=count + 1)
        await self.station.until(registration="Accepted", link="online")
        self.point = await self.house.point("BOX")
        info = {"status": "Accepted", "parentIdTag": "FAMILY-OF-TWENTY-CHR"}
        info["expiryDate"] = "2099-01-01T00:00:00Z"
        tags = [{"idTag": f"CARD-{n * 7 % 500:015}", "idTagInfo": info} for n in range(500)]
        version = 0

        def send(update_type, first):
            nonlocal version
            version += 1
            return self.call(
                "SendLocalList",
                list_version=version,
                update_type=update_type,
                local_authorization_list=tags[first : first + 200],
            )

        await self.measure("SendLocalList of 200, Full", *[send("Full", 0) for _ in range(2)])
        more = [send("Differential", first) for first in (200, 300, 0, 100)]
        await self.measure("SendLocalList of 200, Differential", *more)
        await self.measure("GetLocalListVersion", self.call("GetLocalListVersion"))
        await self.measure("console: list, all of it", self.command("list"))
        visitors = [self.command(f"authorize VISITOR-{n:012}") for n in range(80)]
        await self.measure("an idTag is authorized, 80 times", *visitors)
        await self.measure("console: cache, all of it", self.command("cache"))
        for kind in ("Inoperative", "Operative"):
            change = self.call("ChangeAvailability", connector_id=0, type=kind)
            await self.measure(f"ChangeAvailability, {kind}", change)
        await self.measure("ClearCache", self.call("ClearCache"))

    async def starts_and_stops(self) -> None:
        """A transaction stops, with its transactionData, and another one starts."""
        stops = Row("a transaction stops, with transactionData")
        starts = Row("a transaction starts")
        for _ in range(self.runs):
            await asyncio.sleep(3 * SAMPLE_S)
            await self.station.question("clear")
            await self.stopped()
            await asyncio.sleep(0.5)
            stops.add((await self.station.question("held")).split()[1:])
            await self.station.ask("sim unplug")
            await self.station.until(status="Available")
            await self.station.ask("sim plug")
            await self.station.ask("sim ready")
            await self.station.until(status="Preparing")
            await self.station.question("clear")
            await self.started()
            starts.add((await self.station.question("held")).split()[1:])
        stops.show(self.known)
        starts.show(self.known)


async def main(words) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--heap", help=f"the station's; {FROZEN_HEAP} or {FILES_HEAP}")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", action="store_true", help=".mpy files in the place of frozen")
    parser.add_argument("--only", default="", help="things whose title has this in it")
    options = parser.parse_args(words)
    is_frozen = not options.files
    if is_frozen and frozen.why_missing():
        print(frozen.why_missing())
        return 1
    if not is_frozen:
        for refusal in runtimes.compile_mpy().values():
            print(f"not compiled: {refusal}")
    heap = options.heap or (FROZEN_HEAP if is_frozen else FILES_HEAP)
    build = "frozen" if is_frozen else ".mpy files"
    title = f"longest step, reference ms; {build}, {heap}"
    print(f"\n{title:46} {'least':>6}  {'worst':>6}  {'computed, in':34} ", end="")
    print(f"{'least':>6}  {'worst':>6}  with the flash, in")
    keys = [word for name, value in KEYS.items() for word in ("--key", f"{name}={value}")]
    async with Station(is_frozen, heap, "1", keys, "tools.bench.stops_station") as station:
        try:
            await Measurement(station, options.runs, options.only).everything()
        except Exception:
            print(station.log.read_text()[-3000:])
            raise
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
