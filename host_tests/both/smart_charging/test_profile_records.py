"""A profile's record gives back what was put into it, and is short."""

from array import array
from struct import pack

from firmware.smart_charging import profile
from host_tests.both.profile_records import pack_record

SMALL = 500 - 11  # a record of so many bytes lies among LittleFS's metadata (profile_files.py)


def packed(periods, unit="A"):
    """The record of a profile with these periods: (startPeriod, limit in tenths, numberPhases),
    which come in pieces as from charging_periods.py."""
    pieces = []
    for first in range(0, len(periods), 7):
        numbers = array("i")
        for period in periods[first : first + 7]:
            numbers.extend(array("i", period))
        pieces.append(numbers)
    given = {
        "chargingProfileId": 12,
        "stackLevel": 3,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": unit, "chargingSchedulePeriod": pieces},
    }
    return pack_record(given, 1, -1, 99)


def kept(record):
    """The periods of a record."""
    return [
        (
            profile.period_start(record, n),
            profile.period_limit(record, n),
            profile.period_phases(record, n),
        )
        for n in range(profile.last_period(record) + 1)
    ]


def wish(number_phases):
    """What a numberPhases means, 0 for none."""
    if not number_phases:
        return profile.ANY_PHASES
    return profile.ONE_PHASE if number_phases < 3 else profile.THREE_PHASES


def check(periods, unit="A"):
    """Packs these periods; returns the record's length."""
    record = packed(periods, unit)
    fields = profile.unpack_profile(record)
    assert fields.count == len(periods) and fields.in_watts == (unit == "W")
    assert (fields.kind, fields.level, fields.identity) == (profile.RELATIVE, 3, 12)
    most = 1000000000 if unit == "W" else 1000000
    wanted = [(s, min(limit, most), wish(phases)) for s, limit, phases in periods]
    assert kept(record) == wanted, periods
    assert profile.is_whole(record)
    assert not profile.is_whole(record[:-1]) and not profile.is_whole(record + b"x")
    for n in range(len(periods)):
        start = periods[n][0]
        assert profile.period_in_force(record, start) == n
        assert profile.period_in_force(record, start + 1) == n or periods[n + 1][0] == start + 1
    return len(record)


def test_what_energy_managers_send_is_short():
    for first, step, tenths in (
        (900, 900, 5),  # quarters of an hour, half amperes
        (437, 900, 1),  # from now on to the next quarter
        (864, 864, 1),
        (1, 655, 1),
        (60, 86400, 320),  # a period a day
    ):
        starts = [0] + [first + step * n for n in range(99)]
        periods = [(start, start % 65 * tenths, n % 4) for n, start in enumerate(starts)]
        assert check(periods) <= SMALL
        watts = [(start, limit * 340, phases) for start, limit, phases in periods]
        assert check(watts, "W") <= SMALL


def test_large_and_odd_numbers():
    assert check([(0, 0, 0)]) <= SMALL
    assert check([(0, 0, 1), (1, 0, 2)]) <= SMALL
    assert check([(0, 65535, 1), (70000, 1, 3)]) <= SMALL
    check([(0, 65536, 3), (7, 65537, 3), (profile.NEVER - 1, 3, 3)])
    check([(0, 2000000, 3), (7, 999999, 1)])
    check([(n * 40000 + n % 2, 70001 + 10 * n, n % 4) for n in range(100)], "W")
    check([(0, 2000000000, 3), (8, 999999999, 1)], "W")
    for wrong in ([(1, 5, 3)], [(0, 5, 3), (0, 6, 3)], [(0, 5, 3), (9, 6, 3), (8, 6, 3)]):
        try:
            packed(wrong)
            raise AssertionError(wrong)
        except ValueError:
            pass


def old_form(record):
    """A record as a firmware before this one had it: with startPeriods and limits of 32 bits, and
    a byte for the phases."""
    periods = kept(record)
    old = bytearray(record[:40])
    old[2] &= 7  # its flags
    old += b"".join([pack("<I", period[0]) for period in periods])
    old += b"".join([pack("<I", period[1]) for period in periods])
    return old + bytes([1 if period[2] == profile.ONE_PHASE else 3 for period in periods])


def test_the_record_of_an_earlier_firmware():
    periods = [(0, 320, 3), (437, 61, 1), (99999, 0, 3)]
    record = packed(periods)
    old = old_form(record)  # it did not say whether three phases were given: as if not
    assert profile.is_whole(old) and kept(old) == periods
    assert profile.unpack_profile(old) == profile.unpack_profile(record)
    assert profile.period_in_force(old, 99998) == 1
    assert not profile.is_whole(old[:-1]) and not profile.is_whole(record[:40])
