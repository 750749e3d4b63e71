"""Charging profiles as records, and what they allow over time."""

import binascii

from firmware.ocpp import schemas
from firmware.ocpp.configuration import Configuration
from firmware.smart_charging import profile as records
from firmware.smart_charging.evaluation import Evaluation
from firmware.smart_charging.profile import NEVER, unpack_profile
from firmware.smart_charging.store import MAX_PROFILES, ProfileTable
from host_tests.both.memory_files import MemoryStore
from host_tests.both.profile_records import pack_record
from host_tests.both.profiles_rig import MAX, NOW, profile
from host_tests.both.smart_charging.test_profile_records import old_form

T = NOW - records.EPOCH


def packed(message, connector=1, transaction=-1):
    """The record of a profile that came over the wire."""
    payload = {"connectorId": connector, "csChargingProfiles": message}
    schemas.check("SetChargingProfile", "req", payload)
    return pack_record(payload["csChargingProfiles"], connector, transaction, T)


def evaluated(*given, maximum=32000, in_watts=False, phases=3):
    """[(from, limit)] in seconds from now, and how often the winners were looked for. `given` are
    (message, connector)."""
    table = ProfileTable()
    kept = [packed(message, connector) for message, connector in given]
    for slot in range(len(kept)):
        table.place(slot, unpack_profile(kept[slot]))

    def record_of(slot):
        return kept[slot]

    evaluation = Evaluation(table, record_of, -1, T, T, phases, table.skip_until[:])
    found = []
    begin = T
    for piece in evaluation.pieces(maximum, in_watts):
        found.append((begin - T, piece.limit))
        begin = piece.until
    assert begin == NEVER
    return found, evaluation.searches


def test_the_example_in_the_module():
    found, searches = evaluated(
        (profile(16, level=0, identity=1, start=NOW - 100), 1),
        (profile([(0, 20), (200, 8)], level=1, identity=2, start=NOW + 300, duration=600), 1),
        (profile([(0, 32), (800, 10)], purpose=MAX, identity=3, start=NOW - 100), 0),
    )
    assert found == [(0, 16000), (300, 20000), (500, 8000), (700, 8000), (900, 10000)]
    assert searches == 3 + 1


def test_no_profiles():
    assert evaluated() == ([(0, 32000)], 2)


def test_units():
    for message, in_watts, phases, limit in (
        (profile(10), False, 3, 10000),
        (profile(10.1), True, 3, 69690),
        (profile(10.1), True, 1, 23230),
        (profile(6900, unit="W"), False, 3, 10000),
        (profile(6900.1, unit="W"), True, 3, 69001),
        (profile(4140, unit="W"), False, 1, 18000),
    ):
        most = 1000000
        assert evaluated((message, 1), maximum=most, in_watts=in_watts, phases=phases) == (
            [(0, limit)],
            2,
        )


def test_a_lost_record_is_as_if_it_were_not_there():
    table = ProfileTable()
    kept = [packed(profile(16, level=n, identity=n)) for n in range(2)]
    for slot in range(2):
        table.place(slot, unpack_profile(kept[slot]))

    def record_of(slot):
        return kept[0] if slot == 0 else None

    evaluation = Evaluation(table, record_of, -1, T, T, 3, table.skip_until)
    assert next(evaluation.pieces(32000)) == (NEVER, 16000, NEVER, 3)


def test_records_stay_what_they_are_in_flash():
    """A firmware that comes later reads what an earlier one has written; `old` is the form
    whose numbers all had 32 bits."""
    daily = profile(
        [(0, 16), (60, 8.1, 1)],
        level=3,
        identity=7,
        kind="Daily",
        duration=3600,
        start=NOW - 100,
    )
    most = profile(11000.5, identity=-5, purpose=MAX, unit="W", first=NOW, last=NOW + 9)
    large = profile([(0, 6, 3)], 200, "Tx", "Relative", None, identity=1 << 40)
    for record, fields, rest, old in (
        (
            packed(daily),
            "02fc3902000000c0ffffff3f1c4cd503100e0000ffffffff0700000000000000",
            "00000000000000003c000000010000000100000000000000a000510002",
            "0000000000000000000000003c000000a0000000510000000301",
        ),
        (
            packed(most, 0),
            "00ff3c01804cd503894cd503804cd503ffffff3ffffffffffbffffffffffffff",
            "00000000000000000000000001000000b5ad01000000010000",
            "000000000000000000000000b5ad010003",
        ),
        (
            packed(large, 1, 70000),
            "01377b01000000c0ffffff3f804cd503ffffff3f701101000000000000010000",
            "000000000000000000000000010000003c000000000001000001",
            "0000000000000000000000003c00000003",
        ),
    ):
        assert binascii.hexlify(record).decode() == fields + rest
        flags = "%02x" % (record[2] & 7)
        old_record = binascii.hexlify(old_form(record)).decode()
        assert old_record == fields[:4] + flags + fields[6:] + old
        assert records.is_whole(record) and not records.is_whole(record[:-1])


def test_a_record_s_fields():
    record = packed(profile([(0, 6), (60, 7, 1), (90, 8)], 200, "Tx", identity=9), 1, 70000)
    fields = unpack_profile(record)
    assert (fields.rank, fields.level, fields.count) == (records.TX, 200, 3)
    assert (fields.transaction, fields.identity) == (70000, 9)
    records.set_transaction(record, 4)
    records.set_receipt(record, T, 77)
    assert unpack_profile(record).transaction == 4 and records.receipt(record) == (T, 77)
    for second, index in ((0, 0), (59, 0), (60, 1), (89, 1), (90, 2), (NEVER, 2)):
        assert records.period_in_force(record, second) == index
    assert records.last_period(record) == 2
    assert [records.period_start(record, n) for n in range(3)] == [0, 60, 90]
    assert [records.period_limit(record, n) for n in range(3)] == [60, 70, 80]
    assert [records.period_phases(record, n) for n in range(3)] == [3, 1, 3]


def test_a_record_tells_three_phases_from_none_given():
    for wishes in ((3,), (0, 3), (1, 2, 3, 4), (0,) * 8 + (3,), (3,) * 17 + (0, 1), (1,) * 9):
        message = profile([(n, 6, wish) if wish else (n, 6) for n, wish in enumerate(wishes)])
        record = packed(message)
        assert records.is_whole(record)
        assert [records.period_phases(record, n) for n in range(len(wishes))] == [
            3 if not wish else 1 if wish < 3 else 2 for wish in wishes
        ]
        assert [records.period_limit(record, n) for n in range(len(wishes))] == [60] * len(wishes)


def test_the_keys_tell_what_there_is_room_for():
    keys = Configuration(MemoryStore(), {}, {})
    for name, value in (
        ("ChargeProfileMaxStacklevel", records.MAX_STACK_LEVEL),
        ("ChargingScheduleMaxPeriods", records.MAX_PERIODS),
        ("MaxChargingProfilesInstalled", MAX_PROFILES),
    ):
        assert keys.int(name) == value
