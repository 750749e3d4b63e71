"""Registers of every type, over their whole range, against exact fractions; garbage."""

import struct
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.base.times import Clock
from firmware.board.simulated import serial_lines
from firmware.sensing import meters, modbus
from host_tests import virtual
from host_tests.both.meter_wire import Wire

MAPS = [meters.RegisterMap(model.name) for model in meters.models()]
FACTORS = st.sampled_from([(1, 1), (10, 1), (100, 1), (1000, 1), (10000, 1), (1, 10)])
quick = settings(max_examples=300, deadline=None)


@quick
@given(st.integers(0, 2**32 - 1), FACTORS)
@example(0x46800001, (1000, 1))
@example(1, (10000, 1))
@example(0x7F7FFFFF, (10000, 1))
def test_float32_is_scaled_exactly(bits, factor):
    data = bits.to_bytes(4, "big")
    number = struct.unpack(">f", data)[0]
    found = meters.decode_register(data, "f2", *factor)
    if number != number or number in (float("inf"), float("-inf")):
        assert found is None
    else:
        assert found == round(Fraction(number) * factor[0] / factor[1])


@quick
@given(
    st.sampled_from(["u1", "s1", "u2", "s2", "u4", "s4"]),
    st.sampled_from(["", "<"]),
    FACTORS,
    st.data(),
)
def test_integers_of_every_size(kind, order, factor, data):
    size = 16 * int(kind[1])
    low, high = (0, 2**size - 1) if kind[0] == "u" else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
    raw = data.draw(st.integers(low, high) | st.sampled_from([low, low + 1, high - 1, high]))
    coded = raw.to_bytes(size // 8, "big", signed=kind[0] == "s")
    if order:
        coded = b"".join(coded[i : i + 2] for i in range(len(coded) - 2, -1, -2))
    found = meters.decode_register(coded, kind + order, *factor)
    if raw == high or (kind[0] == "s" and raw == low):
        assert found is None
    else:
        assert found == round(Fraction(raw) * factor[0] / factor[1])


def there_and_back(number, register):
    coded = serial_lines.encode_register(number, register)
    return meters.decode_register(coded, register.kind, register.factor, register.divisor)


@quick
@given(st.sampled_from(MAPS), st.data())
def test_energy_survives_to_the_registers_step(meter, data):
    """decode(encode(x)) is x where the register can hold it, else its nearest neighbour."""
    register = next(register for register in meter.registers if register.field == "energy")
    top = 10**11
    if register.kind[0] != "f":
        bits = 16 * register.count - (register.kind[0] == "s")
        top = min((2**bits - 2) * register.factor // register.divisor, 10**15)
    energy = data.draw(st.integers(0, top) | st.integers(0, min(top, 2**26)))
    found = there_and_back(energy, register)
    assert abs(found - energy) * 2 <= meter.energy_step_wh(energy)
    assert there_and_back(found, register) == found


@quick
@given(st.integers(-(10**12), 10**12), FACTORS)
def test_the_encoder_rounds_to_the_nearest_float32(number, factor):
    coded = serial_lines.encode_register(number, meters.Register(0, 2, "", "f2", *factor))
    exact = Fraction(number) * factor[1] / factor[0]
    bits = int.from_bytes(coded, "big")
    here = Fraction(struct.unpack(">f", coded)[0])
    for neighbour in (bits - 1, bits + 1):
        other = struct.unpack(">f", (neighbour & 0xFFFFFFFF).to_bytes(4, "big"))[0]
        if other == other:
            assert abs(here - exact) <= abs(Fraction(other) - exact)


@quick
@given(st.sampled_from(MAPS), st.data())
def test_any_registers_give_a_reading(meter, data):
    """Whatever the slave sends: known fields, integers, no negative energy, no exception."""
    blocks = [data.draw(st.binary(min_size=2 * n, max_size=2 * n)) for _, n in meter.blocks]
    reading = meter.decode(blocks)
    assert set(reading) <= {register.field for register in meter.registers}
    assert all(type(number) is int for number in reading.values())
    assert reading.get("energy", 0) >= 0 and reading.get("reactive", 0) >= 0


frames = st.binary(max_size=40) | st.binary(max_size=60).map(modbus.with_crc)
answers = st.one_of(
    frames,
    st.binary(max_size=8).map(lambda data: modbus.with_crc(b"\x01\x04" + data)),
    st.binary(max_size=8).map(lambda data: modbus.with_crc(b"\x01\x84" + data)),
    st.just(b"\x01\x04\x04"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1500), answers), max_size=8), st.booleans())
def test_garbage_on_the_line_ends_in_an_answer_or_a_modbus_error(garbage, echo):
    async def session():
        clock = Clock()
        wire = Wire(clock, lambda request: garbage)
        master = modbus.Master(wire, 9600, clock, echo=echo)
        try:
            data = await master.read(1, 4, 0x48, 2)
            assert len(data) == 4  # by chance, with a good CRC
        except modbus.ModbusError:
            pass
        assert clock.ms() < 10000

    virtual.run(session())


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=4, max_size=4), st.data())
def test_the_answer_is_found_in_noise_and_no_damaged_one_is(value, data):
    sent = modbus.request(1, 4, 0x48, 2)
    frame = modbus.with_crc(b"\x01\x04\x04" + value)
    before, after = data.draw(st.binary(max_size=30)), data.draw(st.binary(max_size=30))
    try:
        assert modbus.find_answer(before + frame + after, sent) == value
    except modbus.ModbusError:  # noise that happens to be an exception; the answer comes first
        raise AssertionError("noise won") from None
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    broken = bytearray(frame)
    broken[bit // 8] ^= 1 << bit % 8
    assert modbus.find_answer(bytes(broken), sent) is None


@quick
@given(st.binary(max_size=12))
def test_the_slave_is_never_upset(request_bytes):
    for frame in (request_bytes, modbus.with_crc(request_bytes)):
        answer = serial_lines.meter_answer(MAPS[0], 1, frame, {"energy": 5})
        assert answer == b"" or modbus.crc(answer) == 0
