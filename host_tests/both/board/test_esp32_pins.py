"""The table of pins: what a user may change, and what is refused."""

from firmware.board import pins


def refused(changes, words, board="devkit"):
    try:
        pins.load(board, changes)
    except ValueError as why:
        assert words in str(why), str(why)
        return
    raise AssertionError("taken: %r" % changes)


# the pin table


def test_a_user_changes_pins_by_text():
    table = pins.load("devkit", {"permit": "32", "tamper": "-", "rcd": "!^25"})
    assert (table["permit"], table["tamper"], table["rcd"]) == ("32", "-", "!^25")
    assert pins.load()["permit"] == "25"
    assert pins.load("wrover")["meter_rx"] == "15"


def test_each_board_has_pins_that_its_chip_can_have():
    for board, chip in (
        ("devkit", "esp32"),
        ("wrover", "esp32+psram"),
        ("s3", "esp32s3+psram"),
    ):
        table = pins.load(board)
        assert table["chip"] == chip and pins.board_for(chip) == board
        pins.check_chip(board, chip)
    assert pins.load("s3")["cp"] == "1" and pins.load("s3")["meter_tx"] == "13"
    pins.check_chip("wrover", "esp32+psram")


def test_a_board_for_another_chip_is_refused():
    for board, chip, words in (
        ("devkit", "esp32+psram", "and this is esp32+psram: take wrover"),
        ("devkit", "esp32s3+psram", "take s3"),
        ("s3", "esp32", "board: s3 is for the chip esp32s3+psram, and this is esp32: take devkit"),
        ("devkit", "esp32c3", "no pin table for the chip esp32c3"),
    ):
        try:
            pins.check_chip(board, chip)
            assert False, chip
        except ValueError as why:
            assert words in str(why), str(why)
    pins.check_chip("wrover", "esp32")  # a table without 16 and 17 does there, too


def test_pins_that_the_psram_or_the_flash_has_are_refused():
    for board, number, whose in (
        ("wrover", "16", "the PSRAM's"),
        ("wrover", "17", "the PSRAM's"),
        ("wrover", "9", "the flash's"),
        ("devkit", "11", "the flash's"),
        ("devkit", "24", "not there"),
        ("s3", "26", "the flash's"),
        ("s3", "32", "the flash's"),
        ("s3", "33", "the PSRAM's"),
        ("s3", "37", "the PSRAM's"),
        ("s3", "25", "not there"),
        ("s3", "49", "not there"),
        ("s3", "43", "the console's"),
        ("s3", "19", "the USB's"),
        ("s3", "46", "the boot mode's"),
    ):
        refused({"permit": number}, "is no pin for this: " + whose, board)
    refused({"cp": "11"}, "ADC1 (1 to 10)", "s3")
    assert pins.load("s3", {"permit": "39"})["permit"] == "39"
    assert pins.load("devkit", {"permit": "16", "meter_rx": "5"})["permit"] == "16"
    refused({"chip": "esp32"}, "the chip can't be changed")


def test_a_table_that_can_not_work_is_refused():
    refused({"permitt": "3"}, "no such signal: permitt")
    refused({"permit": "-"}, "must be fitted")
    refused({"permit": "x"}, "no number")
    refused({"permit": "6"}, "no pin for this")
    refused({"permit": "1"}, "no pin for this")
    refused({"permit": "40"}, "no pin for this")
    refused({"permit": "34"}, "input only")
    refused({"permit": "26"}, "permit's already")
    refused({"contactor": "^35"}, "without pull-up")
    refused({"permit": "^25"}, "takes no pull-up")
    refused({"meter_tx": "35"}, "input only")
    refused({"cp": "25"}, "ADC1 (32 to 39)")
    refused({"cp": "!36"}, "ADC1")
    refused({"supply_mv": "3.3"}, "no number")
    refused({"supply_mv": "!3300"}, "no marks")
    refused({"cp_plus_mv": "500"}, "cp_plus_mv")
    refused({"ntc_ohm": "5,6"}, "must fall")
    refused({"ntc_ohm": "5,x"}, "no number")
    refused({"lock_open": "-"}, "go together")
    refused({"tic_rx": "-"}, "go together")
    refused({}, "no such board: esp8266 (known: devkit, s3, wrover", "esp8266")
