"""The slots that an update fills: the application's two slots, with boot.txt, which says which one
starts; and the two OTA slots of a board that is updated by a whole MicroPython image.

boot.py's docstring explains the settings in boot.txt.
"""

import firmware
from firmware.base import runtime
from firmware.base.runtime import const
from firmware.base.store import Files

_BOOT_FILE = const("boot.txt")
_MAX_BOOT_FILE = const(200)  # bytes; boot.py reads so many


class Slots:
    """The slots `a` and `b`. `files` is the flash that they are on; `running` the name of the one
    that runs, "" where none does (on a PC)."""

    def __init__(self, files, running: str = ""):
        self.files = files
        self.running = running

    def read_boot(self) -> dict:
        """The settings in boot.txt, by name; empty where there is none."""
        settings = {}
        try:
            with self.files.open(_BOOT_FILE, "rb") as f:
                for word in str(f.read(_MAX_BOOT_FILE), "utf-8").split():
                    name, _, value = word.partition("=")
                    settings[name] = value
        except (OSError, ValueError):
            return {}  # there is none yet: boot.py makes it
        return settings

    def write_boot(self, **settings) -> None:
        """Changes some of the settings in boot.txt, all in one step."""
        now = self.read_boot()
        now.update(settings)
        with self.files.open("boot.new", "wb") as f:
            f.write((" ".join(["%s=%s" % item for item in now.items()]) + "\n").encode())
        self.files.rename("boot.new", _BOOT_FILE)

    def inactive(self) -> str:
        """The slot that an update may fill."""
        return other(self.running or self.read_boot().get("slot", "b"))


def other(slot: str) -> str:
    """The name of the other slot."""
    return "b" if slot == "a" else "a"


def find(files) -> Slots:
    """The slots of this process. A device that runs from its image has them in the root, where
    boot.py looks; on a PC that runs from no slot they are in `files`, the station's own folder."""
    if runtime.DEVICE and not firmware.__file__.startswith("/"):
        return Slots(Files(""))
    parts = firmware.__file__.rsplit("/", 3)
    if len(parts) == 4 and parts[1] in ("a", "b"):
        slots = Slots(Files(parts[0]), parts[1])
        if slots.read_boot():
            return slots
    return Slots(files)


_BLOCK = const(4096)  # bytes of flash that are erased and written at a time


class ImageWriter:
    """Writes an image of `size` bytes into the OTA slot that does not run; `label` is the slot's
    name. A call erases a block for each 4 KB that it is given, and nothing else. Raises OSError
    where the slot has not so much room."""

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


# The OTA slots. Each function raises OSError where the board has none.


def has_ota_slots() -> bool:
    """Whether the board can be given a whole image."""
    try:
        return bool(_running_partition().get_next_update())
    except OSError:  # not a chip, or one whose flash is divided another way
        return False


def running_ota_slot() -> str:
    """The label of the OTA slot that runs."""
    return _running_partition().info()[4]


def boot_ota_slot(label: str) -> None:
    """The next reset starts the image in this slot, on trial if the bootloader does trials."""
    _running_partition()
    from esp32 import Partition  # only the device has it

    Partition(label).set_boot()


def confirm_ota_slot() -> None:
    """The image that runs has proved itself: a bootloader that does trials keeps it."""
    _running_partition().mark_app_valid_cancel_rollback()


def _running_partition():
    try:
        from esp32 import Partition  # only the device has it
    except ImportError:
        raise OSError("this board has no OTA slots")
    return Partition(Partition.RUNNING)  # type: ignore[arg-type]
