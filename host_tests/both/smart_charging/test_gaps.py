"""A moment's gap in what limits opens nothing: neither one between two profiles, nor one between
two messages; and numberPhases, which the composite schedule tells."""

from firmware.smart_charging.controller import phases_to_connect
from host_tests.both.profiles_rig import NOW, Station, profile

ANY = 3  # the wish of a charging period without numberPhases


class Charging:
    """A station that charges, its limits computed each second; the profile's limit of each."""

    def __init__(self, started=True, **options):
        self.station = Station(**options)
        if started:
            self.station.start(7, ago=100)
        self.tick(0)

    def tick(self, seconds=1):
        self.station.clock.pass_s(seconds)
        self.station.limit_controller.set_limits()
        return self.limit()

    def limit(self):
        limit = self.station.evse.limits.get("profile")
        return 32000 if limit is None else limit

    def seconds(self, count):
        return [self.tick() for _ in range(count)]

    async def set(self, *arguments, **more):
        assert await self.station.set(profile(*arguments, **more)) == "Accepted"
        self.station.limit_controller.set_limits()
        return self.limit()


async def test_a_tx_profile_from_now_by_a_clock_that_is_a_little_ahead():
    for ahead in (0, 1, 2):
        c = Charging()
        assert await c.set(6, identity=1, start=NOW - 100) == 6000
        c.seconds(5)
        now = c.station.clock.now
        seen = [await c.set(8, identity=2, purpose="Tx", start=now + ahead)] + c.seconds(9)
        assert seen[0] == 6000 and seen[-1] == 8000 and max(seen) == 8000, (ahead, seen)
        assert sorted(seen) == seen


async def test_a_default_profile_that_is_replaced_from_now_on():
    for kind, start in (("Absolute", 1), ("Absolute", 2), ("Daily", 2), ("Weekly", 1)):
        c = Charging()
        await c.set(20, start=NOW - 100)
        assert c.tick(5) == 20000
        now = c.station.clock.now
        assert await c.set(8, kind=kind, start=now + start) == 8000
        assert c.seconds(5) == [8000] * 5
        assert await c.set(6, start=now, first=c.station.clock.now + 2) == 6000  # validFrom
        assert c.seconds(5) == [6000] * 5


async def test_a_profile_that_begins_later_begins_later():
    c = Charging()
    await c.set(6, level=0, identity=1, start=NOW - 100)
    await c.set(16, level=1, identity=2, start=NOW + 3)
    assert [c.limit()] + c.seconds(3) == [6000, 6000, 6000, 16000]


async def test_a_raise_that_lasts_counts_at_once_and_so_does_a_reduction():
    c = Charging()
    await c.set([(0, 6), (60, 32), (70, 9), (80, 20)], start=NOW)
    assert c.tick(59) == 6000
    assert c.tick() == 32000
    assert c.tick(9) == 32000
    assert c.tick() == 9000
    assert c.seconds(10) == [9000] * 9 + [20000]
    assert await c.set(7, start=NOW) == 7000


async def test_a_raise_that_ends_within_seconds_does_not_happen():
    for gap_s in (1, 2, 5):
        c = Charging()
        await c.set([(0, 6), (60, 32), (60 + gap_s, 8), (90, 10)], start=NOW)
        assert c.tick(59) == 6000
        assert c.seconds(32) == [8000] * 30 + [10000] * 2  # 8 A last
    c = Charging()
    await c.set([(0, 10), (60, 32), (62, 8)], start=NOW)
    assert c.tick(59) == 10000
    assert c.seconds(5) == [10000, 10000, 8000, 8000, 8000]


async def test_a_gap_between_two_profiles():
    c = Charging()
    await c.set(6, identity=1, start=NOW, duration=60)
    await c.set(7, identity=2, level=1, start=NOW + 61)
    c.tick(55)
    assert c.seconds(10) == [6000] * 4 + [7000] * 6


async def test_a_profile_that_is_cleared_only_to_be_sent_anew():
    c = Charging()
    await c.set(6, start=NOW)
    c.tick(10)
    await c.station.clear()
    c.station.limit_controller.set_limits()
    assert c.limit() == 6000
    assert c.tick() == 6000
    assert await c.set(8, start=NOW) in (6000, 8000)
    assert c.seconds(3)[-1] == 8000
    await c.station.clear()
    assert c.seconds(4) == [8000, 8000, 32000, 32000]


async def test_a_central_system_that_sends_one_each_second_is_obeyed():
    c = Charging()
    seen = []
    for n in range(10):
        seen.append(await c.set(10 + n, start=NOW))
        c.tick()
    assert max(seen) >= 17000


async def test_a_transaction_begins_with_what_will_last():
    c = Charging(started=False)
    await c.set(16, start=NOW - 10, duration=13)
    c.station.start(7)
    await c.set(8, identity=2, level=1, start=NOW + 4)
    assert c.limit() == 8000  # from its first moment on: 16 A last 3 s, then 32 A one
    assert c.seconds(6) == [8000] * 6


async def test_no_gap_moves_the_phase_relay():
    c = Charging()
    await c.set([(0, 10, 1), (60, 10, 3), (62, 10, 1)], start=NOW)
    evse = c.station.evse
    seen = []
    for _ in range(70):
        c.tick()
        seen.append(evse.want_phases)
    assert seen == [1] * 70
    await c.set([(0, 3600)], unit="W", start=NOW)
    c.seconds(3)
    assert evse.want_phases == 1
    await c.station.clear()
    c.tick()
    assert evse.want_phases == 1
    await c.set([(0, 3700)], unit="W", start=NOW)
    c.seconds(5)
    assert evse.want_phases == 1


async def test_the_composite_schedule_tells_one_phase():
    station = Station()
    assert await station.set(
        profile([(0, 10), (80, 20, 2), (90, 20, 1), (160, 20, 3), (200, 20)], start=NOW)
    ) == "Accepted"  # fmt: skip
    for unit, factor in (("A", 1), ("W", 690)):
        schedule = (await station.composite(400, unit))["chargingSchedule"]
        assert schedule["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 10 * factor},
            {"startPeriod": 80, "limit": 20 * factor, "numberPhases": 1},
            {"startPeriod": 160, "limit": 20 * factor},
        ]


async def test_a_power_for_three_phases_that_is_too_low_for_them():
    """Errata 3.69: 3680 W on three phases are 5.3 A on each. Where three were given, it pauses;
    where nothing was given, one phase carries it."""
    for wish, phases, limit in ((3, 3, 5333), (None, 1, 5333), (1, 1, 5333)):
        c = Charging()
        await c.set([(0, 3680) if wish is None else (0, 3680, wish)], unit="W", start=NOW)
        assert c.station.evse.want_phases == phases, wish
        assert c.limit() == limit
        c.station.evse.phases = c.station.evse.want_phases
        assert c.tick() == (16000 if phases == 1 else 5333)
    for watts in (41400, 41390, 0):
        for connected in (1, 3):
            assert phases_to_connect(watts, 2, connected, 3) == 3
            assert phases_to_connect(watts, 2, connected, 1) == 1
    assert phases_to_connect(41390, ANY, 3, 3) == 1
