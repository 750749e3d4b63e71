"""The drawings and the tables in docs/: up to date, readable, and the circuit as calculated."""

import re
import xml.etree.ElementTree as xml

import pytest

from firmware.board import pins
from firmware.sensing import pilot
from tools import tables
from tools.drawings import SHEETS, __main__, draw, parts
from tools.runtimes import ROOT

SHEETS_DRAWN = {name: draw(name) for name in SHEETS}
UNITS = {"MΩ": 1e6, "kΩ": 1e3, "Ω": 1, "µF": 1e-6, "nF": 1e-9, "pF": 1e-12}


def test_the_files_are_up_to_date():
    assert __main__.main(["--check"]) == 0
    assert {path.stem for path in __main__.FOLDER.glob("*.svg")} == set(SHEETS)


def test_the_tables_are_up_to_date():
    assert tables.main(["--check"]) == 0
    told = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    for name in tables.TABLES:
        assert f"<!-- table: {name} -->" in told, name


@pytest.mark.parametrize("name", SHEETS)
def test_no_text_lies_over_another_or_over_a_wire(name):
    assert SHEETS_DRAWN[name].overlaps() == []
    xml.fromstring(SHEETS_DRAWN[name].svg())


def test_an_overlap_would_be_found():
    sheet = SHEETS_DRAWN["lines"].__class__("A title", 400, 200)
    sheet.text(50, 100, "one text")
    sheet.text(70, 102, "another")
    sheet.wire((60, 90), (60, 120))
    sheet.text(380, 150, "too long for it")
    assert [pair[1] for pair in sheet.overlaps()] == [
        "the wire 60,90 60,120",
        "another",
        "the sheet's edge",
    ]


def test_each_part_is_drawn_once_and_can_be_bought():
    rows = parts.bill(SHEETS_DRAWN.values())
    refs = [ref for row in rows for ref in row.refs.split(", ")]
    assert len(refs) == len(set(refs)) == sum(row.count for row in rows)
    used = {row.value for row in rows}
    assert set(parts.TYPES) <= used, "types of parts that are in no drawing"


def value(ref):
    for sheet in SHEETS_DRAWN.values():
        for part in sheet.parts:
            if part.ref == ref:
                number, unit = part.value.split(" ")[:2]
                return float(number) * UNITS[unit.split(";")[0]]
    raise KeyError(ref)


def test_each_reference_that_the_docs_name_is_a_part():
    known = {
        re.sub(r"(?<=\d)[A-D]$", "", part.ref) for s in SHEETS_DRAWN.values() for part in s.parts
    }
    text = (ROOT / "docs/hardware.md").read_text().split("<!-- table")[0]
    text += "".join(t.text for s in SHEETS_DRAWN.values() for t in s.texts if len(t.text) > 50)
    for ref in re.findall(r"\b(?:R|C|D|K|Q|IC|U|F|Z|RV)\d+\b", text):
        assert ref in known, ref


def test_the_pilots_driver_keeps_to_the_standard():
    low = -3.3 * value("R3") / value("R1")
    high = 3.3 * (1 + value("R3") / value("R2"))
    assert abs(high - 12) < 0.6 and abs(low + 12) < 0.6
    for vehicle, state in ((2740, "B"), (1 / (1 / 2740 + 1 / 1300), "C"), (246, "D")):
        at = (high - 0.7) * vehicle / (vehicle + value("R5")) + 0.7
        assert pilot.classify(int(at * 1000), int(low * 1000), True) == state
    assert round(1 / (1 / 2740 + 1 / 1300)) == 882


def test_the_divider_reads_what_the_pin_table_says():
    table = pins.load()
    to_cp, to_3v3, to_ground = value("R6"), value("R7"), value("R8")
    conductance = 1 / to_cp + 1 / to_3v3 + 1 / to_ground
    for cp, name in ((-12000, "cp_minus_mv"), (12000, "cp_plus_mv")):
        assert abs((cp / to_cp + 3300 / to_3v3) / conductance - int(table[name])) < 1
    assert 5 * value("C1") / conductance < 45e-6  # settled within 40 us


def test_the_windows_thresholds():
    ladder = value("R13") + value("R14") + value("R15")
    ref_high = 3.3 * (value("R14") + value("R15")) / ladder
    ref_low = 3.3 * value("R15") / ladder
    share = value("R12") / (value("R11") + value("R12"))
    assert abs(ref_high / share + 0.25 - 7.5) < 0.1
    assert abs(ref_low / share + 0.25 - 4.5) < 0.1
    drop = value("R16") / (value("R16") + value("R17"))
    detector = 3.3 - (3.3 - ref_low) / drop  # the voltage at C3 at which DIODE_OK changes
    assert abs(detector - 0.25 + 10) < 0.15
    assert 0.008 < (value("R11") + value("R12")) * value("C2") < 0.012
    # IC3B outlasts a period of the PWM, and ends before the detector has left -10 V
    hold = 0.7 * value("R20") * value("C4")
    leaves = (value("R16") + value("R17")) * value("C3") * ((3.3 + 11.75) / (3.3 - detector) - 1)
    assert 0.0012 < hold < leaves / 2


def test_the_monostable_holds_as_long_as_the_docs_say():
    hold = 0.7 * value("R23") * value("C5")
    assert abs(hold - 1.54) < 0.01
    page = (ROOT / "docs/wiring.md").read_text()
    assert "0.7 x 1 Mohm x 2.2" in page


def test_the_transistors_gates_stay_within_their_bounds():
    on = 12 * value("R26") / (value("R26") + value("R27"))
    assert 4.5 < on < 12  # of AO3401A


def test_the_headers_show_each_pin_once():
    for board in ("devkit", "wrover", "s3"):
        table = pins.load(board)
        told = [text.text for text in SHEETS_DRAWN["pins-" + board].texts]
        for line in pins.TABLE.strip().split("\n")[1:]:
            name, kind = line.split()[:2]
            if kind[0] in "oiau" and table[name] != "-":
                assert told.count(name) == 1, (board, name)
