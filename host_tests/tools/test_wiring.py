"""docs/wiring.md says what the firmware does: its pins, its voltages, its times."""

import re

import pytest

from firmware.board import pins
from tools.runtimes import ROOT

PAGE = (ROOT / "docs" / "wiring.md").read_text()
VALUES = ("cp_minus_mv", "cp_plus_mv", "supply_mv", "pp_pull_ohm", "ntc_pull_ohm", "ntc_ohm")


BOARDS = pins.TABLE.strip().split("\n")[0].split()[2:]


@pytest.mark.parametrize("board", BOARDS)
def test_the_pin_table(board):
    section = PAGE.split("## Pins")[1].split("## Parts")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in section.split("\n")]
    head = next(row for row in rows if row[:1] == ["signal"])
    told = {row[0]: row[head.index(board)] for row in rows if row[:1] and row != head}
    told = {name: pin for name, pin in told.items() if name.strip("-")}
    table = pins.load(board)
    assert told == {name: table[name] for name in table if name not in VALUES}


def test_the_optional_pins():
    section = PAGE.split("## Pins")[1].split("## Parts")[0]
    for line in pins.TABLE.strip().split("\n")[1:]:
        name, kind = line.split()[:2]
        if name in VALUES or name.startswith("tic"):
            continue
        row = re.search(rf"(?m)^\| {name} \|.*$", section)[0]
        assert ("`-`" in row) == (kind[-1] == "?"), row


def pin_mv(cp):
    """The divider of 200, 43 and 33 kohm."""
    down, up, low = 1 / 200, 1 / 43, 1 / 33
    return (cp * down + 3300 * up) / (down + up + low)


def test_the_pilots_divider():
    table = pins.load()
    assert abs(pin_mv(-12000) - int(table["cp_minus_mv"])) < 1
    assert abs(pin_mv(12000) - int(table["cp_plus_mv"])) < 1
    volts = re.search(r"(?m)^\| CP \|(.*)\|$", PAGE)[1]
    told = re.search(r"(?m)^\| at pin 36 \|(.*)\|$", PAGE)[1]
    for cp, mv in zip(volts.split("|"), told.split("|"), strict=True):
        assert abs(pin_mv(int(cp.split()[0]) * 1000) - int(mv.split()[0])) <= 1
    assert 150 < pin_mv(-13000) < pin_mv(13000) < 2450


def test_the_other_dividers():
    proximity = re.search(r"(?s)\*\*Proximity\*\*.*?\n\n", PAGE)[0]
    found = re.findall(r"(\d+)(?: ohm reads)?\s(\d\.\d\d) V", proximity)
    assert len(found) == 4
    for ohm, volts in found:
        assert abs(3.3 * int(ohm) / (int(ohm) + 1000) - float(volts)) < 0.006
    ntc = [int(word) for word in pins.load()["ntc_ohm"].split(",")]
    for degrees, volts in ((65, 0.57), (75, 0.43)):
        ohm = ntc[(degrees + 30) // 5]
        assert f"{degrees} degC" in PAGE and f"{volts} V" in PAGE
        assert abs(3.3 * ohm / (ohm + 10000) - volts) < 0.01
    # an open one can't be told from a cold one
    assert ntc[1] > 10000 * (3300 - 220) / 220 > ntc[2]
    assert "colder than -24 degC" in PAGE
