"""What is loaded for transfers and updates is gone afterwards, however often that happens."""

import gc
import sys

from firmware.base import runtime
from host_tests.virtual import Skip

MODULES = """
firmware.ocpp.jobs firmware.ocpp.update firmware.ocpp.download firmware.ocpp.diagnostics
firmware.net.transfer firmware.net.ftp firmware.net.address firmware.net.dial
firmware.base.bundle
firmware.base.slots firmware.base.logbook firmware.base.ota firmware.base.starttls
firmware.base.times""".split()


def test_loaded_and_dropped_200_times():
    if sys.implementation.name != "micropython":
        raise Skip("CPython drops nothing: tests hold on to classes")

    def once():
        for name in MODULES:
            runtime.load(name)
        runtime.drop(*MODULES)

    keep = [runtime.load("firmware.ocpp.rpc"), runtime.load("firmware.charging.faults")]
    for _ in range(3):
        once()
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(200):
        once()
    gc.collect()
    assert gc.mem_alloc() - before < 256, gc.mem_alloc() - before
    assert keep
