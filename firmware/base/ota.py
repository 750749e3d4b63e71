"""A whole MicroPython image, into the board's other OTA slot. Loaded for an update."""

_BLOCK = 4096


class Image:
    """Takes an image; `label` is the partition's. Raises OSError where there is no OTA slot, or
    none so large."""

    def __init__(self, size: int):
        partition = _running().get_next_update()
        self.label = partition.info()[4]
        if partition.info()[3] < size:
            raise OSError("the OTA slot has %d bytes" % partition.info()[3])
        self._partition = partition
        self._block = bytearray(_BLOCK)
        self._used = self._number = 0

    def write(self, data) -> None:
        """The next bytes, any number; a block is erased and written once it is full."""
        at = 0
        while at < len(data):
            n = min(_BLOCK - self._used, len(data) - at)
            self._block[self._used : self._used + n] = data[at : at + n]
            self._used += n
            at += n
            if self._used == _BLOCK:
                self.flush()

    def flush(self) -> None:
        """Writes what there is of a block."""
        self._partition.writeblocks(self._number, self._block)
        self._number += 1
        self._used = 0

    def close(self) -> None:
        """No more bytes will come."""
        if self._used:
            self._block[self._used :] = b"\xff" * (_BLOCK - self._used)
            self.flush()


def _running():
    try:
        from esp32 import Partition
    except ImportError:
        raise OSError("this board has no OTA slots")
    return Partition(Partition.RUNNING)  # type: ignore[arg-type]


def running() -> str:
    """The label of the image that runs."""
    return _running().info()[4]


def start(label: str) -> None:
    """The next reset starts that image, on trial if the bootloader does trials."""
    _running()
    from esp32 import Partition

    Partition(label).set_boot()


def keep() -> None:
    """The image that runs has proved itself."""
    _running().mark_app_valid_cancel_rollback()
