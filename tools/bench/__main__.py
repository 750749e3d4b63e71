"""What the firmware costs: heap, size, peaks, how fast it reacts, messages a second.

    python -m tools.bench [modules] [scenarios] [station] [reaction] [wear] [messages]
                          [reference] [--only NAME]

Heap is measured on 32-bit MicroPython from .mpy files, as on the device. A scenario is a script
in tools/bench/scenarios: it exits with 0 when it passed, its docstring is its title, and lines
`figure: ...` that it prints are shown. Its peak is the smallest heap that it passes with.
`station` is live.py (some minutes), `reaction` reaction.py.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import runtimes
from tools.runtimes import DEVICE, MPY, ROOT

HERE = Path(__file__).resolve().parent
SCENARIOS = HERE / "scenarios"
PARTS = ["modules", "scenarios", "station", "reaction", "wear", "messages", "reference"]
ROOMY = 8 << 20  # a heap that nothing here fills
STEP = 256  # to which peaks are found

# Imports modules in an order in which each comes after those it needs, so that each is charged
# for itself alone. The table of interned strings doubles now and then; whoever makes it grow is
# not charged for that but everyone for the entries that they add.
CHARGE = """
import gc, sys, micropython
for name in sys.argv[1:]:
    micropython.qstr_info(); gc.collect(); before = gc.mem_alloc(); were = set(sys.modules)
    try:
        __import__(name)
    except Exception as error:
        print("absent", name, repr(error)); continue
    gc.collect(); after = gc.mem_alloc()
    new = [m for m in sys.modules if m not in were and m != name and m.startswith("firmware.")]
    micropython.qstr_info(); print("heap", name, after - before, ",".join(new))
"""
ENTRY = 7  # bytes: pointer, length and hash of an interned string
# Runs the station for a moment; what is loaded then, stays.
RESIDENT = """
import sys
from firmware import app
try:
    app.main(["--state", sys.argv[1], "--simulate"])
except SystemExit:
    pass
print("\\nresident", " ".join(sys.modules))
"""


def run32(words, heap: int = ROOMY, typed: str = "", build=MPY) -> subprocess.CompletedProcess:
    """Runs 32-bit MicroPython on the compiled project; its output is one text."""
    return subprocess.run(
        [*runtimes.command(32, str(heap)), *map(str, words)],
        env=runtimes.environment(build=build),
        cwd=build,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=120,
    )


def peak(module: str, args=(), low: int = 4 << 10, high: int = 1 << 20) -> int | None:
    """The smallest heap in bytes with which `-m module args` exits with 0, by bisection.

    None when it does not even with `high`. (What the interpreter counts as its peak includes
    garbage, and so says nothing.)
    """

    def passes(heap):
        try:
            return run32(["-m", module, *args], heap).returncode == 0
        except subprocess.TimeoutExpired:  # a full heap collects without end
            return False

    if not passes(high):
        return None
    while high - low > STEP:
        middle = (low + high) // 2 // STEP * STEP
        if passes(middle):
            high = middle
        else:
            low = middle
    return high


def module_name(path: Path) -> str:
    """firmware/ocpp/rpc.py is firmware.ocpp.rpc, a package's __init__ the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def needs(path: Path, known) -> set[str]:
    """The firmware's modules that a file imports when it is loaded (not later, in functions)."""
    found = set()
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

    def look(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, later):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.add(child.module)
                found.update(f"{child.module}.{alias.name}" for alias in child.names)
            look(child)

    look(ast.parse(path.read_text()))
    own = module_name(path)
    parents = {own.rsplit(".", n)[0] for n in range(1, own.count(".") + 1)}
    return ((found | parents) & known) - {own}


def in_order(files: dict[str, Path]) -> list[str]:
    """The modules, each after those that it needs."""
    order: list[str] = []
    visiting: set[str] = set()

    def visit(name):
        if name in order or name in visiting:
            return
        visiting.add(name)
        for other in sorted(needs(files[name], set(files))):
            visit(other)
        order.append(name)

    for name in sorted(files):
        visit(name)
    return order


def bench_modules() -> None:
    """Heap and size of each module by itself, the dearest first; `x_` is what is loaded for a call
    of x. What ships has several in one file (tools/joined.py), and fewer names."""
    files = {module_name(p): p for p in (ROOT / "firmware").rglob("*.py")}
    files = {n: p for n, p in files.items() if not n.endswith("_cpython")}
    called = runtimes.project(runtimes.SOURCES, MPY).modules
    ships = runtimes.project(runtimes.SHIPPED, DEVICE).modules
    cold = [module for module in called if module.endswith("_")]
    own = {called[module]: module for module in called}
    asked = [called.get(module, module) for module in in_order(files) + cold]
    code = f"import sys; sys.argv[1:] = {asked!r}\n{CHARGE}"
    charged = run32(["-c", code])
    with tempfile.TemporaryDirectory() as state:
        code = f"import sys; sys.argv[1:] = [{state!r}]\n{RESIDENT}"
        code = code
        station = run32(["-c", code], typed="quit\n", build=DEVICE).stdout
    loaded = set(station.partition("\nresident ")[2].split())
    resident = {name for name in files if ships.get(name, name) in loaded}
    rows, notes, strings = [], [], []
    for line in charged.stdout.splitlines():
        if line.startswith("qstr pool: "):
            strings.append({k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)})
            continue
        word, name, *rest = line.split(maxsplit=3)
        place = Path(name.replace(".", "/") + ".mpy")
        place = place if (MPY / place).exists() else place.with_suffix("") / "__init__.mpy"
        name = own.get(name, name)
        if word == "absent":
            notes.append(f"not measured: {name}: {' '.join(rest)}")
            continue
        if len(rest) > 1:
            notes.append(f"{name} brought {rest[1]} with it")
        grown = {key: strings[-1][key] - strings[-2][key] for key in strings[-1]}
        tables = grown["n_total_bytes"] - grown["n_str_data_bytes"]
        cost = int(rest[0]) - tables + ENTRY * grown["n_qstr"]
        size = (MPY / place).stat().st_size
        count = len(files[name].read_text().splitlines()) if name in files else 0
        rows.append((cost, name, size, count, name in resident))
    rows.sort(reverse=True)
    print(f"\n{'module':38} {'heap':>7} {'.mpy':>7} {'lines':>6} {'heap/line':>9}  stays")
    for cost, name, size, count, stays in rows:
        ratio = f"{cost / count:9.1f}" if count > 9 else " " * 9
        print(f"{name:38} {cost:7} {size:7} {count:6} {ratio}  {'yes' if stays else ''}")
    for label, chosen in (("stays", [r for r in rows if r[4]]), ("all", rows)):
        cost, size, count = (sum(r[i] for r in chosen) for i in (0, 2, 3))
        print(f"{label:38} {cost:7} {size:7} {count:6} {cost / max(count, 1):9.1f}")
    if not any(r[4] for r in rows):
        notes.append("the station does not run: " + station.strip()[-200:])
    for note in notes:
        print("  " + note)


def bench_scenarios(only: str) -> None:
    """The peak and the figures of each scenario."""
    print(f"\n{'scenario':58} {'peak':>8}  of the device's 112 KB")
    for path in sorted(SCENARIOS.glob("*.py")):
        if only and only != path.stem:
            continue
        title = (ast.get_docstring(ast.parse(path.read_text())) or path.stem).splitlines()[0]
        module = f"tools.bench.scenarios.{path.stem}"
        least = peak(module)
        if least is None:
            done = run32(["-m", module])
            print(f"{title[:58]:58} fails:\n{done.stdout[-1500:]}")
            continue
        print(f"{title[:58]:58} {least:8}  {100 * least / (112 << 10):.0f} %")
        for line in run32(["-m", module]).stdout.splitlines():
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


def part(name: str, *words) -> None:
    """Runs a benchmark that is a module of its own."""
    print(flush=True)
    subprocess.run([sys.executable, "-m", f"tools.bench.{name}", *words], cwd=ROOT, check=True)


def main() -> int:
    """Runs the benchmarks asked for; returns the process' exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="*", help=", ".join(PARTS) + "; default: all")
    parser.add_argument("--only", default="", help="one scenario")
    options = parser.parse_args()
    if runtimes.find(32) is None:
        print(runtimes.why_missing(32))
        return 1
    what = options.what or PARTS
    if set(what) - set(PARTS):
        parser.error(f"what is {what[0]!r}? There are: {', '.join(PARTS)}")
    for refusal in {**runtimes.compile_mpy(), **runtimes.compile_mpy()}.values():
        print(f"not compiled: {refusal}")
    if "modules" in what:
        bench_modules()
    if "scenarios" in what:
        bench_scenarios(options.only)
    if "station" in what:
        part("live")
        part("live", "--peaks")
    for name, *words in (("reaction",), ("wear", "--days", "5"), ("messages",)):
        if name in what:
            part(name, *words)
    if "reference" in what:
        bench_reference()
    return 0


if __name__ == "__main__":
    sys.exit(main())
