"""Bundles: what is taken, what is refused, and what a slot is left with."""

import asyncio
import binascii
import hashlib

from firmware.base import bundle
from firmware.base.bundle import verify_signature
from host_tests.both import bundles

FILES = (
    ("firmware/__init__.mpy", b"M\x06 a version"),
    ("firmware/app.mpy", bytes([i * 5 & 255 for i in range(3000)])),
    ("firmware/net/ftp.mpy", b"x" * 700),
)
OLD = {"b/firmware/old.mpy": b"old", "b/bundle": b"old words"}


class Image:
    def __init__(self, size):
        self.label = "ota_1"
        self.data = b""
        self.open = True
        self.size = size
        Image.last = self

    def write(self, data):
        self.data += bytes(data)

    def close(self):
        self.open = False


def with_old(files):
    files.mkdir("b")
    files.mkdir("b/firmware")
    for path in OLD:
        with files.open(path, "wb") as f:
            f.write(OLD[path])
    return files


async def feed(unpacker, data, n=2048):
    for at in range(unpacker.received, len(data), n):
        await unpacker.write(memoryview(data)[at : at + n])
    unpacker.finish()
    unpacker.close()


async def outcome(data, key=bundles.KEY, image=None, files=None):
    """What comes of a bundle: (text, what is in the slot then)."""
    flash = with_old(files or bundles.folder())
    unpacker = bundle.Unpacker(flash, "b", key, image)
    try:
        await feed(unpacker, data)
        said = "ok"
    except bundle.BadBundle as why:
        said = str(why)
    except OSError as why:
        said = "OSError " + str(why)
    unpacker.close()
    slot = bundles.tree(flash, "b")
    bundles.remove(flash)
    return said, slot


async def test_a_good_one_in_pieces_of_any_size():
    data = bundles.make(FILES)
    for n in (1, 7, 100, 2048):
        files = with_old(bundles.folder())
        unpacker = bundle.Unpacker(files, "b", bundles.KEY, None)
        await feed(unpacker, data, n)
        assert unpacker.version == "9.9.9" and unpacker.label == "b"
        assert unpacker.received == unpacker.total == len(data)
        slot = bundles.tree(files, "b")
        assert slot.pop("b/bundle") == data[: len(data) - sum([len(d) for _, d in FILES])]
        assert slot == {"b/" + path: contents for path, contents in FILES}
        bundles.remove(files)


async def test_who_signed_it():
    good = bundles.make(FILES)
    assert (await outcome(good))[0] == "ok"
    other = bytearray(bundles.KEY)
    other[100] ^= 1
    unsigned = bundles.make(FILES, signed=False)
    forged = bytearray(good)
    forged[40] ^= 1  # the signature
    changed = bytearray(good)
    changed[300] ^= 1  # the manifest
    zero = bytearray(good)
    zero[21:277] = bytes(256)
    for data, key, why in (
        (good, bytes(other), "not signed by the one"),
        (unsigned, bundles.KEY, "not signed"),
        (forged, bundles.KEY, "not signed by the one"),
        (changed, bundles.KEY, "not signed by the one"),
        (zero, bundles.KEY, "not signed by the one"),
        (good, b"", "not signed by the one"),
    ):
        said, slot = await outcome(data, key)
        assert why in said, said
        slot.pop("b/bundle.new", None)
        assert slot == OLD  # not touched
    for data in (good, unsigned):
        assert (await outcome(data, bundle.UNSIGNED))[0] == "ok"


async def test_a_signature_of_another_implementation():
    """Made by OpenSSL with the tests' key, over b"hello"."""
    signature = binascii.unhexlify("".join(OPENSSL.split()))
    digest = hashlib.sha256(b"hello").digest()
    assert signature == bundles.sign(b"hello")
    assert await verify_signature(bundles.KEY, signature, digest)
    assert not await verify_signature(bundles.KEY, signature, hashlib.sha256(b"hallo").digest())
    assert not await verify_signature(bundles.KEY, signature[1:], digest)
    assert not await verify_signature(bundles.KEY, b"\xff" * 256, digest)


OPENSSL = """
173f1d797aea9db2b854d89f22afb4e82723c3c9b9e8ce4518ef5fecdf772884b2a197f5e36018ecc3f165a6f6977ac1
e53e0ec903becff3b302fa2d93d0cc119506872d231ceefa89f3e7ca86c79d7c9396fb8ab79dea2c91d01fb288dad9ba
5b561a58288c55276279da110e23528bda8208df481c19237b9c78e5829cd608e743b4ad31e997a65ab7bf5a24e0dd25
e41d8a946ff9e1f79f6631f1b976d252f30c6a4cb678866a040f88a18d550beb710f7894e60e7b5b78b5bf270e5253aa
c5e44c68578cc96645d96bfbb83db01197dfba59b9a4a9442085d6603cabb06c83100d0a76dc0c9019298f18b35945e1
9956bb1c55772c2e9aede46e66f8c4b9
"""


async def test_damaged_contents():
    data = bytearray(bundles.make(FILES))
    data[-1000] ^= 4
    files = with_old(bundles.folder())
    unpacker = bundle.Unpacker(files, "b", bundles.KEY, None)
    for _ in range(2):
        try:
            await feed(unpacker, data)
            assert False
        except OSError as why:
            assert "damaged on its way" in str(why)
        assert unpacker.received == 0 and "b/bundle" not in bundles.tree(files, "b")
    data[-1000] ^= 4
    await feed(unpacker, data)
    bundles.remove(files)


async def test_too_short_and_too_long():
    data = bundles.make(FILES)
    for end in (0, 5, 30, 200, 400, len(data) - 1):
        said, _ = await outcome(data[:end])
        assert said == "OSError the bundle ends after %d bytes" % end
    assert (await outcome(data + b"x"))[0] == "it is longer than its manifest says"


async def test_what_is_no_bundle():
    for data in (b"\xe9" * 300, b"<html>" * 100, b"WALLBRIDGE 2 100 0\n" + bytes(100),
                 b"WALLBRIDGE 1 -5 0\n" + bytes(100), b"WALLBRIDGE 1 100 0 \n" + bytes(100),
                 b"WALLBRIDGE 1 99999 0\n" + bytes(100), b"WALLBRIDGE 1 100 17\n" + bytes(100),
                 b"WALLBRIDGE 1 " + b"1" * 200, b"WALLBRIDGE 1 0 0\nx", b"\n" * 100):  # fmt: skip
        said, slot = await outcome(data, bundle.UNSIGNED)
        assert said.startswith("this is no bundle") or "manifest" in said, (data[:20], said)
        slot.pop("b/bundle.new", None)
        assert slot == OLD


def line(path="firmware/x.mpy", size="3", digest="0" * 64):
    return "file %s %s %s\n" % (path, size, digest)


async def test_bad_manifests():
    head = "version 1\nneeds %s\nboards wrover pc\n" % bundles.here()
    name, rest = bundles.here().split(" ", 1)
    for manifest, why in (
        (head, "neither files nor"),
        (head + "rm -r /\n", "its manifest says 'rm -r /'"),
        (head + line("../boot.py"), "it has a file"),
        (head + line("boot.py"), "it has a file"),
        (head + line("/firmware/x"), "it has a file"),
        (head + line("firmware/../../boot.py"), "it has a file"),
        (head + line("firmware//x"), "it has a file"),
        (head + line("firmware/x/"), "it has a file"),
        (head + line("firmware/x\\y"), "it has a file"),
        (head + line("firmware/" + "x" * 100), "it has a file"),
        (head + line("firmware/\u00e9"), "it has a file"),
        (head + "file x\n", "it has a file"),
        (head + line(size="x"), "its manifest is damaged"),
        (head + line(size="-1"), "its manifest is damaged"),
        (head + line(digest="0"), "its manifest is damaged"),
        (head + line(size="0"), "it has an empty file"),
        (head + line(size="9" * 90), "it is too large"),
        (head + line(size="1048576"), "it is too large"),
        (head + line() + "x" * 300, "a line without end"),
        (head + line() + "x", "a line without end"),
        (head + "image 3 " + "0" * 64 + "\n" + line(), "neither files nor"),
        (head + "image 3 " + "0" * 64 + "\n", "its image reads .mpy version ?"),
        (head + line() + "image 3 " + "0" * 64 + "\n", "neither files nor"),
        ("needs %s\n" % bundles.here() + line(), "it has no version"),
        ("version 1\nneeds forth 1 0\n" + line(), "it needs forth 1"),
        ("version 1\nneeds %s 99.1 0\n" % name + line(), "it needs %s 99.1" % name),
        ("version 1\nneeds %s 1.25 5\n" % name + line(), "reads .mpy version 5"),
        (head + "boards wroom s3\n" + line(), "it is for wroom s3, and this board is pc"),
        ("version 1\nneeds %s\n" % bundles.here() + line(), "it is for none, and this board"),
        (head + "boards\n" + line(), "its manifest says 'boards'"),
        ("version 1 2\n", "its manifest says"),
        ("\n", "its manifest says"),
    ):
        said, slot = await outcome(bundles.pack(manifest, b"abc", False), bundle.UNSIGNED)
        assert why in said, (manifest, said)
        slot.pop("b/bundle.new")
        assert slot == OLD
    said, _ = await outcome(b"WALLBRIDGE 1 3 0\n\xff\xfe\n", bundle.UNSIGNED)
    assert said == "its manifest is no text"


async def test_no_room():
    files = bundles.folder()
    files.free = lambda: 66000
    said, slot = await outcome(bundles.make(FILES), files=files)
    assert "have no room" in said and "b/bundle" not in slot


async def test_going_on_after_a_restart():
    """Whole files that are there are not fetched again; half ones are."""
    data = bundles.make(FILES)
    contents = len(data) - sum([len(d) for _, d in FILES])
    first = contents + len(FILES[0][1])
    second = first + 3000
    for end, start in (
        (10, 0),
        (contents - 1, 0),
        (contents, contents),
        (first - 1, contents),
        (first, first),
        (first + 2000, first),
        (second, second),
        (len(data) - 1, second),
        (len(data), len(data)),
    ):
        files = with_old(bundles.folder())
        bundle.forget(files, "b")
        unpacker = bundle.Unpacker(files, "b", bundles.KEY, None)
        await unpacker.resume()
        assert unpacker.received == 0
        await unpacker.write(data[:end])
        unpacker.close()
        unpacker = bundle.Unpacker(files, "b", bundles.KEY, None)
        await unpacker.resume()
        assert unpacker.received == start, (end, unpacker.received)
        await feed(unpacker, data)
        slot = bundles.tree(files, "b")
        assert {path: slot["b/" + path] for path, _ in FILES} == dict(FILES)
        bundles.remove(files)


async def test_not_going_on_with_what_is_not_right():
    data = bundles.make(FILES)
    files = bundles.folder()
    await feed(bundle.Unpacker(files, "b", bundles.KEY, None), data)
    with files.open("b/" + FILES[1][0], "wb") as f:
        f.write(bytes(3000))  # as long, but another
    unpacker = bundle.Unpacker(files, "b", bundles.KEY, None)
    await unpacker.resume()
    assert unpacker.received == len(data) - 3700
    unpacker.close()
    with files.open("b/bundle", "wb") as f:
        f.write(data[:300])
    unpacker = bundle.Unpacker(files, "b", bundles.KEY, None)
    try:
        await unpacker.resume()
        assert False
    except bundle.BadBundle:
        pass
    unpacker.restart()
    await feed(unpacker, data)
    bundles.remove(files)


async def test_a_slot_is_emptied_a_file_at_a_time():
    """With a car charging: others run after each."""
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    files = bundles.folder()
    files.mkdir("b")
    files.mkdir("b/firmware")
    for n in range(20):
        with files.open("b/firmware/old%d.mpy" % n, "wb") as f:
            f.write(b"old")
    seen = []
    remove = files.remove

    def removing(name):
        seen.append(turns)
        remove(name)

    files.remove = removing
    task = asyncio.create_task(others())
    unpacker = bundle.Unpacker(files, "b", bundles.KEY, None)
    await unpacker.write(bundles.make([("firmware/x.mpy", b"new")]))
    task.cancel()
    assert unpacker.done and len(seen) == 20 and len(set(seen)) == 20
    bundles.remove(files)


async def test_a_whole_image():
    image = bytes(range(250)) * 12
    digest = binascii.hexlify(hashlib.sha256(image).digest()).decode()
    needs = bundles.here()
    manifest = "version 2\nneeds %s\nboards pc\nreads %s\nimage 3000 %s\n"
    for reads in ("0", needs.split()[2]):
        data = bundles.pack(manifest % (needs, reads, digest), image)
        assert (await outcome(data, image=Image))[0] == "ok"
    for reads in ("5", "", "x 6"):  # the slots' application could not start in it
        wrong = bundles.pack(manifest % (needs, reads, digest), image)
        said, slot = await outcome(wrong, image=Image)
        assert said != "ok" and slot["b/bundle"] == b"old words", said
    said, slot = await outcome(data, image=Image)
    assert said == "ok" and Image.last.data == image and not Image.last.open
    assert list(slot) == ["b/bundle"]

    def none(size):
        raise OSError("this board has no OTA slots")

    assert (await outcome(data, image=none))[0] == "this board has no OTA slots"
    said, _ = await outcome(data[:-1] + b"!", image=Image)
    assert "damaged" in said


async def test_another_boards_bundle():
    """One line says so; the slot is as it was."""
    for boards, board, taken in (
        ("wroom", "wroom", True),
        ("wroom", "wrover", False),
        ("stock wrover s3 pc", "wroom", False),
        ("stock wrover s3 pc", "stock", True),
    ):
        files = with_old(bundles.folder())
        manifest = bundles.text(FILES, boards=boards)
        data = bundles.pack(manifest, b"".join([contents for _, contents in FILES]))
        unpacker = bundle.Unpacker(files, "b", bundles.KEY, None, board)
        try:
            await feed(unpacker, data)
            assert taken
        except bundle.BadBundle as why:
            assert not taken and str(why) == "it is for %s, and this board is %s" % (boards, board)
            slot = bundles.tree(files, "b")
            slot.pop("b/bundle.new")
            assert slot == OLD
        unpacker.close()
        bundles.remove(files)


async def test_an_image_that_a_slot_would_hide():
    """What is frozen into an image comes after a slot's files."""
    here = bundles.here().split()[2]
    for reads in ("0", here):
        manifest = "version 2\nneeds %s\nboards pc\nreads %s\nimage 3 %s\n"
        digest = binascii.hexlify(hashlib.sha256(b"abc").digest()).decode()
        data = bundles.pack(manifest % (bundles.here(), reads, digest), b"abc")
        files = bundles.folder()
        unpacker = bundle.Unpacker(files, "b", bundles.KEY, Image, "pc", True)
        try:
            await feed(unpacker, data)
            assert reads == here
        except bundle.BadBundle as why:
            assert reads != here and "here a slot has it" in str(why)
        bundles.remove(files)


class Charge:
    """A car that is charged, or not."""

    def __init__(self):
        self.runs = False

    def may_fill(self):
        return not self.runs


async def test_files_are_written_between_transactions():
    """A transaction begins anywhere in the download: nothing more is written or removed until its
    end. The next attempt goes on."""
    data = bundles.make(FILES)
    contents = len(data) - sum([len(contents) for _, contents in FILES])
    for begins in (10, contents - 1, contents, contents + 1000, len(data) - 1):
        files = with_old(bundles.folder())
        charge = Charge()
        made = bundle.Unpacker(files, "b", bundles.KEY, None, "pc", False, charge.may_fill)
        await made.write(data[:begins])
        charge.runs = True
        before = None
        for _ in range(2):
            try:
                await made.write(data[made.received : made.received + 3000])
                assert False, begins
            except bundle.Postponed:
                pass
            slot = bundles.tree(files, "b")
            slot.pop("b/bundle.new", None)
            assert before in (None, slot), begins
            before = slot
            if begins < contents:  # the old slot is whole
                assert slot == OLD, begins
        made.close()
        charge.runs = False
        made = bundle.Unpacker(files, "b", bundles.KEY, None, "pc", False, charge.may_fill)
        try:
            await made.resume()
        except bundle.BadBundle:
            made.restart()
        await feed(made, data)
        slot = bundles.tree(files, "b")
        assert {path: slot["b/" + path] for path, _ in FILES} == dict(FILES)
        bundles.remove(files)


async def test_an_image_is_written_while_a_car_is_charged():
    image = bytes(range(250)) * 12
    digest = binascii.hexlify(hashlib.sha256(image).digest()).decode()
    manifest = "version 2\nneeds %s\nboards pc\nreads 0\nimage 3000 %s\n"
    data = bundles.pack(manifest % (bundles.here(), digest), image)
    charge = Charge()
    charge.runs = True
    files = bundles.folder()
    made = bundle.Unpacker(files, "b", bundles.KEY, Image, "pc", False, charge.may_fill)
    await feed(made, data)
    assert Image.last.data == image
    bundles.remove(files)
    # but the files of a slot are not removed meanwhile
    files = with_old(bundles.folder())
    made = bundle.Unpacker(files, "b", bundles.KEY, Image, "pc", False, charge.may_fill)
    try:
        await feed(made, data)
        assert False
    except bundle.Postponed:
        pass
    assert bundles.tree(files, "b")["b/firmware/old.mpy"] == b"old"
    made.close()
    bundles.remove(files)
