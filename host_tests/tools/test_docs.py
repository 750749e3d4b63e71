"""The commands in the docs: each is run as it stands there, or has a reason here why not."""

import asyncio
import re
import shlex
import subprocess
import sys

import pytest

from firmware import provisioning
from firmware.console import commands
from host_tests.station import Rig
from host_tests.virtual import run as virtual_run
from tools import provision, runtimes

ROOT = runtimes.ROOT
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/operations.md",
    "docs/security.md",
    "docs/memory.md",
    "docs/installing.md",
    "docs/central-systems.md",
    "docs/hardware.md",
    "docs/reference.md",
    "docs/wiring.md",
    "docs/fleet.md",
)

# What is not run from here: how it begins, and where else it is tested or why it can't be.
ELSEWHERE = {
    "make test": "it is what runs this",
    "make lint": "one of CI's own steps",
    "make setup": "it changes this .venv; each other target does it first",
    ".venv/bin/python main.py": "test_installing.py types at such a station",
    ".venv/bin/python -m tools.practice": "test_installing.py runs it with a station",
    "make fuzz": "it takes minutes; test_fuzz.py runs the tool for a second",
    "make demo RUNTIME=micropython": "as make demo; MicroPython is in test_session",
    "make flash": "test_flash.py, over a pty: it needs a board",
    "make provision": "test_provision.py, over a pty: it needs a board",
    "make dev": "test_provision.py, over a pty: it needs a board",
    ".venv/bin/mpremote connect /dev/ttyUSB0 mip install package.json": "test_package.py, a pty",
    ".venv/bin/python tools/package.py": "writes into this tree; see test_package.py",
    ".venv/bin/python -m tools.tables": "writes into this tree; see test_drawings.py",
    ".venv/bin/python -m tools.drawings": "writes into this tree; see test_drawings.py",
    ".venv/bin/mpremote connect": "needs a board; mpremote's own",
    ".venv/bin/python -m pip install esptool": "needs a network, changes this Python",
    ".venv/bin/python -m esptool": "needs an ESP32's boot loader",
    ".venv/bin/python tools/bundle.py image": "test_image.py: it needs an image",
    "make image": "test_image.py: it needs ESP-IDF",
    "python main.py": "test_the_station_by_hand",
    "micropython main.py": "test_the_station_by_hand",
    "micropython -c": "mip needs a network",
    ".venv/bin/python -m pytest": "pytest within pytest; its options are pytest's",
    "make bench": "it takes minutes",
    "make fleet": "it takes minutes; test_fleet.py runs the tool for ten seconds",
    "python -m tools.fleet.capacity": "it takes minutes, and a core",
    ".venv/bin/python -m tools.frozen": "it needs gcc; test_frozen.py builds the same",
    ".venv/bin/python -m tools.bench.live": "the bench takes a minute and more",
    ".venv/bin/python -m tools.bench.messages": "as that one, and it needs a network",
    ".venv/bin/mpremote mip install aiorepl": "needs a board and a network",
}


def blocks(page, language):
    """The code blocks of a page: fenced with that name, or indented ones as "sh"."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)
    if language == "sh":
        plain = re.sub(r"(?ms)^```.*?^```", "", text)
        found += re.findall(r"(?m)(?:^    \S.*\n?)+", plain)
    return found


def shell_lines():
    for page in PAGES:
        text = re.sub(r"(?ms)^```.*?^```", "", (ROOT / page).read_text())
        for command in re.findall(r"`((?:\S*/)?(?:python3?|mpremote) [^`]+)`", text):
            yield page, " ".join(command.split())  # within a sentence
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                command = re.sub(r"\s+# .*", "", line.strip())
                if command:
                    yield page, command


ALL = sorted(set(shell_lines()))


def elsewhere(command):
    return any(command == start or command.startswith(start + " ") for start in ELSEWHERE)


def test_every_reason_is_for_a_command():
    for start in ELSEWHERE:
        assert any(c == start or c.startswith(start + " ") for _, c in ALL), start
    assert len(ALL) > 15  # the extraction still finds them


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder to run commands in, with the answers of operations.md; commands build on each
    other's files there."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "house.toml").write_text(blocks("docs/operations.md", "toml")[0])
    for name in ("tools", "firmware", "host_tests", "pyproject.toml", "main.py", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(command, folder):
    words = shlex.split(command.replace("LOG", "/dev/null"))
    given = None
    if "<" in words:
        given = open(words.pop())
        words.remove("<")
    done = subprocess.run(
        words, cwd=folder, stdin=given, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def in_order():
    """As they stand on their page."""
    seen = []
    for _, command in shell_lines():
        if not elsewhere(command) and not command.startswith("make ") and command not in seen:
            seen.append(command)
    return seen


def test_the_commands_run(workshop):
    assert any("provision.py" in c for c in in_order())
    for command in in_order():
        run(command, workshop)


def test_make_demo(tmp_path):
    assert ("README.md", "make demo") in ALL
    said = run("make -C %s demo ARGS='--port 0 --speed 300'" % ROOT, tmp_path)
    assert "The live view: http://127.0.0.1:" in said
    assert re.search(r"Charged \d+\.\d+ kWh.* 0 of them refused", said), said[-500:]


def test_every_make_target_is_there(tmp_path):
    for _, command in ALL:
        words = shlex.split(command)
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word]
            run(shlex.join(["make", "-n", "-C", str(ROOT), *targets]), tmp_path)


def test_the_answers_in_the_docs_are_good(workshop):
    given = provision.read(workshop / "house.toml")
    provisioning.check(given)
    named = {line.split("|")[0].split(".")[0] for line in provision.QUESTIONS.strip().split("\n")}
    text = blocks("docs/operations.md", "toml")[0]
    for name in named - {"keys", "wifi", "pins"}:
        assert re.search(rf"(?m)^(# )?{name} = ", text), name


def console_lines():
    return [line for b in blocks("docs/operations.md", "console") for line in b.splitlines()]


def test_the_console_commands_in_the_docs(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, house=False) as rig:
            for line in console_lines():
                await asyncio.sleep(5)
                _, error = await rig.ask(line)
                assert error is None, (line, error)

    virtual_run(session())


def test_the_consoles_help_names_every_command():
    told = {
        re.split("[ :]", line)[0] for row in commands.commands() for line in row.help.split("\n")
    }
    assert told == {row.name for row in commands.commands()}


@pytest.mark.parametrize("bits", [0, 64])
def test_the_station_by_hand(bits, tmp_path):
    """`main.py` as the README starts it, on CPython and on MicroPython (from .mpy here: compiling
    takes seconds)."""
    start = "python main.py " if not bits else "micropython main.py "
    command = next(c for _, c in ALL if c.startswith(start))
    if bits and not runtimes.find(bits):
        pytest.skip(runtimes.why_missing(bits))
    words = [sys.executable, str(ROOT / "main.py")]
    runtimes.MPY.mkdir(parents=True, exist_ok=True)
    if bits:
        runtimes.compile_mpy()
        words = [*runtimes.command(bits), "-m", "main"]
    done = subprocess.run(
        [*words, *shlex.split(command)[2:], "--state", str(tmp_path / "state")],
        cwd=runtimes.MPY, env=runtimes.environment(),
        input="status\nquit\n", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and '"status": "Available"' in done.stdout, done.stderr


@pytest.mark.parametrize("page", [*PAGES, "docs/architecture.md", "CHANGELOG.md"])
def test_what_the_docs_point_at_is_there(page):
    text = (ROOT / page).read_text()
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert ((ROOT / page).parent / name).exists(), name
    for name in re.findall(r"`((?:firmware|tools|host_tests|docs)/[\w/.]+\.\w+)`", text):
        assert (ROOT / name).exists(), name
