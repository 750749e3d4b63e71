"""The ESP32 board on a chip in software (fake_machine.py), with the circuit of docs/wiring.md."""

from firmware.charging.evse import Evse, Limits
from firmware.charging.faults import Faults
from firmware.sensing import pilot
from host_tests.both.fake_machine import Chip, Circuit, finish
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryStore

CAR = {"A": None, "B": 2740, "C": 882, "D": 246}


def fitted(changes=None, window=True):
    chip = Chip()
    circuit = Circuit(chip, window)
    return chip, circuit, chip.board(changes, Log())


def seen(board, permille):
    """What the pilot's decoder makes of a burst."""
    board.read()
    high, low = pilot.levels(board.burst)
    return pilot.classify(high, low, 0 < permille < 1000)


# the outputs


def test_the_permit_is_the_first_pin_and_off():
    chip = Chip()
    order = []
    chip.on_out = lambda number, level: order.append((number, level))
    chip.board(None, Log())
    assert order[0] == (25, 0)
    assert all(level == 0 for number, level in order)
    assert chip.pwm[27].duty == 65536  # steady: no offer


def test_outputs_that_are_active_low_begin_off():
    chip = Chip()
    board = chip.board({"phases": "!21", "permit": "!25"}, Log())
    assert (chip.outputs[21], chip.outputs[25]) == (1, 1)
    board.phases(3)
    board.permit(True)
    assert (chip.outputs[21], chip.outputs[25]) == (0, 0)


def test_the_permit_is_a_heartbeat():
    chip, circuit, board = fitted(window=False)
    for _ in range(5):
        board.permit(True)
        finish(board.wait(500))
    assert circuit.contactor()
    held = chip.us
    while circuit.contactor():  # Python has stopped
        chip.us += 1000
    assert 1400000 <= chip.us - held <= 1600000


def test_a_permit_withdrawn_opens_at_once():
    chip, circuit, board = fitted(window=False)
    for _ in range(5):
        board.permit(True)
        finish(board.wait(500))
    board.permit(False)
    chip.us += circuit.OPENS_US
    assert not circuit.contactor()
    chip.us += 2000000
    board.permit(False)
    assert not circuit.contactor()


def test_the_duty_of_the_pilot():
    chip, _, board = fitted()
    pwm = chip.pwm[27]
    assert pwm.period == 1000
    for permille, duty in ((1000, 65536), (0, 0), (100, 6553), (533, 34930), (960, 62914)):
        board.pilot(permille)
        assert pwm.duty == duty, permille
        assert chip.outputs[22] == 0


def test_an_inverting_driver_of_the_pilot():
    chip, _, board = fitted({"cp_pwm": "!27"})
    for permille, duty in ((1000, 0), (0, 65536), (100, 65535 - 6553)):
        board.pilot(permille)
        assert chip.pwm[27].duty == duty, permille


def test_a_break_of_the_pilot():
    chip, circuit, board = fitted()
    circuit.plug()
    board.pilot(None)
    assert (chip.outputs[22], chip.pwm[27].duty) == (1, 65536)
    assert seen(board, 1000) == "A"
    board.pilot(160)
    assert chip.outputs[22] == 0
    assert seen(board, 160) == "B"


def test_a_break_without_a_relay_is_state_f():
    chip, _, board = fitted({"cp_break": "-"})
    board.pilot(None)
    assert chip.pwm[27].duty == 0
    assert seen(board, 1000) == "F"


def test_the_lock_gets_pulses_of_300_ms():
    chip, circuit, board = fitted()
    circuit.events = []
    for close in (True, False):
        before = chip.us
        board.lock(close)
        assert chip.us == before  # nobody waited
        for _ in range(30):
            board.read()
            finish(board.wait(500))
        assert board.lock_closed == close
        assert not chip.outputs[18] and not chip.outputs[19]
    assert [event[1] for event in circuit.events] == ["lock", "unlock"]
    assert all(300 <= event[2] <= 330 for event in circuit.events)


def test_a_new_pulse_ends_the_one_before():
    chip, _, board = fitted()
    board.lock(True)
    board.lock(False)
    assert (chip.outputs[18], chip.outputs[19]) == (0, 1)


def test_the_phase_relay():
    chip, _, board = fitted()
    assert chip.outputs[21] == 0
    board.phases(3)
    assert chip.outputs[21] == 1
    board.phases(1)
    assert chip.outputs[21] == 0


# the pilot's samples


def test_every_state_at_every_duty_however_fast_the_adc_is():
    for read_us in (40, 70, 99, 100, 125, 166, 200, 250):
        chip, circuit, board = fitted()
        chip.read_us = read_us
        circuit.noise_mv = 8
        for state in CAR:
            circuit.ohm = CAR[state]
            for permille in (100, 266, 533, 850, 1000):
                board.pilot(permille)
                chip.us += 137
                assert seen(board, permille) == state, (read_us, state, permille)


def test_six_ampere_are_seen_at_any_moment_of_the_period():
    chip, circuit, board = fitted()
    circuit.plug(CAR["C"])
    board.pilot(100)
    for read_us in (100, 125, 200, 250):  # in step with the period, if nothing broke it
        chip.read_us = read_us
        for start in range(0, 1000, 20):
            chip.us = chip.us // 1000 * 1000 + 1000 + start
            assert seen(board, 100) == "C", (read_us, start)


def test_a_burst_has_a_hundred_reads_over_several_periods():
    chip, _, board = fitted()
    board.pilot(160)
    before = chip.us
    board.read()
    assert len(board.burst) >= 100
    assert chip.us - before >= 5000
    assert board.burst is board.burst
    board.pilot(1000)  # nothing moves: no need to look for so long
    before = chip.us
    board.read()
    assert chip.us - before <= 3000


def test_a_missing_diode_shows_under_pwm():
    chip, circuit, board = fitted()
    circuit.plug(CAR["C"])
    circuit.diode = False
    board.pilot(266)
    assert seen(board, 266) == ""


def test_the_dividers_own_figures_are_taken_from_the_table():
    chip, circuit, board = fitted({"cp_minus_mv": "500", "cp_plus_mv": "2500"})
    chip.analogue = lambda pin: 1500 + 9000 * 2000 // 24000
    board.read()
    assert abs(board.burst[3] - 9000) <= 20, board.burst[3]


# the other facts


def test_proximity():
    chip, circuit, board = fitted()
    for ohm, ma in ((100, 63000), (220, 32000), (680, 20000), (1500, 13000)):
        for part in (95, 100, 105):  # of a 5 % resistor
            circuit.pp_ohm = ohm * part // 100
            board.read()
            assert pilot.pp_limit(board.pp_ohm) == ma, (ohm, part, board.pp_ohm)
            assert abs(board.pp_ohm - circuit.pp_ohm) <= ohm // 50 + 2
    circuit.pp_ohm = None
    board.read()
    assert board.pp_ohm == 99999
    circuit.pp_ohm = 30
    board.read()
    assert pilot.pp_limit(board.pp_ohm) == 0 or board.pp_ohm < 75


def test_the_cables_temperature():
    chip, circuit, board = fitted()
    # 10 kohm at 25 degC, B 3950 K
    known = ((-220, 119328), (-100, 58246), (0, 33621), (250, 10000), (600, 2486), (655, 2051))
    for ddeg, ohm in known + ((700, 1760), (750, 1492), (1000, 698)):
        circuit.ntc_ohm = ohm
        for _ in range(8):
            board.read()
        off = board.cable_ddeg - ddeg
        assert abs(off) <= (3 if 0 <= ddeg <= 900 else 15), (ddeg, board.cable_ddeg)


def test_a_broken_sensor_is_too_hot():
    for ohm in (None, 0):
        chip, circuit, board = fitted()
        circuit.ntc_ohm = ohm
        for _ in range(16):
            board.read()
        assert board.cable_ddeg >= 750
        assert len(board.log.lines) == 1, board.log.lines


def test_a_board_without_a_sensor_has_no_temperature():
    chip, _, board = fitted({"ntc": "-", "pp": "-"})
    board.read()
    assert board.cable_ddeg is None
    assert board.pp_ohm == 99999


def test_an_adc_without_its_reference_is_a_fault_with_a_clear_text():
    """MicroPython's read_uv raises OSError on a chip without Vref in its eFuse."""
    chip, circuit, board = fitted()
    rig = Evse(board, chip.ticks_ms, Log(), Limits(), Faults(Log(), MemoryStore()), True, 3, 60000)
    circuit.plug(CAR["C"])

    def without_reference(pin):
        raise OSError(-261, "ESP_ERR_NOT_SUPPORTED")

    works = chip.analogue
    chip.analogue = without_reference
    for _ in range(100):
        rig.step()
        finish(board.wait(20))
    assert "0x100217" in rig.faults.active
    assert not board._permitted
    assert "ESP_ERR_NOT_SUPPORTED" in board.adc_error
    assert board.log.lines == [board.adc_error + ": no charging on this chip"]  # once
    chip.analogue = works
    board.read()
    assert board.adc_error == ""


def test_inputs():
    chip, circuit, board = fitted()
    board.read()
    assert (board.contactor, board.residual_trip, board.tamper) == (False, False, False)
    assert (board.ground_ok, board.lock_closed) == (True, False)
    circuit.rcd = circuit.tamper = circuit.earth_lost = True
    board.read()
    assert (board.residual_trip, board.tamper, board.ground_ok) == (True, True, False)


def test_a_cut_wire_is_a_fault():
    chip, circuit, board = fitted()
    chip.level = lambda number: Chip.level(chip, number)
    chip.inputs = {35: 1}  # the external pull-up; all others have the chip's
    board.read()
    assert board.residual_trip and board.tamper and board.contactor
    assert not board.ground_ok and not board.lock_closed


def test_inputs_that_are_not_fitted():
    chip, circuit, board = fitted({"ground": "-", "tamper": "-", "lock": "-"})
    circuit.tamper = circuit.earth_lost = True
    board.read()
    assert board.ground_ok and not board.tamper and not board.lock_closed


# the serial lines


def test_the_meters_line():
    chip, _, board = fitted()
    port = board.port("meter", 19200, "E")
    assert chip.uarts[2].setup == (2, 19200, 8, 0, 1, 17, 16, 2048, 0)
    assert port.read(10) == b""
    chip.uarts[2].hear(b"abc")
    assert port.read(2) == b"ab"
    assert port.read(10) == b"c"
    port.write(b"\x01\x03")
    assert chip.uarts[2].sent == b"\x01\x03"
    board.port("meter", 9600, "N")
    assert chip.uarts[2].setup[1:5] == (9600, 8, None, 1)
    board.port("meter", 9600, "O")
    assert chip.uarts[2].setup[3] == 1


def test_the_tic_line_keeps_what_it_heard():
    chip, _, board = fitted({"tic_rx": "!4"})
    board.tic_tune(1200)
    assert chip.uarts[1].setup == (1, 1200, 7, 0, 1, 14, 4, 2048, 4)
    chip.uarts[1].hear(b"\x02ADCO")
    assert board.tic_tune(1200).read(16) == b"\x02ADCO"
    chip.uarts[1].hear(b"noise")
    assert board.tic_tune(9600).read(16) == b""
    assert chip.uarts[1].setup[1] == 9600


def test_a_line_that_is_not_fitted_is_silent():
    chip, _, board = fitted({"tic_rx": "-", "tic_tx": "-"})
    port = board.tic_tune(1200)
    port.write(b"x")
    assert port.read(16) == b""
    assert 1 not in chip.uarts


# the watchdog


def test_the_watchdog_is_fed_unless_somebody_is_silent():
    chip, _, board = fitted()
    assert chip.timeout_ms == 30000
    chip.memory = b"2 run"
    chip.us += 4000000
    board.feed("")
    assert chip.fed_us == chip.us
    chip.us += 4000000
    board.feed("Meter Evse")
    assert chip.fed_us == chip.us - 4000000
    assert chip.memory == b"2 bad Meter Evse silent"
    assert board.crash_record() == "2 bad Meter Evse silent"
    board.feed("")  # it was only slow
    assert chip.fed_us == chip.us
    assert chip.memory == b"2 run"


def test_ten_minutes_make_earlier_crashes_forgotten():
    chip, _, board = fitted()
    chip.memory = b"2 run"
    for _ in range(140):
        board.feed("")
    assert chip.memory == b"2 run"
    for _ in range(20):
        board.feed("")
    assert chip.memory == b"0 run"


# a charge


class Charge:
    """An evse on the board, in the chip's time."""

    def __init__(self, window=True):
        self.chip, self.circuit, self.board = fitted(None, window)
        log = Log()
        self.limits = Limits()
        self.limits.set("imax_user", 16000)
        faults = Faults(log, MemoryStore())
        ms = self.chip.ticks_ms
        self.evse = Evse(self.board, ms, log, self.limits, faults, True, 3, 60000)
        self.evse.enabled = True

    def run(self, ms, until=None):
        end = self.chip.us + ms * 1000
        while self.chip.us < end:
            finish(self.board.wait(self.evse.step()))
            if until and until():
                return True
        return False

    def charging(self):
        self.circuit.plug()
        assert self.run(3000, lambda: self.evse.offered_ma == 16000)
        self.circuit.ohm = CAR["C"]
        assert self.run(3000, self.circuit.contactor)
        self.run(2000)
        assert self.evse.pilot == "C" and not self.evse.faults.active

    def until_open(self, ohm):
        """ms from a change of the car's resistor to the open contactor."""
        self.circuit.events = []
        before = self.chip.us
        self.circuit.ohm = ohm
        assert self.run(3000, lambda: not self.circuit.contactor())
        opened = [event for event in self.circuit.events if event[1:] == ("contactor", False)]
        return (opened[0][0] - before) // 1000


def test_a_car_charges():
    charge = Charge()
    charge.charging()
    events = [event[1:] for event in charge.circuit.events]
    order = [name for name, value in events if name in ("lock", "permit", "contactor") and value]
    assert order == ["lock", "permit", "contactor"]
    assert ("phases", 1) in events
    assert charge.board.lock_closed and charge.board.contactor
    assert charge.chip.pwm[27].duty == 266 * 65536 // 1000
    charge.circuit.ohm = None
    assert charge.run(2000, lambda: not charge.evse.plugged)
    assert not charge.circuit.contactor()


def test_the_power_is_off_within_100_ms():
    for window, most in ((True, 40), (False, 100)):  # the hardware; Python alone
        for ohm in (None, CAR["B"], CAR["D"]):
            for shift in (0, 7, 13, 26):
                charge = Charge(window)
                charge.charging()
                charge.run(shift)
                took = charge.until_open(ohm)
                assert took <= most, (window, ohm, shift, took)


def test_a_car_that_goes_on_has_power_within_3_s_whoever_opened():
    for shift in range(0, 60, 6):
        charge = Charge()
        charge.charging()
        charge.run(shift)
        charge.until_open(CAR["B"])
        charge.run(700)
        before = charge.chip.us
        charge.circuit.ohm = CAR["C"]
        assert charge.run(3000, charge.circuit.contactor), (shift, charge.evse.log.lines)
        assert charge.chip.us - before <= 1500000


def test_an_offer_withdrawn_leaves_the_car_time_to_stop():
    charge = Charge()
    charge.charging()
    before = charge.chip.us
    charge.evse.enabled = False
    charge.run(5000)
    assert charge.circuit.contactor()  # a steady pilot has no low side: the window knows
    charge.run(3000, lambda: not charge.circuit.contactor())
    assert 6000000 <= charge.chip.us - before <= 6600000


def test_a_busy_second_does_not_open_the_contactor_and_two_do():
    charge = Charge()
    charge.charging()
    charge.circuit.events = []
    charge.chip.late_ms = 1100  # a TLS handshake
    charge.run(3000)
    assert not [event for event in charge.circuit.events if event[1] == "contactor"]
    charge.chip.late_ms = 2500
    charge.run(12000)
    moves = [event[2] for event in charge.circuit.events if event[1] == "contactor"]
    assert moves == [False, True]  # the car still asks: it goes on, without a fault
    assert not charge.evse.faults.active


def test_the_interlock_opens_while_python_is_away():
    charge = Charge()
    charge.charging()
    charge.circuit.rcd = True
    assert charge.circuit.contactor()  # it needs its 20 ms
    charge.chip.us += 25000
    assert not charge.circuit.contactor()
    charge.run(1000)
    assert charge.evse.faults.active == ["0x100215"]
    assert not charge.chip.outputs[25]
