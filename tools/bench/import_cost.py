"""What each module takes of the heap when it is imported, the dearest first (MicroPython).

    micropython -m tools.bench.import_cost

Each is charged for itself alone, those that it imports for themselves.
"""

import asyncio
import builtins
import gc
import sys

import_module = builtins.__import__


class Charge:
    """Stands in for __import__."""

    def __init__(self):
        self.rows = []  # (bytes, name)
        self._inner = 0  # bytes of the modules imported within the present one

    def __call__(self, name, globals=None, locals=None, names=(), level=0):
        if name in sys.modules or not name.startswith("firmware."):
            return import_module(name, globals, locals, names, level)
        gc.collect()
        before, outer, self._inner = gc.mem_alloc(), self._inner, 0
        module = import_module(name, globals, locals, names, level)
        gc.collect()
        whole = gc.mem_alloc() - before
        self.rows.append((whole - self._inner, name))
        self._inner = outer + whole
        return module


if __name__ == "__main__":
    for name in ("Event", "Lock", "StreamReader", "wait_for"):
        getattr(asyncio, name)  # it imports its own parts when they are asked for
    charge = Charge()
    builtins.__import__ = charge
    import firmware.program  # noqa: F401

    for cost, name in sorted(charge.rows, reverse=True):
        print("%6d %s" % (cost, name))
    print("%6d in all %d modules" % (sum([cost for cost, _ in charge.rows]), len(charge.rows)))
