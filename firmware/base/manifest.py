"""The manifest of a firmware bundle, a text that lists what is in it, one line each, and the check
of its signature.

    version 0.2.0
    needs micropython 1.25 6            implementation, its least version, version of .mpy or 0
    boards stock wrover s3              whom it is for, as runtime.board_name() names them
    file firmware/app.mpy 1234 HEX      path in the slot, bytes, SHA-256
    image 1572864 HEX                   instead of files: a whole MicroPython, for the OTA slots
    reads 6                             with an image: the version of .mpy that it can read, which
                                        has to be the slots'; 0: it has the application in itself

The functions take the manifest's lines, split into words, from `read_lines`. A
signature is RSA-2048's, PKCS #1 v1.5 with SHA-256, public exponent 65537 (RFC 8017).
"""

import asyncio
import sys
from collections import namedtuple

from firmware.base.runtime import const

_MAX_LINE = const(200)  # bytes
_MAX_PATH = const(100)  # characters
_MAX_VERSION = const(50)
_BLOCK = const(128)  # bytes that are read at a time; a manifest is read beside a download
_MAX_FILES_BYTES = const(1 << 20)  # of all files together
_MAX_IMAGE_BYTES = const(4 << 20)
_PATH_CHARACTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/."


class BadBundle(Exception):
    """A bundle that this station does not take; to download it again won't help."""


# One file, or the image, whose path is "". `size`: bytes; `sha256`: its hash in hexadecimal.
Entry = namedtuple("Entry", ("path", "size", "sha256"))

# What a manifest says about all of the bundle. `size`: bytes of its contents together.
Summary = namedtuple("Summary", ("version", "size", "is_image"))


def read_lines(file):
    """Yields the words of each line of an open binary file, from where the file stands."""
    rest = b""
    while True:
        data = file.read(_BLOCK)
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        for line in lines:
            try:
                yield str(line, "utf-8").split(" ")
            except ValueError:
                raise BadBundle("its manifest is no text")
        if len(rest) > _MAX_LINE or rest and not data:
            raise BadBundle("its manifest has a line without end")
        if not data:
            return


def entries(lines):
    """Yields the Entry of each file, or of the image, in the order of the bundle's contents."""
    for words in lines:
        if words[0] in ("file", "image"):
            yield _entry(words)


async def check(lines, size_before: int, board: str, is_in_slot: bool) -> Summary:
    """Reads a manifest to its end; others run after each line. Raises BadBundle where it is
    damaged, too large or not for this board or this Python. `size_before`: bytes of the bundle
    before its contents; `board`: this one; `is_in_slot`: whether the application runs from a slot,
    and not from an image."""
    version = reads = lacking = ""
    boards = []
    files = images = 0
    size = size_before
    for words in lines:
        await asyncio.sleep(0)
        kind = words[0]
        if kind == "version" and len(words) == 2:
            version = words[1][:_MAX_VERSION]
        elif kind == "needs" and len(words) == 4:
            lacking = _lacking(words[1], words[2], words[3])
        elif kind == "boards" and len(words) > 1:
            boards = words[1:]
        elif kind == "reads" and len(words) == 2:
            reads = words[1]
        elif kind in ("file", "image"):
            size += _entry(words).size
            files += kind == "file"
            images += kind == "image"
        else:
            raise BadBundle("its manifest says %r" % " ".join(words)[:50])
    if lacking or not version:
        raise BadBundle(lacking or "it has no version")
    if not (files and not images or images == 1 and not files):
        raise BadBundle("it has neither files nor just one image")
    if board not in boards:
        raise BadBundle("it is for %s, and this board is %s" % (" ".join(boards) or "none", board))
    if images and reads not in ("0", _mpy_version()):
        raise BadBundle(
            "its image reads .mpy version %s, here are %s" % (reads or "?", _mpy_version())
        )
    if images and is_in_slot and reads != _mpy_version():
        raise BadBundle("its image has the application in itself, and here a slot has it")
    if size > (_MAX_IMAGE_BYTES if images else _MAX_FILES_BYTES):
        raise BadBundle("it is too large: %d bytes" % size)
    return Summary(version, size, bool(images))


def _entry(words) -> Entry:
    """The Entry of a line that begins with `file` or `image`."""
    path = ""
    if words[0] == "file":
        path = words.pop(1) if len(words) == 4 else "."
        good = path.startswith("firmware/") and len(path) <= _MAX_PATH
        good = good and all(c in _PATH_CHARACTERS for c in path.encode())
        if not good or ".." in path or "//" in path or path[-1:] in "/.":
            raise BadBundle("it has a file %r" % path[:50])
    if len(words) != 3 or not words[1].encode().isdigit() or len(words[2]) != 64:
        raise BadBundle("its manifest is damaged")
    if words[1].strip("0") == "":
        raise BadBundle("it has an empty file")
    return Entry(path, int(words[1]), words[2])


def _mpy_version() -> str:
    """The version of .mpy files that runs here, "0" where none does."""
    return str(getattr(sys.implementation, "_mpy", 0) & 255)


def _lacking(name: str, version: str, mpy: str) -> str:
    """What a bundle needs that this Python is not; "" when it can run the bundle."""
    here = sys.implementation
    wanted = tuple([int(number) for number in version.split(".") if number.encode().isdigit()])
    if here.name != name or tuple(here.version[: len(wanted)]) < wanted:
        return "it needs %s %s" % (name, version)
    if mpy not in ("0", _mpy_version()):
        return "it needs a Python that reads .mpy version %s" % mpy
    return ""


KEY_BYTES = 256  # of a modulus, and of a signature
# What stands before the digest inside a signature: DigestInfo for SHA-256 (RFC 8017, 9.2).
SHA256_DIGEST_INFO = (
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
)
_PADDING = b"\x00\x01" + b"\xff" * 202 + b"\x00"


async def verify(modulus: bytes, signature: bytes, digest: bytes) -> bool:
    """Whether `signature` was made of this SHA-256 digest with the private key that belongs to
    `modulus` (big-endian, as the signature is). Other tasks run between the squarings."""
    n = int.from_bytes(modulus, "big")
    s = int.from_bytes(signature, "big")
    if len(modulus) != KEY_BYTES or len(signature) != KEY_BYTES or s >= n:
        return False
    power = s
    for _ in range(16):
        power = pow(power, 2, n)
        await asyncio.sleep(0)
    padded = _PADDING + SHA256_DIGEST_INFO + digest
    return power * s % n == int.from_bytes(padded, "big")  # s to the power of 65537
