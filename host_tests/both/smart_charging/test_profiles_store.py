"""Charging profiles that come, replace each other, go, and outlive what happens to the flash."""

import asyncio
import json

from firmware.ocpp import CallError, schemas
from firmware.ocpp.handlers import smart_charging
from firmware.smart_charging import profile as records
from firmware.smart_charging.profile import NEVER
from host_tests.both.profiles_rig import MAX, NOW, Station, profile
from host_tests.both.smart_charging.test_profiles import DAY


async def test_what_is_rejected():
    station = Station()
    fine = profile(10)
    assert await station.set(profile([(i, i) for i in range(100)], level=200)) == "Accepted"
    rejected = (
        (profile([(i, i) for i in range(101)]), 1),
        (profile(10, level=201), 1),
        (profile(10, purpose=MAX), 1),
        (profile(10, purpose="Tx"), 1),
        (profile(10, transaction=7), 1),
        (profile([(10, 10)]), 1),
        (profile([(0, 10), (60, 12), (60, 13)]), 1),
        (profile([(0, 10), (60, 12), (30, 13)]), 1),
        (profile(10, duration=0), 1),
        (profile(10, first=NOW, last=NOW), 1),
        (profile(10, kind="Daily", start=None), 1),
        (profile(10, kind="Recurring"), 1),
    )
    for wrong, connector in rejected:
        assert await station.set(wrong, connector) == "Rejected", wrong
    assert len(station.log.lines) == len(rejected)
    station.start(7)
    assert await station.set(profile(10, purpose="Tx", transaction=8)) == "Rejected"
    assert await station.set(profile(10, purpose="Tx"), 0) == "Rejected"
    assert await station.set(profile(10, purpose="Tx")) == "Accepted"
    station.start(None)
    assert await station.set(profile(10, purpose="Tx", transaction=7)) == "Rejected"
    station.start(-3)
    assert await station.set(profile(10, purpose="Tx", transaction=-3)) == "Accepted"
    try:
        await station.set(fine, 2)
        assert False
    except CallError as error:
        assert error.code == "PropertyConstraintViolation"


async def test_replaces_by_id_and_by_level():
    station = Station()
    await station.set(profile(10, level=1, identity=1))
    await station.set(profile(11, level=2, identity=2))
    await station.set(profile(12, level=3, identity=3))
    assert len(station.profiles.slots()) == 3
    await station.set(profile(13, level=3, identity=4))
    assert len(station.profiles.slots()) == 3
    assert station.limit()[0] == 13000
    await station.set(profile(14, level=2, identity=4))  # two at once
    assert len(station.profiles.slots()) == 2
    assert station.limit()[0] == 14000
    await station.set(profile(15, level=2, identity=5), 0)  # another connector
    await station.set(profile(16, level=2, identity=6, purpose=MAX), 0)  # another purpose
    assert len(station.profiles.slots()) == 4
    assert sorted(line.split()[0] for line in station.profiles.listing()) == ["1", "4", "5", "6"]
    await station.set(profile(20, level=2, identity=4, purpose=MAX), 0)
    assert sorted(line.split()[0] for line in station.profiles.listing()) == ["1", "4", "5"]


async def test_no_start_schedule_inside_and_decimals():
    station = Station()
    await station.set(profile([(0, 16), (10, 8.1), (20, 0)]))
    answer = await station.composite(30, "A", 1)
    assert answer == {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": "2027-01-15T08:00:00Z",
        "chargingSchedule": {
            "duration": 30,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 16},
                {"startPeriod": 10, "limit": 8.1},
                {"startPeriod": 20, "limit": 0},
            ],
        },
    }
    import json

    assert ": 8.1}" in json.dumps(answer)
    assert ": 16}" in json.dumps(
        {"limit": answer["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]}
    )
    assert await station.composite(30, "A", 2) == {"status": "Rejected"}


async def test_clear():
    station = Station()
    assert await station.clear() == "Unknown"
    station.start()
    await station.set(profile(10, level=1, identity=1), 0)
    await station.set(profile(10, level=1, identity=2), 1)
    await station.set(profile(10, level=2, identity=3), 1)
    await station.set(profile(10, level=1, identity=4, purpose=MAX), 0)
    await station.set(profile(10, level=1, identity=5, purpose="Tx"))

    def left():
        return sorted(int(line.split()[0]) for line in station.profiles.listing())

    before = station.changes
    assert await station.clear(id=9) == "Unknown"
    assert await station.clear(connectorId=2) == "Unknown"
    assert await station.clear(connectorId=0, stackLevel=2) == "Unknown"
    assert await station.clear(connectorId=1, chargingProfilePurpose=MAX) == "Unknown"
    assert station.changes == before and left() == [1, 2, 3, 4, 5]
    assert await station.clear(id=3, connectorId=0, stackLevel=7) == "Accepted"  # errata 3.26
    assert left() == [1, 2, 4, 5]
    assert (
        await station.clear(connectorId=0, stackLevel=1, chargingProfilePurpose=MAX) == "Accepted"
    )
    assert left() == [1, 2, 5]
    assert await station.clear(connectorId=1) == "Accepted"
    assert left() == [1]
    await station.set(profile(10, level=1, identity=2), 1)
    assert await station.clear() == "Accepted"
    assert left() == []
    assert station.limit() == (32000, None)


async def test_a_profile_that_changes_while_a_schedule_is_made():
    """The answer is of one moment: made again where a profile came in between."""
    station = Station()
    await station.set(profile([(i * 10, 6 + i % 2) for i in range(50)]))
    asked = asyncio.create_task(station.composite(500))
    for _ in range(5):
        await asyncio.sleep(0)
    await station.set(profile(20))
    schedule = (await asked)["chargingSchedule"]
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 20}]


async def test_tx_profiles_go_with_their_transaction():
    station = Station()
    station.start(7, position=40)
    await station.set(profile(20, purpose="Tx"))
    station.profiles.maintain(station.transactions.running)
    assert station.limit() == (20000, None)
    station.start(8, position=50)  # the next, between two steps
    assert station.limit() == (32000, None)
    station.profiles.maintain(station.transactions.running)
    assert station.profiles.slots() == b""


async def test_decimals_are_read_exactly():
    station = Station()
    for tenths in range(320):
        assert await station.set(profile(tenths / 10)) == "Accepted"
        assert station.limit()[0] == tenths * 100


async def test_evaluating_changes_nothing():
    station = Station()
    await station.set(profile([(0, 10), (50, 12)], kind="Daily", start=NOW - DAY))
    station.profiles.flush()
    stored = dict(station.values.values)
    for _ in range(20):
        station.clock.pass_s(5000)
        station.limit()
        await station.composite(DAY)
    assert station.values.values == stored and station.values.writes == 1


async def for_start(station, given):
    message = {"idTag": "A", "chargingProfile": json.loads(json.dumps(given))}
    checked = schemas.check("RemoteStartTransaction", "req", message)
    return await smart_charging.record_for_start(station, checked["chargingProfile"])


async def test_the_profile_of_a_remote_start():
    station = Station()
    record = for_start
    assert not await record(station, profile(10))
    assert not await record(station, profile(10, purpose="Tx", transaction=1))
    assert not await record(station, profile(10, purpose="Tx", level=201))
    await station.set(profile(6))
    wanted = profile(
        [(0, 10), (60, 20)], purpose="Tx", kind="Relative", start=None, level=3, identity=2
    )
    wanted = await record(station, wanted)
    assert station.limit() == (6000, None)
    station.clock.pass_s(100)
    station.start(None)
    await station.take(wanted)
    assert station.limit() == (10000, 60)
    station.transactions.running.transaction_id = 12
    newer = profile(8, purpose="Tx", level=3, identity=3, transaction=12)
    assert await station.set(newer) == "Accepted"
    assert len(station.profiles.slots()) == 2
    assert station.limit() == (8000, None)
    station.stop()
    assert station.limit() == (6000, None)
    station.profiles.maintain(None)
    assert len(station.profiles.slots()) == 1


async def test_energy_managers_of_many_profiles():
    """A profile that is replaced each second is written each ten seconds at most, and what may
    wait is in flash 10 s after it was accepted. More of them than may wait are written at once."""
    for profiles in (4, 6):
        station = Station()
        accepted = {}  # amperes by (id, second)
        for second in range(180):
            for identity in range(profiles):
                amperes = 6 + (second + identity) % 26
                accepted[identity, second] = amperes
                message = profile(amperes, level=identity, identity=identity)
                assert await station.set(message) == "Accepted"
            station.clock.pass_s(1)
            station.profiles.maintain(None)
            restarted = station.restart().profiles
            for slot in restarted.slots():
                identity = restarted.table.identity(slot)
                found = records.period_limit(restarted.record(slot), 0) // 10
                allowed = [accepted.get((identity, second - ago)) for ago in range(11)]
                assert found in allowed, (identity, second)
            assert len(restarted.slots()) == profiles
        if profiles == 4:
            assert station.values.writes <= 4 * 24, station.values.writes


async def test_a_clock_that_nobody_set():
    """Until it is known again: the time when the newest profile came."""
    station = Station()
    await station.set(profile([(0, 10), (100, 12)], start=NOW - 50))
    station.profiles.flush()
    station.clock.now = None
    station = station.restart()
    assert station.piece()[1:] == (10000, NEVER, 3)
    station.clock.now = NOW + 60
    assert station.limit() == (12000, None)


async def test_a_clock_that_is_set_back_or_at_last():
    station = Station()
    await station.set(profile(10, start=NOW - 50, duration=100))
    await station.set(
        profile([(0, 8), (100, 16)], level=1, kind="Relative", identity=2, start=None)
    )
    station.start(ago=0)
    assert station.limit() == (8000, 100)
    station.clock.pass_s(100)
    assert station.limit() == (16000, None)
    station.clock.now = None  # as after a restart, the transaction going on
    assert station.piece().limit == 16000
    station.clock.at_ms -= 50000
    assert station.piece().limit == 8000
    station.clock.now = NOW + 3600
    assert station.limit() == (8000, 50)
    await station.clear(id=2)
    assert station.limit() == (32000, None)
    station.clock.now = NOW - 10
    assert station.limit() == (10000, 60)


async def test_energy_managers_every_ten_seconds():
    """For an hour: each takes effect at once, and is in flash when it is accepted."""
    station = Station()
    for n in range(360):
        ma = n % 7 * 5000
        wished = [(0, ma // 1000, 1 + n % 2 * 2)]
        assert await station.set(profile(wished, start=NOW - 99999999)) == "Accepted"
        assert station.limit()[0] == ma
        assert station.restart().limit() == (ma, None)
        for _ in range(10):
            station.clock.pass_s(1)
            station.profiles.maintain(None)
    assert station.values.writes == 360


async def test_a_profile_is_safe_when_it_is_accepted():
    """One that replaces the same id again within 10 s may wait until they are over."""
    station = Station()
    await station.set(profile(9, identity=1))
    assert station.restart().limit() == (9000, None)
    await station.set(profile(8, identity=2))  # of the same level: in its place
    assert station.restart().limit() == (8000, None)
    await station.set(profile(10, identity=2))
    assert station.restart().limit() == (8000, None)
    for _ in range(10):
        station.clock.pass_s(1)
        station.profiles.maintain(None)
    assert station.restart().limit() == (10000, None)
    await station.set(profile(11, identity=2))
    station.profiles.flush()
    assert station.restart().limit() == (11000, None)
    await station.set(profile(12, level=3, identity=3))
    await station.set(profile(13, level=3, identity=2))  # in the place of two
    restarted = station.restart()
    assert restarted.limit() == (13000, None) and len(restarted.profiles.slots()) == 1


async def test_a_full_flash():
    station = Station()
    for n in range(2):
        assert (
            await station.set(profile([(i, 9) for i in range(100)], level=n, identity=n))
            == "Accepted"
        )
    station.values.full = True
    assert (
        await station.set(profile([(i, 9) for i in range(100)], level=2, identity=2)) == "Rejected"
    )
    station.clock.pass_s(10)
    station.profiles.maintain(None)
    assert station.limit()[0] == 9000
    station.values.full = False
    station.clock.pass_s(60)
    for _ in range(2):
        station.profiles.maintain(None)
    assert len(station.restart().profiles.slots()) == 2


async def test_damage_is_survived():
    station = Station()
    await station.set(profile(9, level=1, identity=1))
    await station.set(profile(12, level=0, identity=2))
    station.profiles.flush()
    station = station.restart()
    top = station.profiles.slots()[0]
    whole = station.values.values[top]
    station.values.values[top] = None
    assert station.limit() == (12000, None)
    for broken in (b"", whole[:-1], whole + b"x", b"x" * 49):
        station.values.values[top] = broken
        assert station.restart().limit() == (12000, None)
