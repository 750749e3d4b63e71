"""Power cuts over a whole life of the storage, on MicroPython's own LittleFS (as the device's)."""

import gc
import sys

from host_tests.virtual import Skip

BLOCKS = 36


def test_cut_at_any_step_of_a_life():
    if sys.implementation.name != "micropython":
        raise Skip(
            "on CPython: host_tests/transactions/test_transactions_cuts.py, with littlefs-python"
        )
    if gc.mem_free() < 1000000:
        raise Skip("two flashes and their history do not fit this heap")
    from host_tests.both.flash_life import Life
    from host_tests.both.vfs_flash import Flash

    memory = bytearray(BLOCKS * 4096)

    def torn(memory, seed):
        return Flash(BLOCKS, memory, seed, remounted=True)

    base = Flash(BLOCKS)
    flash = Flash(BLOCKS, remounted=True)
    flash.history = []
    life = Life(flash)
    life.run(40)
    flash.memory = None
    trials = 0
    for cut in range(life.total):
        if cut >= life.marks[0][0] and cut % 6 == 5:
            memory[:] = base.memory
            life.trial(cut, torn, memory)
            trials += 1
            gc.collect()
        base.apply(*flash.history[cut])
    assert trials > 40
    print(trials, "cuts of", life.total, "steps")
