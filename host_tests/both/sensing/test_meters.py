"""Registers to readings, in integers, and the simulated slave that answers them."""

from firmware.board.simulated import serial_lines
from firmware.sensing import meters, modbus

ALL = [model.name for model in meters.models()]

FIELDS = "energy reactive power p1 p2 p3 i1 i2 i3 v1 v2 v3 frequency".split()
MODBUS_MOST = 125  # registers in one answer

# What the makers' documents say of the meters that this began with, in words of their own:
# name, as delivered, MID-approved, most registers a request, the requests (address, count)
DOCUMENTED = (
    ("iEM3150", 19200, "E", 0, 125, [(0x0BB7, 112), (0x0C83, 4)]),
    ("iEM3155", 19200, "E", 1, 125, [(0x0BB7, 112), (0x0C83, 20)]),
    ("iEM3250", 19200, "E", 0, 125, [(0x0BB7, 112), (0x0C83, 4)]),
    ("iEM3255", 19200, "E", 1, 125, [(0x0BB7, 112), (0x0C83, 20)]),
    ("iEM3350", 19200, "E", 0, 125, [(0x0BB7, 112), (0x0C83, 4)]),
    ("iEM3355", 19200, "E", 1, 125, [(0x0BB7, 112), (0x0C83, 20)]),
    ("SDM120", 2400, "N", 0, 80, [(0, 78)]),
    ("SDM72DM", 9600, "N", 0, 80, [(0x34, 22)]),
    ("SDM72DM-V2", 9600, "N", 0, 80, [(0, 74)]),
    ("SDM630", 9600, "N", 0, 80, [(0, 78)]),
    ("B23", 19200, "E", 1, 125, [(0x5000, 16), (0x5B00, 45)]),
    ("EM340", 9600, "N", 0, 50, [(0, 42), (0x33, 5)]),
)

READING = {
    "energy": 12345600,
    "reactive": 45600,
    "power": 220800,
    "p1": 73600,
    "p2": 73500,
    "p3": -12300,
    "i1": 32000,
    "i2": 31990,
    "i3": 500,
    "v1": 230000,
    "v2": 231100,
    "v3": 229900,
    "frequency": 49900,
}


def decode(kind, hexes, factor=1, divisor=1):
    return meters.decode_register(bytes.fromhex(hexes), kind, factor, divisor)


def ask(meter, reading):
    """Reads the slave as the master would."""
    blocks = []
    for address, count in meter.blocks:
        sent = modbus.request(1, meter.function, address, count)
        blocks.append(modbus.find_answer(serial_lines.meter_answer(meter, 1, sent, reading), sent))
    return meter.decode(blocks)


def test_names():
    for name in ALL:
        assert meters.find_model(name).name == name
        assert meters.find_model(name.upper()).name == name
        assert meters.RegisterMap(name.lower()).model == name
    try:
        meters.find_model("SDM999")
        raise AssertionError("known")
    except ValueError as why:
        assert "SDM999" in str(why) and "SDM630" in str(why)


def test_float32():
    assert decode("f2", "43660000", 1000) == 230000  # 230.0
    assert decode("f2", "c3660000", 1000) == -230000
    assert decode("f2", "00000000", 1000) == 0
    assert decode("f2", "80000000", 1000) == 0
    assert decode("f2", "00000001", 1000) == 0  # the smallest there is
    assert decode("f2", "3f800000", 1) == 1
    # a half goes to the even neighbour, on both sides of zero
    assert [decode("f2", h) for h in ("3f000000", "3fc00000", "40200000")] == [0, 2, 2]
    assert [decode("f2", h) for h in ("bf000000", "bfc00000", "c0200000")] == [0, -2, -2]
    assert decode("f2", "3f000001") == 1
    # above 16,384 kWh a float32 steps by 2 Wh, and each step counts
    assert decode("f2", "46800000", 1000) == 16384000
    assert decode("f2", "46800001", 1000) == 16384002
    assert decode("f2", "46800003", 1000) == 16384006
    # 1 GWh and one step more: 64/1000 kWh
    assert decode("f2", "49742400", 1000) == 1000000000
    assert decode("f2", "49742401", 1000) == 1000000062
    assert decode("f2", "7f7fffff", 1) == (2**24 - 1) << 104
    for not_available in ("7fc00000", "ffc00000", "7f800000", "ff800000", "ffffffff", "7fffffff"):
        assert decode("f2", not_available, 1000) is None


def test_integers():
    assert decode("s4", "0000000001000001") == 16777217  # no float32 on the way
    assert decode("u4", "00000000ffffffff", 10) == 42949672950
    assert decode("u4", "ffffffffffffffff") is None
    assert decode("s4", "8000000000000000") is None
    assert decode("s4", "7fffffffffffffff") is None
    assert decode("u2", "000008fc", 100) == 230000
    assert decode("u2", "ffffffff") is None
    assert decode("s2", "7fffffff") is None
    assert decode("s2", "80000000") is None
    assert decode("s2", "ffffffff") == -1  # a watt back into the house, not "not available"
    assert decode("s2", "00035e80", 1, 10) == 22080
    assert [decode("s2", "0000000" + d, 1, 10) for d in "45f"] == [0, 0, 2]
    assert decode("u1", "1388", 10) == 50000
    assert decode("u1", "ffff") is None
    assert decode("s1", "01f3", 100) == 49900
    assert decode("s1", "7fff") is None
    assert decode("s1", "ff9c") == -100
    assert decode("s2<", "5e600003") == 0x00035E60
    assert decode("s2<", "fffeffff") == -2
    assert decode("s2<", "ffff7fff") is None


def test_the_rows_are_well_formed():
    assert len({name.lower() for name in ALL}) == len(ALL)
    for model in meters.models():
        assert " " not in model.name and ":" not in model.name  # --meter MODEL:DEVICE
        assert model.function in (3, 4) and 0 < model.max_registers <= MODBUS_MOST
        assert meters.line_settings(str(model.baud), model.parity) == (model.baud, model.parity)
        assert model.mid in (0, 1) and model.energy_step_wh >= 1
        fields = []
        for register in meters.RegisterMap(model.name).registers:
            fields.append(register.field)
            assert register.kind[0] in "fus" and register.kind[2:] in ("", "<")
            assert register.count == (2 if register.kind[0] == "f" else register.count) <= 4
            assert register.factor >= 1 and register.divisor >= 1
        assert set(fields) <= set(FIELDS) and len(set(fields)) == len(fields), model.name


def test_few_requests_and_within_the_limits():
    for name in ALL:
        meter = meters.RegisterMap(name)
        assert len(meter.blocks) <= 2, name  # each of them takes a part of the second
        assert all(count <= meter.max_registers for _, count in meter.blocks)
        # a late answer must not pass for the one to another request
        assert len({count for _, count in meter.blocks}) == len(meter.blocks)
        # and each register is asked for once, whole
        for register in meter.registers:
            first, end = register.address, register.address + register.count
            assert sum(at <= first and end <= at + n for at, n in meter.blocks) == 1


def test_what_is_documented():
    for name, baud, parity, mid, most, blocks in DOCUMENTED:
        meter = meters.RegisterMap(name)
        assert (meter.baud, meter.parity, meter.mid) == (baud, parity, mid), name
        assert meter.max_registers == most and meter.blocks == blocks, (name, meter.blocks)


def test_every_meter_tells_what_it_has():
    for name in ALL:
        meter = meters.RegisterMap(name)
        fields = {register.field for register in meter.registers}
        reading = ask(meter, READING)
        assert reading == {field: READING[field] for field in fields}, name
        assert "energy" in fields and "power" in fields
    assert "reactive" not in ask(meters.RegisterMap("iEM3250"), READING)
    assert "v1" not in ask(meters.RegisterMap("SDM72DM"), READING)
    assert "v2" not in ask(meters.RegisterMap("SDM120"), READING)
    assert "reactive" not in ask(meters.RegisterMap("SDM72DM-V2"), READING)


def test_what_is_missing_stays_missing():
    for name in ALL:
        meter = meters.RegisterMap(name)
        assert ask(meter, {"energy": 100}) == {"energy": 100}
        assert ask(meter, {}) == {}


def test_energy_is_never_negative():
    meter = meters.RegisterMap("iEM3155")
    blocks = [bytes(2 * count) for _, count in meter.blocks]
    blocks[1] = b"\xff" * 8 + blocks[1][8:]
    assert "energy" not in meter.decode(blocks)
    assert meter.decode(blocks)["reactive"] == 0


def test_narrow_reads_say_the_same():
    for name in ALL:
        meter = meters.RegisterMap(name)
        reading = ask(meter, READING)
        meter.plan_blocks(10, 0)
        assert all(count <= 10 for _, count in meter.blocks)
        used = sum(register.count for register in meter.registers)
        assert sum(count for _, count in meter.blocks) == used
        assert ask(meter, READING) == reading


def test_steps():
    assert meters.RegisterMap("B23").energy_step_wh(5) == 10
    assert meters.RegisterMap("EM340").energy_step_wh(10**9) == 100
    assert meters.RegisterMap("iEM3155").energy_step_wh(10**9) == 1
    assert meters.RegisterMap("SDM630").energy_step_wh(0) == 1
    assert meters.RegisterMap("SDM630").energy_step_wh(16384000) == 2
    for kwh_bits in (0x46800000, 0x46FFFFFF, 0x49742400, 0x4B000000):
        here, next_one = (decode("f2", "%08x" % (kwh_bits + i), 1000) for i in (0, 1))
        assert next_one - here <= meters.RegisterMap("SDM630").energy_step_wh(here)


def test_the_slave_refuses_as_modbus_says():
    meter = meters.RegisterMap("SDM630")
    good = modbus.request(1, 4, 0, 2)

    def answer(frame):
        return serial_lines.meter_answer(meter, 1, frame, READING)

    assert answer(good)[:3] == b"\x01\x04\x04"
    assert answer(good[:-1] + b"\x00") == b""
    assert answer(good[:-1]) == b""
    assert answer(modbus.request(2, 4, 0, 2)) == b""
    assert answer(modbus.request(1, 3, 0, 2)) == modbus.with_crc(b"\x01\x83\x01")
    assert answer(modbus.request(1, 4, 0x400, 2)) == modbus.with_crc(b"\x01\x84\x02")
    assert answer(modbus.request(1, 4, 0, 81)) == modbus.with_crc(b"\x01\x84\x03")
    assert answer(modbus.request(1, 4, 0, 0)) == modbus.with_crc(b"\x01\x84\x03")
