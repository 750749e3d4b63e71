"""The limits of random sets of profiles, second by second against a slow and obvious oracle.

What is installed goes through SetChargingProfile; the oracle keeps the messages as they came.
PROFILE_EXAMPLES=5000 looks at more of them.
"""

import os
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.smart_charging.profile import ANY_PHASES, EPOCH, NEVER, ONE_PHASE, THREE_PHASES
from host_tests.both.profiles_rig import MAX, NOW, Station, profile

EXAMPLES = int(os.environ.get("PROFILE_EXAMPLES", "60"))
DAY, WEEK = 86400, 604800


@cache
def seconds(text):
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


@cache
def converted(limit, given, unit, phases):
    limit = Fraction(round(limit * 10), 10)
    if given == unit:
        return limit
    return limit / (230 * phases) if unit == "A" else limit * 230 * phases


def begun(moment, received):
    """What is to begin at most 2 s after its receipt counts as begun (guide notes)."""
    return received if 0 < moment - received <= 2 else moment


class Oracle:
    """Knows what was installed, in the words of OCPP."""

    def __init__(self):
        self.installed = []  # (connector, message, received)

    def install(self, connector, message, received):
        def replaced(other):
            same = ("stackLevel", "chargingProfilePurpose")
            return message["chargingProfileId"] == other[1]["chargingProfileId"] or (
                connector == other[0] and all(message[key] == other[1][key] for key in same)
            )

        self.installed = [other for other in self.installed if not replaced(other)]
        self.installed.append((connector, message, received))

    @staticmethod
    def valid(item, t):
        _, message, received = item
        first, last = message.get("validFrom"), message.get("validTo")
        return (not first or begun(seconds(first), received) <= t) and (
            not last or t < seconds(last)
        )

    def period(self, item, t, started):
        """The period that a profile is in at t, or None."""
        _, message, received = item
        schedule = message["chargingSchedule"]
        kind = message["chargingProfileKind"]
        start = schedule.get("startSchedule")
        if kind == "Relative" or start is None:
            begin = started
            if message["chargingProfilePurpose"] == MAX:
                first = message.get("validFrom")
                begin = max(received, begun(seconds(first), received)) if first else received
        else:
            begin = begun(seconds(start), received)
        if not self.valid(item, t) or t < begin:
            return None
        since = t - begin
        if kind == "Recurring":
            since %= DAY if message["recurrencyKind"] == "Daily" else WEEK
        if "duration" in schedule and since >= schedule["duration"]:
            return None
        periods = [p for p in schedule["chargingSchedulePeriod"] if p["startPeriod"] <= since]
        return periods[-1]["limit"], schedule["chargingRateUnit"], periods[-1].get("numberPhases")

    def highest(self, items, t, started):
        running = [(i[1]["stackLevel"], self.period(i, t, started)) for i in items]
        running = [item for item in running if item[1]]
        return max(running, key=lambda item: item[0])[1] if running else None

    def at(self, t, transaction, started):
        """The winning periods at t."""

        def purpose(name, connector):
            return [
                item
                for item in self.installed
                if item[1]["chargingProfilePurpose"] == name and item[0] == connector
            ]

        winners = [self.highest(purpose(MAX, 0), t, started)]
        for_it = [item for item in purpose("TxProfile", 1) if transaction and self.valid(item, t)]
        if for_it:
            winners.append(self.highest(for_it, t, started))
        else:
            own = self.highest(purpose("TxDefaultProfile", 1), t, started)
            winners.append(own or self.highest(purpose("TxDefaultProfile", 0), t, started))
        return [winner for winner in winners if winner]

    def limit(self, t, transaction, started, phases, top_ma, unit):
        """In the unit, exactly; not yet rounded down."""
        own = converted(top_ma / 1000, "A", unit, phases)
        winners = self.at(t, transaction, started)
        return min([own] + [converted(limit, given, unit, phases) for limit, given, _ in winners])


@cache
def down(value, parts):
    return Fraction(int(value * parts), parts)


near = st.integers(-900, 900)
whole = st.integers(0, 40)
limits_a = st.one_of(whole, st.integers(0, 400).map(lambda n: n / 10))
limits_w = st.one_of(st.integers(0, 25000), st.integers(0, 250000).map(lambda n: n / 10))
# Of levels and ids there are few, so that profiles meet and replace each other.
levels = st.one_of(st.integers(0, 4), st.integers(0, 200))


@st.composite
def messages(draw, transaction):
    purposes = [(MAX, 0), ("TxDefault", 0), ("TxDefault", 1)]
    if transaction:
        purposes.append(("Tx", 1))
    purpose, connector = draw(st.sampled_from(purposes))
    kind = draw(st.sampled_from(["Absolute", "Daily", "Weekly", "Relative"]))
    unit = draw(st.sampled_from("AAW"))
    limit = limits_a if unit == "A" else limits_w
    starts = sorted({0, *draw(st.lists(st.integers(1, 1500), max_size=6))})
    if kind in ("Daily", "Weekly") and draw(st.booleans()):
        period = DAY if kind == "Daily" else WEEK
        starts += sorted({period + draw(near) for _ in range(2)})
    periods = [
        (start, draw(limit)) + draw(st.sampled_from([(), (), (1,), (2,), (3,)]))
        for start in starts
    ]
    more = {"identity": draw(st.integers(1, 20)), "unit": unit}
    start = NOW + draw(near)
    if kind == "Daily":
        start += DAY * draw(st.integers(-4, 1))
    elif kind == "Weekly":
        start += DAY * draw(st.integers(-16, 7))
    if kind in ("Absolute", "Relative") and draw(st.integers(0, 3)) == 0:
        start = None
    if draw(st.booleans()):
        most = {"Daily": DAY, "Weekly": WEEK}.get(kind, 3000)
        duration = st.integers(1, 1500)
        more["duration"] = draw(st.one_of(duration, st.integers(most - 900, most + 900)))
    if draw(st.integers(0, 2)) == 0:
        more["first"] = NOW + draw(near)
    if draw(st.integers(0, 2)) == 0:
        more["last"] = max(more.get("first", 0) + 1, NOW + draw(near))
    if purpose == "Tx" and draw(st.booleans()):
        more["transaction"] = 7
    return connector, profile(periods, draw(levels), purpose, kind, start, **more)


@st.composite
def scenes(draw):
    transaction = draw(st.booleans())
    return {
        "ago": draw(st.integers(0, 1200)) if transaction else None,
        "messages": draw(st.lists(messages(transaction), max_size=16)),
        "later": draw(st.integers(0, 1200)),  # seconds from the last message to the question
        "phases": draw(st.sampled_from([1, 3])),
        "top": draw(st.sampled_from([10000, 16000, 32000])),
    }


def prepared(scene):
    station = Station(phases=scene["phases"], max_ma=scene["top"])
    oracle = Oracle()
    if scene["ago"] is not None:
        station.start(7, scene["ago"])
    for connector, message in scene["messages"]:
        assert run(station.set(message, connector)) == "Accepted"
        oracle.install(connector, message, station.clock.now)
        station.clock.pass_s(1)
        station.profiles.maintain(station.transactions.running)
    station.clock.pass_s(scene["later"])
    now = station.clock.now
    # without a transaction, one that starts now is planned
    started = now if scene["ago"] is None else NOW - scene["ago"]
    assert len(station.profiles.slots()) == len(oracle.installed)

    def expected(t, unit="A"):
        running = station.transactions.running
        return oracle.limit(t, running, started, scene["phases"], scene["top"], unit)

    return station, oracle, expected, started


def run(coroutine):
    """To its end; it waits for nothing."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value


def planned(station, duration, unit):
    answer = run(station.composite(duration, unit))
    schedule = answer["chargingSchedule"]
    assert answer["status"] == "Accepted"
    assert seconds(answer["scheduleStart"]) == station.clock.now
    assert "startSchedule" not in schedule and schedule["chargingRateUnit"] == unit
    periods = schedule["chargingSchedulePeriod"]
    assert periods[0]["startPeriod"] == 0
    assert len(periods) <= 100
    starts = [p["startPeriod"] for p in periods] + [schedule["duration"]]
    assert starts == sorted(set(starts)) and starts[-1] <= duration
    assert len(periods) == 100 or starts[-1] == duration
    values = [Fraction(round(p["limit"] * 10), 10) for p in periods]
    told = [(value, p.get("numberPhases")) for value, p in zip(values, periods, strict=True)]
    assert all(a != b for a, b in zip(told, told[1:], strict=False)), "not merged"
    return told, starts


def one_phase(winners):
    """Whether the winning periods ask for one phase: two can't be had."""
    return any(winner[2] in (1, 2) for winner in winners)


@settings(max_examples=EXAMPLES, deadline=None)
@given(scenes(), st.sampled_from("AW"))
def test_composite_schedule_second_by_second(scene, unit):
    station, oracle, expected, started = prepared(scene)
    told, starts = planned(station, 2400, unit)
    now = station.clock.now
    running = station.transactions.running
    for (value, phases), start, end in zip(told, starts, starts[1:], strict=False):
        for second in range(start, end):
            assert value == down(expected(now + second, unit), 10), second
            winners = oracle.at(now + second, running, started)
            assert phases == (1 if one_phase(winners) else None), second


@settings(max_examples=EXAMPLES, deadline=None)
@given(scenes(), st.sampled_from("AW"), st.lists(st.integers(0, 9 * DAY), max_size=40))
def test_composite_schedule_of_nine_days(scene, unit, moments):
    """At random seconds, and at those around each change that was announced."""
    station, _, expected, _ = prepared(scene)
    told, starts = planned(station, 9 * DAY, unit)
    now = station.clock.now
    moments += [edge + side for edge in starts for side in (-1, 0, 1)]
    for second in moments:
        if 0 <= second < starts[-1]:
            index = max(i for i, start in enumerate(starts) if start <= second)
            assert told[index][0] == down(expected(now + second, unit), 10), second


@settings(max_examples=EXAMPLES, deadline=None)
@given(scenes())
def test_the_limit_now_and_when_it_changes(scene):
    """The limit in mA, the phases wished, the W limit; none of them changes before it is said."""
    station, oracle, expected, started = prepared(scene)
    for _ in range(6):
        now = station.clock.now
        running = station.transactions.running
        piece = station.piece()
        until = None if piece.until >= NEVER else piece.until + EPOCH
        for second in range(now, min(now + 300, until or now + 300)):
            began = started if running else second
            winners = oracle.at(second, running, began)
            if not running:
                exact = oracle.limit(second, None, second, scene["phases"], scene["top"], "A")
                if second > now and any(
                    "Relative" in item[1]["chargingProfileKind"]
                    or "startSchedule" not in item[1]["chargingSchedule"]
                    for item in oracle.installed
                ):
                    break  # what begins now begins later then
            else:
                exact = expected(second)
            assert piece.limit == int(exact * 1000)
            three = any(winner[2] == 3 for winner in winners)
            wished = ONE_PHASE if one_phase(winners) else THREE_PHASES if three else ANY_PHASES
            assert piece.phases == wished
            in_watts = [round(limit * 10) for limit, unit, _ in winners if unit == "W"]
            assert piece.power_limit == (min(in_watts) if in_watts else NEVER)
        assert until is None or until > now
        station.clock.pass_s((until - now) if until and until - now < 900 else 377)


@settings(max_examples=EXAMPLES, deadline=None)
@given(scenes())
def test_a_restart_keeps_all_but_tx_profiles(scene):
    station, oracle, _, _ = prepared(scene)
    station.profiles.flush()
    again = station.restart()
    again.stop()
    station.stop()
    station.profiles.maintain(None)
    assert list(again.profiles.listing()) == list(station.profiles.listing())
    left = [i for i in oracle.installed if i[1]["chargingProfilePurpose"] != "TxProfile"]
    ids = sorted(int(line.split()[0]) for line in again.profiles.listing())
    assert ids == sorted(item[1]["chargingProfileId"] for item in left)
    assert run(again.composite(DAY)) == run(station.composite(DAY))
