"""Named values in files."""

import os

from firmware.base import runtime
from firmware.base.store import Files, Store


def files():
    name = "".join("%02x" % byte for byte in runtime.urandom(6))
    return Files("/tmp/wallbridge-%s/a/b" % name)  # folders that are not there yet


def clean(where):
    for folder in ("store", ""):
        for name in where.listdir(folder):
            if name != "store":
                where.remove(folder + "/" + name)
    path = where.root
    os.rmdir(path + "/store")
    for _ in range(3):
        os.rmdir(path)
        path = path[: path.rfind("/")]


def test_values():
    where = files()
    store = Store(where)
    assert store.read("key") is None and store.names() == []
    store.write("key", b"old")
    store.write("key", b"new")
    store.write("empty", b"")
    store.write("profile-2", b"x" * 5000)
    store.write("profile-1", bytes(range(256)))
    assert Store(where).read("key") == b"new"
    assert store.read("empty") == b""
    assert store.read("profile-2") == b"x" * 5000
    assert store.read("profile-1") == bytes(range(256))
    assert store.names("profile-") == ["profile-1", "profile-2"]
    store.remove("profile-1")
    store.remove("never")
    assert store.names() == ["empty", "key", "profile-2"]
    clean(where)


def test_damage_is_noticed():
    where = files()
    store = Store(where)
    store.write("key", b"value")
    for damaged in (b"", b"\x01", b"\x01\x02\x03\x04value"):
        with where.open("store/key", "wb") as f:
            f.write(damaged)
        assert store.read("key") is None
    store.write("key", b"again")
    assert store.read("key") == b"again"
    clean(where)


def test_half_a_write_leaves_the_old():
    where = files()
    store = Store(where)
    store.write("key", b"old")
    with where.open("store/~", "wb") as f:  # where a cut can leave it
        f.write(b"half")
    assert Store(where).read("key") == b"old"
    assert store.names() == ["key"]
    store.write("key", b"new")
    assert store.read("key") == b"new"
    clean(where)


def test_free_and_size():
    where = files()
    Store(where)
    with where.open("x", "wb") as f:
        f.write(b"12345")
    assert where.size("x") == 5
    assert where.free() > 0
    try:
        where.size("y")
    except OSError:
        pass
    else:
        raise AssertionError
    clean(where)
