"""The addresses that names had: kept, but never more than a few."""

from firmware.net import dial
from host_tests.virtual import Skip


async def test_few_addresses_are_kept():
    addresses = dial.Addresses()
    for port in range(1, 100):
        assert await addresses.resolve("127.0.0.1", port, 1)
        addresses.worked("127.0.0.1", port, ("address", port))
    assert len(addresses.reached()) < 10
    addresses.worked("127.0.0.1", 7, ("address", 7))
    await addresses.resolve("127.0.0.1", 7, 1)
    assert ("127.0.0.1", 7) in addresses.reached()


async def test_lookups_that_hang_are_few_and_go_when_they_end():
    try:
        import _thread  # noqa: F401
    except ImportError:
        raise Skip("no threads: a lookup holds all")
    addresses, started = dial.Addresses(), []
    before = dial._look_up
    dial._look_up = lambda host, port, found: started.append(found)
    refused = 0
    try:
        for port in range(40):
            try:
                await addresses.resolve("host.example", port, 0)
            except OSError as why:
                refused += "too many lookups hang" in str(why)
        assert refused > 20 and len(addresses._lookups) < 20
    finally:
        dial._look_up = before
    for answer in addresses._lookups.values():
        answer.append("an answer that comes late")
    await addresses.resolve("127.0.0.1", 80, 1)
    assert len(addresses._lookups) == 0


async def test_a_lookup_that_found_no_room_for_its_thread_is_made_again():
    class Full(dial.Addresses):
        """Where FreeRTOS has no room for a thread's stack."""

        def _start_lookup(self, host, port, answer):
            if full:
                raise OSError("can't create thread")
            dial.Addresses._start_lookup(self, host, port, answer)

    full, addresses = True, Full()
    try:
        await addresses.resolve("127.0.0.1", 80, 1)
    except OSError as why:
        assert "thread" in str(why)
    else:
        raise AssertionError("no room, no answer")
    full = False
    assert await addresses.resolve("127.0.0.1", 80, 1)
