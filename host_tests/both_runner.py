"""Runs tests of both/ on MicroPython and says how each ended; conftest.py reads that.

micropython -m host_tests.both_runner < TESTS      one a line: MODULE TEST

For each it says in a line that begins with \\x01: `pass`, `skip` and the reason, or `fail`. All
before that is what the test printed, or the traceback of its failure.
"""

import gc
import sys

from host_tests import virtual


def say(*words):
    """One line for conftest.py."""
    print("\x01" + " ".join(words))


def run(module_name, name):
    """Runs one test; what it needs no more is dropped."""
    gc.collect()
    try:
        __import__(module_name)
        module = sys.modules[module_name]
        result = getattr(module, name)()
        if hasattr(result, "send"):
            virtual.run(result)
        say("pass")
        delattr(module, name)  # makes room for the next
    except Exception as error:
        if type(error).__name__ == "Skip":
            say("skip", str(error))
        else:
            sys.print_exception(error, sys.stdout)
            say("fail")


def main():
    """Runs the tests in the order given."""
    __import__("firmware.station")  # what most tests need, before the heap is in pieces
    before = None
    for line in sys.stdin:
        module_name, name = line.split()
        if module_name != before:
            sys.modules.pop(before, None)
            before = module_name
        run(module_name, name)


main()
