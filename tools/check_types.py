"""Checks the types twice: with CPython's library, and the firmware with MicroPython's.

    python -m tools.check_types

What touches the device is checked against micropython-esp32-stubs. Those come as loose modules
that mypy does not look at by itself, so they are linked into build/stubs first.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.runtimes import BUILD, ROOT

SITE = Path(sysconfig.get_path("purelib"))
STUBS = BUILD / "stubs"
ENTRIES = [name for name in ("boot.py", "main.py") if (ROOT / name).exists()]
# mypy takes an attribute that begins as None for None for ever.
NOISE = r': error: "None" has no attribute|: note: '
# Modules that only one of them loads.
PC_ONLY = r"_cpython\.py$|board/serial_pc\.py$|base/output\.py$"
DEVICE_ONLY = (
    r"_micropython\.py$|tools/bench/(scenarios/|(holds|probe|braking_car|import_cost)\.py)"
)


def link_stubs(folder: Path, names) -> Path:
    """A folder with links to these stubs."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name in names:
        (folder / name).symlink_to(SITE / name)
    return folder


def mypy(*arguments, stubs: Path) -> bool:
    """Runs mypy; True when it found nothing."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *arguments]
    environment = {"MYPYPATH": f"{stubs}:{ROOT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if not re.search(NOISE, line)]
    print("\n".join([*lines, done.stderr.strip()]).strip() or "fine", flush=True)
    return not any(": error:" in line for line in lines) and not done.stderr


def main() -> int:
    """Runs both checks; returns the process' exit code."""
    loose = [path.name for path in SITE.glob("*.pyi") if path.name != "__builtins__.pyi"]
    device = [n for n in loose if n.removesuffix(".pyi") not in sys.stdlib_module_names]
    print("types: with CPython's library", flush=True)
    fine = mypy(
        *("--always-false", "MICROPYTHON", "--exclude", DEVICE_ONLY),
        *("firmware", "tools", *ENTRIES),
        stubs=link_stubs(STUBS / "python", [*device, "_mpy_shed"]),
    )
    print("types: with MicroPython's library", flush=True)
    fine &= mypy(
        *("--always-true", "MICROPYTHON", "--cache-dir", ".mypy_cache/micropython"),
        *("--custom-typeshed-dir", str(SITE), "--exclude", PC_ONLY),
        *("firmware", *ENTRIES),
        stubs=link_stubs(STUBS / "micropython", [*loose, "_mpy_shed"]),
    )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
