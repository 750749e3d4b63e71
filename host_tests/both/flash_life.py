"""A scripted life of a station's storage, and what must hold wherever its power is cut.

`Life.run` plays the whole script once on a flash that keeps its history, with notes of what was
promised at which step of the flash. `trial` then takes the flash as it was at any one step, half
done, boots from it, delivers everything and compares with what had been promised. Each event's
register value is its identity: it only ever goes up.
"""

import asyncio
import json

from firmware.base import times
from firmware.base.journal import Journal
from firmware.base.store import Store
from firmware.metering import measurands
from firmware.ocpp import schemas
from firmware.smart_charging.profile import periods
from firmware.smart_charging.profile_files import ProfileFiles
from firmware.smart_charging.store import ProfileStore
from firmware.transactions.transactions import Transactions
from host_tests.both.logs import Log
from host_tests.both.profile_records import pack_record

A, B = 0xA1B2C3D4, 0x0B0B0B0B  # two central systems
EPOCH = 1800000000
BUILD = 1790000000
MASK = measurands.parse("Voltage,Power.Active.Import,Energy.Active.Import.Register,Frequency")
ENERGY = measurands.ENERGY
SEAL = 700  # small segments, so that there is much to tidy


class Clock:
    def __init__(self, real):
        self.real = real  # milliseconds of the world
        self.born = real[0]
        self.is_set = False

    def number_boot(self, number):
        return number

    def ms(self):
        return self.real[0] - self.born

    def epoch(self):
        return self.epoch_at(self.ms())

    def epoch_at(self, ms):
        return EPOCH + (self.born + ms) // 1000 if self.is_set else None

    def fraction_at(self, ms):
        return 0


def bare(value):
    """Without timestamps."""
    if isinstance(value, dict):
        return {key: bare(value[key]) for key in value if key != "timestamp"}
    return [bare(item) for item in value] if isinstance(value, list) else value


def canonical(value):
    """Text that is the same for the same value on every Python."""
    if isinstance(value, dict):
        return "{%s}" % ",".join('"%s":%s' % (k, canonical(value[k])) for k in sorted(value))
    if isinstance(value, list):
        return "[%s]" % ",".join(canonical(item) for item in value)
    return json.dumps(value)


def register(action, payload):
    """The event's register value, in Wh."""
    if action == "StartTransaction":
        return payload["meterStart"]
    if action == "StopTransaction":
        return payload["meterStop"]
    for item in payload["meterValue"][0]["sampledValue"]:
        if item["measurand"] == "Energy.Active.Import.Register":
            return int(item["value"])


class Central:
    """Central systems that remember all. `refused`: (action, register) that they never take."""

    def __init__(self):
        self.seen = []  # (step, endpoint, action, payload, answered with CALLERROR)
        self.refuse = set()

    def refuses(self, message):
        return (
            message.action,
            register(message.action, asyncio.run(message.payload())),
        ) in self.refuse

    def receive(self, step, endpoint, message):
        payload = asyncio.run(message.payload())
        refused = self.refuses(message)
        self.seen.append((step, endpoint, message.action, canonical(payload), refused))
        if refused:
            return None
        if message.action == "StartTransaction":
            # a repeated one is known by its figures; 0 and negative ids are ordinary
            return {"transactionId": payload["meterStart"] % 7 - 3, "idTagInfo": {}}
        return {}


class Station:
    """What boots from the flash."""

    def __init__(self, files, real, endpoint):
        self.clock = Clock(real)
        self.log = Log()
        self.store = Store(files)
        journal = Journal(files, self.log, "journal", 393216, 8192, SEAL)
        self.t = Transactions(journal, self.store, self.clock, self.log, BUILD)
        asyncio.run(self.t.replay())
        self.t.outbox.set_endpoint(endpoint)
        self.profiles = ProfileStore(ProfileFiles(files), self.clock, self.log)

    def profile(self):
        """The periods of the installed TxDefaultProfile; None without one."""
        slots = self.profiles.slots()
        assert len(slots) < 2, "what replaces one is there, and that one"
        if not slots:
            return None
        record = self.profiles.record(slots[0])
        return bytes(periods(record)) if record else b"lost"

    def deliver(self, central, step, most=100000):
        """Sends up to `most` messages; those refused until they are given up."""
        t = self.t
        real = self.clock.real
        while most:
            message = t.outbox.head()
            if not message:
                break
            if t.outbox.next_attempt_ms > self.clock.ms():
                real[0] += t.outbox.next_attempt_ms - self.clock.ms()
            answer = central.receive(step(), t.outbox.endpoint_id, message)
            if answer is None:
                t.outbox.failed()
            else:
                t.outbox.delivered(answer)
            asyncio.run(t.outbox.tidy())
            most -= 1


class Life:
    """`events`: [action, register, endpoint, step before, step after]; `times`: when they were,
    where that was known; `keys`, `clears`: (step before, step after); `profiles`: (step before,
    step after, periods or None); `marks`: (step, register, ms, endpoint) from which to go on."""

    def __init__(self, flash):
        self.flash = flash
        self.files = flash.mount()
        self.central = Central()
        self.real = [5000]
        self.wh = 1000000
        self.events = []
        self.times = {}
        self.keys = []
        self.profiles = [(0, 0, None)]
        self.clears = []
        self.marks = []
        self.usual = {}  # what an event's message says, but for its times
        self.endpoint = A

    def step(self):
        return len(self.flash.history)

    def mark(self):
        self.marks.append((self.step(), self.wh, self.real[0], self.endpoint))

    def boot(self, clock_is_set):
        self.mark()
        self.s = Station(self.files, self.real, self.endpoint)
        self.s.t.recover("PowerLoss", self.wh)
        self.s.clock.is_set = clock_is_set

    def pass_time(self, seconds=30, wh=10):
        self.real[0] += seconds * 1000
        self.wh += wh
        self.mark()

    def start(self, reservation=None, begin=0):
        self.pass_time()
        before = self.step()
        reading = self.reading()
        data = measurands.pack(reading, None, begin)
        self.s.t.outbox.set_endpoint(self.endpoint)
        tag = "TAG%d" % (self.wh % 97)
        asyncio.run(self.s.t.retention.make_room_for_transaction())
        self.s.t.start(1, tag, self.wh, reservation, self.s.clock.ms(), data)
        self.note("StartTransaction", before)

    def reading(self):
        return {"energy": self.wh, "power": 73450, "p1": 73450, "v1": 230100, "frequency": 50010}

    def values(self, count=1, stop_mask=0, context="Sample.Periodic"):
        for _ in range(count):
            self.pass_time()
            before = self.step()
            asyncio.run(self.s.t.retention.make_room_for_values())
            self.s.t.values(context, self.reading(), MASK, self.s.clock.ms(), 16000, stop_mask)
            self.note("MeterValues", before)

    def stop(self, reason="EVDisconnected", id_tag=None):
        self.pass_time()
        before = self.step()
        self.s.t.stop(reason, self.wh, self.s.clock.ms(), id_tag)
        asyncio.run(self.s.t.retention.tidy_after_stop())
        self.note("StopTransaction", before)

    def note(self, action, before):
        self.events.append((action, self.wh, self.endpoint, before, self.step()))
        self.times[(action, self.wh)] = self.s.clock.epoch()

    def key(self):
        before = self.step()
        self.s.store.write("key", b"value %d" % len(self.keys))
        self.keys.append((before, self.step()))

    def profile(self, count=1):
        """A profile takes the place of the one before; it is promised once it is installed."""
        self.pass_time(61)
        schedule = [{"startPeriod": n, "limit": 6 + len(self.profiles) % 26} for n in range(count)]
        given = {
            "chargingProfileId": 1 + len(self.profiles) % 2,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": schedule},
        }
        given = {"connectorId": 1, "csChargingProfiles": given}
        given = schemas.check("SetChargingProfile", "req", given)["csChargingProfiles"]
        record = pack_record(given, 1, -1, 0)
        store = self.s.profiles
        before = self.step()
        assert asyncio.run(store.install(record))
        self.profiles.append((before, self.step(), self.s.profile()))

    def no_profile(self):
        before = self.step()
        asyncio.run(self.s.profiles.clear(lambda slot: True))
        self.profiles.append((before, self.step(), None))

    def clear(self):
        before = self.step()
        self.s.t.outbox.clear_given_up()
        self.clears.append((before, self.step()))

    def deliver(self, most=100000):
        self.s.t.outbox.set_endpoint(self.endpoint)
        self.s.deliver(self.central, self.step, most)

    def refuse(self, action):
        """The next event of this kind will never be taken."""
        self.central.refuse.add((action, self.wh + 10))

    def run(self, long=60):
        t = self
        t.boot(False)
        t.key()
        t.profile()
        t.start()  # before any clock
        t.values(3)
        t.s.clock.is_set = True
        t.values(2)
        t.deliver()
        t.profile(100)
        t.stop("Remote", "OTHER")
        t.deliver()
        t.profile(20)
        t.values(2, 0, "Sample.Clock")  # outside of a transaction
        t.start(77, ENERGY)  # offline now
        t.values(20, ENERGY)
        t.stop()
        t.key()
        t.start()
        t.values(6)
        t.deliver(9)  # back, with more to come; two answers are lost
        for _ in range(2):
            t.central.receive(t.step(), t.endpoint, t.s.t.outbox.head())
        t.deliver(4)
        t.stop("SoftReset")
        t.s.t.outbox.save()
        t.boot(True)
        t.deliver()
        t.refuse("StartTransaction")
        t.start()
        t.values(3)
        t.deliver()
        t.stop("Local")
        t.deliver()
        t.start()
        t.refuse("MeterValues")
        t.values(2)
        t.deliver()
        t.refuse("StopTransaction")
        t.stop("Local", "ME")
        t.deliver()
        t.values(1)
        t.clear()
        t.no_profile()
        t.start()
        t.values(8)
        t.profile(3)
        t.stop()  # left behind at A
        t.endpoint = B
        t.s.t.outbox.set_endpoint(B)
        t.start()
        t.deliver(1)
        t.values(5)
        t.deliver(3)
        t.stop("HardReset")
        t.boot(False)
        t.start()  # a cut without a clock
        t.values(4)
        t.profile(40)
        t.boot(False)  # and another
        t.start()
        t.values(4)
        t.stop()
        t.key()
        t.s.clock.is_set = True
        t.deliver()
        t.start(None, ENERGY | 32)  # long and online: segments come and go
        for _ in range(long):
            t.values(1, ENERGY | 32)
            t.deliver()
        t.stop()
        t.deliver()
        t.endpoint = A
        t.deliver()
        t.endpoint = B
        t.start()
        for _ in range(long):
            t.values(1)
            t.deliver()
        t.pass_time()
        t.s.t.progress(t.wh, t.s.clock.ms())
        t.pass_time(60)
        t.s.t.progress(t.wh, t.s.clock.ms())
        t.boot(True)  # a cut while charging
        t.deliver()
        t.finish()

    def finish(self):
        for _ in range(2):
            self.endpoint = A + B - self.endpoint
            self.deliver()
        self.mark()
        self.total = self.step()
        self.check_seen(self.central.seen, self.total, {})

    def wander(self, pick, steps):
        """A life by chance: `pick(n)` gives 0 to n - 1."""
        self.boot(pick(2))
        for _ in range(steps):
            what = pick(40)
            running = self.s.t.running
            if what < 18 and running:
                self.values(1 + pick(4), ENERGY * pick(2))
            elif what < 22 and running:
                self.stop("Local", "ME" if pick(2) else None)
            elif what < 20:
                self.start(pick(100) if pick(2) else None, ENERGY * pick(2))
            elif what < 22:
                self.values(1, 0, "Sample.Clock")
            elif what < 28:
                self.s.clock.is_set = True
                self.deliver(1 + pick(12))
            elif what < 30 and self.s.clock.is_set:
                message = self.s.t.outbox.head()
                if message and not self.central.refuses(message):  # its answer is lost
                    self.central.receive(self.step(), self.s.t.outbox.endpoint_id, message)
            elif what == 30:
                self.refuse(ACTIONS[pick(3)])
            elif what == 31:
                self.clear()
            elif what == 32:
                self.key()
            elif what == 37:
                self.profile(1 + pick(60))
            elif what == 38 and not pick(4):
                self.no_profile()
            elif what == 33:
                self.boot(pick(2))
            elif what == 34 and not running:
                self.s.t.outbox.save()
                self.boot(True)
            elif what == 35 and not running:
                self.endpoint = A + B - self.endpoint
                self.s.t.outbox.set_endpoint(self.endpoint)
            elif what == 36 and running:
                self.pass_time(60)
                self.s.t.progress(self.wh, self.s.clock.ms())
        self.boot(True)
        self.finish()

    # what must hold

    def trial(self, cut, make_flash, memory, again=None, seed=0):
        """Power fails in the middle of step `cut` (from 0); `memory` is the flash before it.
        `again`: a second cut, so many steps later. Raises AssertionError."""
        flash = make_flash(memory, cut + seed)
        flash.tear(*self.flash.history[cut])
        _, wh, ms, endpoint = [mark for mark in self.marks if mark[0] <= cut][-1]
        central = Central()
        central.refuse = self.central.refuse
        central.seen = [seen for seen in self.central.seen if seen[0] <= cut]
        real = [ms + 60000]
        if again:
            flash.cut_at = again
            try:
                self.aftermath(flash, central, real, endpoint, wh)
            except flash.PowerCut:
                pass
            flash = flash.again()
            real[0] += 60000
        t = self.aftermath(flash, central, real, endpoint, wh)
        given_up = [line for line in t.outbox.listing() if line and line.startswith("given up")]
        assert len(given_up) == t.outbox.given_up
        figures = {}
        for line in given_up:
            _, _, rest = line.partition(": ")
            action, _, figure = rest.partition(" ")
            figure = json.loads(figure)
            figures[(action, register(action, figure))] = figure
        self.check_seen(central.seen, cut, figures, wh, 1 if not again else 2)
        value = Store(flash.files).read("key")
        done = [i for i, key in enumerate(self.keys) if key[1] <= cut]
        begun = [i for i, key in enumerate(self.keys) if key[0] <= cut]
        allowed = [b"value %d" % i for i in begun[len(done) - 1 if done else 0 :]]
        assert value in allowed or (value is None and not done), (value, allowed)
        begun = [change for change in self.profiles if change[0] <= cut]
        done = [change for change in begun if change[1] <= cut]
        found = Station(flash.files, real, A).profile()
        assert found in [periods for _, _, periods in begun[len(done) - 1 :]], found
        # nothing comes back
        t = Station(flash.files, real, A).t
        assert t.outbox.pending == 0 and not t.interrupted and t.outbox.given_up == len(given_up)
        t.outbox.set_endpoint(B)
        assert t.outbox.pending == 0
        flash.unmount()

    def aftermath(self, flash, central, real, endpoint, wh):
        flash.files = flash.mount()
        s = Station(flash.files, real, endpoint)
        s.t.recover("PowerLoss", wh, 1000)
        s.clock.is_set = True
        for endpoint_id in (endpoint, A + B - endpoint):
            s.t.outbox.set_endpoint(endpoint_id)
            s.deliver(central, lambda: 0)
        s.t.outbox.save()
        assert all("given up" in e for e in s.log.errors()), s.log.errors()
        return s.t

    def check_seen(self, seen, cut, figures, wh=None, cuts=0):
        promised = {}
        begun = {}
        for action, at, endpoint, before, after in self.events:
            if before <= cut:
                begun[(action, at)] = endpoint
            if after <= cut:
                promised[(action, at)] = endpoint
        first = {}
        refused = {}
        for endpoint in (A, B):
            last = (0, 0)
            running = None
            for _, where, action, text, error in seen:
                if where != endpoint:
                    continue
                payload = json.loads(text)
                key = (action, register(action, payload))
                if error:
                    refused[key] = refused.get(key, 0) + 1
                if key in first:
                    assert first[key] == text, "doubled: %s\n%s" % (first[key], text)
                    continue
                first[key] = text
                rank = (key[1], ACTIONS.index(action))
                assert rank > last, "out of order: %s %s" % (last, text)
                last = rank
                when = json.loads(text_time(payload))
                assert when >= "2026-09-21", when
                if action == "StartTransaction":
                    assert running is None, "no stop before %s" % text
                    running = key[1] % 7 - 3
                    if error:
                        running = -1
                    previous = when
                elif "transactionId" in payload:
                    assert payload["transactionId"] == running, (running, text)
                    assert when >= previous, (previous, text)
                    previous = when
                    if action == "StopTransaction":
                        running = None
                if key in begun:
                    assert begun[key] == endpoint, "sent to another: %s" % text
                    usual = self.usual.get(key)
                    if key in promised or payload.get("reason") != "PowerLoss":
                        assert usual in (None, canonical(bare(payload))), (usual, text)
                        at = self.times[key]
                        assert not at or times.text(at) == when, (times.text(at), text)
                else:
                    assert action == "StopTransaction", "never was: %s" % text
                    assert payload["reason"] == "PowerLoss", text
                    assert wh is None or key[1] in (wh, wh - 10) or key in self.usual, (wh, text)
                if cuts == 0:
                    self.usual[key] = canonical(bare(payload))
            assert running is None, "never stopped"
        for key in promised:
            assert key in first, "lost: %s" % (key,)
        for key in refused:
            assert 3 <= refused[key] <= 3 + cuts, "%s refused %d times" % (key, refused[key])
            if cuts and key[0] != "MeterValues":
                steps = [
                    s[0] for s in seen if s[4] and key == (s[2], register(s[2], json.loads(s[3])))
                ]
                clears = [c for c in self.clears if c[0] >= steps[2] > 0 and c[0] <= cut]
                assert key in figures or clears, "%s is not listed" % (key,)
                assert key not in figures or not [c for c in clears if c[1] <= cut], (
                    "cleared: %s" % (key,)
                )
        for key in figures:
            assert key in refused, "%s was not refused" % (key,)


ACTIONS = ["StartTransaction", "MeterValues", "StopTransaction"]


def text_time(payload):
    if "timestamp" in payload:
        return json.dumps(payload["timestamp"])
    return json.dumps(payload["meterValue"][0]["timestamp"])
