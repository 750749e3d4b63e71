"""What fuzzing the decoders found: each stays mended, on every Python."""

from host_tests.both import fuzz_targets


def test_ftp_ports_that_there_are_not():
    """CPython's sockets raise an OverflowError of their own, MicroPython's dial another port."""
    talk = fuzz_targets.ftp_seeds()[0]
    for port in (b"4711711", b"0", b"65536"):
        said = fuzz_targets.ftp(talk.replace(b"4711", port))
        assert said.startswith("FTP: there is no port"), said


def test_a_bundles_first_line_that_is_no_text():
    """It was taken for a broken line, and fetched again."""
    for line in (b"1 9\xb7 0", b"1  0", b"1 -1 0", b"1 1 257", b"2 1 0"):
        said = fuzz_targets.bundle(b"WALLBRIDGE " + line + b"\nversion 2\n")
        assert said == "bad", said


def test_a_bundle_with_digits_that_are_none():
    """CPython's isdigit() takes them, its int() does not."""
    manifest = "version 2\nneeds x 1.² 0\nfile firmware/a.mpy %s 0\n" % ("²3 " + "0" * 64)
    for text in (manifest, manifest.replace("1.²", "1.0")):
        text = text.replace(" 0\n", "\n") if "1.0" in text else text
        data = text.encode()
        said = fuzz_targets.bundle(b"WALLBRIDGE 1 %d 0\n" % len(data) + data)
        assert said == "bad", said


def test_a_segment_that_ends_with_an_old_record():
    """The next record would have taken the place of one that is there."""
    from firmware.base.journal import Record, encode

    records = [encode(Record(n, 3, b"x")) for n in range(1, 6)]
    fuzz_targets.records(b"".join(records + records[:2]))


async def test_who_comes_to_a_stream_that_was_closed_meanwhile():
    """MicroPython's asyncio ended as a whole, and the station with it."""
    import asyncio

    from firmware.base import runtime, sockets
    from host_tests.virtual import free_port

    async def meet(reader, writer):
        try:
            await reader.read(1)
        except OSError:
            pass  # the client was reset
        writer.close()

    port = free_port()
    server = await asyncio.start_server(meet, "127.0.0.1", port)
    address = (2, 1, 0, "", ("127.0.0.1", port))
    if runtime.MICROPYTHON:
        import socket

        address = socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM)[0]
    for late in (_read, _read_into, _write):
        sock = sockets.new_socket(address)
        await sockets.connect(sock, address[-1])
        reader, writer = await sockets.open_streams(sock)
        sockets.abort(writer)
        try:
            assert not await asyncio.wait_for(late(reader, writer), 5)
        except OSError:
            pass  # which says so, too
    server.close()
    await server.wait_closed()


async def _read(reader, writer):
    return await reader.read(10)


async def _read_into(reader, writer):
    from firmware.base import sockets

    return await sockets.read_into(reader, memoryview(bytearray(10)))


async def _write(reader, writer):
    if hasattr(writer, "out_buf"):  # what MicroPython could not send at once
        writer.out_buf = b"left"
    writer.write(b"x")
    await writer.drain()
