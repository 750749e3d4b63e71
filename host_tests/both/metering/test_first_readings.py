"""What is believed of a meter after the start, and which values can't be."""

import asyncio

from firmware.metering.meter import plausible_ranges
from host_tests.both.metering.test_metering import Bench, bench


async def shown(b, registers):
    """The meter's register in one poll after the other."""
    for energy in registers:
        b.sees(energy)
        await b.seconds(1)


async def test_one_wrong_first_poll_is_no_fault():
    for wrong, known in (
        (0, None), (5, None), (999000, None), (1000100, None), (2000000, None),
        (9999999999, None), (0, 999990), (1000900, 999990), (9999999999, 999990),
    ):  # fmt: skip
        b = Bench(known=known)
        b.sees(wrong)
        await b.meter.poll()
        assert b.meter.last is None and b.meter.error is None, wrong
        for _ in range(3):
            await b.seconds(1)
            b.sees(1000000)
            await b.meter.poll()
            assert b.meter.error is None, wrong
        assert b.meter.last["energy"] == 1000000, wrong


async def test_the_first_reading_is_believed_at_once_where_the_journal_agrees():
    for known, energy in ((1000000, 1000000), (999600, 1000000)):
        b = Bench(known=known)
        b.sees(energy)
        await b.meter.poll()
        assert b.meter.last["energy"] == energy and not b.log.lines


async def test_a_meter_that_reads_0_for_its_first_seconds_is_waited_for():
    b = Bench(known=999990)
    b = started(b)
    await shown(b, [0] * 8)
    assert b.meter.last is None and b.meter.error is None
    await shown(b, [1000000] * 3)
    assert b.meter.error is None and b.meter.last["energy"] == 1000000
    assert b.log.levels == ["warning"]
    b.task.cancel()


async def test_a_register_that_contradicts_the_journal_is_believed_when_it_goes_on():
    for known in (70000, 2000000):
        b = Bench(known=known)
        b = started(b)
        await shown(b, [1000000] * 9)
        assert b.meter.last is None and b.meter.error is None, known
        await shown(b, [1000001] * 4)
        assert b.meter.error is None and b.meter.last["energy"] == 1000001, known
        assert "taken for a new meter" in b.log.lines[-1]
        b.task.cancel()


async def test_a_register_that_wanders_from_the_start_is_a_fault_after_half_a_minute():
    b = Bench()
    b = started(b)
    await shown(b, [70000 + 1000 * (n % 7) for n in range(29)])
    assert b.meter.error is None and b.meter.last is None
    await shown(b, [70000 + 1000 * (n % 7) for n in range(5)])
    assert "register went from" in b.meter.error and b.meter.last is None
    b.task.cancel()


async def test_a_missing_meter_is_waited_for_after_the_start():
    b = Bench()
    b.mute = True
    b = started(b)
    await b.seconds(28)
    assert b.meter.error is None
    await b.seconds(6)
    assert "no answer" in b.meter.error
    b.mute = False
    await b.seconds(4)
    assert b.meter.error is None and b.meter.last
    b.task.cancel()


async def test_a_new_station_s_first_register_is_taken_back_while_nobody_relies_on_it():
    b = bench(known=None)
    await shown(b, [0] * 3)
    assert b.meter.last["energy"] == 0
    await shown(b, [1000000] * 12)
    assert b.meter.error is None and b.meter.last["energy"] == 1000000
    b.task.cancel()
    b = bench(known=None)
    await shown(b, [0] * 3)
    assert (await b.meter.read_now())["energy"] == 0  # a transaction begins
    await shown(b, [1000000] * 12)
    assert b.meter.error and b.meter.last["energy"] == 0
    b.task.cancel()


async def test_values_that_cannot_be_are_left_out():
    good = {"energy": 1000000, "power": 70000, "i1": 10000, "v1": 230000, "frequency": 50000}
    for field, value in (
        ("i1", -21500000000),
        ("i1", 10**33),
        ("i1", 129000),
        ("i2", -129000),
        ("v1", 300001),
        ("v3", -1),
        ("power", 10000000),
        ("p2", -400000),
        ("frequency", 5000000),
        ("frequency", 39999),
        ("reactive", 10**13),
    ):
        b = Bench(model="SDM630")
        answer = dict(good)
        answer[field] = value
        b.registers.decode = lambda blocks, answer=answer: dict(answer)
        b = started(b)
        await b.seconds(3)
        kept = dict(answer)
        del kept[field]
        assert b.meter.last == kept and b.meter.error is None, (field, value)
        assert b.log.levels == ["warning"] and field in b.log.lines[0]
        await b.seconds(28)
        assert field in b.meter.error and "can't be" in b.meter.error  # now it is a fault
        b.registers.decode = lambda blocks: dict(good)
        await b.seconds(2)
        assert b.meter.error is None and b.meter.last == good
        b.task.cancel()


async def test_a_frequency_of_0_where_there_is_no_voltage_is_no_fault():
    b = Bench(model="SDM630")
    b.registers.decode = lambda blocks: {"energy": 1000000, "v1": 0, "frequency": 0}
    b = started(b)
    await b.seconds(40)
    assert b.meter.error is None and b.meter.last == {"energy": 1000000, "v1": 0}
    b.task.cancel()


async def test_a_register_from_swapped_words_is_never_told():
    b = Bench()
    b.registers.decode = lambda blocks: {"energy": 5900000000000000000, "power": 0}
    b = started(b)
    await b.seconds(20)
    assert b.meter.last is None
    await b.seconds(15)
    assert "energy" in b.meter.error
    b.task.cancel()


def started(b):
    b.task = asyncio.create_task(b.meter.run())
    return b


def test_the_ranges_of_an_installation():
    for amps, phases, most_ma, most_dw in (
        (32, 3, 128000, 1152000),
        (16, 1, 64000, 192000),
        (0, 1, 64000, 192000),
        (6, 3, 64000, 576000),
    ):
        ranges = {}
        for fields, low, high in plausible_ranges(amps * 1000, phases):
            for field in fields:
                ranges[field] = (low, high)
        assert sorted(ranges) == sorted(
            "energy reactive power p1 p2 p3 i1 i2 i3 v1 v2 v3 frequency".split()
        )
        assert ranges["i1"] == (-most_ma, most_ma)
        assert ranges["power"] == (-most_dw, most_dw)
        assert ranges["v2"] == (0, 300000) and ranges["frequency"] == (40000, 70000)
        assert ranges["energy"] == (0, 10**13 - 1)
