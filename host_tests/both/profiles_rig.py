"""What the handlers of smart charging see of a station, for tests on every Python."""

import json

from firmware.base import runtime, times
from firmware.charging.evse import Limits
from firmware.ocpp import schemas
from firmware.ocpp.handlers import smart_charging
from firmware.smart_charging.controller import LimitController
from firmware.smart_charging.profile import EPOCH, NEVER
from firmware.smart_charging.store import ProfileStore
from host_tests.both.logs import Log

NOW = 1800000000  # 2027-01-15T08:00:00Z


class Clock:
    """Stands still; `now` is the wall time, None while unknown; `at_ms` the station's."""

    def __init__(self, now=NOW):
        self.now = now
        self.at_ms = 0

    def ms(self):
        return self.at_ms

    def epoch(self):
        return self.now

    def epoch_at(self, ms):
        return None if self.now is None else self.now - (self.at_ms - ms) // 1000

    async def wait(self, event, ms):
        await runtime.wait(event, ms)
        event.clear()

    def pass_s(self, seconds):
        self.at_ms += seconds * 1000
        self.now += seconds


class Values:
    """ProfileFiles, and the station's Store, in RAM. It counts, and is full when told so."""

    def __init__(self):
        self.values = {}
        self.writes = self.reads = self.read_bytes = 0
        self.full = False

    def read(self, name):
        self.reads += 1
        data = self.values.get(name)
        self.read_bytes += len(data or b"")
        return data

    def write(self, name, data):
        if self.full:
            raise OSError(28)
        self.writes += 1
        self.values[name] = bytes(data)

    def make_room(self, slot, size):
        return False

    def remove(self, slots):
        for slot in slots:
            self.values.pop(slot, None)

    def records(self):
        for slot in sorted(name for name in self.values if isinstance(name, int)):
            yield slot, self.values[slot]

    def tidy(self, garbage):
        return False


class Running:
    """A running transaction."""

    def __init__(self, position, transaction_id, started_ms):
        self.position = position
        self.transaction_id = transaction_id
        self.started_ms = started_ms


class _Thing:
    pass


class Controller(LimitController):
    """Counts how often it is told to compute the limits anew."""

    changes = 0

    def reconsider(self):
        self.changes += 1
        super().reconsider()


class Station:
    """A 32 A station on three phases."""

    def __init__(self, values=None, clock=None, phases=3, max_ma=32000):
        self.values = values or Values()
        self.clock = clock or Clock()
        self.log = Log()
        self.profiles = ProfileStore(self.values, self.clock, self.log)
        self.max_ma = max_ma
        self.max_phases = phases
        self.transactions = _Thing()
        self.transactions.running = None
        self.evse = _Thing()
        self.evse.phases = phases
        self.evse.limits = Limits()
        tic = _Thing()
        tic.clock = self.clock
        tic.mode = 0
        tic.doubted = False
        parts = self.evse, None, tic, self.profiles, self.transactions
        self.limit_controller = Controller(*parts, self, self.clock, self.values)
        self.profile_limit = self.limit_controller.profile_limit

    @property
    def changes(self):
        """How often the limits were to be computed anew."""
        return self.limit_controller.changes

    def restart(self):
        """After a power cut: only the values are left, and no transaction."""
        return Station(self.values, self.clock, self.evse.phases, self.max_ma)

    def start(self, transaction_id=7, ago=0, position=40):
        started_ms = self.clock.ms() - ago * 1000
        self.transactions.running = Running(position, transaction_id, started_ms)

    def stop(self):
        self.transactions.running = None

    async def set(self, profile, connector=1):
        """SetChargingProfile as it comes over the wire; the status."""
        payload = {"connectorId": connector, "csChargingProfiles": profile}
        payload = json.loads(json.dumps(payload))  # what is checked is changed
        runtime.collect()
        schemas.check("SetChargingProfile", "req", payload)
        return (await smart_charging.SetChargingProfile(self, payload))["status"]

    def int(self, name):
        """A key's value, as of a configuration."""
        return {"IMaxUser": self.max_ma // 1000, "PhaseNumber": self.max_phases}[name]

    async def take(self, record):
        """The profile of a RemoteStart, as its transaction begins."""
        await self.limit_controller.install_for_start(record, self.transactions.running)

    async def clear(self, **filters):
        schemas.check("ClearChargingProfile", "req", filters)
        return (await smart_charging.ClearChargingProfile(self, filters))["status"]

    async def composite(self, duration, unit=None, connector=1):
        payload = {"connectorId": connector, "duration": duration}
        if unit:
            payload["chargingRateUnit"] = unit
        schemas.check("GetCompositeSchedule", "req", payload)
        answer = await smart_charging.GetCompositeSchedule(self, payload)
        schedule = answer.get("chargingSchedule")
        if schedule:
            schedule["chargingSchedulePeriod"] = list(schedule["chargingSchedulePeriod"])
        return answer

    async def plan(self, duration, unit=None):
        """The composite schedule as [(offset, limit)]."""
        answer = await self.composite(duration, unit)
        schedule = answer["chargingSchedule"]
        assert schedule["duration"] == duration, schedule
        periods = schedule["chargingSchedulePeriod"]
        return [(period["startPeriod"], period["limit"]) for period in periods]

    def limit(self):
        """mA, and in how many seconds it changes (None: never)."""
        piece = self.piece()
        end = None if piece.until == NEVER else piece.until + EPOCH - self.clock.now
        return piece.limit, end

    def piece(self):
        """What the profiles allow now."""
        running = self.transactions.running
        return self.profile_limit.now(running, self.evse.phases, self.max_ma)


def profile(limits, level=0, purpose="TxDefault", kind="Absolute", start=NOW, **more):
    """A ChargingProfile. `limits`: one number, or (startPeriod, limit[, numberPhases]) each.
    `more`: identity, unit, duration, transaction, recurrency, first, last (validFrom, validTo)."""
    if not isinstance(limits, list):
        limits = [(0, limits)]
    periods = []
    for item in limits:
        period = {"startPeriod": item[0], "limit": item[1]}
        if len(item) > 2:
            period["numberPhases"] = item[2]
        periods.append(period)
    schedule = {"chargingRateUnit": more.get("unit", "A"), "chargingSchedulePeriod": periods}
    if start is not None:
        schedule["startSchedule"] = times.text(start)
    if "duration" in more:
        schedule["duration"] = more["duration"]
    if kind in ("Daily", "Weekly"):
        more["recurrency"] = kind
        kind = "Recurring"
    made = {
        "chargingProfileId": more.get("identity", 1),
        "stackLevel": level,
        "chargingProfilePurpose": purpose if "Max" in purpose else purpose + "Profile",
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    }
    if "transaction" in more:
        made["transactionId"] = more["transaction"]
    if "recurrency" in more:
        made["recurrencyKind"] = more["recurrency"]
    for name, key in (("first", "validFrom"), ("last", "validTo")):
        if name in more:
            made[key] = times.text(more[name])
    return made


MAX = "ChargePointMaxProfile"
