"""Virtual time itself, on every Python."""

import asyncio
import time

from firmware.base import runtime
from firmware.base.times import Clock
from host_tests.virtual import Skip, free_port


async def test_an_hour_of_station_time_takes_no_time():
    clock = Clock()
    real = time.time()
    await clock.sleep_ms(3600000)
    assert clock.ms() == 3600000
    assert time.time() - real < 5


async def test_an_hour_in_control_steps():
    clock = Clock()
    for _ in range(1000):
        await clock.sleep_ms(20)
    assert clock.ms() == 20000


async def test_a_month():
    clock = Clock()
    await clock.sleep_ms(31 * 86400000)
    assert clock.ms() == 31 * 86400000


async def test_tasks_interleave_by_their_timers():
    clock = Clock()
    seen = []

    async def every(ms, times):
        for _ in range(times):
            await clock.sleep_ms(ms)
            seen.append((clock.ms(), ms))

    await asyncio.gather(every(70, 3), every(100, 2))
    assert seen == [(70, 70), (100, 100), (140, 70), (200, 100), (210, 70)]


async def test_the_loops_time_begins_at_zero_and_is_whole_microseconds():
    if runtime.MICROPYTHON:
        raise Skip("its ticks are integers, whose origin no code sees")
    loop = asyncio.get_running_loop()
    assert loop.time() < 0.001
    for seconds in (0.1, 0.2, 0.0333333333, 7 / 3):  # sums that binary fractions don't hold
        await asyncio.sleep(seconds)
    timers = [loop.call_later(left, int) for left in (0.3, 0.1 + 0.2, 0.7 - 0.4)]
    assert len({timer.when() for timer in timers}) == 1
    for timer in timers:
        timer.cancel()
    assert loop.now_us == 500 + 100000 + 200000 + 33333 + 2333333


async def test_time_outs_and_cancelling():
    clock = Clock()
    cancelled = []

    async def forever():
        try:
            while True:
                await clock.sleep_ms(1000)
        except asyncio.CancelledError:
            cancelled.append(clock.ms())
            raise

    try:
        await asyncio.wait_for(forever(), 30)
        assert False, "no time-out"
    except asyncio.TimeoutError:
        pass
    assert cancelled == [30000]


async def test_polling_until_time_passes_ends():
    clock = Clock()
    while clock.ms() < 5:
        await asyncio.sleep(0)


async def test_real_sockets_are_served_before_time_jumps():
    clock = Clock()

    async def echo(reader, writer):
        while True:
            line = await reader.readline()
            if not line:
                break
            await clock.sleep_ms(5000)
            writer.write(line)
            await writer.drain()
        writer.close()

    port = free_port()
    server = await asyncio.start_server(echo, "127.0.0.1", port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(3):
        writer.write(b"hello %d\n" % i)
        await writer.drain()
        assert await asyncio.wait_for(reader.readline(), 6) == b"hello %d\n" % i
    assert clock.ms() == 15000
    writer.close()
    server.close()


def test_time_runs_on_outside_of_a_loop():
    before = runtime.ticks_ms()
    time.sleep(0.02)
    assert 10 <= runtime.ticks_diff(runtime.ticks_ms(), before) < 2000
