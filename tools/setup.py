#!/usr/bin/env python3
"""Sets the workbench up: .venv with the tools, desktop MicroPython, and MicroPython's sources.

    python3 tools/setup.py [--strict]

Quick when all is there. MicroPython 1.25 of 64 and of 32 bits comes as Debian packages with the
libraries they need, unpacked into .cache (nothing is installed on the machine); a `micropython`
on PATH serves as the 64-bit one. From the source package of the same version tools/frozen.py
builds a MicroPython with the firmware frozen in; that needs gcc with its 32-bit libraries. What
can't be had is said, and its tests are skipped; with --strict that is an error.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
BIN = CACHE / "bin"

SUITE = "trixie"  # Debian 13: the one whose packages are built for MicroPython 1.25
PACKAGES = (
    "micropython libc6 libffi8 libmbedcrypto16 libmbedtls21 libmbedx509-7".split()  # fmt: skip
)
# What tools/frozen.py builds from: the sources, and a libffi of 32 bits to link to.
SOURCE_PACKAGE = "micropython"
SOURCE_LIBRARY = "libffi-dev"
SOURCE = CACHE / "micropython" / "source"
# Debian's name of an architecture: its library folder and its loader.
LOADERS = {
    "amd64": ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "i386": ("i386-linux-gnu", "ld-linux.so.2"),
    "arm64": ("aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
    "armhf": ("arm-linux-gnueabihf", "ld-linux-armhf.so.3"),
}
# What this machine can run, 64 and 32 bits. (On ARM untested, and some have no 32 bits.)
MACHINES = {"x86_64": ("amd64", "i386"), "aarch64": ("arm64", "armhf")}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR_VARIABLE = "DEBIAN_MIRROR"

PROBE = "import sys, asyncio, tls; print(sys.implementation.version[:2] >= (1, 25), sys.maxsize)"


class Trouble(Exception):
    """What went wrong and what to do next."""


def say(text: str) -> None:
    """A line of progress."""
    print(f"setup: {text}", flush=True)


def run(command, what: str, **options) -> str:
    """Runs it and returns its output; on failure the output is in the Trouble."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode:
        raise Trouble(f"{what} failed:\n{done.stdout.strip()}")
    return done.stdout


# --- .venv ---


def requirements() -> list[str]:
    """The `dev` extra of pyproject.toml."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["optional-dependencies"]["dev"]


def make_venv() -> None:
    """Creates .venv, or brings it up to what pyproject.toml asks for."""
    if sys.version_info < (3, 11):
        raise Trouble(
            f"this is Python {platform.python_version()}; run tools/setup.py with 3.11 or later"
        )
    if VENV.is_symlink():  # another checkout's: what is in it is that one's affair
        return
    wanted = requirements()
    made_by = f"{VENV} {sys.version}"
    stamp = hashlib.sha256("\n".join([made_by, *wanted]).encode()).hexdigest()
    mark = VENV / ".wallbridge"
    python = VENV / "bin" / "python"
    was = mark.read_text().splitlines() if python.exists() and mark.exists() else ["", ""]
    if was[0] == stamp:
        return
    if was[1:] != [made_by.replace("\n", " ")]:
        try:
            import ensurepip  # noqa: F401 - Debian has it in a package of its own
        except ImportError:
            raise Trouble(
                "this Python can't make virtual environments.\n"
                "On Debian or Ubuntu: apt-get install python3-venv, then run this again."
            ) from None
        say(f"creating {VENV.name} with Python {platform.python_version()}")
        run([sys.executable, "-m", "venv", "--clear", VENV], "creating .venv")
    say(f"installing {len(wanted)} packages (a minute or two)")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        run([*pip, *wanted], "pip install")
    except Trouble as trouble:
        raise Trouble(f"{trouble}\nIs the package index reachable? Then run again.") from None
    mark.write_text(stamp + "\n" + made_by.replace("\n", " "))


# --- MicroPython ---


def probe(program: Path) -> int:
    """The bits of a MicroPython, 64 or 32. Trouble when it doesn't run or is too old."""
    try:
        words = run([program, "-c", PROBE], f"starting {program}", timeout=20).split()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"{program} does not run: {error}") from None
    if words[:1] != ["True"]:
        raise Trouble(f"{program} is older than MicroPython 1.25")
    return 64 if int(words[1]) > 2**31 else 32


def debian_source() -> tuple[str, str]:
    """The Debian mirror that this machine's apt uses, and the keyring for it ("" for apt's own).

    From the environment, else from the sources in either format. Trouble when there is none.
    """
    if os.environ.get(MIRROR_VARIABLE):
        return os.environ[MIRROR_VARIABLE], KEYRING if Path(KEYRING).exists() else ""
    etc = Path("/etc/apt")
    found = []  # (uri, suite, keyring)
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else ():
            entry = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)", line)
            if entry:
                signed_by = re.search(r"signed-by=(\S+)", entry[1] or "", re.IGNORECASE)
                found.append((entry[2], entry[3], signed_by[1] if signed_by else ""))
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            lines = [line for line in stanza.splitlines() if not line.startswith("#")]
            fields = dict(re.findall(r"(?m)^([\w-]+):[ \t]*(.*)$", "\n".join(lines)))
            fields = {name.lower(): value.strip() for name, value in fields.items()}
            enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0")
            if enabled and "deb" in fields.get("types", "").split():
                key = fields.get("signed-by", "")
                for uri in fields.get("uris", "").split():
                    for suite in fields.get("suites", "").split():
                        found.append((uri, suite, key))
    for uri, suite, key in found:
        if re.search(r"/debian/?$", uri) and re.fullmatch(r"\w+", suite):
            for candidate in (KEYRING, key):
                if candidate.startswith("/") and Path(candidate).exists():
                    return uri, candidate
            return uri, ""
    raise Trouble(
        "no Debian mirror among this machine's apt sources; name one:\n"
        f"{MIRROR_VARIABLE}=http://.../debian make setup"
    )


class Apt:
    """apt-get with a state of its own, below a folder: it neither needs root nor changes anything
    on the machine. `with Apt(home, arch, "deb")` has read what the mirror offers."""

    def __init__(self, home: Path, arch: str, kind: str):
        for tool in ("apt-get", "dpkg"):
            if not shutil.which(tool):
                raise Trouble(
                    f"this machine has no {tool} (not Debian or Ubuntu?); install MicroPython "
                    "1.25 or later yourself, so that `micropython` is on PATH: that serves for "
                    "64 bits"
                )
        self.home = home
        self.arch = arch
        self.kind = kind  # "deb" or "deb-src"

    def __enter__(self):
        home = self.home
        for folder in ("state/lists/partial", "cache/archives/partial", "downloads"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        (home / "state" / "status").touch()
        self.uri, keyring = debian_source()
        options = f"[signed-by={keyring}] " if keyring else ""
        (home / "sources.list").write_text(f"{self.kind} {options}{self.uri} {SUITE} main\n")
        settings = {
            "Dir::State": home / "state",
            "Dir::State::status": home / "state" / "status",
            "Dir::Cache": home / "cache",
            "Dir::Etc::sourcelist": home / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        self.command = ["apt-get", "-q"]
        for name, value in settings.items():
            self.command += ["-o", f"{name}={value}"]
        self.get("update")
        return self

    def get(self, *words) -> list[Path]:
        """Runs apt-get; returns what has been downloaded so far."""
        quiet = {**os.environ, "LC_ALL": "C.UTF-8"}
        folder = self.home / "downloads"
        try:
            what = f"apt-get {words[0]} for {SUITE}"
            run([*self.command, *words], what, cwd=folder, env=quiet)
        except Trouble as trouble:
            raise Trouble(f"{trouble}\nIs {self.uri} reachable? Then run again.") from None
        return sorted(folder.iterdir())

    def __exit__(self, *error):
        for folder in ("state", "cache", "downloads"):
            shutil.rmtree(self.home / folder, ignore_errors=True)


def unpack_debian(arch: str) -> Path:
    """Downloads and unpacks MicroPython with its libraries; returns the root they are in."""
    home = CACHE / "micropython" / arch
    root = home / "root"
    mark = home / "complete"
    if mark.exists() and mark.read_text() == " ".join([SUITE, *PACKAGES]):
        return root
    say(f"downloading MicroPython and its libraries for {arch} (10 MB)")
    shutil.rmtree(home, ignore_errors=True)
    with Apt(home, arch, "deb") as apt:
        for deb in apt.get("download", *PACKAGES):
            run(["dpkg", "-x", deb, root], f"unpacking {deb.name}")
    mark.write_text(" ".join([SUITE, *PACKAGES]))
    return root


def unpack_source() -> None:
    """MicroPython's sources into SOURCE/tree, and a 32-bit libffi to link into SOURCE/root."""
    mark = SOURCE / "complete"
    wanted = " ".join([SUITE, SOURCE_PACKAGE, SOURCE_LIBRARY])
    if mark.exists() and mark.read_text() == wanted:
        return
    say("downloading MicroPython's sources (16 MB)")
    shutil.rmtree(SOURCE, ignore_errors=True)
    with Apt(SOURCE, "i386", "deb-src") as apt:
        files = apt.get("source", "--download-only", SOURCE_PACKAGE)
        (archive,) = (path for path in files if ".orig.tar." in path.name)
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and later
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(SOURCE / "unpacked")
    (tree,) = (SOURCE / "unpacked").iterdir()
    with Apt(SOURCE, "i386", "deb") as apt:
        for deb in apt.get("download", SOURCE_LIBRARY):
            run(["dpkg", "-x", deb, SOURCE / "root"], f"unpacking {deb.name}")
    tree.rename(SOURCE / "tree")
    (SOURCE / "unpacked").rmdir()
    mark.write_text(wanted)


def make_source() -> None:
    """Has ready what tools/frozen.py builds from; Trouble when it can't be built here."""
    why = SOURCE.with_suffix(".missing")
    why.parent.mkdir(parents=True, exist_ok=True)
    try:
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            raise Trouble("the frozen build is for Linux on x86-64")
        for tool in ("gcc", "make"):
            if not shutil.which(tool):
                raise Trouble(f"no {tool}: apt-get install gcc gcc-multilib libc6-dev make")
        try:
            words = ["gcc", "-m32", "-x", "c", "-", "-o", "/dev/null"]
            run(words, "gcc -m32", input="#include <stdio.h>\nint main(void) { return 0; }\n")
        except Trouble:
            raise Trouble("gcc can't build for 32 bits: apt-get install gcc-multilib") from None
        unpack_source()
    except Trouble as trouble:
        why.write_text(str(trouble))
        raise
    why.unlink(missing_ok=True)


def write_wrapper(path: Path, command: str) -> None:
    """A program that runs the command, in one step (another process may be running it)."""
    part = path.with_suffix(".part")
    part.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    part.chmod(0o755)
    part.replace(path)


def make_micropython(bits: int) -> None:
    """Makes .cache/bin/micropython or micropython32 work; Trouble when it can't."""
    path = BIN / ("micropython" if bits == 64 else "micropython32")
    why = path.with_suffix(".missing")
    try:
        if path.exists() and probe(path) == bits:
            why.unlink(missing_ok=True)
            return
    except Trouble as trouble:
        say(f"making {path.name} anew: {trouble}")
    path.unlink(missing_ok=True)
    BIN.mkdir(parents=True, exist_ok=True)
    try:
        on_path = shutil.which("micropython") if bits == 64 else None
        if on_path:
            try:
                if probe(Path(on_path)) == 64:
                    say(f"using {on_path}")
                    write_wrapper(path, f"'{on_path}'")
                    return
            except Trouble as trouble:
                say(f"not using it: {trouble}")
        machine = platform.machine()
        if platform.system() != "Linux" or machine not in MACHINES:
            raise Trouble(f"Debian's MicroPython doesn't run on {platform.system()} {machine}")
        arch = MACHINES[machine][0 if bits == 64 else 1]
        unpack_debian(arch)
        folder, loader = LOADERS[arch]
        root = '"${0%/*}"/../micropython/' + arch + "/root/usr"
        libraries = f"{root}/lib/{folder}"
        write_wrapper(
            path, f"{libraries}/{loader} --library-path {libraries} {root}/bin/micropython"
        )
        probe(path)
    except Trouble as trouble:
        path.unlink(missing_ok=True)
        why.write_text(str(trouble))
        raise
    why.unlink(missing_ok=True)
    say(f"{path.name} is ready")


def main() -> int:
    """Sets up what is missing; returns the process' exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--strict", action="store_true", help="fail if a MicroPython is missing")
    options = parser.parse_args()
    try:
        make_venv()
    except Trouble as trouble:
        say(f"error: {trouble}")
        return 1
    missing = 0
    for bits in (64, 32):
        try:
            make_micropython(bits)
        except Trouble as trouble:
            missing += 1
            say(f"no {bits}-bit MicroPython, its tests will be skipped: {trouble}")
    try:
        make_source()
    except Trouble as trouble:
        missing += 1
        say(f"no frozen build, its tests will be skipped: {trouble}")
    if not missing:
        say("ready")
    return 1 if missing and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
