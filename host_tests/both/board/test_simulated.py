"""The simulated board as the world: energy to the watt-hour, ramps, lines, the console's sim."""

import asyncio
import os

from firmware.base.times import Clock as RealClock
from firmware.board.simulated.board import Board
from firmware.sensing import modbus, tic
from firmware.sensing.meters import RegisterMap
from host_tests.both.charger_rig import Clock, Rig

PATH = "/tmp/wallbridge-" + "".join(["%02x" % b for b in os.urandom(6)])


def refusal(board, line):
    try:
        board.command(line.split())
    except ValueError as why:
        return str(why)
    raise AssertionError("accepted: " + line)


# physics


def charging(**options):
    """A board whose car charges at 16 A, without a station."""
    clock = Clock()
    board = Board(clock, **options)
    board.command(["plug"])
    board.command(["ready"])
    board.pilot(266)
    board.permit(True)
    return clock, board


def hold(clock, board, ms):
    """Time passes with the permit kept alive."""
    for _ in range(ms // 100):
        clock.now += 100
        board.permit(True)


def test_energy_is_volts_amperes_and_time():
    clock, board = charging()
    hold(clock, board, 5000)
    begun = board.energy * 36000000 + board._energy_dw_ms
    hold(clock, board, 3600000)
    watts = 15960 * 230 * 3
    mwh = (board.energy * 36000000 + board._energy_dw_ms - begun) // 36000
    assert abs(mwh - watts) <= 3, (mwh, watts)
    reading = board.reading()
    assert reading["i3"] == 15960 and reading["v1"] == 230000 and reading["power"] == 110124
    assert reading["frequency"] == 50000 and abs(reading["reactive"] - reading["energy"] // 5) < 2


def test_energy_does_not_depend_on_who_looks():
    counts = []
    for step in (1, 7, 100, 450):
        clock, board = charging()
        for _ in range(0, 63000, step):
            clock.now += step
            board.permit(True)
        while clock.now % 63000:
            clock.now += 1
            board.permit(True)
        counts.append(board.energy)
    assert max(counts) - min(counts) <= 1, counts


def test_the_ramp_and_the_draw():
    clock, board = charging()
    hold(clock, board, 1000)
    assert 5000 < board.ma < 11000
    hold(clock, board, 2000)
    assert board.ma == 15960
    board.command("draw 9000".split())
    hold(clock, board, 1000)
    assert board.ma == 9000
    board.command(["pause"])
    board.permit(True)
    assert board.ma == 0


def test_pwm_withdrawn_the_car_stops_within_3_s():
    clock, board = charging()
    hold(clock, board, 5000)
    board.pilot(1000)
    hold(clock, board, 3000)
    board.read()
    assert board.ma == 0 and board.burst[0] == board.burst[7] == 9000 and board.contactor
    board.pilot(266)
    hold(clock, board, 500)
    board.read()
    assert board.burst[0] == 6000 and board.burst[7] == -12000


def test_contactor_and_lock_take_time():
    clock, board = charging()
    for ms, closed in ((29, False), (1, True)):
        clock.now += ms
        board.read()
        assert board.contactor == closed
    board.lock(True)
    clock.now += 200
    board.read()
    assert not board.lock_closed
    clock.now += 100
    board.read()
    assert board.lock_closed
    board.permit(False)
    for ms, closed in ((19, True), (1, False)):
        clock.now += ms
        board.read()
        assert board.contactor == closed


def test_the_permit_is_a_heartbeat():
    clock, board = charging()
    clock.now += 400
    board.permit(True)
    clock.now += 499
    board.read()
    assert board.contactor
    clock.now += 100000
    energy = board.energy
    board.read()
    assert not board.contactor
    clock.now += 100000
    assert board.reading()["energy"] <= energy + 10


def test_a_one_phase_car_and_a_one_phase_station():
    clock, board = charging()
    board.command(["phases", "1"])
    hold(clock, board, 4000)
    reading = board.reading()
    assert reading["i1"] == 15960 and reading["i2"] == 0 and reading["p1"] == reading["power"]
    clock, board = charging(phases=1)
    hold(clock, board, 4000)
    assert "i2" not in board.reading() and board.reading()["power"] == 36708


def test_pilot_volts():
    clock = Clock()
    board = Board(clock)

    def volts(output):
        board.pilot(output)
        board.read()
        return board.burst[0] // 1000, board.burst[7] // 1000

    assert volts(1000) == (12, 12) and volts(500) == (12, -12) and volts(0) == (-12, -12)
    board.command(["plug"])
    assert volts(1000) == (9, 9) and volts(500) == (9, -12) and volts(None) == (12, 12)
    board.command(["ventilate"])
    assert volts(1000) == (3, 3)
    board.diode = False
    assert volts(500) == (3, -3)
    board.command("fault 0x100217 on".split())
    assert volts(1000) == volts(500) == (0, 0)


# the register


def test_the_register_goes_on_after_any_end():
    for name in (PATH, PATH + ".new"):
        try:
            os.remove(name)
        except OSError:
            pass
    told = 0
    for _ in range(3):
        clock, board = charging(path=PATH)
        assert board.energy == told
        for _ in range(60):
            hold(clock, board, 1000)
            told = board.reading()["energy"]
        hold(clock, board, 900)
        # here the process is killed: what was told is kept
    assert told > 300
    clock, board = charging(path=PATH)
    assert board.reading()["energy"] == told and board.reactive > 0
    os.remove(PATH)


def test_an_unchanged_register_is_not_written():
    clock = Clock()
    board = Board(clock, path="no/such/folder/meter")
    for _ in range(10):
        clock.now += 1000
        assert board.reading()["energy"] == 0


# lines


def test_the_meters_line():
    registers = RegisterMap("SDM72DM")
    clock, board = charging(registers=registers)
    port = board.port("meter", registers.baud, registers.parity)
    assert port.read(10) == b""
    hold(clock, board, 60000)
    ((address, count),) = registers.blocks
    request = modbus.request(1, registers.function, address, count)
    port.write(request)
    answer = port.read(2)
    assert answer == b"\x01\x04"
    answer += port.read(256)
    reading = board.reading()
    assert reading["energy"] > 100 and port.read(10) == b""
    told = registers.decode([modbus.find_answer(answer, request)])
    assert told == {"energy": reading["energy"], "power": reading["power"]}
    board.command("fault 0x10020F on".split())
    port.write(request)
    assert port.read(10) == b""
    board = Board(Clock())  # without a meter
    port = board.port("meter", 19200, "E")
    port.write(request)
    assert port.read(10) == b""


class Letters(Board):
    """Frames that last exactly a second, of one letter."""

    def tic_frame(self):
        return [b"h" * 120] if self.tic_mode == "historique" else [b"s" * 960]


def tic_board():
    clock = Clock()
    return clock, Letters(clock)


def hear(clock, port, ms, every=10):
    got = b""
    for _ in range(ms // every):
        clock.now += every
        got += port.read(256)
    return got


def test_the_tic_line_has_the_real_speed():
    for mode, baud in (("historique", 1200), ("standard", 9600)):
        clock, board = tic_board()
        port = board.port("tic", baud, "E")
        assert hear(clock, port, 1000) == b""
        board.command(["tic", mode])
        got = hear(clock, port, 10250)  # 10 frames of 1 s and their gaps
        assert len(got) in range(baud * 10 // 10 - 40, baud * 10 // 10 + 1), len(got)
        assert set(got) == set(mode[:1].encode())
        board.command("tic off".split())
        assert hear(clock, port, 1000) == b""


def test_the_wrong_baud_hears_noise():
    clock, board = tic_board()
    board.command("tic standard".split())
    got = hear(clock, board.port("tic", 1200), 3000)
    assert got and b"s" not in got and max(got) < 128


def test_a_late_reader_gets_whole_frames():
    clock = Clock()
    board = Board(clock)
    frame = b"".join(board.tic_frame())
    board.command("tic standard".split())
    port = board.port("tic", 9600)
    got = hear(clock, port, 60000, 3000)
    whole = got[: got.rfind(b"\x03") + 1]
    assert whole.count(b"\x02") == whole.count(b"\x03") >= 4
    assert whole.replace(frame, b"") == b""


def test_the_tic_line_tells_of_the_house():
    clock, board = charging()
    hold(clock, board, 5000)
    for mode in ("historique", "standard"):
        board.command(["tic", mode])
        (frame,) = tic.Decoder().feed(b"".join(board.tic_frame()))
        facts = tic.house_facts(frame)
        assert facts["i"] == [18000] * 3 and facts["subscribed"] == 60000, facts


def test_the_house_is_the_house_and_the_car():
    clock, board = charging()
    board.command("house 5000".split())
    board.command("volt 235".split())
    hold(clock, board, 5000)
    house = board.house()
    assert house["i1"] == 5000 + 15960 and house["v3"] == 235000
    assert house["power"] == house["p1"] * 3


# sim


def test_commands_say_what_is_wrong():
    board = Board(Clock())
    for line in (
        "",
        "fly",
        "plug in",
        "draw",
        "draw x",
        "draw -1",
        "draw 1 2",
        "volt 501",
        "temp",
    ):
        assert refusal(board, line)
    for line in ("fault", "fault 0x100206", "fault 0x1 on", "fault 0x100206 maybe", "tic 9600"):
        assert refusal(board, line)
    assert "power" in refusal(board, "power off")  # nobody said how
    assert "0x10020C" in refusal(board, "fault 0x1 on")
    assert "80000" in refusal(board, "draw 80001")
    assert board.command("temp -20".split()) is None
    board.read()
    assert board.cable_ddeg == -200


def test_power_off():
    gone = []
    board = Board(Clock(), power_off=lambda: gone.append(1))
    board.command("power off".split())
    assert gone


# time


def test_an_hour_costs_few_samples():
    rig = Rig().charge()
    steps = rig.steps
    rig.run(3600000)
    assert rig.steps - steps <= 7400
    assert 21000 < rig.board.energy < 23000


async def test_wait_returns_when_the_world_changes():
    clock = RealClock()
    board = Board(clock)
    await asyncio.sleep(2)
    begun = clock.ms()
    await board.wait(500)
    assert 490 <= clock.ms() - begun <= 520

    async def later():
        await asyncio.sleep(0.1)
        board.command(["plug"])

    task = asyncio.create_task(later())
    begun = clock.ms()
    await board.wait(500)
    assert 90 <= clock.ms() - begun <= 120
    board.read()
    begun = clock.ms()
    await board.wait(500)  # settling: the next sample comes soon
    assert clock.ms() - begun <= 30
    await task
