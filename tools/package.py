"""Writes package.json, with which mip installs the firmware's sources (see docs/operations.md).

python tools/package.py [--check]
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import firmware  # noqa: E402
from tools.flash import LIBRARIES  # noqa: E402


def package() -> str:
    """The file's text: every source, relative to it, and the libraries."""
    paths = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("firmware/**/*.py"))
    content = {
        "version": firmware.VERSION,
        "urls": [[path, path] for path in paths],
        "deps": [[name, "latest"] for name in LIBRARIES],
    }
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    path = ROOT / "package.json"
    if "--check" not in sys.argv:
        path.write_text(package())
    elif path.read_text() != package():
        sys.exit("package.json is not up to date: python tools/package.py")
