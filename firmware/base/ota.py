"""The board's two OTA slots: flash partitions that hold a whole MicroPython image each.

Raises OSError where the board has no OTA slots.
"""

from firmware.base.runtime import const

_BLOCK = const(4096)  # bytes that are erased and written at a time


class ImageWriter:
    """Writes an image of `size` bytes into the OTA slot that does not run; `label` is the slot's
    name. Raises OSError where it has not so much room."""

    def __init__(self, size: int):
        partition = _running_partition().get_next_update()
        self.label = partition.info()[4]
        room = partition.info()[3]
        if room < size:
            raise OSError("the OTA slot has %d bytes" % room)
        self._partition = partition
        self._block = bytearray(_BLOCK)
        self._used = 0  # bytes of the block
        self._number = 0  # of the block

    def write(self, data) -> None:
        """Takes the next bytes, any number; a block is erased and written once it is full."""
        at = 0
        while at < len(data):
            n = min(_BLOCK - self._used, len(data) - at)
            self._block[self._used : self._used + n] = data[at : at + n]
            self._used += n
            at += n
            if self._used == _BLOCK:
                self._write_block()

    def _write_block(self):
        self._partition.writeblocks(self._number, self._block)
        self._number += 1
        self._used = 0

    def close(self) -> None:
        """Writes what is left: no more bytes will come."""
        if self._used:
            self._block[self._used :] = b"\xff" * (_BLOCK - self._used)
            self._write_block()


def running_label() -> str:
    """The label of the OTA slot that runs."""
    return _running_partition().info()[4]


def boot_next(label: str) -> None:
    """The next reset starts the image in this slot, on trial if the bootloader does trials."""
    _running_partition()
    from esp32 import Partition  # only the device has it

    Partition(label).set_boot()


def confirm_running() -> None:
    """The image that runs has proved itself: a bootloader that does trials keeps it."""
    _running_partition().mark_app_valid_cancel_rollback()


def _running_partition():
    try:
        from esp32 import Partition  # only the device has it
    except ImportError:
        raise OSError("this board has no OTA slots")
    return Partition(Partition.RUNNING)  # type: ignore[arg-type]
