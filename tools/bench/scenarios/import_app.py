"""The whole program is imported."""

import gc

import firmware.program  # noqa: F401

gc.collect()
print("figure: in use: %d bytes" % gc.mem_alloc())
