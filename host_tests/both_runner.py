"""Runs tests of both/ on MicroPython and says how each ended; conftest.py reads that.

micropython -m host_tests.both_runner < TESTS      one a line: MODULE TEST

Lines that begin with \\x01 are for conftest.py: `start MODULE TEST`, then the same with `pass` and
the ms, with `skip` and the reason, or with `fail`. All else is what the test printed, or the
traceback of its failure.
"""

import gc
import sys
import time

from host_tests import virtual


def say(*words):
    """One line for conftest.py."""
    print("\x01" + " ".join(words))


def run(module_name, name):
    """Runs one test; what it needs no more is dropped."""
    gc.collect()
    say("start", module_name, name)
    begin = time.ticks_ms()
    try:
        __import__(module_name)
        module = sys.modules[module_name]
        result = getattr(module, name)()
        if hasattr(result, "send"):
            virtual.run(result)
        say("pass", module_name, name, str(time.ticks_diff(time.ticks_ms(), begin)))
        delattr(module, name)  # makes room for the next
    except Exception as error:
        if type(error).__name__ == "Skip":
            say("skip", module_name, name, str(error))
        else:
            sys.print_exception(error, sys.stdout)
            say("fail", module_name, name)


def main():
    """Runs the tests in the order given."""
    __import__("firmware.station")  # what most tests need, before the heap is in pieces
    tests = [line.split() for line in sys.stdin]
    for number in range(len(tests)):
        module_name = tests[number][0]
        run(module_name, tests[number][1])
        if number + 1 == len(tests) or tests[number + 1][0] != module_name:
            sys.modules.pop(module_name, None)


main()
