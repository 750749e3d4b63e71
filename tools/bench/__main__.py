"""What the firmware costs: heap, speed, how fast it reacts, messages a second.

    python -m tools.bench [memory] [modules] [start] [reaction] [stops] [scenarios] [flash]
                          [wear] [messages] [reference] [--only SCENARIO]

Without words: all of it but `modules`, within four minutes on two quiet cores: what counts bytes
and erases runs beside what measures time. Heap and time are measured on the
frozen build (tools/frozen.py), as a device without PSRAM has it. A scenario is a script in
tools/bench/scenarios for 32-bit MicroPython: it exits with 0 when it passed, its docstring is its
title, and lines `figure: ...` that it prints are shown. `tools.bench.live --peaks` finds the
smallest heaps; that takes longer.
"""

from __future__ import annotations

import argparse
import ast
import graphlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import frozen, runtimes
from tools.runtimes import MPY, ROOT

SCENARIOS = Path(__file__).resolve().parent / "scenarios"
# Each part: the module that measures it, with words for it.
MODULES: dict[str, tuple[str, ...]] = {
    "memory": ("live",),
    "start": ("station_times",),
    "reaction": ("reaction", "--runs", "20"),
    "stops": ("stops", "--runs", "2"),
    "flash": ("flash_costs",),
    "wear": ("wear", "--days", "1"),
    "messages": ("messages",),
}
# Scenarios whose figures a large heap would spoil, since what they do makes garbage.
HEAPS = {"journal": "1m"}
PARTS = [
    "memory",
    "modules",
    "start",
    "reaction",
    "stops",
    "scenarios",
    "flash",
    "wear",
    "messages",
    "reference",
]
RARE = {"modules"}
# They count bytes and erases, so that it does not matter what else runs.
COUNTED = ("memory", "flash", "wear")
# What the figures of a part mean on the device, and which of them are good.
MEANING = {
    "memory": "a device without PSRAM has 112 KB of heap: good is up to 96 in use at the most",
    "modules": "what importing takes of the device's 112 KB",
    "start": "seconds and milliseconds of the device's processor; its Wi-Fi and flash come on top",
    "reaction": "how late the device opens its contactor: good is far below IEC 61851's 100 ms",
    "stops": "how long the device's control loop waits: good is up to 20 ms computed, and 100 "
    "with the flash; a ! marks what is longer",
    "scenarios": "the same for a full journal and for many profiles, and a download's heap",
    "flash": "reads of 25 to 33 us each and erases of 45 ms: good is one erase, and under 1,000 "
    "reads while energy flows",
    "wear": "years until the device's flash is worn: good is ten and more",
    "messages": "a device is sent one message a second at most: any figure is good there; the "
    "aim shows that nothing is done twice",
    "reference": "says how far another run's times can be compared with this one's",
}


def module_name(path: Path) -> str:
    """firmware/ocpp/rpc.py is firmware.ocpp.rpc, a package's __init__ the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def needs(path: Path, known) -> set[str]:
    """The firmware's modules that a file imports when it is loaded (not later, in functions)."""
    found = set()
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        nodes += [n for n in ast.iter_child_nodes(node) if not isinstance(n, later)]
    own = module_name(path)
    parents = {own.rsplit(".", n)[0] for n in range(1, own.count(".") + 1)}
    return ((found | parents) & known) - {own}


def bench_modules() -> None:
    """What each module takes of the heap, the dearest first."""
    files = {module_name(path): path for path in (ROOT / "firmware").rglob("*.py")}
    order = graphlib.TopologicalSorter({n: needs(p, set(files)) for n, p in files.items()})
    done = subprocess.run(
        [*frozen.command("512k"), "-m", "tools.bench.import_cost", *order.static_order()],
        cwd=frozen.FOLDER,  # where no sources are found before what is frozen
        env=frozen.environment(),
        capture_output=True,
        text=True,
    )
    print("\nbytes of heap that a module takes, frozen; a device does not load all of them")
    print("\n".join(sorted(done.stdout.splitlines(), reverse=True)) + done.stderr)


def bench_scenarios(only: str) -> None:
    """The figures of each scenario."""
    for refusal in runtimes.compile_mpy().values():
        print(f"not compiled: {refusal}")
    for path in sorted(SCENARIOS.glob("*.py")):
        if only and only != path.stem:
            continue
        title = (ast.get_docstring(ast.parse(path.read_text())) or path.stem).splitlines()[0]
        print(f"\n{title}", flush=True)
        done = subprocess.run(
            [
                *runtimes.command(32, HEAPS.get(path.stem, "8m")),
                "-m",
                f"tools.bench.scenarios.{path.stem}",
            ],
            env=runtimes.environment(),
            cwd=MPY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        if done.returncode:
            print(f"fails:\n{done.stdout[-1500:]}")
            continue
        for line in done.stdout.splitlines():
            if line.startswith("figure: "):
                print(f"    {line[8:]}")


def bench_reference() -> None:
    """What one reference millisecond takes here, on each Python: says how comparable runs are."""
    code = "from tools.bench import reference as r; print('%.1f' % r.calibrate())"
    print("\none reference millisecond (see tools/bench/reference.py) takes here:")
    here = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    print(f"    CPython               {here.stdout.strip():>6} us")
    for bits in (64, 32):
        if runtimes.find(bits):
            command = [*runtimes.command(bits, "8m"), "-c", code]
            there = subprocess.run(
                command, env=runtimes.environment(), cwd=MPY, capture_output=True, text=True
            )
            print(f"    MicroPython, {bits} bits  {there.stdout.strip():>6} us")


def main() -> int:
    """Runs the benchmarks asked for; returns the process' exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="*", help=", ".join(PARTS) + "; default: most of them")
    parser.add_argument("--only", default="", help="one scenario")
    options = parser.parse_args()
    if set(options.what) - set(PARTS):
        parser.error(f"what is {options.what[0]!r}? There are: {', '.join(PARTS)}")
    for missing in (frozen.why_missing(), not runtimes.find(32) and runtimes.why_missing(32)):
        if missing:
            print(missing)
            return 1
    frozen.program()
    wanted = options.what or [name for name in PARTS if name not in RARE]
    beside = [] if options.what else [name for name in wanted if name in COUNTED]
    if beside:
        print("about four minutes on two quiet cores; ARGS=NAME takes one part", flush=True)
    timed = [name for name in wanted if name not in beside]
    failed = False
    with tempfile.TemporaryFile("w+") as counted:
        command = [sys.executable, "-m", "tools.bench", *beside]
        work = None
        if beside:
            work = subprocess.Popen(command, cwd=ROOT, stdout=counted, stderr=subprocess.STDOUT)
        for number, name in enumerate(timed):
            print(f"\n[{number + 1} of {len(timed)}: {name}] {MEANING[name]}", flush=True)
            failed |= not run(name, options.only)
        if work:
            print(f"\nwhat was counted meanwhile: {', '.join(beside)}", flush=True)
            failed |= bool(work.wait())
            counted.seek(0)
            print(counted.read())
    return 1 if failed else 0


def run(name: str, only: str) -> bool:
    """Runs a part; whether it went well."""
    if name in MODULES:
        module, *words = MODULES[name]
        command = [sys.executable, "-m", f"tools.bench.{module}", *words]
        return not subprocess.run(command, cwd=ROOT).returncode
    if name == "modules":
        bench_modules()
    elif name == "scenarios":
        bench_scenarios(only)
    else:
        bench_reference()
    return True


if __name__ == "__main__":
    sys.exit(main())
