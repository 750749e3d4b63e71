"""What each module takes of the heap when it is imported (MicroPython).

    micropython -m tools.bench.import_cost MODULE...

Each is to come after those that it imports: so each is charged for itself alone.
"""

import gc
import sys

if __name__ == "__main__":
    for name in sys.argv[1:]:
        gc.collect()
        before = gc.mem_alloc()
        try:
            __import__(name)
        except ImportError:
            continue  # it needs what only the device or CPython has
        gc.collect()
        print("%6d %s" % (gc.mem_alloc() - before, name))
