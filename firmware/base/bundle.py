"""A firmware bundle: checked and unpacked into a slot while it comes in.

    WALLBRIDGE 1 MANIFEST SIGNATURE     a line: the next two parts' bytes (signature 256 or 0)
    the signature                       RSA-2048, PKCS #1 1.5, of SHA-256 of the manifest
    the manifest                        a text that lists what is in it, one line each
    the contents                        one behind the other, in the manifest's order

A manifest's lines:

    version 0.2.0
    needs micropython 1.25 6            implementation, its least version, version of .mpy or 0
    boards stock wrover s3              whom it is for, as runtime.board_name() names them
    file firmware/app.mpy 1234 HEX      path in the slot, bytes, SHA-256
    image 1572864 HEX                   instead of files: a whole MicroPython, for the OTA slots
    reads 6                             with an image: the version of .mpy that it can read, which
                                        has to be the slots'; 0: it has the application in itself

A signature is RSA-2048's, PKCS #1 v1.5 with SHA-256, public exponent 65537 (RFC 8017).
tools/bundle.py makes bundles. Nothing in the slot is touched before the signature has been
checked.
"""

import asyncio
import binascii
import hashlib
import sys
from collections import namedtuple

from firmware.base.runtime import const

_MAX_LINE = const(200)  # bytes
_MAX_PATH = const(100)  # characters
_MAX_VERSION = const(50)
_LINES_BLOCK = const(128)  # bytes that are read at a time; a manifest is read beside a download
_MAX_FILES_BYTES = const(1 << 20)  # of all files together
_MAX_IMAGE_BYTES = const(4 << 20)
_PATH_CHARACTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/."


class BadBundle(Exception):
    """A bundle that this station does not take; to download it again won't help."""


# One file, or the image, whose path is "". `size`: bytes; `sha256`: its hash in hexadecimal.
Entry = namedtuple("Entry", ("path", "size", "sha256"))

# What a manifest says about all of the bundle. `size`: bytes of its contents together.
Summary = namedtuple("Summary", ("version", "size", "is_image"))


def manifest_lines(file):
    """Yields the words of each line of an open binary file, from where the file stands."""
    rest = b""
    while True:
        data = file.read(_LINES_BLOCK)
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


def manifest_entries(lines):
    """Yields the Entry of each file, or of the image, in the order of the bundle's contents."""
    for words in lines:
        if words[0] in ("file", "image"):
            yield _entry(words)


async def check_manifest(lines, size_before: int, board: str, is_in_slot: bool) -> Summary:
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


async def verify_signature(modulus: bytes, signature: bytes, digest: bytes) -> bool:
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


UNSIGNED = b"unsigned"  # in the place of the key: this station takes any bundle
RESERVE = 65536  # bytes of flash that an update leaves free
_LONG_MANIFEST = const(1024)  # bytes; an image's is shorter
_MAX_FIRST_LINE = const(64)  # bytes
_MAX_MANIFEST = const(32768)
_BLOCK = const(256)  # bytes that are read from flash at a time
# The first line, the signature and the manifest, in the slot: what `resume` goes on from.
_HEAD_FILE = const("/bundle")
_NEW_HEAD_FILE = const("/bundle.new")  # its name until it has been checked


class Postponed(Exception):
    """Files can't be written now; the download goes on later from what is there."""


def always() -> bool:
    """For an Unpacker that may write files at any time."""
    return True


class Unpacker:
    """Takes a bundle in order, as it comes: a sink for net/transfer.py.

    `files` is where the slots are, `slot` the name of the one to fill, `key` the modulus of the
    public key, or UNSIGNED. `open_image(size)` returns what a MicroPython image is written to,
    with `write(data)`, `close()` and its partition's `label`. `board` and `is_in_slot`: see
    `check_manifest`. `may_fill()` tells whether files may be written and removed now: a small file
    system stops everything else for a second at a time. An image takes no more than the erasing of
    one block at a time.

    `received` counts the bytes taken; `total` and `version` are known once the manifest has been
    checked; `done` is whether all is there; `label` is the slot's name, or the image's partition.
    Raises BadBundle, Postponed, or OSError.
    """

    def __init__(
        self,
        files,
        slot: str,
        key: bytes,
        open_image,
        board: str = "pc",
        is_in_slot: bool = False,
        may_fill=always,
    ):
        self.files = files
        self.slot = slot
        self._key = key
        self._open_image = open_image
        self._board = board
        self._is_in_slot = is_in_slot
        self._may_fill = may_fill
        self._out = None
        self._begin()

    def _begin(self):
        self.close()
        self.label = self.slot
        self.received = self.total = 0
        self.version = ""
        self.done = False
        self._head = b""  # the first line and the signature
        self._head_size = 0  # their bytes, 0 until the first line is complete
        self._manifest_size = 0
        self._entries = None  # the files still to come, once the manifest has been checked
        self._fills_slot = False  # whether files go into the slot, as far as is known
        # Of the file that is open:
        self._out = None
        self._left = 0  # bytes still to come
        self._hash = None
        self._sha256 = ""  # its hash in the manifest

    def close(self) -> None:
        """Closes what is open; what is incomplete stays in the slot."""
        if self._out:
            self._out.close()
        self._out = None

    def restart(self) -> None:
        """Begins again; `resume` will not believe what is in the slot."""
        self._begin()
        forget(self.files, self.slot)

    def finish(self) -> None:
        """Raises OSError when the bundle is not complete."""
        if not self.done:
            raise OSError("the bundle ends after %d bytes" % self.received)

    async def resume(self) -> None:
        """Goes on with what an earlier attempt left in the slot, from the first file that is not
        complete."""
        try:
            with self.files.open(self.slot + _HEAD_FILE, "rb") as f:
                head = f.read(_MAX_FIRST_LINE + KEY_BYTES)
        except OSError:
            return  # there is nothing
        self._read_first_line(head)
        self._head = head[: self._head_size]
        self.received = self._head_size + self._manifest_size
        await self._check_manifest(_HEAD_FILE)
        for entry in self._entries:
            if not entry.path or not await self._is_there(entry):
                self._check_may_fill()
                self._open(entry)
                return
            self.received += entry.size
        self.done = True

    async def _is_there(self, entry) -> bool:
        """Whether the slot has this file, whole."""
        try:
            if self.files.size(self.slot + "/" + entry.path) != entry.size:
                return False
            return _hex(await self._digest("/" + entry.path, 0)) == entry.sha256
        except OSError:
            return False

    async def _digest(self, path: str, begin: int) -> bytes:
        """The SHA-256 of a file in the slot, from its byte `begin` on."""
        sha256 = hashlib.sha256()
        with self.files.open(self.slot + path, "rb") as f:
            f.seek(begin)
            data = f.read(_BLOCK)
            while data:
                sha256.update(data)
                await asyncio.sleep(0)
                data = f.read(_BLOCK)
        return sha256.digest()

    async def write(self, data) -> None:
        """Takes the next bytes of the bundle, any number of them."""
        rest = memoryview(data)
        while len(rest):
            if self.done:
                raise BadBundle("it is longer than its manifest says")
            self._check_may_fill()
            n = self._write_out(rest) if self._out else self._take_head(rest)
            self.received += n
            rest = rest[n:]
            if self._out and not self._left:
                await self._end_file()

    def _check_may_fill(self):
        """Raises Postponed where files go into the slot, and must not now."""
        if self._fills_slot and not self._may_fill():
            raise Postponed

    def _write_out(self, data) -> int:
        """Writes to the file that is open; returns how many of the bytes were its."""
        piece = data[: self._left]
        self._out.write(piece)
        self._hash.update(piece)
        self._left -= len(piece)
        return len(piece)

    def _take_head(self, data) -> int:
        """Takes bytes of the first line, one at a time, or of the signature; returns how many."""
        n = min(self._head_size - len(self._head), len(data)) if self._head_size else 1
        self._head += bytes(data[:n])
        if not self._head_size:
            if self._head.endswith(b"\n"):
                self._read_first_line(self._head)
            elif len(self._head) > _MAX_FIRST_LINE:
                raise BadBundle("this is no bundle")
        if len(self._head) == self._head_size:
            self._open_manifest()
        return n

    def _read_first_line(self, head):
        """Sets the sizes that the first line tells."""
        line = head.split(b"\n")[0]
        words = line.split(b" ") if line.startswith(b"WALLBRIDGE 1 ") else []
        if len(words) != 4 or not words[2].isdigit():
            raise BadBundle("this is no bundle, or one for a later firmware")
        if int(words[2]) > _MAX_MANIFEST or words[3] not in (b"0", b"%d" % KEY_BYTES):
            raise BadBundle("its manifest or signature is too large")
        self._manifest_size = int(words[2])
        self._fills_slot = self._manifest_size > _LONG_MANIFEST  # the manifest will tell
        self._head_size = len(line) + 1 + int(words[3])

    def _open_manifest(self):
        """The manifest comes next; it is kept in the slot behind the first line and signature."""
        self.files.mkdir(self.slot)
        self._out = self.files.open(self.slot + _NEW_HEAD_FILE, "wb")
        self._out.write(self._head)
        self._hash = hashlib.sha256()
        self._left = self._manifest_size
        if not self._left:
            raise BadBundle("it has no manifest")

    async def _end_file(self):
        """What was open is complete: the manifest, a file or the image."""
        self.close()
        if self._entries is None:
            await self._check_manifest(_NEW_HEAD_FILE)
            self._check_may_fill()
            await self._empty_slot()
        elif _hex(self._hash.digest()) != self._sha256:
            self.restart()
            raise OSError("damaged on its way: a hash does not match")
        for entry in self._entries:
            self._open(entry)
            return
        self.done = True

    async def _check_manifest(self, name: str):
        """Checks the signature, then the manifest, in a file of the slot."""
        signature = self._head.partition(b"\n")[2]
        if self._key != UNSIGNED:
            if not signature:
                raise BadBundle("it is not signed")
            digest = await self._digest(name, self._head_size)
            if not await verify_signature(self._key, signature, digest):
                raise BadBundle("it is not signed by the one whose key this station has")
        with self.files.open(self.slot + name, "rb") as f:
            f.seek(self._head_size)
            lines = manifest_lines(f)
            summary = await check_manifest(lines, self.received, self._board, self._is_in_slot)
        self.version = summary.version
        self.total = summary.size
        self._is_image = summary.is_image
        self._fills_slot = not summary.is_image
        self._entries = self._read_entries()

    def _read_entries(self):
        """Yields what the checked manifest lists; opens it when first asked."""
        with self.files.open(self.slot + _HEAD_FILE, "rb") as f:
            f.seek(self._head_size)
            for entry in manifest_entries(manifest_lines(f)):
                yield entry

    async def _empty_slot(self):
        """Removes what the slot held before; from here on the new manifest is the slot's."""
        if is_unpacked(self.files, self.slot):
            forget(self.files, self.slot)  # first: what follows may have to wait
        stays = await remove_tree(self.files, self.slot, _NEW_HEAD_FILE[1:], self._may_fill)
        if stays:
            raise OSError("%s can't be removed" % stays)
        if not self._is_image and self.total > self.files.free() - RESERVE:
            raise BadBundle("%d bytes have no room in the flash" % self.total)
        self.files.rename(self.slot + _NEW_HEAD_FILE, self.slot + _HEAD_FILE)

    def _open(self, entry):
        """Opens what a file, or the image, goes to."""
        if entry.path:
            at = entry.path.find("/")
            while at > 0:
                self.files.mkdir(self.slot + "/" + entry.path[:at])
                at = entry.path.find("/", at + 1)
            self._out = self.files.open(self.slot + "/" + entry.path, "wb")
        else:
            try:
                self._out = self._open_image(entry.size)
            except OSError as why:
                raise BadBundle(str(why))
            self.label = self._out.label
        self._hash = hashlib.sha256()
        self._left = entry.size
        self._sha256 = entry.sha256


def _hex(digest: bytes) -> str:
    return binascii.hexlify(digest).decode()


def forget(files, slot: str) -> None:
    """The content of this slot must not be used by `resume`."""
    try:
        files.remove(slot + _HEAD_FILE)
    except OSError:
        pass  # there was nothing


def is_unpacked(files, slot: str) -> bool:
    """Whether the slot still holds what was unpacked. Flashing it by wire removes that."""
    try:
        return files.size(slot + _HEAD_FILE) > 0
    except OSError:
        return False


async def remove_tree(files, folder: str, keep: str = "", may_go_on=always) -> str:
    """Removes all files below a folder but the one named `keep` right in it. Returns the path of
    one that can't be removed, or "". Others run after each file: a whole slot takes a second.
    Raises Postponed before a file for which `may_go_on()` is False."""
    stays = ""
    for name in files.listdir(folder):
        path = folder + "/" + name
        if name == keep:
            continue
        await asyncio.sleep(0)
        try:
            files.listdir(path)
        except OSError:  # it is a file
            if not may_go_on():
                raise Postponed
            try:
                files.remove(path)
            except OSError:
                stays = path
            continue
        stays = await remove_tree(files, path, "", may_go_on) or stays
    return stays
