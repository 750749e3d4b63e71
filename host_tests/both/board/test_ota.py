"""A whole MicroPython image into the other OTA slot; the partitions here are the tests' own."""

import sys

from firmware.base import slots


class Partition:
    BOOT, RUNNING = 0, 1
    size = 16384
    runs = "ota_0"
    boots = "ota_0"
    valid = 0
    blocks = {}

    def __init__(self, which):
        self.label = Partition.runs if which == Partition.RUNNING else which

    def info(self):
        return (0, 16, 65536, Partition.size, self.label, False)

    def get_next_update(self):
        return Partition("ota_1" if self.label == "ota_0" else "ota_0")

    def writeblocks(self, number, data):
        assert len(data) == 4096
        Partition.blocks[(self.label, number)] = bytes(data)

    def set_boot(self):
        Partition.boots = self.label

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        cls.valid += 1


class Esp32:
    pass


def load():
    Esp32.Partition = Partition
    sys.modules["esp32"] = Esp32


def unload():
    sys.modules.pop("esp32")


def test_an_image_is_written_block_by_block():
    load()
    try:
        data = bytes(range(256)) * 40  # two blocks and a half
        image = slots.ImageWriter(len(data))
        for at in range(0, len(data), 1000):
            image.write(memoryview(data)[at : at + 1000])
        image.close()
        assert image.label == "ota_1"
        written = b"".join([Partition.blocks[("ota_1", n)] for n in range(3)])
        assert written == data + b"\xff" * (3 * 4096 - len(data)) and len(Partition.blocks) == 3
        assert slots.running_ota_slot() == "ota_0"
        slots.boot_ota_slot("ota_1")
        assert Partition.boots == "ota_1"
        slots.confirm_ota_slot()
        assert Partition.valid == 1
    finally:
        unload()


def test_an_image_too_large():
    load()
    try:
        slots.ImageWriter(16384)
        try:
            slots.ImageWriter(16385)
            assert False
        except OSError as why:
            assert "16384" in str(why)
    finally:
        unload()


def test_a_board_without_ota_slots():
    try:
        slots.ImageWriter(100)
        assert False
    except OSError as why:
        assert "no OTA slots" in str(why)


def test_whether_there_are_ota_slots():
    assert not slots.has_ota_slots()
    load()
    try:
        assert slots.has_ota_slots()
    finally:
        unload()


class Root:
    def __init__(self, root):
        self.root = root


def test_an_image_has_its_slots_where_boot_py_looks():
    """And not in the folder of the station's state, as on a PC that runs from no slot."""
    before = slots.runtime.DEVICE, slots.firmware.__file__, slots.Files
    try:
        slots.Files = Root
        slots.runtime.DEVICE = True
        slots.firmware.__file__ = "firmware/__init__.py"
        found = slots.find(Root("state"))
        assert found.files.root == "" and found.running == ""
        slots.runtime.DEVICE = False
        assert slots.find(Root("state")).files.root == "state"
    finally:
        slots.runtime.DEVICE, slots.firmware.__file__, slots.Files = before
