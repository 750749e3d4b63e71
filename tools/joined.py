"""Puts modules that are always loaded together into one file on the way to the compiler. Each
module of its own takes 150 bytes on the device: three names (of the module, of its file and
in its package), a table of what it imports, and names and constants that others list as well.

Whoever imports one of them gets the whole file: `runtime.load` finds `load` beside all else in it.
So no two modules of a file may give a name different meanings; `join` says where they do. Not for
what is dropped again, nor for what scripts and main.py mention. Bases come before their heirs.
"""

from __future__ import annotations

import ast
import builtins

# The first is there while a device reads its provisioning, in half of its heap; the second is the
# station; the third is not for the device.
FILES = (
    (
        "firmware.base.runtime",
        "firmware.base.log",
        "firmware.ocpp",
        "firmware.net",
        "firmware.console",
    ),
    (
        "firmware.station",
        "firmware.base.clock",
        "firmware.base.journal",
        "firmware.base.store",
        "firmware.charging.connector",
        "firmware.charging.evse",
        "firmware.charging.faults",
        "firmware.charging.governor",
        "firmware.charging.limits",
        "firmware.charging.metering",
        "firmware.charging.profile_store",
        "firmware.charging.session",
        "firmware.charging.transactions",
        "firmware.net.websocket",
        "firmware.ocpp.config",
        "firmware.ocpp.delivery",
        "firmware.ocpp.link",
        "firmware.ocpp.notifier",
        "firmware.ocpp.registration",
        "firmware.ocpp.rpc",
        "firmware.ocpp.sampler",
        "firmware.sensing.meters",
        "firmware.sensing.modbus",
        "firmware.sensing.pilot",
    ),
    (
        "firmware.board.simulated",
        "firmware.simulation",
    ),
)
IMPORTS = (ast.Import, ast.ImportFrom)


def join(parts: dict[str, bytes], me: str) -> bytes:
    """One file of several: module to what the compiler would get of it. All of them are called
    `me` by now. Raises ValueError where a name has two meanings."""
    package, _, leaf = me.rpartition(".")
    imports: list[str] = []  # what all of them need
    aliases: list[str] = []  # names for this file itself
    places: dict[str, str] = {}  # a name to the module that gives it a meaning
    bodies = {}
    own = []  # (name, line) for names that get another one
    for module, data in parts.items():
        lines = data.decode().split("\n")
        tree = ast.parse(data)
        for node in tree.body:
            for name in _defined(node):
                other = places.setdefault(name, module)
                if other != module or hasattr(builtins, name):
                    raise ValueError(f"{module} and {other} both define {name}: rename one")
            if not isinstance(node, IMPORTS):
                continue
            for n in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[n] = ""  # a line of imports has nothing else
            found = node.module if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                bound = alias.asname or alias.name
                said = ""
                if found == me:
                    if bound != alias.name and (alias.name, bound) not in own:
                        own.append((alias.name, bound))
                elif (found, alias.name) == (package, leaf):
                    aliases += [bound] * (bound not in aliases)
                else:
                    said = ast.unparse(type(node)(**{**vars(node), "names": [alias]}))
                if said and said not in imports:
                    imports.append(said)
        bodies[module] = "\n".join(line for line in lines if line.strip())
    for name in aliases:
        if name in places:
            raise ValueError(f"{places[name]} defines {name}, which is a module elsewhere")
    if aliases:
        imports += ["import sys"] * ("import sys" not in imports)
        imports.append(f"{' = '.join(aliases)} = sys.modules[{me!r}]")
    for name, bound in own:
        bodies[places[name]] += f"\n{bound} = {name}"
    return "\n".join([*imports, *bodies.values(), ""]).encode()


def _defined(node):
    """The names that a statement of a module defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
    elif isinstance(node, (ast.If, ast.Try)):
        for child in [*node.body, *node.orelse]:
            yield from _defined(child)
