"""Firmware bundles: makes the key that signs them, makes them, and shows what is in one.

    python tools/bundle.py key FOLDER            signing.pem (keep it safe) and update.key
    python tools/bundle.py make OUT --key FOLDER/signing.pem [--source] [--version V]
    python tools/bundle.py image OUT BOARD [FILE] --key ...    the image of `make image`
    python tools/bundle.py show FILE [--key FOLDER/update.key]
    python tools/bundle.py provision STATE update.key | --unsigned

`--version` is what the code in a bundle of files says, too; an image says what it was built with.

A bundle says which boards it is for. Files are for those with PSRAM, on which a stock MicroPython
or one of our images runs; an image is for one board. `--boards` names others.

The format is in firmware/base/bundle.py and manifest.py. `--source` packs .py files, for a station
on a PC's Python. `provision` gives a station's state folder on a PC the key that it will trust; a
real station gets it from tools/provision.py.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import firmware  # noqa: E402
from firmware.base.bundle import UNSIGNED, verify_signature  # noqa: E402
from firmware.base.store import Files, Store  # noqa: E402
from tools import image, runtimes  # noqa: E402

MICROPYTHON = "1.25"
WITH_PSRAM = ("stock", *(name for name, board in image.BOARDS.items() if board.psram))
PC = "pc"


def make_key(folder: Path) -> tuple[Path, Path]:
    """Makes the private key and its public half; never over one that is there."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private, public = folder / "signing.pem", folder / "update.key"
    if private.exists():
        raise SystemExit(f"{private} is there already: bundles for stations that trust it need it")
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(modulus(key))
    return private, public


def load_key(path: Path):
    """The private key in a PEM file."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if getattr(key, "key_size", 0) != 2048:
        raise SystemExit(f"{path}: not an RSA key of 2048 bits")
    return key


def modulus(key) -> bytes:
    """What a station keeps of the public key."""
    return key.public_key().public_numbers().n.to_bytes(256, "big")


def sign(key, manifest: bytes) -> bytes:
    """The signature of a manifest; empty without a key."""
    if not key:
        return b""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return key.sign(manifest, padding.PKCS1v15(), hashes.SHA256())


def pack(manifest: str, contents: bytes, key=None) -> bytes:
    """A bundle of a manifest's text and the contents that it lists."""
    text = manifest.encode()
    signature = sign(key, text)
    return b"WALLBRIDGE 1 %d %d\n" % (len(text), len(signature)) + signature + text + contents


def bundle(files: dict[str, bytes], version: str, needs: str, boards, key=None) -> bytes:
    """A bundle of files by their path in the slot, for these boards."""
    lines = [f"version {version}", f"needs {needs}", f"boards {' '.join(boards)}"]
    for path, data in sorted(files.items()):
        lines.append(f"file {path} {len(data)} {hashlib.sha256(data).hexdigest()}")
    contents = b"".join(data for _, data in sorted(files.items()))
    return pack("\n".join(lines) + "\n", contents, key)


def image_bundle(data: bytes, version: str, reads: int, boards, key=None) -> bytes:
    """A bundle of a whole MicroPython, for these boards. `reads`: see `main`."""
    manifest = f"version {version}\nneeds micropython {MICROPYTHON} 0\nreads {reads}\n"
    manifest += f"boards {' '.join(boards)}\n"
    manifest += f"image {len(data)} {hashlib.sha256(data).hexdigest()}\n"
    return pack(manifest, data, key)


def compiled() -> dict[str, bytes]:
    """The application's .mpy files."""
    try:
        return runtimes.shipped()
    except ValueError as error:
        raise SystemExit(str(error)) from None


def read(root: Path, suffix: str) -> dict[str, bytes]:
    """The files of that kind below root/firmware, the empty ones with a line."""
    found = sorted((root / "firmware").rglob("*" + suffix))
    return {path.relative_to(root).as_posix(): path.read_bytes() or b"\n" for path in found}


def with_version(files: dict[str, bytes], version: str) -> dict[str, bytes]:
    """The application's files, their code saying that it is this version."""
    if version == firmware.VERSION:
        return files
    source = (ROOT / "firmware" / "__init__.py").read_text()
    said = f'VERSION = "{firmware.VERSION}"'
    if source.count(said) != 1:
        raise SystemExit("firmware/__init__.py says its version in another way")
    source = source.replace(said, f'VERSION = "{version}"')
    if "firmware/__init__.py" in files:
        return {**files, "firmware/__init__.py": source.encode()}
    return {**files, "firmware/__init__.mpy": runtimes.compiled(source, "firmware/__init__.py")}


def show(data: bytes, public: bytes | None) -> str:
    """What is in a bundle, in words."""
    head, _, rest = data.partition(b"\n")
    fields = head.split()
    if fields[:2] != [b"WALLBRIDGE", b"1"]:
        raise SystemExit("this is no bundle")
    manifest_size, signature_size = int(fields[2]), int(fields[3])
    signature, manifest = rest[:signature_size], rest[signature_size:][:manifest_size]
    text = manifest.decode() + f"{len(data)} bytes, " + ("signed" if signature else "not signed")
    if public and signature:
        good = asyncio.run(verify_signature(public, signature, hashlib.sha256(manifest).digest()))
        text += " by this key" if good else " by ANOTHER key"
    return text


def main(arguments: list[str]) -> int:
    """Runs a command; returns the process' exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("key")
    command.add_argument("folder", type=Path)
    for name in ("make", "image"):
        command = commands.add_parser(name)
        command.add_argument("out", type=Path)
        command.add_argument("--boards", nargs="+", help="whom it is for")
        if name == "image":
            command.add_argument("board", choices=sorted(image.BOARDS))
            command.add_argument("file", type=Path, nargs="?", help="another one than was built")
            command.add_argument(
                "--reads", type=int, default=0, metavar="N",
                help="0: it has the application frozen in, as ours have; else the version of .mpy "
                "that it reads (6: MicroPython 1.20 and later)",
            )  # fmt: skip
        else:
            command.add_argument("--source", action="store_true")
        command.add_argument("--key", type=Path, help="signing.pem; without it, unsigned")
        command.add_argument("--version", default=firmware.VERSION)
    command = commands.add_parser("show")
    command.add_argument("file", type=Path)
    command.add_argument("--key", type=Path)
    command = commands.add_parser("provision")
    command.add_argument("state", type=Path)
    command.add_argument("key", type=Path, nargs="?")
    command.add_argument("--unsigned", action="store_true", help="it takes any bundle")
    options = parser.parse_args(arguments)
    if options.command == "key":
        print("%s signs; %s is for the stations" % make_key(options.folder))
    elif options.command == "show":
        print(show(options.file.read_bytes(), options.key and options.key.read_bytes()))
    elif options.command == "provision":
        if bool(options.key) == options.unsigned:
            parser.error("either a key or --unsigned")
        public = UNSIGNED if options.unsigned else options.key.read_bytes()
        if public != UNSIGNED and len(public) != 256:
            parser.error(f"{options.key} is no update.key")
        Store(Files(str(options.state))).write("update_key", public)
    else:
        key = load_key(options.key) if options.key else None
        version = options.version
        if not re.fullmatch(r"[\w.+-]{1,50}", version, re.ASCII):
            parser.error("--version: 1 to 50 letters, digits and the marks . + - _")
        if options.command == "image":
            file = options.file or image.BUILT / options.board / image.APPLICATION
            if not file.exists():
                parser.error(f"no {file}: make image BOARD={options.board}")
            if not options.reads and version.encode() not in file.read_bytes():
                parser.error(f"{file} does not hold the version {version}: build it anew")
            boards = options.boards or [options.board]
            packed = image_bundle(file.read_bytes(), version, options.reads, boards, key)
        elif options.source:
            files = with_version(read(ROOT, ".py"), version)
            packed = bundle(files, version, "cpython 3.11 0", options.boards or [PC], key)
        else:
            needs = f"micropython {MICROPYTHON} 6"
            boards = options.boards or [*WITH_PSRAM, PC]
            packed = bundle(with_version(compiled(), version), version, needs, boards, key)
        options.out.write_bytes(packed)
        print("%s: %d bytes, %s" % (options.out, len(packed), "signed" if key else "NOT SIGNED"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
