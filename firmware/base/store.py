"""Files, and small named values. After a power cut a value is the old one or the new one."""

import binascii
import os

from firmware.base.runtime import const

# How the device's littlefs is mounted, bytes: it then reads in pieces of 2 KB, not of 128 bytes,
# and looks at 512 blocks in a walk over the flash. The format does not depend on it.
_READ = const(512)
_PROGRAM = const(32)
_LOOKAHEAD = const(64)


class Files:
    """The one place with file calls. Paths are relative to `root`, which is made if missing;
    errors are OSError. Tests put a simulated flash in its place. `changes` counts what may have
    changed the free space."""

    def __init__(self, root: str):
        self.root = root
        self.changes = 0
        end = root.find("/", 1)
        while end > 0:
            _make_folder(root[:end])
            end = root.find("/", end + 1)
        _make_folder(root)

    def path(self, name: str) -> str:
        return self.root + "/" + name

    def open(self, name: str, mode: str):
        """A binary file; what was written is safe once it is closed."""
        self.changes += mode != "rb"
        return open(self.path(name), mode)

    def rename(self, old: str, new: str) -> None:
        """Replaces `new` in one step."""
        self.changes += 1
        os.rename(self.path(old), self.path(new))

    def remove(self, name: str) -> None:
        self.changes += 1
        os.remove(self.path(name))

    def listdir(self, name: str) -> list:
        return os.listdir(self.path(name))

    def mkdir(self, name: str) -> None:
        """Makes a folder unless it is there."""
        _make_folder(self.path(name))

    def size(self, name: str) -> int:
        return os.stat(self.path(name))[6]

    def free(self) -> int:
        """Free bytes; walks the whole file system on a flash, so ask seldom."""
        stat = os.statvfs(self.root)
        return stat[0] * stat[4]


def _make_folder(path):
    try:
        os.stat(path)
    except OSError:
        os.mkdir(path)


def remount_flash() -> None:
    """Mounts the device's file system again, see `remount`."""
    from esp32 import Partition  # only the device has it

    for partition in Partition.find(Partition.TYPE_DATA, label="vfs"):
        remount(partition, "/")


def remount(block_device, mount_point: str) -> None:
    """Mounts a littlefs again, for fewer reads and shorter writes. MicroPython's own images mount
    it with the smallest buffers; ours does as we do here. There must be no open file. What can't
    be mounted so stays as it is."""
    import vfs  # MicroPython's

    try:
        system = vfs.VfsLfs2(  # type: ignore[abstract]
            block_device, readsize=_READ, progsize=_PROGRAM, lookahead=_LOOKAHEAD, mtime=False
        )
    except (OSError, MemoryError) as error:
        print("the file system stays as it is mounted: %s" % error)
        return
    vfs.umount(mount_point)
    vfs.mount(system, mount_point)


class Store:
    """Named values of bytes. After a power cut each is the old one or the new one, since a copy
    replaces it in one step.

    Values up to 500 bytes (120 without `remount`) cost a tenth of a flash erase, larger ones a
    whole one. Names are file names without `/`, and don't begin with `~`.
    """

    def __init__(self, files, folder: str = "store"):
        self._files = files
        self._folder = folder + "/"
        files.mkdir(folder)

    def read(self, name: str) -> bytes | None:
        """The value, or None: never written, removed, or damaged (its checksum is wrong)."""
        try:
            with self._files.open(self._folder + name, "rb") as f:
                check = f.read(4)
                data = f.read()
        except OSError:
            return None
        if len(check) < 4 or binascii.crc32(data) != int.from_bytes(check, "little"):
            return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Raises OSError when the flash is full; the old value is there then."""
        with self._files.open(self._folder + "~", "wb") as f:
            f.write(binascii.crc32(data).to_bytes(4, "little"))
            f.write(data)
        self._files.rename(self._folder + "~", self._folder + name)

    def remove(self, name: str) -> None:
        """Forgets the value, if it is there."""
        try:
            self._files.remove(self._folder + name)
        except OSError:
            pass  # it was not there

    def names(self, prefix: str = "") -> list:
        """The names that begin with `prefix`, sorted."""
        names = self._files.listdir(self._folder[:-1])
        return sorted(n for n in names if n.startswith(prefix) and n != "~")
