"""Charging profiles through the handlers: OCPP 3.13, 5.5, 5.7, 5.16 and their errata."""

from firmware.smart_charging.controller import phases_to_connect
from firmware.smart_charging.profile import ANY_PHASES, NEVER, ONE_PHASE, THREE_PHASES
from host_tests.both.profiles_rig import MAX, NOW, Station, profile

DAY = 86400


MIDNIGHT = NOW - NOW % DAY


async def test_example_of_ocpp_3_13_7():
    """6 kW between 08:00 and 20:00, every day; it is 08:00."""
    station = Station()
    periods = [(0, 11000, 3), (28800, 6000, 3), (72000, 11000, 3)]
    example = profile(periods, kind="Daily", start=1356998400, duration=DAY, unit="W")
    assert await station.set(example, 0) == "Accepted"
    assert await station.plan(DAY, "W") == [(0, 6000), (43200, 11000)]
    assert await station.plan(2 * DAY, "W") == [
        (0, 6000), (43200, 11000), (DAY, 6000), (DAY + 43200, 11000),
    ]  # fmt: skip
    assert await station.plan(DAY, "A") == [(0, 8.6), (43200, 15.9)]
    assert station.limit() == (8695, 43200)
    station.clock.pass_s(43199)
    assert station.limit() == (8695, 1)
    station.clock.pass_s(1)
    assert station.limit() == (15942, 14400)  # midnight: looked at again, nothing changes


async def test_the_highest_level_that_is_valid_and_runs():
    station = Station()
    await station.set(profile(10, level=0, identity=1))
    await station.set(profile(20, level=5, identity=2, start=NOW + 100, duration=50))
    await station.set(profile(6, level=9, identity=3, first=NOW + 120, last=NOW + 130))
    assert await station.plan(200) == [(0, 10), (100, 20), (120, 6), (130, 20), (150, 10)]
    assert station.limit() == (10000, 100)


async def test_without_a_profile_that_runs_the_station_s_own_maximum():
    station = Station()
    assert await station.plan(3600) == [(0, 32)]
    assert await station.plan(3600, "W") == [(0, 22080)]
    assert station.limit() == (32000, None)
    await station.set(profile(16, start=NOW + 10, duration=20))
    assert await station.plan(60) == [(0, 32), (10, 16), (30, 32)]
    await station.set(profile(50))
    assert await station.plan(60) == [(0, 32)]


async def test_the_least_of_the_purposes():
    station = Station()
    await station.set(profile([(0, 16), (100, 10)], identity=1))
    await station.set(profile([(0, 12), (50, 32), (150, 6)], purpose=MAX, identity=2), 0)
    assert await station.plan(200) == [(0, 12), (50, 16), (100, 10), (150, 6)]
    assert (await station.composite(200, None, 0))["chargingSchedule"] == (
        (await station.composite(200))["chargingSchedule"]
    )


async def test_a_tx_profile_overrules_the_default_even_when_it_has_ended():
    station = Station()
    await station.set(profile(6, identity=1))
    station.start(7)
    tx = profile(20, purpose="Tx", identity=2, start=NOW + 10, duration=20, transaction=7)
    assert await station.set(tx) == "Accepted"
    assert await station.plan(60) == [(0, 32), (10, 20), (30, 32)]
    tx["validFrom"] = "2027-01-15T08:00:05Z"
    tx["validTo"] = "2027-01-15T08:00:40Z"
    assert await station.set(tx) == "Accepted"
    assert await station.plan(60) == [(0, 6), (5, 32), (10, 20), (30, 32), (40, 6)]
    station.stop()
    assert await station.plan(60) == [(0, 6)]


async def test_a_tx_profile_that_has_ended_overrules_for_good():
    """Also when another one, which ran meanwhile, ceases to be valid."""
    station = Station()
    station.start(7)
    await station.set(profile(6, identity=1))
    await station.set(profile(20, purpose="Tx", identity=2, start=NOW - 20, duration=10))
    later = profile(16, level=1, purpose="Tx", identity=3, start=NOW + 10, last=NOW + 30)
    await station.set(later)
    assert await station.plan(60) == [(0, 32), (10, 16), (30, 32)]


async def test_a_default_on_the_connector_overrules_one_for_all():
    station = Station()
    await station.set(profile(6, level=200, identity=1), 0)
    await station.set(profile(20, level=0, identity=2, start=NOW + 10, duration=20), 1)
    assert await station.plan(60) == [(0, 6), (10, 20), (30, 6)]


async def test_recurring_daily_with_gaps_falls_back():
    station = Station()
    await station.set(profile(6, level=0, identity=1))
    daily = profile([(0, 16), (600, 20)], level=1, identity=2, kind="Daily", start=NOW - 3 * DAY)
    daily["chargingSchedule"]["duration"] = 1200
    await station.set(daily)
    assert await station.plan(DAY + 700) == [
        (0, 16),
        (600, 20),
        (1200, 6),
        (DAY, 16),
        (DAY + 600, 20),
    ]


async def test_a_schedule_longer_than_its_recurrence_is_cut():
    station = Station()
    long = [(0, 10), (DAY - 100, 16), (DAY + 100, 20)]
    await station.set(profile(long, kind="Daily", start=NOW - DAY, duration=3 * DAY))
    assert await station.plan(DAY + 50) == [(0, 10), (DAY - 100, 16), (DAY, 10)]


async def test_weekly_keeps_day_and_time():
    station = Station()
    await station.set(profile(10, kind="Weekly", start=NOW - 5 * DAY, duration=3600))
    assert await station.plan(7 * DAY) == [(0, 32), (2 * DAY, 10), (2 * DAY + 3600, 32)]


async def test_recurring_does_not_run_before_its_first_start():
    station = Station()
    await station.set(profile(10, kind="Daily", start=NOW + 2 * DAY, duration=DAY))
    assert await station.plan(3 * DAY) == [(0, 32), (2 * DAY, 10)]


async def test_recurring_since_before_anybody_s_clock():
    station = Station()
    start = MIDNIGHT - 20468 * DAY + 8 * 3600 - 100  # in 1970
    await station.set(profile(10, kind="Daily", start=start, duration=300))
    assert await station.plan(DAY) == [(0, 10), (200, 32), (DAY - 100, 10)]


async def test_relative_counts_from_the_start_of_the_transaction():
    station = Station()
    relative = profile([(0, 8), (100, 16)], kind="Relative", start=None, duration=300)
    await station.set(relative)
    assert await station.plan(400) == [(0, 8), (100, 16), (300, 32)]  # one that starts now
    station.start(ago=30)
    assert await station.plan(400) == [(0, 8), (70, 16), (270, 32)]
    assert station.limit() == (8000, 70)


async def test_absolute_without_start_is_relative():
    station = Station()
    station.start(ago=30)
    await station.set(profile([(0, 8), (100, 16)], start=None))
    assert await station.plan(400) == [(0, 8), (70, 16)]


async def test_relative_maximum_counts_from_its_receipt():
    station = Station()
    station.start(ago=1000)
    relative = profile([(0, 8), (100, 16)], purpose=MAX, kind="Relative", start=None)
    assert await station.set(relative, 0) == "Accepted"
    station.clock.pass_s(30)
    assert await station.plan(400) == [(0, 8), (70, 16)]
    relative["validFrom"] = "2027-01-15T08:10:00Z"
    await station.set(relative, 0)
    assert await station.plan(1000) == [(0, 32), (570, 8), (670, 16)]


async def test_duration_ends_the_schedule_or_the_last_period_lasts():
    station = Station()
    await station.set(profile([(0, 8), (100, 16), (500, 20)], duration=300))
    assert await station.plan(1000) == [(0, 8), (100, 16), (300, 32)]
    await station.set(profile([(0, 8), (100, 16)], duration=3600))
    assert await station.plan(4000) == [(0, 8), (100, 16), (3600, 32)]


async def test_zero_time_and_endless_durations():
    station = Station()
    odd = profile(9, duration=2147483647)
    odd["chargingSchedule"]["startSchedule"] = "0001-01-01T00:00:00Z"
    odd["validTo"] = "9999-12-31T23:59:59Z"
    odd["validFrom"] = "1970-01-01T00:00:00Z"
    assert await station.set(odd) == "Accepted"
    assert await station.plan(DAY) == [(0, 9)]
    assert station.limit() == (9000, None)


async def test_watts_by_the_phases_connected():
    station = Station()
    await station.set(profile(4140, unit="W"))
    assert station.limit()[0] == 6000
    station.evse.phases = 1
    assert station.limit()[0] == 18000
    assert await station.plan(60, "W") == [(0, 4140)]
    await station.set(profile(10.5))
    assert await station.plan(60, "W") == [(0, 2415)]
    station.evse.phases = 3
    assert await station.plan(60, "W") == [(0, 7245)]
    await station.set(profile(1000.7, unit="W"))
    assert await station.plan(60, "W") == [(0, 1000.7)]
    assert await station.plan(60) == [(0, 1.4)]
    assert station.limit()[0] == 1450


async def test_number_phases_is_a_wish_and_never_changes_the_limit():
    station = Station()
    for unit, limit in (("A", 10), ("W", 6900)):
        for wish in (None, 1, 2, 3):
            await station.set(
                profile([(0, limit) if wish is None else (0, limit, wish)], unit=unit)
            )
            piece = station.piece()
            assert piece.limit == 10000
            assert piece.power_limit == (69000 if unit == "W" else NEVER)
            wishes = {None: ANY_PHASES, 1: ONE_PHASE, 2: ONE_PHASE, 3: THREE_PHASES}
            assert piece.phases == wishes[wish]


def test_phases_for_a_limit_in_watts():
    for watts, wish, connected, most, wanted in (
        (NEVER, 3, 3, 3, 3),
        (NEVER, 1, 3, 3, 1),
        (NEVER, 3, 1, 3, 3),
        (NEVER, 3, 1, 1, 1),
        (41400, 3, 3, 3, 3),
        (41390, 3, 3, 3, 1),
        (41400, 3, 1, 3, 1),
        (45540, 3, 1, 3, 3),
        (13790, 3, 3, 3, 3),
        (0, 3, 1, 3, 1),
        (0, 1, 3, 3, 1),
    ):
        assert phases_to_connect(watts, wish, connected, most) == wanted, watts


async def test_composite_is_bounded():
    station = Station()
    await station.set(
        profile([(i * 60, 6 + i % 2) for i in range(100)], kind="Daily", start=NOW - DAY)
    )
    schedule = (await station.composite(10**9))["chargingSchedule"]
    assert len(schedule["chargingSchedulePeriod"]) == 100
    assert schedule["duration"] == DAY
    await station.set(profile(10, kind="Daily", start=NOW - DAY, duration=DAY - 1))
    await station.set(profile(10, level=1, identity=2, kind="Daily", start=NOW - 1, duration=1))
    schedule = (await station.composite(10**9))["chargingSchedule"]
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10}]
    assert 300 * DAY < schedule["duration"] < 10**9
    assert await station.plan(0) == [(0, 10)]
