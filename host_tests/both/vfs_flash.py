"""A simulated flash with MicroPython's own LittleFS on it; see host_tests/flash.py."""

import random

import vfs

from firmware.base.store import Files

BLOCK = 4096


class Flash:
    """`memory` survives; `history` takes (block, offset, data) of each step, data None for an
    erase; `erases` counts those of each block. `remounted`: as the firmware mounts it, not as
    MicroPython's images do."""

    mounted = None

    def __init__(self, blocks=32, memory=None, seed=0, mtime=False, remounted=False):
        self.memory = memory or bytearray(b"\xff" * (blocks * BLOCK))
        self.blocks = len(self.memory) // BLOCK
        self.erases = [0] * self.blocks
        self.history = None
        self.seed = seed
        self.mtime = mtime
        self.remounted = remounted

    # what VfsLfs2 calls

    def readblocks(self, block, buffer, offset=0):
        start = block * BLOCK + offset
        buffer[:] = memoryview(self.memory)[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        data = bytes(buffer)
        if self.history is not None:
            self.history.append((block, offset, data))
        self.apply(block, offset, data)

    def ioctl(self, op, block):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK
        if op == 6:
            self.erases[block] += 1
            if self.history is not None:
                self.history.append((block, 0, None))
            self.apply(block, 0, None)
        return 0

    def apply(self, block, offset, data):
        data = data or b"\xff" * BLOCK
        start = block * BLOCK + offset
        self.memory[start : start + len(data)] = data

    def tear(self, block, offset, data):
        """Half a step, the byte where it stopped with some bits done."""
        random.seed(self.seed)
        start = block * BLOCK + offset
        new = data or b"\xff" * BLOCK
        done = random.randint(0, len(new) - 1)
        mask = random.randint(0, 255)
        old = self.memory[start + done]
        self.memory[start : start + done] = new[:done]
        self.memory[start + done] = old & (new[done] | mask) if data else old | mask

    def mount(self):
        self.unmount()
        options = {"readsize": 32, "progsize": 32, "lookahead": 32}
        if self.remounted:
            options = {"readsize": 512, "progsize": 32, "lookahead": 64}
        if all(byte == 255 for byte in memoryview(self.memory)[:64]):
            vfs.VfsLfs2.mkfs(self, readsize=32, progsize=32, lookahead=32)
        vfs.mount(vfs.VfsLfs2(self, mtime=self.mtime, **options), "/flash")
        Flash.mounted = self
        self.files = Files("/flash")
        return self.files

    def unmount(self):
        if Flash.mounted:
            vfs.umount("/flash")
        Flash.mounted = None
