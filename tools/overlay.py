"""Takes what is marked `# cold` out of a file on the way to the compiler, into a file of its own
that is loaded for a call and dropped after it (firmware/base/runtime.py: overlay, away).

    def unlock(self):  # cold

marks a method, or a function of a module. On CPython the mark means nothing. Lines stay where they
are in both files, so that tracebacks tell the right ones. Not for properties, for what must run
when the heap is full, and for what stands between a fault and an open contactor.
"""

from __future__ import annotations

import ast

MARK = b"# cold"
RUNTIME = "firmware.base.runtime"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _marked(node, lines) -> bool:
    return isinstance(node, FUNCTIONS) and lines[node.body[0].lineno - 2].rstrip().endswith(MARK)


def _span(node):
    return range(node.lineno - 1, node.end_lineno)


def _names(nodes) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def _only(node, wanted: set[str], but=frozenset()) -> list[bytes]:
    """An import of those names alone, or of all but some."""
    bound = {a.asname or a.name.split(".")[0]: a for a in node.names}
    names = [a for name, a in bound.items() if name in wanted or but and name not in but]
    return [ast.unparse(type(node)(**{**vars(node), "names": names})).encode()] * bool(names)


def _put(side, node, text):
    """A statement's lines in its place, before what is there."""
    for n, line in zip(_span(node), text):
        side[n] = line + b"; " * bool(side[n]) + side[n]


def split(original: bytes, data: bytes, names: dict, module: str, away: str):
    """(what stays, what is loaded when called or None) of a file's source. `original` carries the
    marks, `data` is what the compiler gets: the same lines with shorter names, `names`. The two
    will be the modules `module` and `away`."""
    marks = original.split(b"\n")
    if not any(line.rstrip().endswith(MARK) for line in marks):
        return data, None
    try:
        tree = ast.parse(data)
    except SyntaxError:  # the compiler says it
        return data, None
    lines = data.split(b"\n")
    hot, cold = list(lines), [b""] * len(lines)
    defined, called = set(), []
    stubs: list = []
    shared: list = []
    taken: list
    owner = b""  # a class of cold methods is called _, the next one __
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            defined.add(node.name)
            taken = [m for m in node.body if _marked(m, marks)]
            for method in taken:
                for n in _span(method):
                    cold[n], hot[n] = lines[n], b""
                called.append(method)
            if taken:
                owner = b"_" * (len(owner) + 1)
                cold[node.lineno - 1] = b"class %s:" % owner
                where = b'"%s", "%s"' % (away.encode(), owner)
            for method in [m for m in taken if m.name == "__init__"]:
                taken.remove(method)
                hot[method.lineno - 1] = (
                    b'    def __init__(self, *a, **k): o_(%s, "__init__", self, *a, **k)' % where
                )
            if taken:
                words = " ".join(["", *(m.name for m in taken), ""]).encode()
                hot[taken[0].lineno - 1] = b'    __getattr__ = O_(%s, "%s")' % (where, words)
        elif isinstance(node, FUNCTIONS):
            defined.add(node.name)
            if _marked(node, marks):
                for n in _span(node):
                    cold[n], hot[n] = lines[n], b""
                called.append(node)
                stubs.append(node)
        elif not isinstance(node, ast.Expr):
            shared.append(node)  # imports and constants
    for node in stubs:
        name = node.name.encode()
        hot[node.lineno - 1] = b'def %s(*a, **k): return o_("%s", "", "%s", *a, **k)' % (
            name, away.encode(), name,
        )  # fmt: skip
    used = _names(called)
    stays = _names(n for top in tree.body for n in getattr(top, "body", [top]) if n not in called)
    imports = [n for n in shared if isinstance(n, (ast.Import, ast.ImportFrom))]
    for node in imports:
        for n in _span(node):
            hot[n] = b""
    for node in reversed(shared):  # what is called needs this, and what that needs
        if node in imports:
            _put(hot, node, _only(node, stays, but=used))
            _put(cold, node, _only(node, used))
        elif not isinstance(node, ast.Assign) or _names(node.targets) & used:
            used |= _names([node])
            _put(cold, node, [lines[n] for n in _span(node)])
    others = sorted(used & defined - {c.name for c in stubs})
    # The module's docstring makes room for what the two files need of each other.
    for n in _span(tree.body[0]):
        hot[n] = cold[n] = b""
    line = "from {} import {} as O_, {} as o_"
    hot[0] = line.format(*(names.get(n, n) for n in (RUNTIME, "overlay", "away"))).encode()
    if others:
        cold[0] = b"from %s import %s" % (module.encode(), ", ".join(others).encode())
    return b"\n".join(hot), b"\n".join(cold)
