"""The WebSocket client against a peer that says byte by byte what it is told, in virtual time."""

import asyncio
import hashlib
import os
from binascii import b2a_base64

from firmware.base import runtime, sockets
from firmware.net import dial, websocket
from firmware.net.url import basic_authorization, parse_url, station_url
from firmware.net.websocket import Closed
from firmware.net.websocket_handshake import Refused
from host_tests import virtual

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LIMIT = 1100  # of most links here: what the tests take themselves is a load on the device's heap


def frame(opcode, payload=b"", fin=True, bits=0):
    """A server's frame."""
    n = len(payload)
    first = (0x80 if fin else 0) | bits | opcode
    if n < 126:
        return bytes((first, n)) + payload
    if n < 65536:
        return bytes((first, 126)) + n.to_bytes(2, "big") + payload
    return bytes((first, 127)) + n.to_bytes(8, "big") + payload


async def unframe(reader):
    """The client's next frame: (opcode, payload). It must be whole and masked."""
    first, n = await reader.readexactly(2)
    assert first & 0x70 == 0 and n & 0x80
    n &= 127
    if n > 125:
        n = int.from_bytes(await reader.readexactly(2 if n == 126 else 8), "big")
    key = await reader.readexactly(4)
    data = bytearray(n)
    at = 0
    while at < n:
        part = await reader.read(min(1000, n - at))
        assert part
        data[at : at + len(part)] = part
        at += len(part)
    assert first & 0x80
    websocket.mask(memoryview(data), key)
    return first & 15, data


async def said(reader):
    """The code and the reason of the client's close frame."""
    opcode, data = await unframe(reader)
    assert opcode == CLOSE
    return int.from_bytes(data[:2], "big"), bytes(data[2:]).decode()


class Peer:
    """`async with Peer(script) as peer`: a server on loopback; script(reader, writer) runs once
    the handshake is answered. What it raises comes out at the end."""

    def __init__(self, script=None, answer=None):
        self.script = script
        self.answer = answer
        self.request = b""
        self.error = None
        self.met = 0

    async def __aenter__(self):
        while True:
            self.port = 20000 + int.from_bytes(os.urandom(2), "big") % 40000
            try:
                self.server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
                break
            except OSError:
                pass
        self.url = "ws://127.0.0.1:%d/ocpp/BOX" % self.port
        return self

    async def __aexit__(self, kind, error, trace):
        await asyncio.sleep(0.1)
        self.server.close()
        if self.error:
            raise self.error

    async def _meet(self, reader, writer):
        self.met += 1
        try:
            line = None
            while line != b"\r\n":
                line = await reader.readline()
                if not line:
                    return
                self.request += line
                if line.startswith(b"Sec-WebSocket-Key: "):
                    key = line[19:].strip()
            if self.answer:
                await self.answer(writer, accept(key))
            else:
                writer.write(welcome(accept(key)))
            await writer.drain()
            if self.script:
                await self.script(reader, writer)
        except Exception as error:
            self.error = error
        finally:
            writer.close()
            if runtime.MICROPYTHON:
                await writer.wait_closed()


def accept(key):
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return b2a_base64(hashlib.sha1(key + guid).digest()).strip()


def welcome(token, protocol=b"ocpp1.6", upgrade=b"websocket", more=b""):
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: " + upgrade + b"\r\n"
        b"Connection: keep-alive, Upgrade\r\nSEC-WEBSOCKET-ACCEPT:" + token + b"\r\n"
        b"Sec-WebSocket-Protocol: " + protocol + b" \r\n" + more + b"\r\n"
    )


async def trickle(writer, stream, size, pause):
    """Writes a stream in pieces of so many bytes, so many seconds apart."""
    for i in range(0, len(stream), size):
        writer.write(stream[i : i + size])
        await writer.drain()
        await asyncio.sleep(pause)


async def whole(message):
    """All bytes of a received message."""
    if hasattr(message, "fill"):
        await message.fill(1 << 20)
    return bytes(message[:])


async def text(link):
    return (await whole(await link.recv())).decode()


async def closed(link):
    """What ends the link's recv."""
    try:
        while True:
            await whole(await link.recv())
    except Closed as error:
        return error.code


def refuses(function, *args, **options):
    try:
        function(*args, **options)
    except ValueError as error:
        return str(error)
    assert False, args


# --- pure parts ---


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


# --- the handshake ---


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


# --- names ---


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


# --- messages ---


async def talk(script, limit=LIMIT, timeout_s=30):
    """(peer, link), connected."""
    peer = Peer(script)
    await peer.__aenter__()
    return peer, await websocket.connect(peer.url, limit=limit, timeout_s=timeout_s)


async def test_messages_of_many_sizes_both_ways():
    sizes = (0, 1, 125, 126, 127, 255, 256, 257, 1023, 1024, 1025, 2049, 4000)

    async def echo(reader, writer):
        for _ in sizes:
            opcode, data = await unframe(reader)
            assert opcode == TEXT
            writer.write(frame(TEXT, data))
            await writer.drain()

    peer, link = await talk(echo, 4000)
    for n in sizes:
        message = ("é" + "x" * n)[: n - 1] if n else ""  # n bytes
        await link.send(message)
        assert await text(link) == message
    assert await closed(link) == 1006
    await peer.__aexit__(None, None, None)


async def test_pieces_make_one_message():
    pieces = ["[2", "", ',"é', "x" * 301, '"', "]", "y" * 255, "z" * 7]
    whole = "".join(pieces).encode()

    async def script(reader, writer):
        for n in range(len(pieces) + 1):
            assert await unframe(reader) == (TEXT, whole), n

    peer, link = await talk(script)
    for n in range(len(pieces) + 1):  # each comes to lie at another turn of the mask
        sent = ["".join(pieces[:n])] + pieces[n:]
        await link.send(sent)
        assert sent == []
    assert await closed(link) == 1006
    await peer.__aexit__(None, None, None)


async def test_split_at_every_byte():
    stream = (
        frame(TEXT, b"one")
        + frame(TEXT, "zwölf".encode()[:3], False)
        + frame(PING, b"are you there")
        + frame(0, "zwölf".encode()[3:5], False)
        + frame(PONG, b"?")
        + frame(0, b"f")
        + frame(TEXT, b"y" * 130)
        + frame(TEXT, b"")
    )

    async def script(reader, writer):
        for i in range(len(stream)):
            writer.write(stream[i : i + 1])
            await writer.drain()
            await asyncio.sleep(0.001)
        for cut in range(1, len(stream), 9):
            for part in (stream[:cut], stream[cut:]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
        for _ in range(1 + len(range(1, len(stream), 9))):
            assert await unframe(reader) == (PONG, b"are you there")

    peer, link = await talk(script)
    rounds = 1 + len(range(1, len(stream), 9))
    for _ in range(rounds):
        assert await text(link) == "one"
        assert await text(link) == "zwölf"
        assert await text(link) == "y" * 130
        assert await text(link) == ""
    assert link.pongs == rounds
    await closed(link)
    await peer.__aexit__(None, None, None)


async def violation(data):
    """(code that recv raised, code that the peer saw, reason)."""
    seen = []

    async def script(reader, writer):
        writer.write(data)
        await writer.drain()
        seen.extend(await said(reader))

    peer, link = await talk(script)
    code = await closed(link)
    assert link.closed[0] == code
    await peer.__aexit__(None, None, None)
    return code, seen[0], seen[1]


async def test_violations_are_answered_with_their_code():
    cases = (
        (1002, frame(TEXT, b"x", bits=0x40)),
        (1002, frame(TEXT, b"x", bits=0x10)),
        (1002, frame(3, b"x")),
        (1002, frame(7)),
        (1002, frame(11)),
        (1002, frame(15, b"x")),
        (1002, b"\x81\x81abcdx"),  # masked
        (1002, frame(PING, b"x" * 126)),
        (1002, frame(PING, b"x", fin=False)),
        (1002, frame(CLOSE, b"\x03\xe8", fin=False)),
        (1002, frame(0, b"x")),
        (1002, frame(TEXT, b"x", False) + frame(TEXT, b"y")),
        (1002, frame(CLOSE, b"x")),
        (1002, frame(CLOSE, b"\x03\xed")),  # 1005
        (1002, frame(CLOSE, b"\x03\xee")),  # 1006
        (1002, frame(CLOSE, b"\x00\x01")),
        (1002, frame(CLOSE, b"\x0b\xb7")),  # 2999
        (1007, frame(CLOSE, b"\x03\xe8\xff")),
        (1003, frame(BINARY, b"x")),
        (1003, frame(BINARY, b"x" * 3000)),
        (1007, frame(TEXT, b"\xff")),
        (1007, frame(TEXT, b"\xc3", False) + frame(0, b"x")),
        (1007, frame(TEXT, b"x" * 300 + b"\xc3")),
        (1009, frame(TEXT, b"x" * (LIMIT + 1))),
        (1009, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 3000),
        (1009, frame(TEXT, b"x" * (LIMIT - 9), False) + frame(0, b"x" * 10)),
        (1009, b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
    )
    for code, data in cases:
        got, seen, reason = await violation(data)
        assert got == seen == code and reason, (code, got, seen, data[:20])


async def test_a_peer_that_goes_on_after_a_1009_gets_two_seconds():
    async def script(reader, writer):
        try:
            while True:
                writer.write(frame(TEXT, b"x" * 5000))
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            pass

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    assert await closed(link) == 1009
    assert 1500 < runtime.ticks_diff(runtime.ticks_ms(), before) < 3000
    await peer.__aexit__(None, None, None)


async def test_pongs_go_between_messages_of_others():
    async def script(reader, writer):
        got = []
        for i in range(5):
            writer.write(frame(PING, b"%d" % i))
        await writer.drain()
        while len(got) < 10:
            got.append(await unframe(reader))
        assert [d for o, d in got if o == PONG] == [b"%d" % i for i in range(5)]
        assert [d for o, d in got if o == TEXT] == [b"m" * 1100] * 5

    peer, link = await talk(script)
    tasks = [asyncio.create_task(link.send("m" * 1100)) for _ in range(5)]
    assert await closed(link) == 1006
    for task in tasks:
        await task
    await peer.__aexit__(None, None, None)


async def test_receiving_may_be_cancelled_anywhere():
    stream = frame(TEXT, b"a" * 200, False) + frame(PING, b"p") + frame(0, b"b" * 700)

    async def script(reader, writer):
        await trickle(writer, stream, 50, 1)
        await reader.read(100)

    peer, link = await talk(script)
    cancelled = 0
    message = None

    async def receive():
        nonlocal message
        if message is None:
            message = await link.recv()
        return await whole(message)

    found = None
    while found is None:
        task = asyncio.create_task(receive())
        await asyncio.sleep(0.7)
        if not task.done():
            task.cancel()
            cancelled += 1
        try:
            found = await task
        except asyncio.CancelledError:
            pass
    assert found == b"a" * 200 + b"b" * 700 and cancelled > 5
    link.drop()
    await peer.__aexit__(None, None, None)


async def test_a_long_message_is_received_as_it_is_read():
    """What was read can be forgotten; what nobody reads is skipped, and the next one comes."""
    one = "é".encode() * 1500
    stream = frame(TEXT, one[:700], False) + frame(PING, b"p") + frame(0, one[700:])
    stream += frame(TEXT, b"short") + frame(TEXT, b"u" * 3000) + frame(TEXT, b"last")

    async def script(reader, writer):
        await trickle(writer, stream, 90, 0.01)
        await reader.read(100)

    peer, link = await talk(script, 8192)
    message = await link.recv()
    at = 0
    while at < 3000:
        await message.fill(at + 200)
        assert 3000 >= len(message) >= min(at + 200, 3000) and len(message) < at + 600
        assert bytes(message[at : at + 200]) == one[at : at + 200]
        at += 200
        message.forget(at)
    await message.fill(9000)
    assert len(message) == 3000
    assert await text(link) == "short"
    unread = await link.recv()
    assert len(unread) < 3000
    assert await text(link) == "last"
    await unread.fill(9000)  # its time is over
    link.drop()
    await peer.__aexit__(None, None, None)


async def test_what_nobody_reads_of_a_long_message_is_utf_8_too():
    """A reader that refuses a message at its beginning leaves the rest: it ends the link all the
    same where it is no UTF-8 (RFC 6455, 8.1)."""
    for rest in (b"u" * 2000 + b"\x80" + b"u" * 900, b"u" * 2900 + b"\xc3", b"\xc3\xa9" * 1500):
        is_good = rest[-1:] == b"\xa9"

        async def script(reader, writer, rest=rest, is_good=is_good):
            await trickle(writer, frame(TEXT, b"u" * 999 + rest) + frame(TEXT, b"last"), 90, 0.01)
            if not is_good:
                assert await said(reader) == (1007, "a text message is not UTF-8")
                writer.write(frame(CLOSE, b"\x03\xef"))
            await reader.read(100)

        peer, link = await talk(script, 8192)
        message = await link.recv()
        assert len(message) < 1000
        try:
            assert await text(link) == "last" and is_good
        except Closed as error:
            assert error.code == 1007 and not is_good
        link.drop()
        await peer.__aexit__(None, None, None)


# --- closing ---


async def test_the_peer_closes():
    for payload, code, reason, echo in (
        (b"\x03\xe9bye \xc3\xa9", 1001, "bye é", b"\x03\xe9"),
        (b"", 1005, "", b""),
        (b"\x0f\xa0", 4000, "", b"\x0f\xa0"),
    ):

        async def script(reader, writer, payload=payload, echo=echo):
            writer.write(frame(TEXT, b"last") + frame(CLOSE, payload))
            await writer.drain()
            assert await unframe(reader) == (CLOSE, echo)

        peer, link = await talk(script)
        assert await text(link) == "last"
        try:
            await link.recv()
            assert False, "not closed"
        except Closed as error:
            assert (error.code, error.reason) == (code, reason)
        for again in (link.recv(), link.send("x")):
            try:
                await again
                assert False, "not closed"
            except Closed as error:
                assert error.code == code
        await link.close()
        await link.keepalive(1, 1)
        await peer.__aexit__(None, None, None)


async def test_we_close():
    async def script(reader, writer):
        assert await said(reader) == (1001, "going away")
        writer.write(frame(TEXT, b"late") + frame(PING, b"late") + frame(CLOSE, b"\x03\xe9"))
        await writer.drain()
        assert await reader.read(10) == b""  # and nothing more comes

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    await link.close(1001, "going away")
    assert link.closed[0] == 1001
    assert runtime.ticks_diff(runtime.ticks_ms(), before) < 2500
    await peer.__aexit__(None, None, None)


async def test_we_close_while_another_task_receives():
    async def script(reader, writer):
        writer.write(frame(TEXT, b"one"))
        await writer.drain()
        assert await said(reader) == (1000, "")
        await asyncio.sleep(2)
        writer.write(frame(TEXT, b"two") + frame(CLOSE, b"\x03\xe8"))
        await writer.drain()

    for pause in (0, 1, 5):  # receiving; at work on a message for a while; for long
        got = []

        async def receive(link, got=got, pause=pause):
            try:
                while True:
                    got.append(await text(link))
                    await asyncio.sleep(pause)
            except Closed as error:
                got.append(error.code)

        peer, link = await talk(script)
        task = asyncio.create_task(receive(link))
        await asyncio.sleep(0.5)
        await link.close()
        await task
        assert got[0] == "one" and got[-1] == 1000, got
        await peer.__aexit__(None, None, None)


async def test_a_peer_that_ignores_our_close():
    async def script(reader, writer):
        await said(reader)
        await asyncio.sleep(10)

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    await link.close()
    assert 4500 < runtime.ticks_diff(runtime.ticks_ms(), before) < 6000
    assert link.closed[0] == 1000
    await peer.__aexit__(None, None, None)


async def test_a_lost_connection_is_1006():
    async def script(reader, writer):
        writer.write(frame(TEXT, b"x" * 600)[:300])
        await writer.drain()

    peer, link = await talk(script)
    assert await closed(link) == 1006
    await peer.__aexit__(None, None, None)


async def test_drop_wakes_who_waits():
    async def idle(reader, writer):
        await reader.read(100)

    peer, link = await talk(idle)
    task = asyncio.create_task(closed(link))
    keeper = asyncio.create_task(link.keepalive(60, 30))
    await asyncio.sleep(1)
    link.drop(1006, "enough")
    assert await asyncio.wait_for(task, 1) == 1006
    await asyncio.wait_for(keeper, 61)  # its next ping finds no link
    assert link.closed == (1006, "enough")
    await peer.__aexit__(None, None, None)


async def test_a_dropped_link_takes_no_bytes_of_the_next():
    """The next socket may have the same file descriptor at once."""

    async def idle(reader, writer):
        await reader.read(100)

    async def greet(reader, writer):
        writer.write(b"hello")
        await writer.drain()
        await reader.read(100)

    peer, link = await talk(idle)
    port = virtual.free_port()
    other = await asyncio.start_server(greet, "127.0.0.1", port)
    task = asyncio.create_task(closed(link))
    await asyncio.sleep(1)
    link.drop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.readexactly(5) == b"hello"
    assert await asyncio.wait_for(task, 1) == 1006
    writer.close()
    other.close()
    await peer.__aexit__(None, None, None)


# --- staying alive ---


async def test_a_silent_peer_is_noticed_within_interval_and_time_out():
    pings = []

    async def script(reader, writer):
        for _ in range(3):
            opcode, data = await unframe(reader)
            pings.append(opcode)
            writer.write(frame(PONG, data))
            await writer.drain()
        await asyncio.sleep(1000)

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    keeper = asyncio.create_task(link.keepalive(60, 30))
    assert await closed(link) == 1006
    passed = runtime.ticks_diff(runtime.ticks_ms(), before)
    assert 269000 < passed < 272000, passed  # the fourth ping is at 240 s
    assert link.pongs == 3 and pings == [PING] * 3
    assert "silent" in link.closed[1]
    await asyncio.wait_for(keeper, 1)
    await peer.__aexit__(None, None, None)


async def test_a_link_that_dies_after_a_large_answer_is_noticed_as_soon():
    """Whatever was sent to it, and however short the interval."""

    async def script(reader, writer):
        await asyncio.sleep(1000)

    for interval_s, timeout_s, size in ((60, 30, 5000), (60, 30, 40000), (10, 30, 40000)):
        peer, link = await talk(script)
        keeper = asyncio.create_task(link.keepalive(interval_s, timeout_s))
        await asyncio.sleep(interval_s - 2)  # just before a ping, which is the worst moment
        before = runtime.ticks_ms()
        for _ in range(size // 5000):
            await link.send("x" * 5000)
        assert await closed(link) == 1006
        passed = runtime.ticks_diff(runtime.ticks_ms(), before)
        assert passed < (interval_s + timeout_s) * 1000 + 500, (interval_s, size, passed)
        await asyncio.wait_for(keeper, 1)
        await peer.__aexit__(None, None, None)


async def test_a_slow_link_that_moves_is_kept():
    """3000 bytes take 30 s at 100 bytes/s, whenever the ping is due."""

    async def script(reader, writer):
        while True:
            opcode, data = await unframe(reader)
            if opcode == CLOSE:
                return
            if opcode == TEXT:
                await asyncio.sleep(30)
                writer.write(frame(TEXT, b"got it"))
            else:
                writer.write(frame(PONG, data))
            await writer.drain()

    for before_s in (1, 15, 29, 59):
        peer, link = await talk(script)
        keeper = asyncio.create_task(link.keepalive(60, 10))
        await asyncio.sleep(60 - before_s)
        await link.send("x" * 3000)
        assert await text(link) == "got it", before_s
        await link.close()
        await asyncio.wait_for(keeper, 61)
        await peer.__aexit__(None, None, None)


async def test_any_bytes_are_life():
    async def script(reader, writer):
        for i in range(20):
            writer.write(b"\x81\x7e\x03\xe8"[i : i + 1] if i < 4 else b"x")
            await writer.drain()
            await asyncio.sleep(10)
        await asyncio.sleep(1000)

    peer, link = await talk(script)
    before = runtime.ticks_ms()
    keeper = asyncio.create_task(link.keepalive(20, 15))
    assert await closed(link) == 1006
    assert 200000 < runtime.ticks_diff(runtime.ticks_ms(), before) < 240000
    await keeper
    await peer.__aexit__(None, None, None)


async def test_interval_0_is_no_ping():
    async def script(reader, writer):
        await asyncio.sleep(500)
        writer.write(frame(TEXT, b"still here"))
        await writer.drain()
        assert await said(reader) == (1000, "")

    peer, link = await talk(script)
    await link.keepalive(0, 30)
    assert await text(link) == "still here"
    await link.close()
    await peer.__aexit__(None, None, None)


async def test_a_peer_that_reads_nothing_ends_the_link():
    async def script(reader, writer):
        await asyncio.sleep(1000)

    peer, link = await talk(script, timeout_s=10)
    before = runtime.ticks_ms()
    keeper = asyncio.create_task(link.keepalive(60, 30))
    count = 0
    try:
        while count < 30000:  # until the system's buffers are full
            await link.send("x" * 2000)
            count += 1
        assert False, "all taken"
    except Closed as error:
        assert error.code == 1006, error
    assert runtime.ticks_diff(runtime.ticks_ms(), before) < 92000
    await keeper
    await peer.__aexit__(None, None, None)
