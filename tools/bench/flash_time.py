"""Files whose calls cost what a chip's do, and not what a PC's do (MicroPython, for benches).

Each call is charged to the step that makes it, as DESIGN's measurements of littlefs on a chip say,
mounted with reads of 512 bytes.
"""

from firmware.base.store import Files

# Milliseconds of a chip. A look-up walks the folders; what is written costs what a small append or
# an inline file does in the median, an erase included.
LOOK_UP_MS = 8
SMALL_WRITE_MS = 12  # a new file of at most INLINE bytes, which lies in its folder's block
WRITE_MS = 26
ERASE_MS = 45
FREE_MS = 171  # statvfs
INLINE = 128
BLOCK = 4096


class Written:
    """A file that is written: charges for it when it is flushed or closed, and for each block that
    fills up before."""

    def __init__(self, file, appends, holds):
        self._file = file
        self._appends = appends
        self._holds = holds
        self._size = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def write(self, data):
        blocks = self._size // BLOCK
        self._size += len(data)
        self._holds.charge((self._size // BLOCK - blocks) * ERASE_MS)
        return self._holds.apart(self._file.write)(data)

    def flush(self):
        if self._size:
            small = self._size <= INLINE and not self._appends
            self._holds.charge(SMALL_WRITE_MS if small else WRITE_MS)
            self._size = 0
        self._holds.apart(self._file.flush)()

    def close(self):
        self.flush()
        self._holds.apart(self._file.close)()


class Flash(Files):
    """Files whose calls cost what a chip's do, and not what a PC's do."""

    holds = None

    def _run(self, ms, function, *args):
        self.holds.charge(ms)
        return self.holds.apart(function)(*args)

    def open(self, name, mode):
        file = self._run(LOOK_UP_MS, super().open, name, mode)
        return Written(file, mode == "ab", self.holds) if mode[0] in "wa" else file

    def rename(self, old, new):
        self._run(SMALL_WRITE_MS, super().rename, old, new)

    def remove(self, name):
        self._run(SMALL_WRITE_MS, super().remove, name)

    def listdir(self, name):
        return self._run(LOOK_UP_MS, super().listdir, name)

    def size(self, name):
        return self._run(LOOK_UP_MS, super().size, name)

    def free(self):
        return self._run(FREE_MS, super().free)
