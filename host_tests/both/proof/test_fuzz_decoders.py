"""A sample of what `make fuzz` does to the decoders: the same damaged inputs on every Python."""

import gc

from host_tests.both import fuzz_inputs, fuzz_targets

SEED = 1
INPUTS = 25  # for each decoder


def _fuzz(names):
    for name in names.split():
        seeds = getattr(fuzz_targets, name + "_seeds")()
        random = fuzz_inputs.Random(SEED)
        for seed in seeds:
            getattr(fuzz_targets, name)(seed)
        for number in range(INPUTS):
            data = fuzz_inputs.mutated(random, seeds, 1200)
            try:
                getattr(fuzz_targets, name)(data)
            except Exception:
                print("%s, input %d of seed %d: %r" % (name, number, SEED, data))
                raise
        seeds = data = None
        gc.collect()


def test_texts():
    _fuzz("times urls options keys measurands")


def test_messages():
    _fuzz("calls answers")


def test_connections():
    _fuzz("websocket handshake ftp ntp certificates")


def test_wires():
    _fuzz("tic modbus meters")


def test_flash():
    _fuzz("records journal profiles settings bundle")


def test_none_is_left_out():
    here = [name for name in dir(fuzz_targets) if name + "_seeds" in dir(fuzz_targets)]
    assert sorted(fuzz_targets.NAMES) == sorted(here)
