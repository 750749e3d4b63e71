"""What to buy for each part of the drawings: the bill of materials."""

import re
from collections import namedtuple

# One row of the bill: how many, their references, the value, and a type that is to be had.
Row = namedtuple("Row", ("count", "refs", "value", "type"))

# Value in the drawings, and the type: an example that fits, with what matters of it.
TYPES = {
    "ESP32 board": "ESP32-DevKitC-VE (WROVER-E), or another board of docs/operations.md",
    "energy meter": "Schneider iEM3155, or another meter of firmware/sensing/meters.py",
    "contactor 4 poles": "4 poles, 40 A AC-1, coil 230 V, mirror contact to IEC 60947-4-1 annex F",
    "contactor 2 poles": "2 poles, 40 A, coil 230 V, for a rail (three phases only)",
    "breaker": "curve C, 20 A for 16 A, 40 A for 32 A, as many poles as phases and N",
    "RCD": "30 mA, 40 A, type A or F, all poles",
    "surge arrester": "type 2, where the rules ask for it",
    "RCM 6 mA DC": "to IEC 62955, open collector that conducts while all is well and bears 12 V:"
    " Bender RCMB121 or alike; ask its data sheet",
    "PE monitor": "one with an optocoupler or a contact that conducts while earth is there",
    "socket": "type 2 socket to IEC 62196-2 with a 12 V locking motor and its switch, or a cable",
    "IRM-20-12": "Mean Well IRM-20-12, 230 V to 12 V, 1.8 A, isolated",
    "R-78E5.0-1.0": "Recom R-78E5.0-1.0, 5 V, 1 A",
    "TEL 3-1223": "Traco TEL 3-1223, ±15 V, 100 mA, regulated",
    "TL072H": "TI TL072H: 20 V/µs, ends 1 V from its rails at 6 mA; not the TL072 without H",
    "LM339": "any LM339",
    "74HC4538": "Nexperia 74HC4538",
    "74HC21": "Nexperia 74HC21",
    "74LVC1G32": "any 74LVC1G32",
    "74LVC1G04": "any 74LVC1G04",
    "DRV8871": "TI DRV8871 (a socket only)",
    "THVD1426": "TI THVD1426, or another with automatic direction for 3.3 V",
    "SFH620A-3": "Vishay SFH620A-3, or LTV-814: two LEDs against each other",
    "SM712": "SM712, for RS-485",
    "AO3400A": "n-channel, 30 V, good at 2.5 V of gate",
    "AO3401A": "p-channel, 30 V",
    "BAT54": "Schottky, 30 V, 200 mA",
    "1N4148": "any 1N4148",
    "1N5819": "Schottky, 40 V, 1 A",
    "SMAJ15CA": "TVS, 15 V, both directions",
    "PESD5V0S1BA": "Nexperia PESD5V0S1BA: 5 V, both directions, little leakage",
    "12 V, power relay": "12 V, contact 230 V 5 A, 8 mm from coil to contact: Omron G2R-1A",
    "12 V, signal relay": "12 V, with a contact that is closed at rest: Omron G6K-2F",
    "NTC 10 kΩ": "10 kΩ at 25 °C, B 3950 K, isolated, with a lug",
    "S10K275": "varistor, 275 V AC, 10 mm",
    "MF-R050": "Bourns MF-R050, resettable, 0.5 A",
    "1 A slow": "5 x 20 mm, 250 V, with holder",
    "500 mA slow": "5 x 20 mm, 250 V, with holder",
    "100 Ω + 100 nF X2": "a finished RC element for 250 V AC",
    "2.2 µF film": "polyester, 63 V, 10 %; no electrolytic one",
    "100 nF film": "polyester, 63 V, 5 %",
    "470 µF, 25 V": "electrolytic, 105 °C",
    "100 µF, 10 V": "electrolytic, 105 °C",
    "10 µF 25 V": "ceramic X7R",
    "470 pF": "ceramic C0G, 50 V, 5 %",
    "1 nF": "ceramic C0G, 50 V",
    "10 nF": "ceramic X7R, 50 V",
    "100 nF": "ceramic X7R, 50 V",
}


def _order(ref):
    letters, number = re.match(r"([A-Z]+)(\d+)", ref).groups()
    return letters, int(number)


def bill(sheets) -> list:
    """The rows for the parts of these sheets. Raises KeyError for a part whose value has no type
    here."""
    found = {}
    for sheet in sheets:
        for ref, value in sheet.parts:
            ref = re.sub(r"(?<=\d)[A-D]$", "", ref)  # the halves of one chip
            value = value.replace("half of ", "").replace(";", ", ")
            if value == "1 kΩ 1 % 0.5 W":
                kind = "metal film, 1 %, 0.5 W"
            elif "Ω" in value and value not in TYPES:
                kind = "metal film, 1 %, 0.25 W"
                value = value.replace(" 1 %", "")
            else:
                kind = TYPES[value]
            found.setdefault((value, kind), set()).add(ref)
    rows = []
    for (value, kind), refs in found.items():
        refs = sorted(refs, key=_order)
        rows.append(Row(len(refs), ", ".join(refs), value, kind))
    return sorted(rows, key=lambda row: _order(row.refs.split(",")[0]))
