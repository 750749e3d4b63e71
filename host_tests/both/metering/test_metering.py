"""The meter's task: polling, what is believed, what is a fault. In virtual time."""

import asyncio

from firmware.base.times import Clock
from firmware.board.simulated import serial_lines
from firmware.metering.meter import Meter
from firmware.sensing import meters, modbus
from host_tests.both.logs import Log
from host_tests.both.meter_wire import Wire


class Bench:
    """A simulated meter on a line; `reading` is what it measures, `mute` and `refuse` hurt it.
    `known`: the register that the journal knows."""

    def __init__(self, model="SDM72DM", latency=40, unit=1, known=1000000, **options):
        self.clock = Clock()
        self.registers = meters.RegisterMap(model)
        self.reading = {"energy": 1000000, "power": 0}
        self.latency = latency
        self.mute = False
        self.refuse = 0
        self.unit = unit
        self.wire = Wire(self.clock, self.slave)
        self.log = Log()
        master = modbus.Master(self.wire, self.registers.baud, self.clock)
        self.meter = Meter(master, self.registers, unit, self.clock, self.log, **options)
        if known is not None:
            self.meter.expect(known)

    def slave(self, request):
        if self.mute:
            return []
        count = request[4] << 8 | request[5]
        if self.refuse and count > self.refuse:
            return [(5, modbus.with_crc(bytes((request[0], request[1] | 128, 2))))]
        reading = self.reading  # as it is when asked
        return [
            (self.latency, serial_lines.meter_answer(self.registers, self.unit, request, reading))
        ]

    async def seconds(self, n):
        await self.clock.sleep_ms(int(n * 1000))

    def sees(self, energy):
        self.reading = {"energy": energy, "power": 0}


def bench(**options):
    """A bench with its meter's task running."""
    b = Bench(**options)
    b.task = asyncio.create_task(b.meter.run())
    return b


async def test_polls_each_second():
    b = bench()
    assert b.meter.last is None and b.meter.error is None and b.meter.age() is None
    await b.seconds(10.5)
    assert 10 <= len(b.wire.sent) <= 11
    gaps = [b.wire.sent[i + 1][0] - b.wire.sent[i][0] for i in range(9)]
    assert all(950 <= gap <= 1050 for gap in gaps), gaps
    assert b.meter.last == {"energy": 1000000, "power": 0}
    assert b.meter.age() <= 1000
    assert b.meter.error is None
    assert all(level == "debug" for level in b.log.levels)
    b.task.cancel()


async def test_facts():
    assert Bench(model="iEM3155").meter.mid == 1
    assert Bench(model="SDM630").meter.mid == 0
    assert Bench(model="SDM630", mid=1).meter.mid == 1  # the installer read the label
    assert Bench(model="iEM3155", mid=0).meter.mid == 0
    assert Bench(model="sdm630").meter.model == "SDM630"


async def test_the_newest_reading():
    b = bench()
    await b.seconds(2)
    b.reading = {"energy": 1000005, "power": 73600}
    await b.seconds(1.1)
    assert b.meter.last == {"energy": 1000005, "power": 73600}
    b.task.cancel()


async def test_read_now_is_fresh():
    b = bench()
    await b.seconds(3.5)
    b.sees(1000003)
    asked = b.clock.ms()
    assert (await b.meter.read_now())["energy"] == 1000003
    assert b.clock.ms() - asked < 100
    b.task.cancel()


async def test_read_now_does_not_take_a_poll_that_began_before():
    b = bench(latency=300)
    while not b.wire.sent:
        await b.clock.sleep_ms(1)
    await b.clock.sleep_ms(100)  # the first poll is out, its answer fixed
    b.sees(1000001)
    assert (await b.meter.read_now())["energy"] == 1000001
    b.task.cancel()


async def test_read_now_many_at_once():
    b = bench()
    await b.seconds(1.5)
    before = len(b.wire.sent)
    results = await asyncio.gather(*[b.meter.read_now() for _ in range(5)])
    assert all(r["energy"] == 1000000 for r in results)
    assert len(b.wire.sent) - before <= 2  # one request answers them all
    b.task.cancel()


async def test_read_now_is_bounded():
    b = bench()
    await b.seconds(2.5)  # between two polls: at 2 s one begins, before or after this task goes on
    b.mute = True
    asked = b.clock.ms()
    assert await b.meter.read_now() is None
    assert b.clock.ms() - asked < 6500
    assert b.meter.last["energy"] == 1000000  # the last good one stays
    await b.seconds(15)
    assert b.meter.error
    asked = b.clock.ms()
    assert await b.meter.read_now() is None  # lost: no second wait
    assert b.clock.ms() - asked < 4500
    b.task.cancel()


async def test_lost_after_ten_seconds():
    b = bench()
    await b.seconds(5)
    b.mute = True
    await b.seconds(8.5)
    assert b.meter.error is None
    await b.seconds(2)
    assert "SDM72DM" in b.meter.error and "no answer" in b.meter.error
    await b.seconds(10)
    assert b.log.levels.count("error") == 1  # said once
    b.mute = False
    await b.seconds(4)
    assert b.meter.error is None
    assert "again" in b.log.lines[-1]
    b.task.cancel()


async def test_lost_after_five_polls():
    b = bench()
    await b.seconds(5)
    b.refuse = 1
    # refused at once, so that five polls are over long before ten seconds
    await b.seconds(6)
    assert "exception 2" in b.meter.error
    b.task.cancel()


async def test_never_answered():
    b = bench()
    b.mute = True
    await b.seconds(29)
    assert b.meter.error is None and b.meter.last is None  # it may still be starting
    await b.seconds(4)
    assert b.meter.error and b.meter.last is None
    b.task.cancel()


async def test_a_meter_that_wakes_late_is_waited_for():
    b = bench()
    b.mute = True
    waiting = asyncio.create_task(b.meter.read_now(30000))
    await b.seconds(25)
    b.mute = False
    assert (await waiting)["energy"] == 1000000
    assert b.clock.ms() < 29000
    b.task.cancel()


async def test_one_lost_poll_is_no_fault():
    b = bench()
    await b.seconds(3)
    for _ in range(5):
        b.mute = True
        await b.seconds(3)
        b.mute = False
        await b.seconds(3)
        assert b.meter.error is None
    b.task.cancel()


async def test_no_energy_register_is_no_answer():
    b = bench()
    await b.seconds(2)
    b.reading = {"power": 5}
    await b.seconds(7)
    assert "not available" in b.meter.error
    assert b.meter.last["energy"] == 1000000
    b.task.cancel()


async def test_a_port_that_fails_is_a_lost_poll():
    b = bench()
    await b.seconds(2)

    def gone(data):
        raise OSError("unplugged")

    b.wire.write = gone
    await b.seconds(8)
    assert "unplugged" in b.meter.error
    b.task.cancel()


async def test_full_power_is_believed():
    b = bench()
    # 25.44 kW, the most: 7.07 Wh a second, for an hour and over a gap
    start = b.clock.ms()
    while b.clock.ms() - start < 600000:
        b.sees(1000000 + 25440 * (b.clock.ms() - start) // 3600000)
        b.mute = 200000 < b.clock.ms() - start < 204000
        await b.clock.sleep_ms(70)
        assert b.meter.error is None and not b.meter._implausible
    assert b.meter.last["energy"] > 1004200
    b.task.cancel()


async def test_a_register_that_lags_is_believed():
    """Meters renew their registers every second or two, not when they are asked."""
    b = bench(model="iEM3155")
    start = b.clock.ms()
    while b.clock.ms() - start < 60000:
        b.sees(1000000 + 25440 * ((b.clock.ms() - start) // 2000 * 2000) // 3600000)
        await b.clock.sleep_ms(100)
        assert b.meter.error is None and not b.meter._implausible
    b.task.cancel()


async def test_after_a_long_silence_much_may_have_flowed():
    b = bench()
    await b.seconds(3)
    b.mute = True
    await b.seconds(900)
    b.mute = False
    b.sees(1000000 + 6250)
    await b.seconds(3)
    assert b.meter.error is None and b.meter.last["energy"] == 1006250
    b.task.cancel()


async def test_a_fall_is_a_fault():
    for model, less in (("SDM72DM", 1), ("iEM3155", 1), ("B23", 10), ("EM340", 100)):
        b = bench(model=model)
        await b.seconds(3)
        b.sees(1000000 - less)
        await b.seconds(3)
        assert "1000000" in b.meter.error, model
        assert b.meter.last["energy"] == 1000000
        assert await b.meter.read_now() is None
        b.sees(1000000)
        await b.seconds(1.2)
        assert b.meter.error is None
        b.task.cancel()


async def test_a_jump_is_a_fault():
    for model, more in (("SDM72DM", 60), ("iEM3155", 60), ("B23", 60), ("EM340", 200)):
        b = bench(model=model)
        await b.seconds(3)
        b.sees(1000000 + more)
        await b.seconds(2.5)
        assert b.meter.error and b.meter.last["energy"] == 1000000, model
        b.task.cancel()


async def test_a_step_of_the_register_is_no_jump():
    for model, kwh in (("B23", 10), ("EM340", 100)):
        b = bench(model=model)
        for _ in range(5):
            await b.seconds(3)
            b.sees(b.reading["energy"] + kwh)
            await b.seconds(1.1)
            assert b.meter.error is None and b.meter.last["energy"] == b.reading["energy"]
        b.task.cancel()


async def test_one_slip_is_dropped_and_said():
    b = bench()
    await b.seconds(3)
    b.sees(5)
    while not b.log.lines:
        await b.clock.sleep_ms(20)
    b.sees(1000001)
    await b.seconds(3)
    assert b.meter.error is None and b.meter.last["energy"] == 1000001
    assert b.log.levels == ["warning"]
    b.task.cancel()


async def test_another_meter_is_taken_after_a_minute():
    b = bench()
    await b.seconds(3)
    b.sees(70000)
    await b.seconds(58)
    assert b.meter.error and b.meter.last["energy"] == 1000000
    b.sees(70002)
    await b.seconds(5)
    assert b.meter.error is None and b.meter.last["energy"] == 70002
    assert "new meter" in b.log.lines[-1]
    b.task.cancel()


async def test_a_register_that_wanders_is_never_taken():
    b = bench()
    await b.seconds(3)
    for i in range(100):
        b.sees(70000 + 1000 * (i % 7))
        await b.seconds(2)
    assert b.meter.error and b.meter.last["energy"] == 1000000
    b.task.cancel()


async def test_a_meter_that_refuses_large_reads_is_asked_for_less():
    for model, most in (("SDM630", 50), ("iEM3155", 30), ("EM340", 11), ("SDM72DM", 2)):
        b = bench(model=model)
        b.refuse = most
        if most == 2:
            b.registers.registers = [r for r in b.registers.registers if r.field == "energy"]
        await b.seconds(3)
        assert b.meter.error is None and b.meter.last["energy"] == 1000000, model
        b.task.cancel()


async def test_cancelling_a_poll_leaves_the_meter_usable():
    b = Bench()
    task = asyncio.create_task(b.meter.poll())
    await b.clock.sleep_ms(20)
    task.cancel()
    await b.clock.sleep_ms(5)
    assert (await b.meter.read_now())["energy"] == 1000000
