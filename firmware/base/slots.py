"""The two slots that the application lives in, and boot.txt, which says which one starts.

What boot.txt holds and what becomes of it is for boot.py to say.
"""

import firmware
from firmware.base.runtime import const
from firmware.base.store import Files

_BOOT_FILE = "boot.txt"
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
            return {}  # boot.py makes one
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
    """The slots of this process. On a PC that runs from no slot they are in `files`, the station's
    own folder."""
    parts = firmware.__file__.rsplit("/", 3)
    if len(parts) == 4 and parts[1] in ("a", "b"):
        slots = Slots(Files(parts[0]), parts[1])
        if slots.read_boot():
            return slots
    return Slots(files)
