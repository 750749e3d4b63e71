"""Checks the types twice: with CPython's library, and the firmware with MicroPython's.

    python -m tools.check_types

What touches the device is checked against micropython-esp32-stubs. Those come as loose modules
that mypy does not look at by itself, so they are linked into build/stubs first.

What a station consists of gets the station handed in and can't name its type, since imports go
only downwards. So that mypy knows it all the same, and finds a name that the station has not, a
copy is checked in which each parameter `station` has its type.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.runtimes import BUILD, ROOT

SITE = Path(sysconfig.get_path("purelib"))
STUBS = BUILD / "stubs"
TYPED = BUILD / "typed"
ENTRIES = [name for name in ("boot.py", "main.py") if (ROOT / name).exists()]
# mypy takes an attribute that begins as None for None for ever.
NOISE = r': error: "None" has no attribute|: note: '
# Modules that only one of them loads.
PC_ONLY = r"_cpython\.py$|board/serial_pc\.py$|base/output\.py$"
DEVICE_ONLY = (
    r"_micropython\.py$|tools/bench/(scenarios/"
    r"|(holds|probe|braking_car|stops_station|import_cost)\.py)"
)


def link_stubs(folder: Path, names) -> Path:
    """A folder with links to these stubs."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name in names:
        (folder / name).symlink_to(SITE / name)
    return folder


def with_station(source: str) -> str:
    """The source with a type for each parameter `station` that has none. Lines stay where they
    are; the import at the end is for mypy only."""
    lines = source.splitlines()
    found = [
        parameter
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for parameter in node.args.args
        if parameter.arg == "station" and not parameter.annotation
    ]
    for parameter in found:  # none shares its line with another
        at = parameter.col_offset + len("station")
        line = lines[parameter.lineno - 1]
        lines[parameter.lineno - 1] = line[:at] + ': "Station"' + line[at:]
    if found:
        lines.append("from firmware.station import Station")
    return "\n".join(lines) + "\n"


def typed_copy() -> Path:
    """A copy of what is checked, in which the station has its type."""
    shutil.rmtree(TYPED, ignore_errors=True)
    for name in ("firmware", "tools", "host_tests"):
        shutil.copytree(ROOT / name, TYPED / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ENTRIES:
        shutil.copy(ROOT / name, TYPED)
    for path in (TYPED / "firmware").rglob("*.py"):
        if path.name != "station.py":
            path.write_text(with_station(path.read_text()))
    return TYPED


def mypy(*arguments, stubs: Path, root: Path = ROOT) -> bool:
    """Runs mypy; True when it found nothing."""
    config = ("--config-file", str(ROOT / "pyproject.toml"))
    command = [sys.executable, "-m", "mypy", *config, "--no-error-summary", *arguments]
    environment = {"MYPYPATH": f"{stubs}:{root}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
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
        *("--cache-dir", str(ROOT / ".mypy_cache/station")),
        *("firmware", "tools", *ENTRIES),
        stubs=link_stubs(STUBS / "python", [*device, "_mpy_shed"]),
        root=typed_copy(),
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
