"""The test harness: `both` tests on every Python, virtual time, and what tests share.

A file `test_x.py` in a folder of `both/` is collected by pytest as usual, for CPython, and once
more for each desktop MicroPython: `test_x.py::test_a[micropython]` and `[micropython32]`, the
latter with the heap of a board with PSRAM. A process runs tests of a folder, one after the other,
as pytest asks for them.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import inspect
import os
import subprocess
import threading
from pathlib import Path

import hypothesis
import pytest

from host_tests import virtual
from tools import runtimes

HERE = Path(__file__).resolve().parent
BOTH = HERE / "both"
RUNTIMES = {"micropython": 64, "micropython32": 32}
TIMEOUT_S = 150  # of one test's process without a word, however busy the machine is

# Two cores may be busy: no deadlines. CI always tries the same examples, so that it only fails
# for a change; everybody else's runs look further.
hypothesis.settings.register_profile("here", deadline=None, max_examples=60)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


# --- collecting the files in both/ for MicroPython ---


def pytest_collect_file(file_path: Path, parent):
    if BOTH in file_path.parents and file_path.match("test_*.py"):
        return MicroPythonFile.from_parent(parent, path=file_path)
    return None


class MicroPythonFile(pytest.File):
    """A `both` file as MicroPython sees it; its tests are found without importing it."""

    def collect(self):
        tree = ast.parse(self.path.read_text(), str(self.path))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        names = [n.name for n in tree.body if isinstance(n, functions)]
        for label, bits in RUNTIMES.items():
            for name in names:
                if name.startswith("test_"):
                    yield MicroPythonTest.from_parent(
                        self, name=f"{name}[{label}]", test=name, bits=bits, label=label
                    )


class MicroPythonTest(pytest.Item):
    """One test function on one MicroPython."""

    def __init__(self, test, bits, label, **kwargs):
        super().__init__(**kwargs)
        self.test = test
        self.bits = bits
        self.label = label
        self.module = ".".join(self.path.relative_to(runtimes.ROOT).with_suffix("").parts)
        self.add_marker("micropython")

    def runtest(self):
        if runtimes.find(self.bits) is None:
            pytest.skip(runtimes.why_missing(self.bits))
        process = Process.of_folder(self.path.parent, self.bits)
        outcome, text = process.run(self.module, self.test)
        if outcome == "skip":
            pytest.skip(text)
        if outcome == "fail":
            raise MicroPythonFailure(text)
        self.add_report_section("call", self.label, text)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, MicroPythonFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, self.name


class MicroPythonFailure(Exception):
    """A test failed there; the text is what the process printed."""


class Process:
    """A MicroPython that runs tests of one folder, one after the other, until one ends it."""

    running: dict[int, Process] = {}  # the one of each width

    def __init__(self, folder, bits):
        self.folder = folder
        self.errors = runtimes.compile_mpy_once()
        self.process = subprocess.Popen(
            [*runtimes.command(bits), "-m", "host_tests.both_runner"],
            env=runtimes.environment(),
            cwd=runtimes.MPY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    @classmethod
    def of_folder(cls, folder, bits):
        process = cls.running.get(bits)
        if process and (process.folder != folder or process.process.poll() is not None):
            process.end()
            process = None
        if process is None:
            process = cls.running[bits] = cls(folder, bits)
        return process

    def run(self, module, test):
        """Returns (pass, skip or fail, what was said)."""
        killer = threading.Timer(TIMEOUT_S, self.process.kill)
        killer.start()
        text = ""
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended, and says why
                print(module, test, file=self.process.stdin, flush=True)
            for line in self.process.stdout:
                said, verdict, words = line.partition("\x01")
                text += said
                if verdict:
                    word, _, why = words.strip().partition(" ")
                    break
            else:
                word, code = "fail", self.process.wait()
                text += f"exit code {code}" + (f" (after {TIMEOUT_S} s)" if code == -9 else "")
        finally:
            killer.cancel()
        if word == "fail" and self.errors:
            text += "\nThe compiler refused:\n" + "\n".join(self.errors.values())
        return word, why if word == "skip" else text

    def end(self):
        """It ends when it gets no more orders."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def pytest_sessionfinish():
    for process in Process.running.values():
        process.end()


# --- async tests and skips on CPython ---


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs `async def` tests: in virtual time in both/ or with `virtual_loop`, else in real."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    coroutine = function(**{name: pyfuncitem.funcargs[name] for name in wanted})
    if "virtual_loop" in pyfuncitem.funcargs:
        pyfuncitem.funcargs["virtual_loop"].run_until_complete(coroutine)
    elif BOTH in pyfuncitem.path.parents:
        virtual.run(coroutine)
    else:
        virtual.asyncio.run(coroutine)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except virtual.Skip as why:
        pytest.skip(str(why))


@pytest.fixture
def virtual_loop():
    """An event loop in virtual time; an `async def` test that asks for it runs on it."""
    with virtual.asyncio.Runner(loop_factory=virtual.VirtualLoop) as runner:
        yield runner.get_loop()


# --- what tests share ---


class MicroPython:
    """One desktop MicroPython with the project importable, from .mpy or from source."""

    def __init__(self, bits):
        self.bits = bits

    def command(self, *args, heap=None):
        """The command line, for tests that keep the process and talk to it."""
        return [*runtimes.command(self.bits, heap), *map(str, args)]

    def environment(self, source=False):
        if not source:
            errors = runtimes.compile_mpy_once()
            assert not errors, "\n".join(errors.values())
        return runtimes.environment(source=source)

    def run(self, code, *args, heap=None, source=False, timeout=60, check=True, **options):
        """Runs a script (a Path) or code (text); returns the finished process, text mode.

        `code` as text gets `args` as sys.argv[1:]. A failure shows all that was printed.
        """
        if isinstance(code, Path):
            start = [code, *args]
        else:
            start = ["-c", f"import sys; sys.argv[1:] = {[str(a) for a in args]!r}\n{code}"]
        done = subprocess.run(
            self.command(*start, heap=heap),
            env=self.environment(source),
            capture_output=True,
            text=True,
            timeout=timeout,
            **options,
        )
        if check and done.returncode:
            pytest.fail(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done


@pytest.fixture(params=("cpython", *RUNTIMES))
def runtime(request):
    """The name of each Python, for host_tests/station.py."""
    return request.param


@pytest.fixture
def micropython():
    """`micropython(64)` or `micropython(32)`: a MicroPython to run; skips where there is none."""

    def pick(bits=64):
        if runtimes.find(bits) is None:
            pytest.skip(runtimes.why_missing(bits))
        return MicroPython(bits)

    return pick


# --- markers by parameter ---

# What `make test` leaves to `make test-long`: beginnings of node ids in host_tests.
LONG = (
    "base/test_wear.py::test_busy_days_leave_the_flash_20_years[24 periods-800-2 MB",
    "base/test_wear.py::test_busy_days_leave_the_flash_20_years[100 periods",
    "behaviours/test_behaviours_status.py::test_random_sessions_tell_only_what_the_table_allows[2]",
    "behaviours/test_start_full.py",
    "console/test_repl.py",
    "proof/test_fuzz.py::test_the_tool",
    "proof/test_fuzz.py::test_a_station_under_siege",
    "smart_charging/test_profiles_flash.py::test_a_profile_every_ten_seconds_for_a_day[TxDefault",
    "smart_charging/test_smart_charging.py::test_two_hundred_of_a_hundred_periods_over_the_wire[m",
    "tools/test_fleet.py",
    "tools/test_harness.py",
    "tools/test_live.py",
    "tools/test_live_page.py",
    "tools/test_recipes.py",
    "transactions/test_kill.py",
    "transactions/test_month.py",
    "transactions/test_transactions_cuts.py::test_cuts_over_a_life[2]",
    "transfers/test_update.py",
    "transfers/test_update_cuts.py",
)
# Parameters that say what a test runs on.
RUNS = ("runtime", "bits", "name", "process")
# What takes more than a second or two in both/ on CPython. All outside it is slow as a whole.
SLOW = (
    "both/ocpp/test_json_reader.py::test_long_strings",
    "both/ocpp/test_json_reader.py::test_the_estimate",
    "both/metering/test_metering.py::test_after_a_long_silence",
    "both/proof/",
    "both/smart_charging/test_profiles_memory.py",
    "both/transactions/test_transactions_space.py",
)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Marks tests as `micropython`, `slow` and `long` by where they are and by what runs them.
    Slow ones come first, so that at the end all workers have something to do."""
    for item in items:
        place = item.nodeid.removeprefix("host_tests/")
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        names = [name for name in RUNS if name in parameters]
        runtime = parameters[names[0]] if names else None
        if runtime in (*RUNTIMES, *RUNTIMES.values(), "frozen") or _starts(item):
            item.add_marker("micropython")
        if place.startswith(LONG) or (runtime in ("micropython", 64) and "both/" not in place):
            item.add_marker("long")
        if place.startswith(SLOW) or not place.startswith("both/"):
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """What is there now stays: tests that collect garbage need not go over it."""
    gc.collect()
    gc.freeze()


def _starts(item):
    return "micropython" in getattr(item, "fixturenames", ())
