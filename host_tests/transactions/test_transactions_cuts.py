"""Power cuts over whole lives of the storage, on littlefs-python with the device's geometry.

A sample: `host_tests.flash.torture` has all the time in the world.
"""

import random

import pytest

from firmware.base.store import Store
from host_tests import flash
from host_tests.both.flash_life import Life
from host_tests.flash import Flash, PowerCut


@pytest.mark.parametrize("seed", range(3))
def test_cuts_over_a_life(seed):
    assert flash.torture(40, seed) >= 20


@pytest.mark.parametrize("seed", range(6))
def test_random_lives_without_cuts_in_the_middle_of_a_step(seed):
    simulated = Flash(48)
    simulated.history = []
    Life(simulated).wander(random.Random(seed).randrange, 150)


def test_a_value_is_old_or_new_wherever_the_power_fails():
    values = [b"", b"a" * 100, b"b" * 100, b"c" * 3000, b"d" * 5000, b"e"]
    simulated = Flash(16)
    simulated.history = []
    store = Store(simulated.mount())
    starts = []
    for value in values:
        starts.append(len(simulated.history))
        store.write("name", value)
        store.write("other", value[:50])
    for cut in range(starts[1], len(simulated.history)):
        after = Flash(16)
        for step in simulated.history[:cut]:
            after.apply(*step)
        after.random.seed(cut)
        after.tear(*simulated.history[cut])
        store = Store(after.mount())
        begun = sum(start <= cut for start in starts)
        assert store.read("name") in values[begun - 2 : begun]
        assert store.read("other") in [value[:50] for value in values[begun - 2 : begun]]
        assert set(store.names()) == {"name", "other"}
        store.write("name", b"later")
        assert store.read("name") == b"later"


def test_the_flash_cuts_power_for_good():
    simulated = Flash(16)
    files = simulated.mount()
    simulated.cut_at = simulated.steps + 3
    with pytest.raises(PowerCut):
        for _ in range(10):
            Store(files).write("name", b"x")
    with pytest.raises(PowerCut):
        files.listdir("store")
    assert Store(simulated.again().mount()).read("name") in (None, b"x")
