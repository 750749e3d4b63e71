"""The Modbus RTU master against scripted lines; the frames are those of the field notes."""

from firmware.base.times import Clock
from firmware.sensing import modbus
from firmware.sensing.modbus import Master, ModbusError
from host_tests.both.meter_wire import Wire

ASK = bytes.fromhex("01040000000131ca")
ANSWER = bytes.fromhex("0104020e023c91")


def on(script, baud=9600, **options):
    """A master on a line where the n-th request gets script[n], the last one again and again."""
    clock = Clock()
    left = list(script)
    wire = Wire(clock, lambda request: left.pop(0) if len(left) > 1 else left[0])
    return Master(wire, baud, clock, **options), wire, clock


async def refused(master, *words):
    try:
        await master.read(*(words or (1, 4, 0, 1)))
    except ModbusError as why:
        return why
    raise AssertionError("no error")


def test_crc_and_requests_of_the_notes():
    assert modbus.request(1, 3, 0x0BD3, 6).hex() == "01030bd300063615"
    assert modbus.request(1, 4, 0, 12).hex() == "01040000000cf00f"
    assert modbus.request(1, 4, 0x48, 2).hex() == "010400480002f1dd"
    assert modbus.request(1, 4, 0, 1) == ASK
    assert modbus.crc(ANSWER) == 0
    assert modbus.crc(b"") == 0xFFFF
    assert modbus.crc(b"123456789") == 0x4B37  # the catalogue's check value


async def test_a_plain_answer():
    master, wire, clock = on([[(30, ANSWER)]])
    assert await master.read(1, 4, 0, 1) == b"\x0e\x02"
    assert [data for _, data in wire.sent] == [ASK]
    assert clock.ms() < 80


async def test_at_once_without_sleeping():
    master, wire, clock = on([[(0, ANSWER)]])
    await clock.sleep_ms(100)
    assert await master.read(1, 4, 0, 1) == b"\x0e\x02"
    assert clock.ms() == 100


async def test_byte_by_byte_and_in_two_pieces():
    single = [(20 + 2 * i, ANSWER[i : i + 1]) for i in range(len(ANSWER))]
    halves = [(20, ANSWER[:4]), (500, ANSWER[4:])]
    for script in (single, halves):
        master, wire, clock = on([script])
        assert await master.read(1, 4, 0, 1) == b"\x0e\x02"
        assert len(wire.sent) == 1


async def test_noise_before_and_after():
    noisy = [(10, b"\x00\xff\x01\x04\x02"), (20, b"\x01" + ANSWER + b"\xfe\x00")]
    master, wire, clock = on([noisy])
    for _ in range(2):
        assert await master.read(1, 4, 0, 1) == b"\x0e\x02"
    assert len(wire.sent) == 2


async def test_an_echo_nobody_told_of_is_passed_over():
    master, wire, clock = on([[(0, ASK + ANSWER)]])
    assert await master.read(1, 4, 0, 1) == b"\x0e\x02"
    # the request itself must not pass for an answer, whatever its bytes: 0x0C00 looks like 6
    # registers follow
    master, wire, clock = on([[(0, modbus.request(1, 4, 0x0C00, 6))]], tries=1)
    assert (await refused(master, 1, 4, 0x0C00, 6)).code == 0


async def test_echo_dropped_to_the_byte():
    master, wire, clock = on(
        [[(1, ASK[:3]), (4, ASK[3:] + ANSWER[:2]), (9, ANSWER[2:])]], echo=True
    )
    assert await master.read(1, 4, 0, 1) == b"\x0e\x02"


async def test_an_echo_that_could_be_an_answer_is_dropped():
    ask = modbus.request(4, 4, 0x02B1, 1)  # its first seven bytes are a frame by themselves
    assert modbus.crc(ask[:7]) == 0
    answer = modbus.with_crc(b"\x04\x04\x02\x12\x34")
    master, wire, clock = on([[(1, ask), (9, answer)]], echo=True)
    assert await master.read(4, 4, 0x02B1, 1) == b"\x12\x34"


async def test_a_different_echo_is_a_collision():
    broken = bytes.fromhex("01040001000131ca")
    master, wire, clock = on([[(1, broken + ANSWER)]], echo=True, tries=1)
    assert "collision" in str(await refused(master))
    master, wire, clock = on([[(1, broken + ANSWER)], [(1, ASK + ANSWER)]], echo=True)
    assert await master.read(1, 4, 0, 1) == b"\x0e\x02"
    assert len(wire.sent) == 2
    # an adapter without the promised echo is noticed, too
    master, wire, clock = on([[(1, ANSWER)]], echo=True, tries=1)
    assert "collision" in str(await refused(master))


async def test_exceptions():
    for code in (1, 2, 3, 4, 11):
        master, wire, clock = on([[(10, modbus.with_crc(bytes((1, 0x84, code))))]])
        why = await refused(master)
        assert why.code == code and "exception %d" % code in str(why)
        assert len(wire.sent) == 1  # asking again would change nothing
        assert clock.ms() < 100
    busy = [(10, modbus.with_crc(b"\x01\x84\x06"))]
    master, wire, clock = on([busy, [(10, ANSWER)]])
    assert await master.read(1, 4, 0, 1) == b"\x0e\x02"


async def test_no_answer():
    for timeout, tries in ((1000, 2), (300, 1)):
        master, wire, clock = on([[]], timeout=timeout, tries=tries)
        why = await refused(master)
        assert str(why) == "no answer" and why.code == 0
        assert len(wire.sent) == tries
        assert timeout * tries <= clock.ms() < (timeout + 60) * tries


async def test_damage_is_asked_again():
    flipped = bytes.fromhex("0104020e033c91")
    for bad in (flipped, ANSWER[:-1], ANSWER[1:], b"\x01\x84\x02\x00\x00"):
        master, wire, clock = on([[(10, bad)], [(10, ANSWER)]])
        assert await master.read(1, 4, 0, 1) == b"\x0e\x02"
        assert len(wire.sent) == 2
    master, wire, clock = on([[(10, flipped)]])
    assert str(await refused(master)) == "damaged answer"


async def test_another_address_function_or_length_is_no_answer():
    for head in (b"\x02\x04\x02", b"\x01\x03\x02", b"\x01\x04\x04\x00\x00", b"\x01\x83\x02"):
        master, wire, clock = on([[(10, modbus.with_crc(head + b"\x0e\x02"))]], tries=1)
        assert str(await refused(master)) == "damaged answer"
        # and it doesn't hide the right one behind it
        master, wire, clock = on([[(10, modbus.with_crc(head + b"\x0e\x02") + ANSWER)]], tries=1)
        assert await master.read(1, 4, 0, 1) == b"\x0e\x02"


async def test_a_late_answer_is_dropped():
    other = modbus.with_crc(b"\x01\x04\x04ABCD")
    master, wire, clock = on([[(1100, ANSWER)], [(10, other)]], tries=1)
    await refused(master)
    await clock.sleep_ms(200)  # meanwhile it came
    assert await master.read(1, 4, 8, 2) == b"ABCD"
    assert not wire.coming


async def test_a_late_answer_in_the_next_exchange_is_passed_over():
    other = modbus.with_crc(b"\x01\x04\x04ABCD")
    master, wire, clock = on([[(1100, ANSWER)], [(200, other)]], tries=1)
    await refused(master)
    assert await master.read(1, 4, 8, 2) == b"ABCD"


async def test_silence_before_each_request():
    for baud, gap in ((2400, 17), (9600, 5), (19200, 3), (38400, 2)):
        master, wire, clock = on([[(10, ANSWER)]], baud=baud)
        last = 0
        for _ in range(3):
            await master.read(1, 4, 0, 1)
            assert wire.sent[-1][0] - last >= gap
            last = clock.ms()
        # what still trickles in restarts the silence
        for ms in range(0, 30, 3):
            wire.say(ms, b"\x00")
        await master.read(1, 4, 0, 1)
        assert wire.sent[-1][0] - last >= (27 + gap if gap > 3 else gap)


async def test_a_babbling_line_ends_in_an_error():
    master, wire, clock = on([[]], tries=1)
    wire.read = lambda n: b"\x55" * n
    assert "silent" in str(await refused(master))
    assert clock.ms() < 1200
    master, wire, clock = on([[(1, b"\x55" * 3000)]], tries=1)
    assert "without end" in str(await refused(master))


async def test_the_longest_answer():
    data = bytes(range(250))
    master, wire, clock = on([[(10, modbus.with_crc(b"\x01\x03\xfa" + data))]])
    assert await master.read(1, 3, 0, 125) == data


async def test_a_slow_line_is_given_time():
    answer = modbus.with_crc(b"\x01\x04\xa0" + bytes(160))
    pieces = [(900 + i * 5, answer[i : i + 1]) for i in range(len(answer))]
    master, wire, clock = on([pieces], baud=2400, tries=1)
    assert await master.read(1, 4, 0, 80) == bytes(160)
