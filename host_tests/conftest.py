"""The test harness: `both` tests on every Python, virtual time, and what tests share.

A file `test_x.py` in a folder of `both/` is collected by pytest as usual, for CPython, and once
more for each desktop MicroPython: `test_x.py::test_a[micropython]` and `[micropython32]`, the
latter with the heap of a board with PSRAM. One process runs all tests of a folder on one runtime.
"""

from __future__ import annotations

import ast
import gc
import inspect
import os
import subprocess
import tempfile
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
        outcome, text = _results_of_folder(self)[self.module, self.test]
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


# of a folder on a MicroPython, by (module, test): (pass, skip or fail; what was said)
_results: dict[tuple[Path, int], dict[tuple[str, str], tuple[str, str]]] = {}


def _results_of_folder(item):
    """Runs the folder's selected tests, the first time that one of them is asked for."""
    key = (item.path.parent, item.bits)
    if key not in _results:
        same = [i for i in item.session.items if isinstance(i, MicroPythonTest)]
        tests = [(i.module, i.test) for i in same if (i.path.parent, i.bits) == key]
        _results[key] = _run_tests(item.bits, tests)
    return _results[key]


def _run_tests(bits, tests):
    """Runs tests of several modules in one process; in another one those after a test that has
    ended it."""
    errors = runtimes.compile_mpy()
    results = {}
    while len(results) < len(tests):
        left = [test for test in tests if test not in results]
        text, end, running = _run_process(bits, left, results)
        if len(results) < len(tests):
            guilty = running if running in left and running not in results else left[0]
            results[guilty] = ("fail", f"{text}\n{end} while running {running}")
    for test, (outcome, said) in results.items():
        if outcome == "fail" and errors:
            said += "\nThe compiler refused:\n" + "\n".join(errors.values())
        results[test] = (outcome, said)
    return results


def _run_process(bits, tests, results):
    """Adds to `results`; returns what was said since, how the process ended, and at which test."""
    command = [*runtimes.command(bits), "-m", "host_tests.both_runner"]
    with tempfile.TemporaryFile("w+") as orders:
        orders.write("".join(f"{module} {test}\n" for module, test in tests))
        orders.seek(0)
        process = subprocess.Popen(
            command,
            env=runtimes.environment(),
            cwd=runtimes.MPY,
            stdin=orders,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    text, running, waited = "", None, threading.Timer(TIMEOUT_S, process.kill)
    waited.start()
    for line in process.stdout:
        line = line.decode(errors="replace")
        if not line.startswith("\x01"):
            text += line
            continue
        word, module, test, *rest = line[1:].split(maxsplit=3)
        waited.cancel()
        waited = threading.Timer(TIMEOUT_S, process.kill)
        waited.start()
        running = (module, test)
        if word != "start":
            results[running] = (word, rest[0].strip() if word == "skip" else text)
        text = ""
    waited.cancel()
    code = process.wait()
    return text, f"exit code {code}" + (f" (after {TIMEOUT_S} s)" if code == -9 else ""), running


# --- which tests run in the same worker of xdist ---

# Those that share a MicroPython's process, and those that are not to run beside each other. (Not
# by xdist_group: pytest 9.2 and xdist 3.8 do not understand each other there.)
TOGETHER = {
    "console/test_repl.py": "board",
    "tools/test_flash.py": "board",
    "tools/test_package.py": "board",
    "proof/test_frozen.py": "frozen",
    "proof/test_frozen_full.py": "frozen",
    "tools/test_live.py": "live",
}


def group(nodeid):
    """The name of the group of tests that one worker runs; most tests are one by themselves."""
    path, _, name = nodeid.partition("::")
    path = path.removeprefix("host_tests/")
    label = name.rpartition("[")[2].rstrip("]")
    if path.startswith("both/") and label in RUNTIMES:
        return f"{Path(path).parent} {label}"
    return TOGETHER.get(path, nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling  # only xdist calls this

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group(nodeid)

    return Groups(config, log)


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
            errors = runtimes.compile_mpy()
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
    "behaviours/test_start_full.py",
    "console/test_repl.py",
    "proof/test_fuzz.py::test_the_tool",
    "proof/test_fuzz.py::test_a_station_under_siege",
    "tools/test_live.py",
    "tools/test_recipes.py",
    "tools/test_fleet.py",
    "transactions/test_kill.py",
    "transactions/test_month.py",
    "transfers/test_update.py",
    "transfers/test_update_cuts.py",
)
# What takes more than a second or two.
SLOW = (
    "both/ocpp/test_json_reader.py::test_long_strings",
    "both/ocpp/test_json_reader.py::test_the_estimate",
    "both/metering/test_metering.py::test_after_a_long_silence",
    "both/proof/",
    "both/smart_charging/test_profiles_memory.py",
    "charging/test_simulated_kill.py",
    "proof/",
    "tools/",
    "transactions/",
    "transfers/",
)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Marks tests as `micropython`, `slow` and `long` by where they are and by what runs them."""
    for item in items:
        place = item.nodeid.removeprefix("host_tests/")
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        runtime = parameters.get("runtime", parameters.get("bits", parameters.get("name")))
        if runtime in (*RUNTIMES, *RUNTIMES.values(), "frozen") or _starts(item):
            item.add_marker("micropython")
        if place.startswith(LONG) or (runtime in ("micropython", 64) and "both/" not in place):
            item.add_marker("long")
        if place.startswith(SLOW) or item.get_closest_marker("long"):
            item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """What is there now stays: tests that collect garbage need not go over it."""
    gc.collect()
    gc.freeze()


def _starts(item):
    return "micropython" in getattr(item, "fixturenames", ())
