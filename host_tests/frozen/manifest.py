"""What tools/frozen.py freezes into a desktop MicroPython: the firmware as ../../manifest.py does
for a device, what only a PC needs of it, and what stands in for libraries that a device has. What
the benches run in it is frozen too, so that it takes as little of the heap as it can."""

# These names are what MicroPython's build gives to a manifest.
# ruff: noqa: F821

include("$(MPY_DIR)/extmod/asyncio")
include("../../manifest.py", pc=True)
module("hashlib.py")
module("logging.py", base_path="../standins")
package("aiohttp", base_path="../standins")
BENCH = "probe braking_car import_cost flash_time holds reference stops_station"
for name in BENCH.split():
    module(f"tools/bench/{name}.py", base_path="../..")
