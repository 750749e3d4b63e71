"""Writes docs/drawings/*.svg. `--check` says instead which of them are not up to date."""

import sys
from pathlib import Path

from tools.drawings import SHEETS, draw

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "drawings"


def main(arguments: list) -> int:
    """The exit code."""
    stale = []
    for name in SHEETS:
        path = FOLDER / (name + ".svg")
        text = draw(name).svg()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.name)
        if "--check" not in arguments:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text)
    if "--check" in arguments and stale:
        print("not up to date:", ", ".join(stale))
        print("do: .venv/bin/python -m tools.drawings")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
