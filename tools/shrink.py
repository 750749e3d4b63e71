"""Shortens names in the source that goes to the compiler: on the device each name that was ever
loaded stays in the heap for good, with 7 bytes beside its letters.

    python -m tools.shrink firmware/ocpp/rpc.py     what the compiler gets of a file
    python -m tools.shrink --names                  every name that is shortened, and to what
    python -m tools.shrink --readable < LOG         a device's log with readable tracebacks

What ships is named by its sources alone: a checkout of the same version can read its log.

Lines stay where they are, so that tracebacks tell the right ones. Five things are done:

- Modules of the firmware become `firmware.a` and so on: a module's name is kept twice, as it is
  imported and as a path, and as a text wherever it is loaded for a call.
- Members of classes and of modules get short names, the same everywhere in the project. Two of
  them share one where no class (with its bases and heirs) and no module has both.
- Arguments, and functions within functions, get short names of their function.
- `_NAME = 123` becomes `_NAME = const(123)`: the compiler puts the value where it is used.
- `runtime.MICROPYTHON` becomes `True`: the compiler leaves out what is for CPython.

What keeps its name, so that no meaning changes: what Python and its libraries define; what stands
as a text where it might reach getattr; exception classes, since logs tell them; keyword arguments;
and all that is mentioned by scripts that tests hand to MicroPython. `readable` turns tracebacks
back.
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

from tools import joined, nameless, overlay

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ("firmware", "host_tests", "tools", "main")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
WORD = re.compile(r"[A-Za-z_]\w*")
MODULE = re.compile(r"firmware(?:\.[a-z]\w*)+")
PREFIX = re.compile(r"firmware(?:\.[a-z]\w*)*(?=\.(?![a-z]))")
IMPORT = re.compile(r"from (firmware[\w.]*) import ([\w, ]+)")
TRUTH = "MICROPYTHON"  # firmware/base/runtime.py
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
        self.defined = set()  # functions
        self.constants = []  # (name, where the value begins, where it ends)
        self.truths = []  # (line, begin, end) where MICROPYTHON is asked for
        self.imports = []  # (begin, end, module, [(name, as, whether as is an outer name)])
        self.modules = []  # (line, column, module) in texts
        self.prefixes = set()  # packages of which texts name the modules piecemeal
        self.cold = any(line.rstrip().endswith(overlay.MARK) for line in data.split(b"\n"))
        Reader(self, data)


class Reader(ast.NodeVisitor):
    """Fills in a Source."""

    def __init__(self, source, data):
        self.source = source
        tree = ast.parse(data)
        self.tokens = []
        for token in tokenize.generate_tokens(io.StringIO(data.decode()).readline):
            if token.type == tokenize.NAME:
                line, column = token.start
                self.tokens.append((line, len(token.line[:column].encode()), token.string))
            elif token.type == tokenize.STRING:
                self.modules(token)
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

    def modules(self, token):
        """Finds the names of modules in a text."""
        for match in MODULE.finditer(token.string):
            before = token.string[: match.start()]
            line = token.start[0] + before.count("\n")
            column = len(before.rpartition("\n")[2].encode())
            if line == token.start[0]:
                column += len(token.line[: token.start[1]].encode())
            self.source.modules.append((line, column, match[0]))
        self.source.prefixes.update(PREFIX.findall(token.string))

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
                    self.source.globals.update(a.name for a in child.names if not a.asname)
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
        if word == "def":
            self.source.defined.add(node.name)
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

    def truth(self, node):
        """Whether it is asked here which Python runs: what is compiled knows."""
        name = getattr(node, "id", getattr(node, "attr", ""))
        found = name == TRUTH and isinstance(node.ctx, ast.Load)
        if found:
            self.source.truths.append((node.lineno, node.col_offset, node.end_col_offset))
        return found

    def visit_Name(self, node):
        if self.truth(node):
            return
        self.place((node.lineno, node.col_offset), node.id, self.scope)

    def visit_Attribute(self, node):
        if self.truth(node):
            return
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
        if not self.imported(node.module):
            for alias in node.names:
                self.source.kept.update((alias.name, alias.asname or alias.name))
            return
        names = []
        for alias in node.names:
            shared = not alias.asname or self.scope.kind == "module"
            if not shared:
                self.source.kept.add(alias.asname)
            names.append((alias.name, alias.asname or alias.name, shared))
            self.source.attributes.add(alias.name)
        begin, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        self.source.imports.append((begin, end, node.module, names))

    def imported(self, module):
        if module.split(".")[0] in PACKAGES:
            return True
        self.source.kept.update(module.split("."))
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


class Told:
    """The names and modules that a file which is compiled as it is, or not at all, may mention to
    MicroPython: everywhere in it when it is a script itself, else in texts that look like code."""

    def __init__(self, data: bytes, script: bool):
        self.names = set()
        self.modules = set()
        if script:
            self.names.update(WORD.findall(data.decode()))
            self._modules(data.decode())
        tree = ast.parse(data)
        documents = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if type(text) is not str or id(node) in documents:
                continue
            self._modules(text)
            if "import " in text or "print(" in text:
                self.names.update(_code(text))

    def _modules(self, text):
        self.modules.update(MODULE.findall(text.replace("/", ".").replace(".mpy", "")))
        for module, names in IMPORT.findall(text):
            self.modules.update(f"{module}.{name.strip()}" for name in names.split(","))


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


def _files(names):
    for name in names:
        path = ROOT / name
        yield from [path] if path.suffix else path.rglob("*.py")


def short_names():
    """a to z, A to Z, then longer ones, without end."""
    for size in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=size):
            yield "".join(letters)


def module_of(file: str) -> str:
    """firmware/ocpp/rpc.py is firmware.ocpp.rpc, a package's __init__ the package."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Project:
    """All that is compiled, from files and folders. `names`: what members of classes and modules
    become; `modules`: what the firmware's modules become, those too that tools/overlay.py makes.
    Files in `others` keep their names: they are scripts that MicroPython runs as they are, or have
    some in them. `joined`: modules that become one (tools/joined.py), file by file.

    `cache` keeps what was found out about each file, and the names: a process that runs compiled
    files goes on finding the same ones in what it loads while somebody changes another file.
    """

    def __init__(self, compiled, others=(), cache: Path | None = None, joined=()):
        self.sources = {}
        self.joined = {module: file[0] for file in joined for module in file}
        tool = hashlib.sha256(Path(__file__).read_bytes()).digest()
        known, before = {}, ({}, {})
        if cache and cache.exists():
            version, *found = pickle.loads(cache.read_bytes())
            if version == tool:
                known, before = found
        fresh, others = self._read(known, compiled, others)
        self._found = {module_of(name): source for name, source in self.sources.items()}
        scripts = set().union(*(told.names for told in others))
        sources = self.sources.values()
        unpacked = set().union(*(s.words for s in sources if "**" in s.keywords))
        reached = set().union(*(s.words for s in sources if s.dynamic))
        texts = set().union(*(s.texts for s in sources))
        library = defined_by(set().union(*(s.libraries for s in sources)))
        self._keywords = scripts | unpacked | set().union(*(s.keywords for s in sources))
        self._kept = scripts | texts | reached | library | set().union(*(s.kept for s in sources))
        self._mentioned = scripts.union(*(s.attributes for s in sources))
        self.modules = self._called(before[1], set().union(*(told.modules for told in others)))
        self.names = self._shared(before[0])
        made = self.names, self.modules
        if cache and (fresh.keys() != known.keys() or made != before):
            part = cache.with_suffix(".part%d" % os.getpid())
            part.write_bytes(pickle.dumps((tool, fresh, made)))
            part.replace(cache)

    def _read(self, known, compiled, others):
        """Reads all files but those that are known. Returns all, and those that are not compiled.
        A file that is no Python at the moment is left out."""
        fresh, found = {}, []
        ours = set(_files(compiled))
        for path in sorted(ours.union(_files(others))):
            name = path.relative_to(ROOT).as_posix()
            try:
                data = path.read_bytes()
                key = name, hashlib.sha256(data).digest()
                if key in known:
                    fresh[key] = known[key]
                elif path in ours:
                    fresh[key] = Source(data)
                else:
                    script = name.startswith("host_tests/") and b'"__main__"' in data
                    fresh[key] = Told(data, script or name == "main.py")
            except (SyntaxError, tokenize.TokenError, FileNotFoundError):
                continue
            if path in ours:
                self.sources[name] = fresh[key]
            else:
                found.append(fresh[key])
        return fresh, found

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
        # a package has its modules' names beside its own
        kept = self._kept | self._exceptions() | self._found["firmware"].globals
        files = defaultdict(set)
        for module, source in self._found.items():
            files[self.joined.get(module, module)] |= source.globals
        groups = [*self._families(), *files.values()]
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
        for source in self.sources.values():
            uses.update(name for entry in source.imports for name, _, _ in entry[3])
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

    def _called(self, before, scripts):
        texts = Counter(m[2] for source in self.sources.values() for m in source.modules)
        kept = set(scripts)
        for source in self.sources.values():
            for package in source.prefixes:
                words = source.words.union(*(other.texts for other in self.sources.values()))
                kept |= {f"{package}.{word}" for word in words}
        ours = {m: s for m, s in self._found.items() if m.startswith("firmware.") and s.globals}
        cold = {module + "_": 2 for module, source in ours.items() if source.cold}
        texts.update(cold)
        called = {}
        taken = {module.split(".")[1] for module in kept | self._found.keys() if "." in module}
        # Those that texts name get the shortest: such a text is kept as well.
        order = ({self.joined.get(m, m) for m in ours} | cold.keys()) - kept
        for module in sorted(order, key=lambda m: (m not in before, -texts[m], m)):
            name = before.get(module, ".").split(".")[1]
            if not name or name in taken:
                fine = (s for s in short_names() if s.islower() and not keyword.iskeyword(s))
                name = next(s for s in fine if s not in taken)
            taken.add(name)
            called[module] = "firmware." + name
        called.update({m: called[file] for m, file in self.joined.items() if m in ours})
        return called

    def place(self, module: str) -> str:
        """The file of a module."""
        path = module.replace(".", "/")
        return next(f for f in (path + ".py", path + "/__init__.py") if f in self.sources)

    def called(self, name: str) -> tuple[str, str]:
        """What a file's module becomes, and the one that tools/overlay.py takes out of it."""
        module = module_of(name)
        return tuple(self.modules.get(m, m) for m in (module, module + "_"))

    def shrunk(self, name: str, data: bytes) -> bytes:
        """A file's source as the compiler gets it. What is no Python is left to the compiler."""
        source = self.sources.get(name)
        return self._changed(source, data) if source else data

    def without_names(self, sources: dict[str, bytes]) -> dict[str, bytes]:
        """Sources with short names, by what their modules are called, whose modules are loaded
        without theirs, where modules are joined: in what ships (tools/nameless.py)."""
        if not self.joined:
            return sources
        stay = {self.modules.get(file, file) for file in self.joined.values()}
        short = {m: m.partition(".")[2] for m in self.modules.values() if m not in stay}
        runtime = self.modules.get(overlay.RUNTIME, overlay.RUNTIME)
        load = self.names.get("load", "load")
        made, known = {}, set()
        for module, data in sources.items():
            try:
                made[module] = nameless.strip(data, short, runtime, load)
                known |= nameless.names(made[module], module not in short)
            except (SyntaxError, tokenize.TokenError):  # the compiler says it
                made[module] = data
        return {m: nameless.cut(d, known) if m in short else d for m, d in made.items()}

    def script(self, text: str) -> str:
        """A script for MicroPython as it must be to find what it mentions."""
        return self._changed(Source(text.encode()), text.encode()).decode()

    def readable(self, text: str) -> str:
        """A text with the names of files and functions in its tracebacks turned back; where
        several functions share a name, all of them."""
        files = defaultdict(list)
        for name in self.sources:
            for module in self.called(name):
                files[module.rpartition(".")[2]].append(name)

        def back(match):
            found = [f'File "{name}", in {function}' for name in files[match[1]]
                     for function in self._functions(self.sources[name], match[2])]  # fmt: skip
            return " or ".join(found) or match[0]

        return re.sub(r'File "([^"]+)"(?:, line \d+)?, in (\S+)', back, text)

    def _functions(self, source, short):
        """The functions of a file that a traceback would call so."""
        names = dict(self.names)
        for function in source.functions:
            names.update(self._own(function, source))
        return sorted(n for n in source.defined if names.get(n, n) == short)

    def _changed(self, source, data):
        changes = []  # (begin, end, text)

        def change(line, column, old, new):
            if old != new:
                changes.append(((line, column), (line, column + len(old.encode())), new))

        for line, column, word in source.places:
            change(line, column, word, self.names.get(word, word))
        for function in source.functions:
            own = self._own(function, source)
            for line, column, word in function.places:
                change(line, column, word, own.get(word, word))
        for word, begin, end in source.constants:
            if word not in self._mentioned:
                changes.append((begin, begin, "const("))
                changes.append((end, end, ")"))
        for line, begin, end in source.truths:
            changes.append(((line, begin), (line, end), "True"))
        for line, column, module in source.modules:
            change(line, column, module, self.modules.get(module, module))
        for begin, end, module, names in source.imports:
            changes.append((begin, end, self._import(module, names)))
        lines = data.split(b"\n")
        for begin, end, text in sorted(changes, reverse=True):
            first, last = begin[0] - 1, end[0] - 1
            lines[first] = lines[first][: begin[1]] + text.encode() + lines[last][end[1] :]
            lines[first + 1 : last + 1] = [b""] * (last - first)
        return b"\n".join(lines)

    def _import(self, module, names):
        """A `from module import ...`."""
        plain, others = [], []
        for name, bound, shared in names:
            bound = self.names.get(bound, bound) if shared else bound
            found = f"{module}.{name}"
            if found in self._found:
                package, _, name = self.modules.get(found, found).rpartition(".")
                others.append(f"from {package} import {name} as {bound}")
            else:
                name = self.names.get(name, name)
                plain.append(name if name == bound else f"{name} as {bound}")
        if plain:
            others.append(f"from {self.modules.get(module, module)} import {', '.join(plain)}")
        return "; ".join(others)

    def _own(self, function, source):
        """What a function's own names become."""
        free = {n for n in function.own - self._keywords - source.kept if not n.startswith("__")}
        taken = function.others | function.own - free | {"_"}
        taken |= {self.names.get(name, name) for name in function.outer}
        unused = (s for s in short_names() if s not in taken and not keyword.iskeyword(s))
        return dict(zip(sorted(free), unused))


def main(words: list[str]) -> int:
    """The command line, see above: of what ships."""
    project = Project(("firmware",), ("main.py",), joined=joined.FILES)
    if words == ["--readable"]:
        for line in sys.stdin:
            sys.stdout.write(project.readable(line))
        return 0
    if words == ["--names"]:
        for name, short in sorted({**project.modules, **project.names}.items()):
            print(f"{name:40} {short}")
        return 0
    for word in words:
        path = Path(word).resolve()
        sys.stdout.buffer.write(
            project.shrunk(path.relative_to(ROOT).as_posix(), path.read_bytes())
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
