"""Writes the tables in docs/ that come from tables in the code: keys, options, commands, parts.

python -m tools.tables [--check]

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; its text is made by the
function of that name in `TABLES`. To add one, write its function, its row there and the two marks.
A new key, self-test or vendor code needs its sentence in `key_texts.py`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware import options  # noqa: E402
from firmware.charging import faults, models  # noqa: E402
from firmware.console import commands, selftest  # noqa: E402
from firmware.ocpp import keys  # noqa: E402
from firmware.sensing import meters  # noqa: E402
from tools import key_texts, provision  # noqa: E402
from tools.drawings import SHEETS, draw, parts  # noqa: E402

_MARKED = re.compile(r"(?s)(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)")


def rows(head: str, lines) -> str:
    """A table with this head; `lines`: the cells of each row. A | within a cell is escaped."""
    names = head.split("|")
    told = ["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |"]
    for cells in lines:
        told.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(told) + "\n"


def key_table() -> str:
    """The configuration keys."""
    access = {keys.R: "read", keys.RW: "read, write", keys.SECRET: "write"}
    access[keys.RW_SOCKET] = "read, write; read with an attached cable"

    in_the_guides_set = {key.name for key in keys.rows(keys.GUIDE)}

    def lines():
        for key in keys.rows():
            default = key.default
            if not isinstance(default, str):
                default = "(the station's own)"
            elif default:
                default = f"`{default}`"
            bounds = key.bounds
            values = key_texts.VALUES.get(key.name, "")
            if key.type == keys._BOOLEAN:
                values = "`true`, `false`"
            if isinstance(bounds, tuple):
                values = f"{bounds[0]} to {bounds[1]}" + (f": {values}" if values else "")
            elif bounds and not values:
                values = f"up to {bounds} characters"
            meaning = key_texts.MEANING[key.name]
            if key.name not in in_the_guides_set:
                meaning = "With FeatureSet `full` only. " + meaning
            yield f"`{key.name}`", access[key.access], default, values, meaning

    return rows("key|access|default|values|what it does", lines())


def option_table() -> str:
    """The options of the command line on a PC."""
    found = []
    for line in options.HELP.split("\n")[1:]:
        option = re.match(r"  (--\S+(?: \S+)?)\s+(.*)", line)
        if option:
            found.append([f"`{option[1]}`", option[2]])
        else:
            found[-1][1] += " " + line.strip()
    return rows("option|meaning (default)", found)


def provision_table() -> str:
    """What make provision asks."""

    def lines():
        for line in provision.QUESTIONS.strip().split("\n"):
            name, question, default = line.split("|")
            secret = "yes" if question[0] == "*" else ""
            yield f"`{name}`", question.lstrip("*"), f"`{default}`" if default else "", secret

    return rows("entry|what it asks|without an answer|secret", lines())


def command_table() -> str:
    """The console's commands."""

    def lines():
        for command in commands.commands():
            for line in command.help.split("\n"):
                form, _, text = line.partition(": ")
                yield f"`{form}`", text

    return rows("command|what it does", lines())


def selftest_table() -> str:
    """The parts that the self-test looks at."""
    lines = (
        (f"`{test.part}`", key_texts.SELFTEST[test.part], test.advice) for test in selftest.TESTS
    )
    return rows("line|what is looked at|advice where it FAILED", lines)


def vendor_code_table() -> str:
    """The vendor error codes."""

    def lines():
        for row in faults.rows():
            cause, action = key_texts.FAULTS[row.code]
            end = "unplug the car" if row.unplugging_recovers else "`reset hard`, cause gone"
            yield f"`{row.code}`", row.info, row.error_code, cause, end, action

    return rows("code|guide's name|OCPP errorCode|cause|how it ends|what to do", lines())


def model_table() -> str:
    """The commercial references."""
    lines = (
        (row.name, row.phases, row.max_ma // 1000, "socket" if row.socket else "attached cable")
        for row in models.references()
    )
    return rows("reference|phases|A|connection", lines)


def meter_table() -> str:
    """The energy meters."""
    lines = (
        (
            f"`{row.name}`",
            row.baud,
            f"8{row.parity}1",
            "yes" if row.mid else "as its type plate says",
        )
        for row in meters.models()
    )
    return rows("`meter`|baud|line|MID", lines)


def part_table() -> str:
    """The bill of materials."""
    return rows(
        "quantity|parts|value|type that fits",
        ((r.count, r.refs, r.value, r.type) for r in parts.bill(draw(name) for name in SHEETS)),
    )


TABLES = {
    "keys": key_table,
    "options": option_table,
    "provision": provision_table,
    "commands": command_table,
    "selftest": selftest_table,
    "vendor-codes": vendor_code_table,
    "models": model_table,
    "meters": meter_table,
    "parts": part_table,
}


def fill(text: str) -> str:
    """A page with its tables made anew. Raises KeyError for a table that is not in `TABLES`."""
    return _MARKED.sub(lambda found: found[1] + "\n" + TABLES[found[2]]() + "\n" + found[3], text)


def main(arguments: list) -> int:
    """The exit code."""
    stale = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        new = fill(text)
        if new != text:
            stale.append(page.name)
            if "--check" not in arguments:
                page.write_text(new)
    if "--check" in arguments and stale:
        print("not up to date:", ", ".join(stale), "- do: .venv/bin/python -m tools.tables")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
