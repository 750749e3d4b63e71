"""The two slots that the application lives in, and the file that says which one starts.

What the file holds and what becomes of it is boot.py's to say. Loaded for an update.
"""

import firmware
from firmware.base.store import Files

_FILE = "boot.txt"


def flash(files) -> tuple:
    """(the files that the slots are on, the slot that runs). On a PC that runs no slot they are
    `files`, the station's own, and ""."""
    parts = firmware.__file__.rsplit("/", 3)
    if len(parts) == 4 and parts[1] in ("a", "b"):
        root = Files(parts[0])
        if read(root):
            return root, parts[1]
    return files, ""


def read(files) -> dict:
    """The words of boot.txt; empty where there is none."""
    words = {}
    try:
        with files.open(_FILE, "rb") as f:
            for word in str(f.read(200), "utf-8").split():
                name, _, value = word.partition("=")
                words[name] = value
    except (OSError, ValueError):
        return {}  # boot.py makes one
    return words


def write(files, **words) -> None:
    """Replaces some of the words, in one step."""
    now = read(files)
    now.update(words)
    with files.open("boot.new", "wb") as f:
        f.write((" ".join(["%s=%s" % item for item in now.items()]) + "\n").encode())
    files.rename("boot.new", _FILE)


def inactive(files, running: str) -> str:
    """The slot that an update may fill."""
    return "b" if (running or read(files).get("slot")) == "a" else "a"
