"""The addresses that names had: kept, but never more than a few."""

from firmware.net import dial
from host_tests.virtual import Skip


async def test_few_addresses_are_kept():
    known = {}
    for port in range(1, 100):
        assert await dial.resolve("127.0.0.1", port, 1, known)
        known[("127.0.0.1", port)] = ("address", port)  # it took a connection
    assert len(known) < 10
    known[("127.0.0.1", 7)] = ("address", 7)
    await dial.resolve("127.0.0.1", 7, 1, known)
    assert known[("127.0.0.1", 7)] == ("address", 7)


async def test_lookups_that_hang_are_few_and_go_when_they_end():
    try:
        import _thread  # noqa: F401
    except ImportError:
        raise Skip("no threads: a lookup holds all")
    known, started = {}, []
    before = dial._look_up
    dial._look_up = lambda host, port, found: started.append(found)
    refused = 0
    try:
        for port in range(40):
            try:
                await dial.resolve("host.example", port, 0, known)
            except OSError as why:
                refused += "too many lookups hang" in str(why)
        assert refused > 20 and len(known) < 20
    finally:
        dial._look_up = before
    for found in known.values():
        found.append("an answer that comes late")
    await dial.resolve("127.0.0.1", 80, 1, known)
    assert len(known) == 0
