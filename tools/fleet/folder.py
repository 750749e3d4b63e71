"""The folder that holds the flash of one process' stations: in memory, if the system has that."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "wallbridge-fleet-"
_YOUNG_S = 60  # a folder's process has locked it by then


@contextlib.contextmanager
def flash_folder(place: Path | None = None):
    """`with flash_folder() as folder`: a new one, which is removed afterwards. Its process holds a
    lock on it, which ends with the process, however that ends. So what a killed one has left is
    known by its lock, and removed here."""
    if place is None:
        place = MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for other in place.glob(PREFIX + "*"):
        _remove_if_left(other)
    with contextlib.ExitStack() as at_end:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        at_end.callback(os.close, _lock(folder))
        at_end.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def _lock(folder) -> int:
    """The descriptor that holds the lock. Raises OSError when somebody else does."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        raise
    return opened


def _remove_if_left(folder):
    try:
        if time.time() - folder.stat().st_mtime < _YOUNG_S:
            return
        opened = _lock(folder)
    except OSError:  # it is in use, another user's, or gone by now
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.close(opened)
