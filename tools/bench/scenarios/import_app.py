"""All that stays resident: firmware.app is imported."""

import gc

__import__("firmware.app")
gc.collect()
print("figure: in use: %d bytes" % gc.mem_alloc())
