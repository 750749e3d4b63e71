"""What is free of the chip's memory, as `status` tells it, and room for TLS in it."""

import sys

from firmware.base import runtime
from firmware.base.runtime import chip_memory
from firmware.net import tls

# (size, free, largest free block, fewest ever free) of the regions of a classic ESP32.
OWN = [(113792, 41000, 26000, 9000), (16072, 9000, 8000, 100), (15072, 15072, 14900, 14000)]
PSRAM = (4177920, 4000000, 3900000, 3800000)


class Chip:
    """`esp32`, while it is there."""

    HEAP_DATA = 4

    def __init__(self, regions):
        self.regions = regions

    def idf_heap_info(self, kind):
        assert kind == self.HEAP_DATA
        return self.regions

    def __enter__(self):
        sys.modules["esp32"] = self  # type: ignore
        return self

    def __exit__(self, *_):
        sys.modules.pop("esp32")


def test_a_stock_image_counts_the_largest_block_as_pythons():
    assert chip_memory(70000, OWN, True) == (44000, 65072, 26000, None)


def test_the_heap_of_the_image_without_psram_does_not_grow():
    assert chip_memory(44000, OWN, False) == (44000, 65072, 26000, None)


def test_psram_is_no_memory_of_the_chips_own():
    memory = chip_memory(3950000, OWN + [PSRAM], True)
    assert memory == (50000, 65072, 26000, 4000000)


def test_a_chip():
    with Chip(OWN):
        memory = runtime.memory()
        assert memory.chip_free == 65072 and memory.chip_largest == 26000
        assert memory.psram_free is None and memory.heap_free >= 0
        assert runtime.scarce_memory() == 65072
    with Chip(OWN + [PSRAM]):
        assert runtime.memory().chip_free == 65072
        assert runtime.scarce_memory() is None


def test_the_chips_name():
    name = runtime.chip_name
    assert name("Generic ESP32 module with ESP32", OWN) == "esp32"
    assert name("Generic ESP32 module with SPIRAM with ESP32", OWN + [PSRAM]) == "esp32+psram"
    assert name("Wallbridge on ESP32-S3 with PSRAM with ESP32S3", [PSRAM]) == "esp32s3+psram"
    assert name("linux [GCC] version", ()) == "" == runtime.chip()


def test_a_pc():
    memory = runtime.memory()
    assert memory[1:] == (None, None, None) and memory.heap_free >= 0
    assert runtime.scarce_memory() is None


def test_before_each_handshake_the_room_is_looked_at():
    with Chip(OWN) as chip:
        tls.check_room()
        assert tls.has_room()
        chip.regions = [(113792, 27300, 20000, 9000)]
        assert not tls.has_room()
        try:
            tls.check_room()
            assert False, "room"
        except OSError as why:
            text = "no room for TLS: it needs 40 KB of the chip's own memory, 27 KB are free"
            assert str(why) == text
        chip.regions = OWN + [PSRAM]  # TLS lives there then
        assert tls.has_room()
