"""Fuzzing: decoders by coverage, on every Python; whole stations over a socket. `make fuzz` and a
few fixed seeds in the tests drive it.

Everything follows from a seed: `Decoders` finds inputs that reach new code, `Siege` besieges a
station that charges, as its central system, its network and its console at once.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import json
import traceback

from host_tests.both.fuzz_inputs import Random
from host_tests.ocpp.ocpp_messages import (
    as_received,
    validator,
)
from host_tests.proof.disturbances import DISTURBANCES
from host_tests.proof.fuzz_decoders import Found, Missing
from host_tests.proof.fuzz_messages import Messages, model, readable
from host_tests.proof.hostile import Hostile, framed
from host_tests.station import Rig

# What may rightly end the charge, move the station or make it another one.
DISTURBS = {"Reset", "RemoteStopTransaction", "UnlockConnector", "SetChargingProfile"}
DISTURBS |= {"ChangeConfiguration", "UpdateFirmware", "GetDiagnostics"}


def _parts():
    """How many objects of each of the firmware's classes there are, and tasks."""
    gc.collect()
    counts = collections.Counter(
        type(one).__qualname__
        for one in gc.get_objects()
        if str(type(one).__module__).startswith("firmware.")
    )
    codes = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
    counts["task"] = len([code for code in codes if code and "firmware" in code.co_filename])
    return counts


_PINNED = 3 * 2080  # bytes


class Siege:
    """`async with Siege(runtime, folder, seed) as siege: await siege.step()`, a step being one
    way to be hostile; `await siege.check()` in between: the oracle. In virtual time."""

    def __init__(self, runtime, folder, seed, heap=None):
        self.runtime = runtime
        self.folder = folder
        self.heap = heap
        self.random = Random(seed)
        self.seed = seed
        self.messages = Messages(self.random)
        self.steps = 0
        self.sent = 0
        self.did = []  # names of the last steps
        self.last = b""  # message to the station
        self.typed = ""  # line at its console
        self.parts = {}

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.peer = Hostile(lambda: 1800000000 + loop.time())
        url = await self.peer.listen()
        words = ("--supervision-url", url)
        self.rig = Rig(self.runtime, self.folder, *words, house=False, box="FUZZ", heap=self.heap)
        await self.rig.__aenter__()
        await self.rig.until(registration="Accepted", link="online")
        await self.charge()
        await self._usual()
        for line in ("config", "queue", "profiles", "meter", "faults", "log", "help"):
            await self.rig.ask(line)
        self.peer.drop()
        await self.online()
        self.energy = (await self.rig.status())["energy_wh"]
        self.free = (await self.settled())["heap_free"]
        self.parts = _parts() if self.rig.inside else {}
        self.keys = sorted(await self.rig.console("config"))
        return self

    async def __aexit__(self, kind, error, trace):
        try:
            await self.rig.__aexit__(kind, error, trace)
        finally:
            await self.peer.close()

    def fail(self, why):
        raise Found(
            f"{self.runtime}, seed {self.seed}, step {self.steps} "
            f"({', '.join(self.did[-4:])}): {why}\n"
            f"  the last message before: {self.last!r}\n"
            f"  the last line typed before: {self.typed!r}\n"
            f"  again: tools/fuzz.py --runtime {self.runtime} --only station --seed {self.seed} "
            f"--steps {self.steps}"
        )

    def fail_by(self, error):
        """A finding, made of whatever was raised on the way."""
        where = traceback.extract_tb(error.__traceback__)
        ours = [at for at in where if at.filename == __file__ and at.name not in ("siege", "step")]
        at = (ours or where)[-1]
        self.fail(f"{type(error).__name__} {error} in {at.name}, {at.line}")

    async def charge(self):
        """A car that charges, from wherever we are."""
        rig, peer = self.rig, self.peer
        status = await rig.status()
        if status["status"] != "Charging":
            await rig.console("sim unplug")
            await rig.until(plugged=False, timeout=90)
            await rig.until(status="Available", timeout=90)
            for line in ("sim plug", "sim ready"):
                await rig.console(line)
            await rig.until(status="Preparing")
            await self.ask("RemoteStartTransaction", {"idTag": "DRIVER-1", "connectorId": 1})
            await rig.until(status="Charging", timeout=90)
        await rig.until(queue=0)
        self.messages.transaction = (await rig.status())["transaction"]["id"]
        self.started = len(peer.transactions)

    async def ask(self, action, payload):
        """A valid call; its answer's payload."""
        self.messages.count += 1
        uid = "a-%d" % self.messages.count
        self.peer.write(framed(json.dumps([2, uid, action, payload]).encode()))
        await self.answered([uid])
        answer = self.peer.answers[uid][0]
        if answer[0] != 3:
            self.fail(f"{action} {payload}: {answer}")
        return answer[2]

    async def answered(self, uids, seconds=60):
        peer = self.peer
        try:
            await peer.until(lambda: all(uid in peer.answers for uid in uids), "answers", seconds)
        except Missing:
            missing = [uid for uid in uids if uid not in peer.answers]
            self.fail(f"no answer to {missing[:5]}; the link is open: {peer.open.is_set()}")

    async def _usual(self):
        """What a central system asks for: all that is loaded or grows at its first use."""
        schedule = {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 30.5}],
        }
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": schedule,
        }
        when = "2027-01-01T00:00:00Z"
        reservation = {"connectorId": 1, "expiryDate": when, "idTag": "A", "reservationId": 1}
        for action, payload in (
            ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile}),
            ("GetCompositeSchedule", {"connectorId": 1, "duration": 60}),
            ("ClearChargingProfile", {}),
            ("ReserveNow", reservation),
            ("CancelReservation", {"reservationId": 2}),
            ("RemoteStartTransaction", {"idTag": "A"}),
            ("RemoteStopTransaction", {"transactionId": -7}),
            ("UnlockConnector", {"connectorId": 2}),
            ("DataTransfer", {"vendorId": "v"}),
            ("ChangeConfiguration", {"key": "CpoName", "value": ""}),
        ):
            await self.ask(action, payload)
        for message in "Heartbeat StatusNotification MeterValues BootNotification".split():
            await self.ask("TriggerMessage", {"requestedMessage": message})
        await self._fill()

    async def _fill(self):
        """What is filled once stays so: the log's ring."""
        for number in range(60):
            self.peer.write(framed(b"[2, fill %02d" % number))
        await self.ask("GetConfiguration", {})

    async def settled(self):
        """The status once nothing is under way."""
        await self._fill()
        for _ in range(100 if self.parts else 0):  # what nobody answered waits its time out
            if _parts()["task"] <= self.parts["task"]:
                break
            await asyncio.sleep(10)
        await self.rig.until(queue=0, timeout=600)
        best = None
        for _ in range(4):
            await asyncio.sleep(0.2)
            status = await self.rig.status()
            if best is None or status["heap_free"] > best["heap_free"]:
                best = status
        return best

    async def _lost(self, status):
        """Bytes of the heap that are not back. Fails where that is more than names take that were
        seen for the first time, and what MicroPython's collector takes for a pointer: the latter
        is shaken off by doing something else for a while. The tasks of a connection keep some
        blocks of 2 KB so, three at most, as long as it stands: then it is cut."""
        allowed = 5000 if self.runtime == "micropython" else 2500
        for turn in range(8):
            lost = self.free - status["heap_free"]
            more = self._more_parts()
            if lost <= allowed and not more:
                return lost
            if turn == 4 and lost <= allowed + _PINNED:
                self.peer.drop()
                await self.online()
            await self._usual()
            status = await self.settled()
        if more:
            self.fail(f"more of the firmware's objects than before: {more}")
        self.fail(f"{lost} bytes of the heap are gone")

    def _more_parts(self):
        """How many more of the firmware's objects there are than before, by class (CPython)."""
        if not self.rig.inside:
            return {}
        parts = _parts()
        more = {name: parts[name] - self.parts.get(name, 0) for name in parts}
        return {name: count for name, count in more.items() if count > 0}

    # the steps

    async def step(self):
        """One hostile thing, and what has to come of it."""
        ways = ["calls"] * 8 + ["flood", "pieces", "pings", "console", "answers", "triggers"]
        ways += ["cut", "noise"]
        ways += ["silent", "half_open", "stalled", "dribble"]
        name = self.random.pick(ways)
        self.steps += 1
        self.did.append(name)
        self.typed = ""
        if name in DISTURBANCES:
            await DISTURBANCES[name](self)
        else:
            await getattr(self, "_" + name)()
        if not self.peer.open.is_set():
            await self.online()
        if self.peer.wrong:
            self.fail(f"the station said {self.peer.wrong[0]}")

    async def online(self):
        try:
            await asyncio.wait_for(self.peer.open.wait(), 400)
            await self.rig.until(link="online", registration="Accepted")
        except (AssertionError, TimeoutError) as why:
            self.fail(f"it does not come back: {why}")

    def frame(self):
        """(bytes, model's verdict) of a message that does not rightly end the charge."""
        while True:
            data = self.messages.frame()
            verdict = model(data)
            if verdict[0] == "frame":
                action = json.loads(data)[2]
                if action in DISTURBS and not self._harmless(json.loads(data)):
                    continue
            if len(data) <= 8192:
                return data, verdict

    def _harmless(self, message):
        _, _, action, payload = message
        if action == "RemoteStopTransaction":
            return payload["transactionId"] != self.messages.transaction
        if action == "UnlockConnector":
            return payload["connectorId"] != 1
        if action == "SetChargingProfile":
            profile = payload["csChargingProfiles"]
            periods = profile["chargingSchedule"]["chargingSchedulePeriod"]
            watts = profile["chargingSchedule"]["chargingRateUnit"] == "W"
            return all(period["limit"] >= (7400 if watts else 16) for period in periods)
        if action == "ChangeConfiguration":
            return payload["key"] in ("MeterValuesSampledData", "CpoName", "StopTxnSampledData")
        return False

    async def _say(self, data, verdict, way=None):
        """Sends a message; holds the answer against the model."""
        kind, uid, codes = verdict
        before = len(self.peer.answers.get(uid, ()))
        self.last = data
        self.peer.write(way or framed(data))
        self.peer.release()
        self.sent += 1
        if readable(data) is None:
            return await self._closed(data)
        if kind in ("answer", "broken"):
            return None
        await self.answered([uid]) if not before else await asyncio.sleep(0.1)
        self.judge(data, verdict, self.peer.answers[uid][before:])

    async def _closed(self, data):
        """A message that is no UTF-8 ends the connection (RFC 6455, 8.1)."""
        await self.peer.until(
            lambda: not self.peer.open.is_set(), "the end of the connection, for what is no UTF-8"
        )

    def judge(self, data, verdict, answers):
        kind, uid, codes = verdict
        if len(answers) != 1:
            self.fail(f"{len(answers)} answers to {data!r}: {answers}")
        answer = answers[0]
        if kind == "refused":
            if answer[0] != 4 or answer[2] not in codes:
                self.fail(f"{answer}, not {codes}, to {data!r}")
        elif answer[0] == 3:
            action = json.loads(data)[2]
            for error in validator(action, "conf").iter_errors(as_received(answer[2])):
                self.fail(f"{answer}: {error.message}, to {data!r}")
        elif answer[2] not in ("PropertyConstraintViolation", "OccurenceConstraintViolation"):
            self.fail(f"{answer} to {data!r}")

    async def _calls(self):
        for _ in range(1 + self.random.below(12)):
            await self._say(*self.frame())
            if not self.peer.open.is_set():
                return

    async def _flood(self):
        """Many at once, whoever is to wait for the answers."""
        many = []
        while len(many) < 5 + self.random.below(40):
            data, verdict = self.frame()
            if readable(data) is not None and verdict[1] not in self.peer.answers:
                many.append((data, verdict))
        self.peer.write(b"".join(framed(data) for data, _ in many))
        self.sent += len(many)
        wanted = {verdict[1] for _, verdict in many if verdict[1] is not None}
        await self.answered(wanted, 120)
        await asyncio.sleep(0.2)
        for data, verdict in many:
            if verdict[1] is None or len([v for _, v in many if v[1] == verdict[1]]) > 1:
                continue
            answers = self.peer.answers[verdict[1]]
            if answers[0][0] == 4 and answers[0][2] == "GenericError":
                continue  # one after the other, please (OCPP-J 4.1.1)
            self.judge(data, verdict, answers)

    async def _triggers(self):
        await self.triggers(5 + self.random.below(60))

    async def triggers(self, count: int):
        """The station is asked to talk more than it can; returns its answers."""
        wanted = "Heartbeat StatusNotification MeterValues BootNotification".split()
        uids = []
        for number in range(count):
            self.messages.count += 1
            uids.append("t-%d" % self.messages.count)
            message = [2, uids[-1], "TriggerMessage", {"requestedMessage": wanted[number % 4]}]
            self.peer.write(framed(json.dumps(message).encode()))
        await self.answered(uids)
        answers = [self.peer.answers[uid] for uid in uids]
        for one in answers:
            if len(one) != 1 or one[0][2] not in ({"status": "Accepted"}, {"status": "Rejected"}):
                self.fail(f"{one} to a TriggerMessage")
        return [one[0][2]["status"] for one in answers]

    async def _pieces(self):
        """A message in fragments, with pings in between, or byte by byte."""
        data, verdict = self.frame()
        cuts = sorted(self.random.below(len(data) + 1) for _ in range(self.random.below(6)))
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
        way = b""
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            way += framed(part, 0 if number else 1, last)
            if not last and self.random.below(2):
                way += framed(b"x" * self.random.below(126), 9)
        if self.random.below(2):
            return await self._say(data, verdict, way)
        at = min(300, len(way) - 1)
        await self.peer.dribble(way[:at])
        await self._say(data, verdict, way[at:])

    async def _pings(self):
        before = self.peer.pongs
        count = 1 + self.random.below(60)
        self.peer.write(b"".join(framed(b"p" * self.random.below(126), 9) for _ in range(count)))
        await self.peer.until(lambda: self.peer.pongs - before >= count, f"{count} pongs")
        await asyncio.sleep(0)
        if self.peer.pongs - before != count:
            self.fail(f"{self.peer.pongs - before} pongs to {count} pings")

    # the oracle

    async def check(self):
        """Online, charging, and with the memory that it had."""
        await self.online()
        await self.ask("ClearChargingProfile", {})
        for name, value in (("CpoName", ""), ("MeterValuesSampledData", "Voltage")):
            await self.ask("ChangeConfiguration", {"key": name, "value": value})
        await self.ask("ChangeConfiguration", {"key": "StopTxnSampledData", "value": ""})
        status = await self.settled()
        wanted = {"status": "Charging", "contactor": "closed", "link": "online", "safe": False}
        wanted |= {"registration": "Accepted", "queue": 0, "error": "NoError"}
        for name, value in wanted.items():
            if status[name] != value:
                self.fail(f"{name} is {status[name]}, not {value}: {status}")
        if status["transaction"]["id"] != self.messages.transaction:
            self.fail(f"another transaction: {status}")
        for _ in range(100):
            if status["energy_wh"] > self.energy:
                break
            await self.rig.sleep(10)
            status = await self.rig.status()
        else:
            self.fail(f"no energy flows: {status}")
        self.energy = status["energy_wh"]
        lost = await self._lost(status)
        log = self.rig.log() if self.rig.process else "\n".join(await self.rig.console("log"))
        if "Traceback" in log:
            self.fail(log[log.index("Traceback") - 200 :][:3000])
        if self.peer.wrong:
            self.fail(f"the station said {self.peer.wrong[0]}")
        return lost


async def siege(runtime, folder, seed, steps, heap=None, watch=None):
    """So many steps of one seed, with a look at the station every tenth; ends early when
    `watch(station, bytes of the heap that are not back)` says so. Returns the messages sent."""
    async with Siege(runtime, folder, seed, heap) as station:
        try:
            for number in range(steps):
                await station.step()
                if number % 10 == 9 or number == steps - 1:
                    lost = await station.check()
                    if watch and watch(station, lost):
                        break
        except Found:
            raise
        except Exception as error:  # whatever it is: a finding, or the tool's own mistake
            station.fail_by(error)
        return station.sent
