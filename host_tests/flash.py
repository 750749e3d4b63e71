# mypy: ignore-errors
"""A simulated flash with a real LittleFS on it, in the device's geometry.

`Flash` counts reads, erases and programs, keeps the history of what changed it, and can lose power
at any one of these, leaving it half done. `LittleFiles` is `firmware.base.store.Files` on such a
flash. A mount is one of MicroPython's: STOCK as its images make it, REMOUNTED as the firmware
does.
"""

from __future__ import annotations

import random

from littlefs import LittleFSError, UserContext, lfs

BLOCK = 4096
# Of MicroPython's VfsLfs2, which makes its cache four times as long as a read.
STOCK = {"read_size": 32, "prog_size": 32, "lookahead_size": 32, "cache_size": 128}
REMOUNTED = {"read_size": 512, "prog_size": 32, "lookahead_size": 64, "cache_size": 2048}
CYCLES = 100  # after so many erases LittleFS moves what is erased often
_IO = -5


def torture(cuts: int, seed: int = 0, progress=lambda done: None, over=lambda: False) -> int:
    """Cuts the power at so many steps of scripted and random lives of the storage (see
    host_tests/both/flash_life.py), every third time a second time soon after. The scripted life
    is cut at each of its steps first. Ends before that many when `over()` says so. Returns the
    number of cuts; raises AssertionError, saying which, when something was lost, doubled or out
    of order."""
    from host_tests.both.flash_life import Life

    done = 0
    number = 0
    while done < cuts and not over():
        rng = random.Random(f"{seed} {number}")
        flash = Flash(BLOCKS, geometry=(REMOUNTED, STOCK)[(seed + number) % 2])
        flash.history = []
        life = Life(flash)
        if number:
            life.wander(rng.randrange, 300)
        else:
            life.run(100)
        share = 1 if number == 0 and cuts >= life.total else 200 / life.total
        done += _cut(
            life, min(1, share, cuts / life.total), rng, f"life {number} of seed {seed}", over
        )
        progress(done)
        number += 1
    return done


BLOCKS = 48


def _cut(life, share, rng, name, over):
    """Cuts a life at that share of its steps."""
    geometry = life.flash.geometry
    replay = Flash(BLOCKS, geometry=geometry)
    done = 0

    def torn(memory, seed):
        return Flash(0, memory, seed, geometry)

    for cut, step in enumerate(life.flash.history[: life.total]):
        if over():
            break
        if cut >= life.marks[0][0] and rng.random() < share:
            again = rng.randrange(1, 60) if done % 3 == 2 else None
            tear = rng.randrange(1 << 30)
            try:
                life.trial(cut, torn, replay.memory[:], again, tear)
            except Exception as error:
                raise AssertionError(f"{name}, cut {cut}, then {again}, tear {tear}: {error!r}")
            done += 1
        replay.apply(*step)
    return done


class PowerCut(Exception):
    """The flash lost its power: nothing that is called afterwards happens."""


class Flash(UserContext):
    """`memory` survives; `reads`, `erases` by block, `programs` and `steps` (both together) count.

    `cut_at`: the step at which power fails; `seed` decides how much of that step was done.
    `history`: a list that takes (block, offset, data) of each step, data None for an erase.
    """

    PowerCut = PowerCut

    def __init__(
        self,
        blocks: int = 64,
        memory: bytearray | None = None,
        seed: int = 0,
        geometry: dict = REMOUNTED,
    ):
        self.geometry = geometry
        self.memory = memory if memory is not None else bytearray(b"\xff" * (blocks * BLOCK))
        self.blocks = len(self.memory) // BLOCK
        self.erases = [0] * self.blocks
        self.reads = 0
        self.programs = 0
        self.steps = 0
        self.cut_at = None
        self.dead = False
        self.history = None
        self.random = random.Random(seed)

    def read(self, cfg, block, off, size):
        self.reads += 1
        start = block * BLOCK + off
        return self.memory[start : start + size]

    def prog(self, cfg, block, off, data):
        self.programs += 1
        return self._step(block, off, bytes(data))

    def erase(self, cfg, block):
        self.erases[block] += 1
        return self._step(block, 0, None)

    def sync(self, cfg):
        return 0

    def _step(self, block, off, data):
        if self.dead:
            return _IO
        self.steps += 1
        if self.steps == self.cut_at:
            self.dead = True
            self.tear(block, off, data)
            return _IO
        if self.history is not None:
            self.history.append((block, off, data))
        self.apply(block, off, data)
        return 0

    def apply(self, block, off, data):
        start = block * BLOCK + off
        data = data or b"\xff" * BLOCK
        self.memory[start : start + len(data)] = data

    def tear(self, block, off, data):
        """Half a step: programming clears bits and erasing sets them, up to some byte; around
        there some bits have changed and some have not."""
        start = block * BLOCK + off
        size = len(data) if data else BLOCK
        old = bytes(self.memory[start : start + size])
        new = data or b"\xff" * BLOCK
        done = self.random.randrange(size + 1)
        ragged = min(size, done + self.random.randrange(17))
        mixed = bytearray(new[:done] + old[done:])
        for i in range(done, ragged):
            mask = self.random.randrange(256)
            mixed[i] = old[i] & (new[i] | mask) if data else old[i] | mask
        self.memory[start : start + size] = mixed

    def mount(self) -> LittleFiles:
        """Its files; formats an empty flash."""
        self.files = LittleFiles(self)
        return self.files

    def unmount(self):
        self.files = None

    def again(self) -> Flash:
        """The power is back."""
        return Flash(memory=self.memory, seed=self.steps, geometry=self.geometry)


class _File:
    def __init__(self, files, name, mode):
        self.files = files
        flags = {
            "rb": lfs.LFSFileFlag.rdonly,
            "wb": lfs.LFSFileFlag.wronly | lfs.LFSFileFlag.creat | lfs.LFSFileFlag.trunc,
            "ab": lfs.LFSFileFlag.wronly | lfs.LFSFileFlag.creat | lfs.LFSFileFlag.append,
        }[mode]
        self.handle = files.call(lfs.file_open, name, flags)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self, size=-1):
        if size < 0:
            size = self.files.call(lfs.file_size, self.handle)
        return bytes(self.files.call(lfs.file_read, self.handle, size))

    def write(self, data):
        return self.files.call(lfs.file_write, self.handle, bytes(data))

    def seek(self, offset):
        return self.files.call(lfs.file_seek, self.handle, offset, 0)

    def flush(self):
        self.files.call(lfs.file_sync, self.handle)

    def close(self):
        handle, self.handle = self.handle, None
        if handle is not None:
            self.files.call(lfs.file_close, handle)


class LittleFiles:
    """The file calls of `firmware.base.store.Files`."""

    def __init__(self, flash: Flash):
        self.changes = 0
        self.flash = flash
        self.cfg = lfs.LFSConfig(
            context=flash,
            block_size=BLOCK,
            block_count=flash.blocks,
            block_cycles=CYCLES,
            **flash.geometry,
        )
        self.fs = lfs.LFSFilesystem()
        try:
            lfs.mount(self.fs, self.cfg)
        except LittleFSError:
            if flash.memory.count(255) != len(flash.memory):
                raise
            lfs.format(self.fs, self.cfg)
            lfs.mount(self.fs, self.cfg)

    def call(self, function, *args):
        if self.flash.dead:
            raise PowerCut
        try:
            result = function(self.fs, *args)
        except LittleFSError as error:
            if self.flash.dead:
                raise PowerCut
            raise OSError(-error.code, str(error))
        if self.flash.dead:
            raise PowerCut
        return result

    def open(self, name, mode):
        self.changes += mode != "rb"
        return _File(self, name, mode)

    def rename(self, old, new):
        self.changes += 1
        self.call(lfs.rename, old, new)

    def remove(self, name):
        self.changes += 1
        self.call(lfs.remove, name)

    def listdir(self, name):
        directory = self.call(lfs.dir_open, name)
        names = []
        while entry := self.call(lfs.dir_read, directory):
            if entry.name not in (".", ".."):
                names.append(entry.name)
        self.call(lfs.dir_close, directory)
        return names

    def mkdir(self, name):
        try:
            self.call(lfs.mkdir, name)
        except OSError as error:
            if error.errno != 17:
                raise

    def size(self, name):
        return self.call(lfs.stat, name).size

    def free(self):
        return (self.flash.blocks - self.call(lfs.fs_size)) * BLOCK
