"""Loads modules without their names, on the way to the compiler: of each module that MicroPython
imports, `firmware.ap`, `firmware/ap.mpy` and `ap` stay in the heap for good, 50 bytes, and its
table of names is the dearest thing in it. What is loaded for a call and dropped is imported under
one name for all of them (firmware/base/runtime.py: `load`); what calls it says

    L_("ap")            for     from firmware.base import times
    L_("ap").parse      for     from firmware.base.times import parse

Texts of up to 10 bytes stay in that table as well. Those that only such modules have are cut out
of one longer text, which goes with its module: `T_[7:12]`.

Not for the files of tools/joined.py, which stay, nor for what main.py and scripts import.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize

PIECE = 300  # characters: in a heap that is in use, a large text is hard to find room for
CALLED = "TUVWXYZ"
INTERNED = 10  # bytes of a text that the compiler makes a name of (MicroPython's py/mpconfig.h)
# MicroPython asks whether it is that very name.
SAME = {"big", "little"}


def strip(data: bytes, nameless: dict[str, str], runtime: str, load: str) -> bytes:
    """The source without names of modules: `nameless` gives a dotted name's short one, `runtime`
    is what `firmware.base.runtime` is called by now, `load` its function `load`."""
    tree = ast.parse(data)
    changes = []  # (line, begin, end, text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            text = _statement(node, nameless, f"from {runtime} import {load} as L_")
            if text:
                changes.append((node.lineno, node.col_offset, node.end_col_offset, text))
    lines = data.split(b"\n")
    for line, begin, end, text in sorted(changes, reverse=True):
        old = lines[line - 1]
        lines[line - 1] = old[:begin] + text.encode() + old[end:]
    return _texts(b"\n".join(lines), nameless)


def _statement(node, nameless, imports):
    """What stands for a `from ... import ...`, if it has to do with such a module."""
    plain, loads = [], []
    for alias in node.names:
        bound = alias.asname or alias.name
        if f"{node.module}.{alias.name}" in nameless:
            loads.append(f'{bound} = L_("{nameless[f"{node.module}.{alias.name}"]}")')
        elif node.module in nameless:
            loads.append(f'{bound} = L_("{nameless[node.module]}").{alias.name}')
        else:
            plain.append(alias)
    if not loads:
        return ""
    if plain:
        loads.append(ast.unparse(ast.ImportFrom(node.module, plain, node.level)))
    return "; ".join([imports, *loads])


def _texts(data, nameless):
    """The names of modules in texts."""

    def short(match):
        return nameless.get(match[0], match[0])

    changes = []
    for token in tokenize.generate_tokens(io.StringIO(data.decode()).readline):
        if token.type == tokenize.STRING and "firmware." in token.string:
            changes.append((token.start, token.end, re.sub(r"firmware\.\w+", short, token.string)))
    lines = data.decode().split("\n")
    for begin, end, text in reversed(changes):
        first, last = begin[0] - 1, end[0] - 1
        text = lines[first][: begin[1]] + text + lines[last][end[1] :]
        lines[first : last + 1] = text.split("\n")
    return "\n".join(lines).encode()


def names(data: bytes, texts: bool) -> set[str]:
    """What a source leaves in the table for good in any case; `texts`: with its short texts."""
    found = set(SAME)
    tokens = tokenize.generate_tokens(io.StringIO(data.decode()).readline)
    found.update(t.string for t in tokens if t.type == tokenize.NAME)
    if texts:
        found.update(node.value for node in _short(ast.parse(data)))
    return found


def _short(tree):
    """The short texts in a source."""
    unsure = set()  # in an f-string no place is to be trusted, and const() wants a constant
    for node in ast.walk(tree):
        called = getattr(getattr(node, "func", None), "id", "")
        if isinstance(node, ast.JoinedStr) or called == "const":
            unsure.update(map(id, ast.walk(node)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is str and id(node) not in unsure:
            if 0 < len(node.value.encode()) <= INTERNED:
                yield node


def cut(data: bytes, known: set[str]) -> bytes:
    """The source with its short texts cut out of long ones, but those that are known anyway."""
    tree = ast.parse(data)
    found = [node for node in _short(tree) if node.value not in known]
    texts = [""]
    for value in sorted({node.value for node in found}, key=lambda v: (-len(v), v)):
        if not any(value in text for text in texts):
            if len(texts[-1]) + len(value) > PIECE and len(texts) < len(CALLED):
                texts.append("")
            texts[-1] += value
    if len("".join(texts).encode()) <= INTERNED:
        return data
    lines = data.split(b"\n")
    places = [(n.lineno, n.col_offset, n.end_lineno, n.end_col_offset, n.value) for n in found]
    for first, begin, last, end, value in sorted(places, reverse=True):
        name, text = next((n, t) for n, t in zip(CALLED, texts) if value in t)
        at = text.index(value)
        piece = b"%s_[%d:%d]" % (name.encode(), at, at + len(value))
        lines[first - 1] = lines[first - 1][:begin] + piece + lines[last - 1][end:]
        lines[first:last] = [b""] * (last - first)
    begin = "".join(f"{name}_ = {text!r}; " for name, text in zip(CALLED, texts))
    lines[0] = begin.encode() + lines[0]
    return b"\n".join(lines)
