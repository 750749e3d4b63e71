"""Runs the tests of one file on MicroPython and says how each ended; conftest.py reads that.

micropython -m host_tests.both_runner MODULE TEST...

Lines that begin with \\x01 are for conftest.py: `start NAME`, then `pass NAME MS`, `skip NAME WHY`
or `fail NAME`. All else is what the test printed, or the traceback of its failure.
"""

import gc
import sys
import time

from host_tests import virtual


def say(*words):
    """One line for conftest.py."""
    print("\x01" + " ".join(words))


def main(module_name, names):
    """Imports the test module and runs its functions in the order given."""
    say("start", "import")
    __import__("firmware.station")
    __import__(module_name)
    module = sys.modules[module_name]
    for name in names:
        gc.collect()
        say("start", name)
        begin = time.ticks_ms()
        try:
            test = getattr(module, name)
            result = test()
            if hasattr(result, "send"):
                virtual.run(result)
            say("pass", name, str(time.ticks_diff(time.ticks_ms(), begin)))
        except Exception as error:
            if type(error).__name__ == "Skip":
                say("skip", name, str(error))
            else:
                sys.print_exception(error, sys.stdout)
                say("fail", name)
        result = test = None
        delattr(module, name)  # makes room for the next


main(sys.argv[1], sys.argv[2:])
