"""What MicroPython runs before boot.py: mounts the file system, and makes one in an empty flash.

littlefs reads in pieces of its cache. With the sizes that MicroPython takes by itself looking a
file up takes four times as long, and the worst write too. The format does not depend on these
sizes: a file system that was made with others is mounted just the same. They are those of
firmware/base/store.py, which mounts a stock image's file system again.
"""

import gc

import vfs
from flashbdev import bdev

READ_BYTES = 512
PROGRAM_BYTES = 32
LOOKAHEAD_BYTES = 64  # a bit for each block: 512 blocks are looked at in one walk


def mount():
    """Mounts the file system; raises OSError where there is none."""
    sizes = {"readsize": READ_BYTES, "progsize": PROGRAM_BYTES, "lookahead": LOOKAHEAD_BYTES}
    vfs.mount(vfs.VfsLfs2(bdev, mtime=False, **sizes), "/")  # type: ignore[abstract]


def is_empty():
    """Whether nothing was ever written where a file system begins."""
    block = bytearray(bdev.ioctl(5, 0))
    bdev.readblocks(0, block)
    return not block.strip(b"\xff")


try:
    mount()
except OSError:
    if is_empty():
        vfs.VfsLfs2.mkfs(bdev)
        mount()
    else:  # what may be a transaction that nobody has been billed for is not erased by itself
        print("the file system can't be mounted: see docs/operations.md, Recover")
gc.collect()
del mount, is_empty
