"""URLs, the handshake and names: what comes before the first message of a link."""

import asyncio
import os

from firmware.base import runtime, sockets
from firmware.net import dial, websocket
from firmware.net.url import basic_authorization, parse_url, station_url
from firmware.net.websocket_handshake import Refused
from host_tests.both.ws_peer import TEXT, Peer, frame, text, welcome


def refuses(function, *args, **options):
    try:
        function(*args, **options)
    except ValueError as error:
        return str(error)
    assert False, args


def test_urls():
    parse = parse_url
    assert parse("ws://h/x") == ("ws", None, None, "h", 80, "/x")
    assert parse("Wss://Host.example:8443/a?b=/c#d") == (
        "wss", None, None, "Host.example", 8443, "/a?b=/c",
    )  # fmt: skip
    assert parse("wss://[2001:db8::1]:9000") == ("wss", None, None, "2001:db8::1", 9000, "/")
    assert parse("ws://[::1]/") == ("ws", None, None, "::1", 80, "/")
    assert parse("ws://h?x") == ("ws", None, None, "h", 80, "/?x")
    assert parse("ws://h:/") == ("ws", None, None, "h", 80, "/")
    assert parse("ftp://me:a%40b:c@h/f.bin", "http https ftp ftps") == (
        "ftp", "me", "a@b:c", "h", 21, "/f.bin",
    )  # fmt: skip
    assert parse("ftps://@h/", "ftps")[1:5] == ("", "", "h", 990)
    assert parse("http://%C3%A9@h/", "http")[1] == "é"


def test_bad_urls():
    bad = (
        "", "h/x", "http://h/", "ws:/h", "ws//h", "ws://", "ws:///x", "ws://:80/", "ws://h:0/",
        "ws://h:65536/", "ws://h:+5/", "ws://h:8x/", "ws://h h/", "ws://h/\r\nX: y", "ws://h/\x00",
        "ws://h/é", "ws://[::1/", "ws://[h]/", "ws://[::1]x/", "ws://[]/", "ws://a,b/", "ws://a\\b/",
        "ws://a%41/", "ws://%0d%0a@h/", "ws://u:%@h/", "ws://u:%4@h/", "ws://u:%zz@h/",
        "ws://u:%ff@h/", "ws://::1/", "s://h/", "ws wss://h/",
    )  # fmt: skip
    for url in bad:
        refuses(parse_url, url)
    said = refuses(parse_url, "ws://u:secret%00@h/")
    assert "secret" not in said


def test_station_urls():
    join = station_url
    assert join("ws://h/ocpp", "CP001") == "ws://h/ocpp/CP001"
    assert join("wss://h/ocppj/", "RDAM 123") == "wss://h/ocppj/RDAM%20123"
    assert join("ws://h", "a/b?c#é%~") == "ws://h/a%2Fb%3Fc%23%C3%A9%25~"
    assert join("ws://h/x?token=1", "A") == "ws://h/x/A?token=1"


def test_basic_is_the_specification_s_example():
    key = bytes((0, 1, 2, 3, 4, 5, 6, 7)) + b"\xff" * 12
    assert basic_authorization("AL1000", key) == "Basic QUwxMDAwOgABAgMEBQYH////////////////"


def test_backoff_grows_within_bounds():
    lowest = [websocket.backoff(i, 0) for i in range(12)]
    highest = [websocket.backoff(i, 255) for i in range(12)]
    assert lowest[:3] == [1000, 2000, 4000] and highest[:3] == [2000, 4000, 8000]
    assert lowest[-1] == 150000 and highest[-1] == 300000
    assert websocket.backoff(10**6, 255) == 300000
    for i in range(11):
        assert lowest[i + 1] >= lowest[i] < websocket.backoff(i, 128) < highest[i]


def test_masking_any_length():
    key = b"\x01\x82\x03\xf4"
    for n in (0, 1, 3, 4, 5, 255, 256, 257, 600, 1024):
        data = bytearray(os.urandom(n))
        plain = bytes(data)
        websocket.mask(memoryview(data), key)
        assert bytes(data) == bytes(c ^ key[i % 4] for i, c in enumerate(plain))


def test_utf8_as_rfc_3629_has_it():
    pad = b"x" * 254
    good = (b"", b"abc", "é€😀".encode(), b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xf4\x8f\xbf\xbf")
    bad = (
        b"\x80", b"\xc3", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff", b"\xe2\x82",
        b"\xe2\x28\xa1", b"\xc3\xa9\xa9",
    )  # fmt: skip
    for data in good:
        for edge in (data, pad + data, pad + b"\xc3\xa9" + data, data + pad + pad):
            assert websocket.valid_utf8(memoryview(edge)), edge
    for data in bad:
        for edge in (data, pad + data, data + pad, b"\xc3\xa9" * 128 + data):
            assert not websocket.valid_utf8(memoryview(edge)), edge


async def test_the_request():
    async def idle(reader, writer):
        await reader.read(1)

    async with Peer(idle) as peer:
        headers = (("Authorization", basic_authorization("BOX", b"secret")),)
        link = await websocket.connect(peer.url, headers)
        lines = peer.request.decode().split("\r\n")
        assert lines[0] == "GET /ocpp/BOX HTTP/1.1"
        assert "Host: 127.0.0.1:%d" % peer.port in lines
        for line in (
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: ocpp1.6", "Authorization: Basic Qk9YOnNlY3JldA==",
        ):  # fmt: skip
            assert line in lines, line
        link.drop()


async def refusal(answer):
    """(status, text) of what connect raises."""
    async with Peer(answer=answer) as peer:
        try:
            await websocket.connect(peer.url)
        except Refused as error:
            return error.status, str(error)
        assert False, "connected"


async def test_http_refusals_carry_the_status():
    for status in (200, 301, 401, 403, 404, 429, 503):

        async def answer(writer, token, status=status):
            writer.write(b"HTTP/1.1 %d No\xffway\r\nX: y\r\n\r\n<html>" % status)

        got, said = await refusal(answer)
        assert got == status and said == "HTTP %d No?way" % status


async def test_what_is_wrong_with_a_101():
    cases = (
        (lambda t: welcome(t, protocol=b"ocpp1.5"), "speak ocpp1.6"),
        (lambda t: welcome(t, protocol=b"OCPP1.6"), "speak ocpp1.6"),
        (lambda t: welcome(t, protocol=b"ocpp1.6\r\nSec-WebSocket-Protocol: x"), "speak ocpp1.6"),
        (lambda t: welcome(t).replace(b"-Protocol", b"-Nothing"), "speak ocpp1.6"),
        (lambda t: welcome(t[:-3] + (b"AA=" if t[-3:] != b"AA=" else b"BA=")), "Accept"),
        (lambda t: welcome(t).replace(b"ACCEPT", b"NOTHING"), "Accept"),
        (lambda t: welcome(t, upgrade=b"h2c"), "upgrade"),
        (lambda t: welcome(t).replace(b", Upgrade", b""), "upgrade"),
        (lambda t: welcome(t, more=b"Sec-WebSocket-Extensions: x\r\n"), "extensions"),
    )
    for make, word in cases:

        async def answer(writer, token, make=make):
            writer.write(make(token))

        status, said = await refusal(answer)
        assert status == 101 and word in said, said


async def test_headers_have_bounds():
    async def no_http(writer, token):
        writer.write(b"SSH-2.0-x\r\n")

    async def one_line(writer, token):
        writer.write(b"HTTP/1.1 101 " + b"x" * 9000 + b"\r\n\r\n")

    async def many(writer, token):
        writer.write(b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 2000 + b"\r\n")

    for answer, word in ((no_http, "HTTP"), (one_line, "over"), (many, "over")):
        status, said = await refusal(answer)
        assert status == 0 and word in said


async def test_odd_but_right_answers_are_taken():
    async def answer(writer, token):
        whole = welcome(token, more=b"Set-Cookie: " + b"x" * 3000 + b"\r\n")
        for i in range(0, len(whole), 7):
            writer.write(whole[i : i + 7])
            await writer.drain()
        writer.write(frame(TEXT, b"at once"))

    async def idle(reader, writer):
        await reader.read(1)

    async with Peer(idle, answer) as peer:
        link = await websocket.connect(peer.url)
        assert await text(link) == "at once"
        link.drop()


async def test_a_server_that_says_nothing_or_leaves():
    async def silent(writer, token):
        await asyncio.sleep(100)

    async def half(writer, token):
        writer.write(welcome(token)[:40])

    for answer in (silent, half):
        async with Peer(answer=answer) as peer:
            before = runtime.ticks_ms()
            try:
                await websocket.connect(peer.url, timeout_s=20)
                assert False, "connected"
            except OSError as error:
                assert "handshake" in str(error), error
            passed = runtime.ticks_diff(runtime.ticks_ms(), before)
            assert passed < 500 if answer is half else 19000 < passed < 22000


async def test_nothing_is_sent_with_bad_arguments():
    async with Peer() as peer:
        for url, headers in (
            (peer.url, (("X", "a\r\nb: c"),)),
            (peer.url, (("X", "a\x00"),)),
            (peer.url, (("X\n", "a"),)),
            (peer.url.replace("//", "//me:secret@"), ()),
            (peer.url.replace("ws:", "wss:"), ()),
            (peer.url + " x", ()),
        ):
            try:
                await websocket.connect(url, headers)
                assert False, url
            except ValueError as error:
                assert "secret" not in str(error)
        assert peer.met == 0


async def test_nobody_there():
    async with Peer() as peer:
        port = peer.port
    try:
        await websocket.connect("ws://127.0.0.1:%d/" % port)
        assert False, "connected"
    except OSError as error:
        assert "127.0.0.1 port %d" % port in str(error), error


async def test_every_address_is_tried_and_the_good_one_remembered():
    async def idle(reader, writer):
        await reader.read(1)

    import socket

    def numeric(port):
        return socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM)[0]

    async with Peer() as gone:
        pass
    look_up = dial._look_up
    async with Peer(idle) as peer:
        answers = [numeric(gone.port), numeric(peer.port)]
        asked = []

        def fake(host, port, found):
            asked.append((host, port))
            found.append(list(answers) if answers else OSError("no DNS"))

        async def once(port):
            reader, writer = await dial.dial("box.example", port, addresses=known)
            sockets.abort(writer)

        dial._look_up = fake
        known = dial.Addresses()
        try:
            for _ in range(3):
                await once(peer.port)
                assert known.reached() == [("box.example", peer.port)]
            addresses = await known.resolve("box.example", peer.port, 5)
            assert addresses == [numeric(peer.port), numeric(gone.port)]
            del answers[:]  # DNS is down: the last good address serves
            await once(peer.port)
            try:
                await dial.dial("other.example", 80, addresses=known)
                assert False, "connected"
            except OSError as error:
                assert "no address for other.example: no DNS" in str(error), error
        finally:
            dial._look_up = look_up
        assert asked[0] == ("box.example", peer.port)
