"""Shortens names in the source that goes to the compiler: on the device each name that was ever
loaded stays in the heap for good, with 7 bytes beside its letters.

    python -m tools.shrink firmware/ocpp/rpc.py     what the compiler gets of a file
    python -m tools.shrink --names                  every name that is shortened, and to what

Lines stay where they are, so that tracebacks tell the right ones. Three things are done:

- Members of classes and of modules get short names, the same everywhere in the project. Two of
  them share one where no class (with its bases and heirs) and no module has both.
- Arguments, and functions within functions, get short names of their function.
- `_NAME = 123` becomes `_NAME = const(123)`: the compiler puts the value where it is used.

What keeps its name, so that no meaning changes: what Python and its libraries define; what stands
as a text where it might reach getattr; modules; exception classes, since tracebacks and logs tell
them; keyword arguments; and all that is mentioned by scripts that tests hand to MicroPython.
"""

from __future__ import annotations

import ast
import bisect
import builtins
import hashlib
import importlib
import io
import itertools
import keyword
import os
import pickle
import re
import select
import string
import sys
import sysconfig
import tokenize
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What is compiled for MicroPython; the others only tell which names to keep.
COMPILED = (
    "main.py", "firmware", "host_tests/both", "host_tests/both_runner.py", "host_tests/virtual.py",
    "tools/bench/scenarios", "tools/bench/holds.py", "tools/bench/reference.py",
)  # fmt: skip
OTHERS = ("host_tests", "tools")
PACKAGES = ("firmware", "host_tests", "tools", "main")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
WORD = re.compile(r"[A-Za-z_]\w*")
DYNAMIC = ("getattr", "setattr", "hasattr", "delattr")
# Methods of texts and dicts: a text that is handed to them reaches no getattr.
HARMLESS = {*dir(str), *dir(bytes), *dir(dict)}
# What MicroPython's asyncio calls its own things, and CPython's does not.
ASYNCIO = "coro data state ph_key s e out_buf cur_task waiting poller map wait_io_event"
# Libraries that neither CPython nor the type checker's stubs know, and what they define.
UNKNOWN = {"ffi": "open func callback as_bytearray addr", "aiorepl": "task"}


class Scope:
    """A module, a class or a function: what is bound in it."""

    def __init__(self, kind, outer=None):
        self.kind = kind
        self.outer = outer
        self.bound = set()
        self.costly = set()  # arguments and functions: their names stay on the device
        self.imported = set()  # another module's names
        # the outermost function around
        self.top = outer.top if outer and outer.kind == "function" else self

    def home(self, name):
        """The scope that binds a name mentioned here; None for a builtin."""
        scope = self
        while scope and (name not in scope.bound or (scope.kind == "class" and scope is not self)):
            scope = scope.outer
        return scope


class Function:
    """An outermost function with what is nested in it."""

    def __init__(self):
        self.own = set()  # names that the device would keep
        self.others = set()  # names of its own that it would not
        self.outer = set()  # names that it only mentions
        self.places = []  # of its own names


class Source:
    """What a file defines, and the places (line, column in bytes, name) that mention a name."""

    def __init__(self, data: bytes):
        self.places = []  # of members and of what modules define
        self.attributes = set()  # those of them that something else's scope defines
        self.functions = []
        self.classes = []  # (name, names of the bases, names of the members)
        self.globals = set()
        self.wild = set()  # attributes set from outside: nobody knows on what
        self.kept = set()
        self.keywords = set()
        self.texts = set()  # that are a name as a whole and might reach getattr
        self.words = set()  # of all texts
        self.dynamic = False  # has a getattr of something else than a literal
        self.libraries = set()
        self.constants = []  # (name, where the value begins, where it ends)
        Reader(self, data)


class Reader(ast.NodeVisitor):
    """Fills in a Source."""

    def __init__(self, source, data):
        self.source = source
        tree = ast.parse(data)
        tokens = tokenize.generate_tokens(io.StringIO(data.decode()).readline)
        self.tokens = [
            (t.start[0], len(t.line[: t.start[1]].encode()), t.string)
            for t in tokens
            if t.type == tokenize.NAME
        ]
        self.scopes = {}
        self.found = []  # (line, column, name, scope; None for an attribute)
        self.aliases = set()  # what libraries are called here
        self.members = None  # of the class around
        self.scope = Scope("module")
        self.bind(tree, self.scope)
        source.globals |= self.scope.bound
        for node in tree.body:
            self.visit(node)
        self.sort()
        self.constants(tree)

    # what is bound where

    def bind(self, node, scope):
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, FUNCTIONS + COMPREHENSIONS + (ast.ClassDef,)):
                kind = "class" if isinstance(child, ast.ClassDef) else "function"
                inner = self.scopes[child] = Scope(kind, scope)
                if hasattr(child, "name"):
                    scope.bound.add(child.name)
                    scope.costly.add(child.name)
                if isinstance(child, FUNCTIONS):
                    inner.costly.update(arg.arg for arg in parameters(child.args))
                    inner.bound.update(inner.costly)
            elif isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
                scope.bound.add(child.id)
            elif isinstance(child, ast.ExceptHandler) and child.name:
                scope.bound.add(child.name)
            elif isinstance(child, (ast.Import, ast.ImportFrom)):
                scope.bound.update(a.asname or a.name.split(".")[0] for a in child.names)
                if isinstance(child, ast.ImportFrom):
                    scope.imported.update(a.name for a in child.names if not a.asname)
                    self.source.globals.update(a.name for a in child.names)
            elif isinstance(child, (ast.Global, ast.Nonlocal)):
                self.source.kept.update(child.names)
            elif isinstance(child, ast.NamedExpr):
                self.source.kept.add(child.target.id)
            self.bind(child, inner)

    # what is mentioned where

    def place(self, at, name, scope):
        self.found.append((*at, name, scope))

    def token(self, line, column, name):
        """The place of the first token `name` from there on."""
        at = bisect.bisect_left(self.tokens, (line, column, ""))
        while self.tokens[at][2] != name:
            at += 1
        return self.tokens[at][:2]

    def all(self, nodes):
        for node in nodes:
            if node:
                self.visit(node)

    def within(self, node, parts):
        """Visits the parts that lie in the scope that a node opens."""
        outer, self.scope = self.scope, self.scopes[node]
        self.all(parts)
        self.scope = outer

    def definition(self, node, word):
        line, column = self.token(node.lineno, node.col_offset, word)
        self.place(self.token(line, column + len(word), node.name), node.name, self.scope)
        self.all(node.decorator_list)

    def visit_FunctionDef(self, node):
        self.definition(node, "def")
        self.function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node):
        self.function(node, [node.body])

    def function(self, node, body):
        self.all(node.args.defaults + node.args.kw_defaults)
        for arg in parameters(node.args):
            self.place((arg.lineno, arg.col_offset), arg.arg, self.scopes[node])
        self.within(node, body)  # annotations are nothing to the device

    def visit_ClassDef(self, node):
        self.definition(node, "class")
        self.all(node.bases)
        outer, self.members = self.members, set(self.scopes[node].bound)
        bases = [getattr(base, "id", getattr(base, "attr", "")) for base in node.bases]
        self.source.classes.append((node.name, bases, self.members))
        self.within(node, node.body)
        self.members = outer

    def comprehension(self, node):
        first, *more = node.generators
        self.visit(first.iter)
        parts = [getattr(node, name, None) for name in ("elt", "key", "value")]
        self.within(node, [*parts, first.target, *first.ifs, *more])

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension

    def visit_Name(self, node):
        self.place((node.lineno, node.col_offset), node.id, self.scope)

    def visit_Attribute(self, node):
        self.visit(node.value)
        at = node.end_lineno, node.end_col_offset - len(node.attr.encode())
        self.place(at, node.attr, None)
        if getattr(node.value, "id", "") in self.aliases:
            self.source.kept.add(node.attr)
        if not isinstance(node.ctx, ast.Load):
            own = self.members is not None and getattr(node.value, "id", "") == "self"
            (self.members if own else self.source.wild).add(node.attr)

    def visit_ExceptHandler(self, node):
        if node.type:
            self.visit(node.type)
        if node.name:
            line, column = self.token(node.type.end_lineno, node.type.end_col_offset, "as")
            self.place(self.token(line, column + 2, node.name), node.name, self.scope)
        self.all(node.body)

    def visit_Import(self, node):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            self.source.kept.add(name)
            if not self.imported(alias.name):
                self.aliases.add(name)

    def visit_ImportFrom(self, node):
        own = self.imported(node.module)
        for alias in node.names:
            if not own or path_of(node.module + "." + alias.name):
                self.source.kept.update((alias.name, alias.asname or alias.name))
                continue
            self.place((alias.lineno, alias.col_offset), alias.name, None)
            if alias.asname:
                at = self.token(alias.lineno, alias.col_offset + len(alias.name), alias.asname)
                self.place(at, alias.asname, self.scope)

    def imported(self, module):
        self.source.kept.update(module.split("."))
        if module.split(".")[0] in PACKAGES:
            return True
        self.source.libraries.add(module)
        return False

    def visit_AnnAssign(self, node):
        self.visit(node.target)
        self.all([node.value])

    def visit_JoinedStr(self, node):
        for part in ast.walk(node):  # the places in it are not to be trusted
            self.source.kept.add(getattr(part, "id", getattr(part, "attr", "")))

    def visit_Call(self, node):
        self.source.keywords.update(k.arg or "**" for k in node.keywords)
        if getattr(node.func, "id", "") in DYNAMIC and not isinstance(node.args[1], ast.Constant):
            self.source.dynamic = True
        if getattr(node.func, "attr", "") in HARMLESS:
            self.harmless(node, node.args)
        else:
            self.generic_visit(node)

    # texts

    def visit_Constant(self, node):
        self.text(node.value, True)

    def text(self, text, reaches):
        """`reaches`: a getattr, for all that is known."""
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        if isinstance(text, str):
            words = WORD.findall(text)
            self.source.words.update(words)
            if reaches and words == [text]:
                self.source.texts.add(text)

    def harmless(self, node, parts):
        """Visits a node of which these parts, when they are texts, reach no getattr."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Constant) and child in parts:
                self.text(child.value, False)
            else:
                self.visit(child)

    def visit_Dict(self, node):
        self.harmless(node, node.keys)

    def visit_Compare(self, node):
        self.harmless(node, [node.left, *node.comparators])

    def visit_Subscript(self, node):
        self.harmless(node, [node.slice])

    def visit_Expr(self, node):
        if not isinstance(node.value, ast.Constant):  # else a docstring
            self.visit(node.value)

    # all of it

    def sort(self):
        """Puts each place where its name belongs."""
        functions = defaultdict(Function)
        for line, column, name, scope in self.found:
            home = scope and scope.home(name)
            inside = bool(home) and home.kind == "function" and name not in home.imported
            if scope is None:
                self.source.attributes.add(name)
            if scope is None or (home and not inside):
                self.source.places.append((line, column, name))
            if scope and scope.top.kind == "function":
                function = functions[scope.top]
                if inside:
                    function.places.append((line, column, name))
                    (function.own if name in home.costly else function.others).add(name)
                else:
                    function.outer.add(name)
        for function in functions.values():
            function.own -= function.outer  # what is both stays
            function.others -= function.own
            self.source.functions.append(function)

    def constants(self, tree):
        """Finds what may become const()."""
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        bound = Counter(n.id for n in nodes if not isinstance(n.ctx, ast.Load))
        for node in tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if not isinstance(target, ast.Name) or not re.match(r"_[A-Z]", target.id):
                continue
            value = node.value
            if getattr(getattr(value, "func", None), "id", "") == "const":
                self.source.kept.add(target.id)
            elif isinstance(value, ast.Constant) and bound[target.id] == 1:
                self.source.kept.add(target.id)
                begin, end = (
                    (value.lineno, value.col_offset),
                    (value.end_lineno, value.end_col_offset),
                )
                self.source.constants.append((target.id, begin, end))


def parameters(arguments):
    """The arg nodes of a function's arguments."""
    a = arguments
    found = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
    return [arg for arg in found if arg]


def path_of(module: str) -> Path | None:
    """The file of a module of the project."""
    place = ROOT.joinpath(*module.split("."))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.exists():
            return path
    return None


def told(data: bytes, script: bool) -> set[str]:
    """The names that a file which is not compiled may mention to MicroPython: in texts that look
    like code; everywhere in it when it is a script itself."""
    found = set()
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Constant) and type(node.value) is str:
            if "import " in node.value or "print(" in node.value:
                found.update(_code(node.value))
            if script and node.value == "__main__":
                found.update(WORD.findall(data.decode()))
    return found


def _code(text):
    """The names in a text that is code, or a piece of some."""
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return [t.string for t in tokens if t.type == tokenize.NAME]
    except (SyntaxError, tokenize.TokenError):
        return WORD.findall(text)


def defined_by(modules) -> set[str]:
    """The public names that objects of these libraries have. What is asked of the modules
    themselves is seen where it is asked."""
    names = {*dir(builtins), *keyword.kwlist, *ASYNCIO.split(), *dir(hashlib.sha256())}
    if hasattr(select, "poll"):
        names.update(dir(select.poll()))
    for name in {"builtins", "types", "io", *modules}:
        if name.partition(".")[0] not in sys.stdlib_module_names:
            stub = _stub(name)
            if stub is not None:  # not imported: a test may have put one of its own there
                names |= stub
                continue
        for value in list(vars(importlib.import_module(name)).values()):
            if isinstance(value, type):
                names.update(dir(value))
    return {name for name in names if name[:1] != "_" or name[:2] == "__"}


def _stub(module):
    """What the type checker's description of a library of MicroPython's names; None without."""
    if module in UNKNOWN:
        return set(UNKNOWN[module].split())
    folder = Path(sysconfig.get_path("purelib"))
    parts = module.split(".")
    for path in (
        folder.joinpath(*parts, "__init__.pyi"),
        folder.joinpath(*parts).with_suffix(".pyi"),
    ):
        if path.exists():
            nodes = ast.walk(ast.parse(path.read_text()))
            named = (getattr(n, "name", getattr(n, "id", getattr(n, "attr", ""))) for n in nodes)
            return {name for name in named if type(name) is str}
    return None


def _files():
    for name in sorted({*COMPILED, *OTHERS}):
        path = ROOT / name
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def short_names():
    """a to z, A to Z, then longer ones, without end."""
    for size in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=size):
            yield "".join(letters)


class Project:
    """All that is compiled. `names`: what members of classes and of modules become.

    `cache` keeps what was found out about each file, and the names: a process that runs compiled
    files goes on finding the same ones in what it loads while somebody changes another file.
    """

    def __init__(self, cache: Path | None = None):
        self.sources = {}
        tool = hashlib.sha256(Path(__file__).read_bytes()).digest()
        known, before = {}, {}
        if cache and cache.exists():
            version, files, names = pickle.loads(cache.read_bytes())
            if version == tool:
                known, before = files, names
        fresh, scripts = self._read(known)
        sources = self.sources.values()
        unpacked = set().union(*(s.words for s in sources if "**" in s.keywords))
        reached = set().union(*(s.words for s in sources if s.dynamic))
        texts = set().union(*(s.texts for s in sources))
        library = defined_by(set().union(*(s.libraries for s in sources)))
        self._keywords = scripts | unpacked | set().union(*(s.keywords for s in sources))
        self._kept = scripts | texts | reached | library | set().union(*(s.kept for s in sources))
        self._mentioned = scripts.union(*(s.attributes for s in sources))
        self.names = self._shared(before)
        if cache and (fresh.keys() != known.keys() or self.names != before):
            part = cache.with_suffix(".part%d" % os.getpid())
            part.write_bytes(pickle.dumps((tool, fresh, self.names)))
            part.replace(cache)

    def _read(self, known):
        """Reads all files but those that are known. Returns all, and what scripts mention. A file
        that is no Python at the moment is left out."""
        fresh, scripts = {}, set()
        for path in _files():
            name = path.relative_to(ROOT).as_posix()
            compiled = any(name == c or name.startswith(c + "/") for c in COMPILED)
            try:
                data = path.read_bytes()
                key = name, hashlib.sha256(data).digest()
                if key in known:
                    fresh[key] = known[key]
                elif compiled:
                    fresh[key] = Source(data)
                else:
                    fresh[key] = told(data, name.startswith("host_tests/"))
            except (SyntaxError, tokenize.TokenError, FileNotFoundError):
                continue
            if compiled:
                self.sources[name] = fresh[key]
            else:
                scripts |= fresh[key]
        return fresh, scripts

    def _classes(self):
        return [entry for source in self.sources.values() for entry in source.classes]

    def _families(self):
        """The members of classes, each with its bases and heirs; classes of one name are one."""
        family = {}

        def root(name):
            while family.setdefault(name, name) != name:
                name = family[name]
            return name

        for name, bases, _ in self._classes():
            for base in bases:
                family[root(base)] = root(name)
        members = defaultdict(set)
        for name, _, names in self._classes():
            members[root(name)] |= names
        return members.values()

    def _exceptions(self):
        """Classes whose names tracebacks and logs tell."""
        known = vars(builtins).items()
        found = {n for n, v in known if isinstance(v, type) and issubclass(v, BaseException)}
        size = 0
        while size != len(found):
            size = len(found)
            found |= {name for name, bases, _ in self._classes() if found & set(bases)}
        return found

    def _shared(self, before):
        kept = self._kept | self._exceptions()
        groups = list(self._families()) + [source.globals for source in self.sources.values()]
        defined, wild = set(), set()
        beside = defaultdict(set)  # a module's name: those that its functions have for their own
        for file, source in self.sources.items():
            wild |= source.wild
            own = set().union(*(f.own | f.others for f in source.functions))
            for name in source.globals:
                beside[name] |= own
            if file.startswith("firmware/"):
                defined |= source.wild.union(source.globals, *(c[2] for c in source.classes))
        uses = Counter(place[2] for s in self.sources.values() for place in s.places)
        free = {name for name in defined - kept if uses[name] and not name.startswith("__")}
        wild &= free
        around = defaultdict(list)
        for group in groups:
            for name in group & free:
                around[name].append(group)
        fixed = uses.keys() - free | kept
        names = {}
        # Those that have a name first, then what is set from outside: as that might be set on
        # anything, it shares with none.
        order = sorted(free, key=lambda n: (n not in before, n not in wild, -uses[n], n))
        for name in order:
            taken = {names[other] for other in wild if other in names} | beside[name]
            for group in [names] if name in wild else around[name]:
                taken.update(names[other] for other in group if other in names)
            fine = (s for s in short_names() if s not in fixed and s not in taken)
            if before.get(name, "") in fixed | taken | {""}:
                names[name] = next(fine)
            else:
                names[name] = before[name]
        return names

    def shrunk(self, name: str, data: bytes) -> bytes:
        """A file's source as the compiler gets it. What is no Python is left to the compiler."""
        source = self.sources.get(name)
        if not source:
            return data
        changes = []
        for line, column, word in source.places:
            if word in self.names:
                changes.append((line, column, len(word.encode()), self.names[word]))
        for function in source.functions:
            own = self._own(function, source)
            for line, column, word in function.places:
                if word in own:
                    changes.append((line, column, len(word.encode()), own[word]))
        for word, begin, end in source.constants:
            if word not in self._mentioned:
                changes.append((*begin, 0, "const("))
                changes.append((*end, 0, ")"))
        lines = data.split(b"\n")
        for line, column, size, text in sorted(changes, reverse=True):
            old = lines[line - 1]
            lines[line - 1] = old[:column] + text.encode() + old[column + size :]
        return b"\n".join(lines)

    def _own(self, function, source):
        """What a function's own names become."""
        free = {n for n in function.own - self._keywords - source.kept if not n.startswith("__")}
        taken = function.others | function.own - free | {"_"}
        taken |= {self.names.get(name, name) for name in function.outer}
        unused = (s for s in short_names() if s not in taken and not keyword.iskeyword(s))
        return dict(zip(sorted(free), unused))


def main(words: list[str]) -> int:
    """The command line, see above."""
    project = Project()
    if words == ["--names"]:
        for name, short in sorted(project.names.items()):
            print(f"{name:32} {short}")
        return 0
    for word in words:
        path = Path(word).resolve()
        sys.stdout.buffer.write(
            project.shrunk(path.relative_to(ROOT).as_posix(), path.read_bytes())
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
