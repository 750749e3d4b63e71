"""Bundles for tests, made in plain Python so that MicroPython makes them too; and who signs them.

The key is for tests only: its private half is right here.
"""

import binascii
import hashlib
import os
import sys

from firmware.base.bundle import SHA256_DIGEST_INFO
from firmware.base.store import Files

_N = """
8ad270b9bf3943067f0f39cd1fd0f3d461779246b3b8f2bbfb867feb1a3de9f68f594b0e837c92e230c98b0e23e1e56e
537b812877830c1a2b4d7495c8feacc9d00e290326d62e2ab52ff0c1c48be09d906b871dd7b377350c79cabbf36f3dd1
240f639270f1931b64b50b48595bd4502eb6bc91715d1f179682a8dd10b6c8076f050645e91d555206393750aca9c7d2
5917ff382f45973261f4b171038e8a3099f3d4a78e3bcc2b9709dff3e71bdec644709cca6f41e05684bb2c35063d45b0
8401b5b1ba352d33d5864ee1140bbc628d3de65b7dd0ca97abf7959a8151683c0b5f60942cc25aa38592f7fffbcdbdc6
6f3a6a975f6456ea7209bdb8783e4893
"""
_D = """
12e6e7816b27a5582f99c7a185f9021243792ffa1f8389cd8dc879076e89ca9f0f52b5b512b3361ec54cd3f9c769fd3e
e1f0199c84755c02fe2d6c37eee7ba683a438b530a0934bd0cf1aba2fe9b9b28691f33051db72a7e9725c83482477dcf
c9ccac9ea6714639ff22e597e2ceeda043540f65f05d211c299abdda67e9b35f9865e6281b7d304314823603c143af4e
1f4faf55f8c4fdec82723234437056000f98ec54ed365aca922e686daf46147e9f40ec5be15fe4b85812e2f27a4c0387
b6cc40d013b32046feb027fb2ed62408b65a2eb3f51506791c52074a984e2221cb5747bae0cab7658cde421650c8dc92
e01bc37abb8abb7a7d8627264ab21bf5
"""


def _number(text):
    return binascii.unhexlify("".join(text.split()))


KEY = _number(_N)


def sign(manifest):
    padded = b"\x00\x01" + b"\xff" * 202 + b"\x00" + SHA256_DIGEST_INFO
    padded += hashlib.sha256(manifest).digest()
    number = pow(int.from_bytes(padded, "big"), int.from_bytes(_number(_D), "big"),
                 int.from_bytes(KEY, "big"))  # fmt: skip
    return number.to_bytes(256, "big")


def here():
    """What a bundle for this Python needs."""
    return "%s 1.25 %d" % (sys.implementation.name, getattr(sys.implementation, "_mpy", 0) & 255)


def pack(manifest, contents, signed=True):
    """A bundle of a manifest's text."""
    manifest = manifest.encode()
    signature = sign(manifest) if signed else b""
    head = b"WALLBRIDGE 1 %d %d\n" % (len(manifest), len(signature))
    return head + signature + manifest + contents


def text(files, version="9.9.9", needs=None, boards="pc"):
    """The manifest of (path, contents) pairs."""
    lines = ["version " + version, "needs " + (needs or here()), "boards " + boards]
    for path, data in files:
        digest = binascii.hexlify(hashlib.sha256(data).digest()).decode()
        lines.append("file %s %d %s" % (path, len(data), digest))
    return "\n".join(lines) + "\n"


def make(files, version="9.9.9", needs=None, signed=True):
    """A bundle of (path, contents) pairs."""
    return pack(text(files, version, needs), b"".join([data for _, data in files]), signed)


def folder():
    """Files in a new folder of this machine."""
    return Files("/tmp/wallbridge-%s" % binascii.hexlify(os.urandom(6)).decode())


def remove(files):
    """Away with it."""
    empty(files.root)


def empty(path):
    """Removes a folder and all that is in it."""
    for name in os.listdir(path):
        try:
            os.remove(path + "/" + name)
        except OSError:  # a folder
            empty(path + "/" + name)
    os.rmdir(path)


def tree(files, top):
    """All files below a folder: path to contents."""
    found = {}
    try:
        names = files.listdir(top)
    except OSError:
        return found
    for name in names:
        path = top + "/" + name
        try:
            files.listdir(path)
        except OSError:
            with files.open(path, "rb") as f:
                found[path] = f.read()
            continue
        found.update(tree(files, path))
    return found
