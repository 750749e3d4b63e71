"""A firmware bundle: checked and unpacked into a slot while it comes in.

    WALLBRIDGE 1 MANIFEST SIGNATURE     a line: the next two parts' bytes (signature 256 or 0)
    the signature                       RSA-2048, PKCS #1 1.5, of SHA-256 of the manifest
    the manifest                        a line each, below
    the contents                        one behind the other, in the manifest's order

    version 0.2.0
    needs micropython 1.25 6            implementation, its least version, version of .mpy or 0
    file firmware/app.mpy 1234 HEX      path in the slot, bytes, SHA-256
    image 1572864 HEX                   instead of files: a whole MicroPython, for the OTA slots
    reads 6                             with an image: the version of .mpy that it can read, which
                                        has to be the slots'; 0: it has the application in itself

tools/bundle.py makes them. Nothing of the slot is touched before the signature has been checked.
Loaded for an update.
"""

import binascii
import hashlib
import sys

from firmware.base import runtime

UNSIGNED = b"unsigned"  # in the place of the key: this station takes any bundle
RESERVE = 65536  # bytes of flash that an update leaves free
_FIRST = 64  # bytes of the first line at most
_MANIFEST = 32768
_FILES = 1 << 20  # bytes of all files
_IMAGE = 4 << 20
_LINE = 200
_PIECE = 512
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/."
_DIGEST = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


class Bad(Exception):
    """A bundle that this station does not take; trying again won't help."""


async def verify(key: bytes, signature: bytes, digest: bytes) -> bool:
    """Whether `signature` of a SHA-256 digest was made with the key whose modulus is `key` (256
    bytes, exponent 65537). One squaring at a time: others run in between."""
    n = int.from_bytes(key, "big")
    s = int.from_bytes(signature, "big")
    if len(key) != 256 or len(signature) != 256 or s >= n:
        return False
    x = s
    for _ in range(16):
        x = pow(x, 2, n)
        await runtime.sleep_ms(0)
    padded = b"\x00\x01" + b"\xff" * 202 + b"\x00" + _DIGEST + digest
    return x * s % n == int.from_bytes(padded, "big")


class Unpacker:
    """A sink for transfer.py: takes the bundle in order, as it comes.

    `files` with the slots on them, `slot` the one to fill, `key` the modulus of the public key, or
    UNSIGNED. `image(size)` gives what a MicroPython image is written to: `write`, `close`, and
    `label`. `received` counts bytes; `total` and `version` are known after the manifest; `label`
    is the slot's name, or the image's. Raises Bad, or OSError.
    """

    def __init__(self, files, slot: str, key: bytes, image):
        self.files = files
        self.slot = slot
        self._key = key
        self._image = image
        self._out = None
        self._reset()

    def _reset(self):
        self.close()
        self.label = self.slot
        self.received = self.total = 0
        self.version = ""
        self.done = False
        self._begin = b""  # the first line and the signature
        self._entries = None
        self._left = 0  # bytes of what is open
        self._expected = ""

    def close(self) -> None:
        """Closes what is open; what is incomplete stays."""
        if self._out:
            self._out.close()
        self._out = None

    def restart(self) -> None:
        """From the beginning: what is there of the slot is not to be believed."""
        self._reset()
        forget(self.files, self.slot)

    def finish(self) -> None:
        """Raises OSError when it is not complete."""
        if not self.done:
            raise OSError("the bundle ends after %d bytes" % self.received)

    async def resume(self) -> None:
        """Goes on with what an earlier attempt left in the slot, file by file."""
        try:
            with self.files.open(self.slot + "/bundle", "rb") as f:
                self._begin = f.read(_FIRST + 256)
        except OSError:
            return  # there is nothing
        size = self._head()
        self._begin = self._begin[:size]
        self.received = size + self._left
        self._left = 0
        await self._checked("bundle")
        for path, size, expected in self._entries:
            if not path or await self._digest(path, size) != expected:
                self._open(path, size, expected)
                return
            self.received += size
        self.done = True

    async def _digest(self, path, size):
        """The digest of a file in the slot, "" where it isn't so long."""
        try:
            if self.files.size(self.slot + "/" + path) != size:
                return ""
            return await self._hashed(path, 0)
        except OSError:
            return ""

    async def _hashed(self, path, skip):
        made = hashlib.sha256()
        with self.files.open(self.slot + "/" + path, "rb") as f:
            f.seek(skip)
            data = f.read(_PIECE)
            while data:
                made.update(data)
                await runtime.sleep_ms(0)
                data = f.read(_PIECE)
        return binascii.hexlify(made.digest()).decode()

    async def write(self, data) -> None:
        """The next bytes of the bundle, any number."""
        view = memoryview(data)
        at = 0
        while at < len(view):
            if self._out:
                n = min(self._left, len(view) - at)
                piece = view[at : at + n]
                self._out.write(piece)
                self._hash.update(piece)
                self._left -= n
            elif self.done:
                raise Bad("it is longer than its manifest says")
            else:
                n = 1 if b"\n" not in self._begin else self._head() - len(self._begin)
                n = min(n, len(view) - at)
                self._begin += bytes(view[at : at + n])
            at += n
            self.received += n
            if self._out:
                if not self._left:
                    await self._closed()
            elif b"\n" not in self._begin and len(self._begin) > _FIRST:
                raise Bad("this is no bundle")
            elif b"\n" in self._begin and self._head() == len(self._begin):
                self.files.mkdir(self.slot)
                self._out = self.files.open(self.slot + "/bundle.new", "wb")
                self._out.write(self._begin)
                self._hash = hashlib.sha256()
                if not self._left:
                    raise Bad("it has no manifest")

    def _head(self):
        """Bytes up to the manifest, whose bytes are then _left."""
        line = self._begin.split(b"\n")[0]
        words = line.split(b" ") if line[:13] == b"WALLBRIDGE 1 " else ()
        if len(words) != 4 or not words[2].isdigit():
            raise Bad("this is no bundle, or one for a later firmware")
        if int(words[2]) > _MANIFEST or words[3] not in (b"0", b"256"):
            raise Bad("its manifest or signature is too large")
        self._left = int(words[2])
        return len(line) + 1 + int(words[3])

    async def _closed(self):
        """What was open is complete."""
        self.close()
        if self._entries is None:
            await self._checked("bundle.new")
            names = await wipe(self.files, self.slot, "bundle.new")
            if names:
                raise OSError("%s can't be removed" % names)
            if self._files and self.total > self.files.free() - RESERVE:
                raise Bad("%d bytes have no room in the flash" % self.total)
            self.files.rename(self.slot + "/bundle.new", self.slot + "/bundle")
        elif binascii.hexlify(self._hash.digest()).decode() != self._expected:
            self.restart()
            raise OSError("damaged on its way: a hash is another one")
        self._next()

    def _next(self):
        for path, size, expected in self._entries:
            self._open(path, size, expected)
            return
        self.done = True

    def _open(self, path, size, expected):
        if path:
            at = path.find("/")
            while at > 0:
                self.files.mkdir(self.slot + "/" + path[:at])
                at = path.find("/", at + 1)
            self._out = self.files.open(self.slot + "/" + path, "wb")
        else:
            try:
                self._out = self._image(size)
            except OSError as why:
                raise Bad(str(why))
            self.label = self._out.label
        self._hash = hashlib.sha256()
        self._left = size
        self._expected = expected

    async def _checked(self, name):
        """Checks the manifest in that file."""
        signature = self._begin.partition(b"\n")[2]
        if self._key != UNSIGNED:
            if not signature:
                raise Bad("it is not signed")
            digest = binascii.unhexlify(await self._hashed(name, len(self._begin)))
            if not await verify(self._key, signature, digest):
                raise Bad("it is not signed by the one whose key this station has")
        self.total = self.received
        needs = reads = ""
        kinds = ""
        for words in self._lines(name):
            if words[0] == "version" and len(words) == 2:
                self.version = words[1][:50]
            elif words[0] == "needs" and len(words) == 4:
                needs = _lacks(*words[1:])
            elif words[0] == "reads" and len(words) == 2:
                reads = words[1]
            elif words[0] in ("file", "image"):
                self.total += self._entry(words)[1]
                kinds += words[0][0]
            else:
                raise Bad("its manifest says %r" % " ".join(words)[:50])
        if needs or not self.version:
            raise Bad(needs or "it has no version")
        if not kinds or "i" in kinds and kinds != "i":
            raise Bad("it has neither files nor just one image")
        self._files = kinds != "i"
        if not self._files and reads not in ("0", _mpy()):
            raise Bad("its image reads .mpy version %s, here are %s" % (reads or "?", _mpy()))
        if self.total > (_FILES if self._files else _IMAGE):
            raise Bad("it is too large: %d bytes" % self.total)
        self._entries = self._all("bundle")

    def _all(self, name):
        for words in self._lines(name):
            if words[0] in ("file", "image"):
                yield self._entry(words)

    def _entry(self, words):
        """(path, size, digest) of a line; an image has no path."""
        path = ""
        if words[0] == "file":
            path = words.pop(1) if len(words) == 4 else "."
            good = path.startswith("firmware/") and len(path) <= 100
            good = good and all(c in _PLAIN for c in path.encode())
            if not good or ".." in path or "//" in path or path[-1:] in "/.":
                raise Bad("it has a file %r" % path[:50])
        if len(words) != 3 or not words[1].encode().isdigit() or len(words[2]) != 64:
            raise Bad("its manifest is damaged")
        if words[1].strip("0") == "":
            raise Bad("it has an empty file")
        return path, int(words[1]), words[2]

    def _lines(self, name):
        """Yields the words of each line of the manifest."""
        with self.files.open(self.slot + "/" + name, "rb") as f:
            f.seek(len(self._begin))
            rest = b""
            while True:
                data = f.read(_PIECE)
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    try:
                        yield str(line, "utf-8").split(" ")
                    except ValueError:
                        raise Bad("its manifest is no text")
                if len(rest) > _LINE or rest and not data:
                    raise Bad("its manifest has a line without end")
                if not data:
                    return


def _mpy():
    """The version of .mpy that runs here, 0 where none does."""
    return str(getattr(sys.implementation, "_mpy", 0) & 255)


def _lacks(name, version, mpy):
    """What this Python is not that a bundle needs; "" when it is."""
    here = sys.implementation
    at = tuple([int(number) for number in version.split(".") if number.encode().isdigit()])
    if here.name != name or tuple(here.version[: len(at)]) < at:
        return "it needs %s %s" % (name, version)
    if mpy not in ("0", _mpy()):
        return "it needs a Python that reads .mpy version %s" % mpy
    return ""


def forget(files, slot: str) -> None:
    """What is in the slot is not to be gone on with."""
    try:
        files.remove(slot + "/bundle")
    except OSError:
        pass  # there was nothing


async def wipe(files, folder: str, keep: str = "") -> str:
    """Removes all files below a folder but `keep`; the name of one that stays, or "". Others run
    after each: a whole slot takes a second."""
    stays = ""
    for name in files.listdir(folder):
        path = folder + "/" + name
        if name == keep:
            continue
        await runtime.sleep_ms(0)
        try:
            files.listdir(path)
        except OSError:  # a file
            try:
                files.remove(path)
            except OSError:
                stays = path
            continue
        stays = await wipe(files, path) or stays
    return stays
