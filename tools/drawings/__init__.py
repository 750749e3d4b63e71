"""The hardware's drawings: SVG files in docs/drawings, and the tables that come from them.

`sheet.py` has the symbols, each other module the sheets of a subject: a sheet is a function that
draws, its parts with their values, onto a `Sheet`. The bill of materials counts the parts of all
sheets; `parts.py` says what to buy for each value. To change the circuit, change the sheet, then

    .venv/bin/python -m tools.drawings

A test draws all of it again and compares, and looks for texts that lie over each other.
"""

from tools.drawings import boards, contactor, lines, overview, pilot, power, sensors

# The file's name and the function that draws it.
SHEETS = {
    "blocks": overview.blocks,
    "power": power.mains,
    "supply": power.supply,
    "pilot": pilot.driver,
    "window": pilot.window,
    "interlock": contactor.interlock,
    "relays": contactor.relays,
    "sensors": sensors.sensors,
    "lines": lines.lines,
    "pins-devkit": boards.devkit,
    "pins-wrover": boards.wrover,
    "pins-s3": boards.s3,
}


def draw(name: str):
    """The sheet of a name, drawn."""
    return SHEETS[name]()
