"""The console's `calibrate` on a chip in software: what it measures, stores and refuses."""

import json

from firmware import program, provisioning
from firmware.board import pins
from host_tests.both.board.test_device import Device
from host_tests.both.board.test_provisioning import GIVEN
from host_tests.both.fake_machine import Circuit
from host_tests.both.logs import Log

CHIP = "esp32"
OTHER = {"pins": {"tamper": "-"}}  # GIVEN's permit is on a pin that the circuit has not


def given(**more):
    return dict(GIVEN, **dict(OTHER, **more))


def board(d, off_mv=0, changes=None):
    """A board whose ADC reads `off_mv` more than calculated."""
    circuit = Circuit(d.chip)
    plain = d.chip.analogue
    d.chip.analogue = lambda pin: plain(pin) + (off_mv if pin == 36 else 0)
    made = d.chip.board(changes, Log())
    return circuit, made


def stored():
    with open(provisioning.FILE) as file:
        return json.load(file)


def check_levels(plus_mv, minus_mv):
    """Those that are stored: within 1 mV, which the board's own rounding takes."""
    told = stored()["pins"]
    found = int(told["cp_plus_mv"]), int(told["cp_minus_mv"])
    assert abs(found[0] - plus_mv) <= 1 and abs(found[1] - minus_mv) <= 1, found
    return found


def test_both_levels_are_measured_and_stored():
    with Device(given()) as d:
        _, made = board(d, 40)
        lines = provisioning.calibrate(made, CHIP)
        levels = check_levels(2375, 326)
        assert lines == ["cp_plus_mv=%d mV" % levels[0], "cp_minus_mv=%d mV" % levels[1]]
        without = stored()
        without["pins"] = {"tamper": without["pins"]["tamper"]}
        assert without == json.loads(json.dumps(given()))
        assert not made._permit() and d.chip.pwm[27].duty == 65536  # steady +12 V: no offer


def test_a_second_time_gives_the_same():
    with Device(given(pins={"cp_plus_mv": "2375", "cp_minus_mv": "326"})) as d:
        _, made = board(d, 40, {"cp_plus_mv": "2375", "cp_minus_mv": "326"})
        provisioning.calibrate(made, CHIP)
        check_levels(2375, 326)


def test_what_is_far_off_is_refused_and_nothing_is_stored():
    for off_mv, ohm in ((200, None), (-160, None), (0, 882)):
        with Device(given()) as d:
            circuit, made = board(d, off_mv)
            circuit.ohm = ohm  # a car in C halves the high side
            before = stored()
            try:
                provisioning.calibrate(made, CHIP)
                assert False, off_mv
            except ValueError as why:
                assert "unplug the cable" in str(why) and "Nothing was stored" in str(why)
            assert stored() == before


def test_a_chip_that_cannot_measure_says_so():
    with Device(given()) as d:
        _, made = board(d)

        def broken(pin):
            raise OSError(22)

        d.chip.analogue = broken
        try:
            provisioning.calibrate(made, CHIP)
            assert False
        except ValueError as why:
            assert "the ADC can't be read" in str(why)
        assert stored() == given()


def test_the_program_says_what_became_of_it():
    """`program.run` calls it when the console's `calibrate` has ended the station."""
    with Device(given()) as d:
        _, made = board(d, 300)
        program._calibrate(made)  # prints; a refusal is no crash
        assert stored() == given()
        assert pins.load("devkit", stored()["pins"])["cp_plus_mv"] == "2335"
