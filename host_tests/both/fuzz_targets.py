"""The decoders of what comes from outside, each as a function from bytes to a verdict that is the
same on every Python. What a decoder may not raise goes through; what it may not answer fails an
assert. host_tests/proof/fuzzing.py drives them by coverage, test_fuzz_decoders.py by a few seeds.

A target is `NAME_seeds() -> list of bytes` and `NAME(data) -> str`, and needs nothing but what it
imports itself: on the device's heap they don't fit all at once.
"""

import asyncio
import binascii

from firmware.base import runtime

NAMES = (
    "times calls answers websocket handshake urls options keys measurands tic modbus meters "
    "certificates ntp ftp records journal profiles settings bundle"
).split()


class Random:
    """Numbers from a seed, the same on every Python (xorshift32)."""

    def __init__(self, seed: int):
        self._state = (seed * 2654435761 + 0x9E3779B9) & 0xFFFFFFFF or 1

    def below(self, n: int) -> int:
        x = self._state
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._state = x
        return x % n

    def pick(self, items):
        return items[self.below(len(items))]


PIECES = [
    bytes((n,))
    for n in b'[]{}:,"\\ \t\n\r\x00\x1f\x7f\x80\xff0123456789-+.eE%@/?#=()|;\x02\x03\x04'
]
PIECES += [
    b"\\u0000",
    b"\\ud83d",
    b"\xc3\xa9",
    b"\xe2\x82\xac",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
]
PIECES += [
    b"true",
    b"null",
    b"1e99",
    b"-0",
    b"4294967296",
    b"9" * 18,
    b"0.1",
    b"[]",
    b"{}",
    b"::1",
]
PIECES += [
    b"\r\n",
    b"\r\n\r\n",
    b"65536",
    b"-1",
    b"/../",
    b"%00",
    b"%ff",
    b"\xc2\xb2",
    b"\xd9\xa3",
]


def mutated(random: Random, seeds: list, most: int = 2000) -> bytes:
    """One of the seeds with something wrong, most of the time."""
    data = bytearray(random.pick(seeds))
    for _ in range(1 + random.below(4)):
        size = len(data)
        at = random.below(size + 1)
        n = 1 + random.below(8)
        what = random.below(9)
        if what < 2:
            if at < size:
                data[at] ^= 1 << random.below(8)
        elif what == 2:
            if at < size:
                data[at] = random.below(256)
        elif what < 5:
            data = data[:at] + random.pick(PIECES) + data[at + (n if what == 4 else 0) :]
        elif what == 5:
            data = data[:at] + data[at + n :]
        elif what == 6:
            data = data[:at] + data[at : at + n * random.below(9)] + data[at:]
        elif what == 7:
            other = random.pick(seeds)
            data = data[:at] + other[random.below(len(other) + 1) :]
        elif random.below(4) == 0:
            data = data[:at]
    return bytes(data[:most])


def plain(value) -> str:
    """The same text on every Python; dicts have no order there."""
    if type(value) is dict:
        return "{%s}" % ",".join(sorted(["%s:%s" % (k, plain(value[k])) for k in value]))
    if type(value) in (list, tuple):
        return "[%s]" % ",".join([plain(item) for item in value])
    if type(value) in (bytes, bytearray):
        return str(binascii.hexlify(value), "ascii")
    if type(value) is str:
        return "'%s'" % plain(value.encode())
    if type(value) is float:
        return "%.9g" % value
    return str(value)


def text(data: bytes):
    """The bytes as text, None where they are none. (MicroPython's str() takes surrogates.)"""
    from firmware.net import websocket

    return str(data, "utf-8") if websocket.valid_utf8(memoryview(data)) else None


class Log:
    """Takes what is logged, formatting it, and keeps nothing."""

    def __call__(self, part):
        return self

    def debug(self, text, *args):
        assert type(text % args) is str

    info = warning = error = debug


class Stream:
    """A reader and a writer in one, whose peer has said all it has to say. `step` cuts it."""

    label = "image"  # as an OTA slot has one

    def __init__(self, data: bytes, step: int = 0):
        self.data = data
        self.step = step or len(data) or 1
        self.said = bytearray()
        self.s = self.transport = self.raw = self
        self.e = {"socket": self}

    async def read(self, n):
        n = min(n, self.step)
        piece, self.data = self.data[:n], self.data[n:]
        return piece

    async def readinto(self, view):
        piece = await self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def write(self, data):
        self.said.extend(data)

    async def drain(self):
        pass

    wait_closed = drain

    def close(self):
        pass

    abort = close

    def setblocking(self, on):
        pass


# --- texts ---


def times_seeds():
    return [
        b"2024-02-29T12:00:00Z",
        b"2026-07-01T23:59:59.123456789+01:00",
        b"1970-01-01T00:00:00-0930",
        b"9999-12-31T23:59:59",
    ]


def times(data):
    from firmware.base import times

    said = text(data)
    if said is None:
        return ""
    try:
        epoch = times.parse(said)
    except ValueError:
        return "refused"
    assert type(epoch) is int and -63000000000 < epoch < 254000000000
    if 0 <= epoch < 253402300800:
        assert times.parse(times.text(epoch)) == epoch
    return str(epoch)


def urls_seeds():
    return [
        b"wss://central.example:8443/ocpp/1.6?x=1#y",
        b"ftp://user:p%40ss%20word@[2001:db8::1]:2121/a/b%2Fc",
        b"ws://10.0.0.1",
        b"https://host_name-1.example/path?query=%20",
        b"ftps://@x:1/",
    ]


def urls(data):
    from firmware.net.url import (
        DEFAULT_PORTS,
        TRANSFER_SCHEMES,
        WEBSOCKET_SCHEMES,
        parse_url,
        percent_decode,
        percent_encode,
        station_url,
    )

    said = text(data)
    if said is None:
        return ""
    if all(c > 31 and c != 127 for c in data):
        assert percent_decode(percent_encode(said)) == said
    try:
        parts = parse_url(said, WEBSOCKET_SCHEMES + TRANSFER_SCHEMES)
    except ValueError as why:
        return str(why)
    scheme, user, password, host, port, path = parts
    assert scheme in DEFAULT_PORTS and 0 < port < 65536
    assert all(32 < c < 127 and c not in b"/?#@ " for c in host.encode()) and host
    assert path[:1] == "/" and all(32 < c < 127 and c != 35 for c in path.encode())
    assert (user is None) == (password is None)
    for part in (user, password):
        assert all(c > 31 and c != 127 for c in (part or "").encode())
    station_url(said, said[:50])
    return plain(tuple(parts))


def options_seeds():
    return [
        b"--simulate\n--box-id=BOX 1\n--speed\n20",
        b"--key\nMeterValueSampleInterval=10\n--supervision-url=ws://h/x",
        b"--meter=iEM3155:/dev/ttyUSB0:1\n--tic=/dev/ttyUSB1\n--model\nEvh5A22N400F",
        b"--state=/tmp/x\n--insecure-tls\n--ca=/nowhere",
    ]


def options(data):
    from firmware import command_line

    said = text(data)
    if said is None:
        return ""
    try:
        made = command_line.parse(said.split("\n"))
    except ValueError as why:
        assert str(why) and "\n" not in str(why).replace(said, "")
        return "refused"
    assert 1 <= made.speed <= 1000
    meter = made.meter_device and (made.meter_model, made.meter_device, made.meter_unit)
    return plain([made.run_keys, made.model, made.state, meter, made.tic_device, made.speed])


def keys_seeds():
    from firmware.ocpp import keys

    seeds = [
        ("%s=%s" % (key.name, key.default if isinstance(key.default, str) else "*")).encode()
        for key in keys.rows()
    ]
    return seeds + [
        b"ConnectorPhaseRotation=0.RST,1.RTS",
        b"SupervisionUrl=wss://a.example/ocpp",
        b"MeterValuesSampledData=Voltage; Power.Active.Import ,Energy.Active.Import",
        b"ClockAlignedDataInterval=-900",
        b"AuthorizationKey=0123456789abcdef0123456789abcdef",
    ]


def keys(data):
    from firmware.ocpp import keys

    said = text(data)
    if said is None:
        return ""
    name, _, value = said.partition("=")
    key = keys.find(name)
    if not key:
        return "none"
    try:
        value = keys.check(key, value)
    except ValueError as why:
        return str(why)
    assert keys.check(key, value) == value, value
    assert "\n" not in value and len(value) <= 500
    if key.type == keys.INTEGER:
        int(value)
    return plain([key.name, value])


def measurands_seeds():
    return [
        b"Voltage;Power.Active.Import;Energy.Active.Import. Register;Current.Import",
        b"Energy.Reactive.Import.Register,Frequency,Current.Offered",
        b"",
    ]


def measurands(data):
    from firmware.metering import measurands

    said = text(data)
    if said is None or any(c < 32 for c in data):  # nor gets it here; some is white space, or not
        return ""
    try:
        normal = measurands.normalize(said)
    except ValueError:
        return "refused"
    mask = measurands.parse(normal)
    assert measurands.normalize(normal) == normal and 0 <= mask <= measurands.ALL
    return "%s %d" % (normal, mask)


# --- OCPP ---


def calls_seeds():
    profile = (
        '{"chargingProfileId":7,"stackLevel":2,"chargingProfilePurpose":"TxDefaultProfile",'
        '"chargingProfileKind":"Recurring","recurrencyKind":"Daily","chargingSchedule":'
        '{"duration":600,"startSchedule":"2026-01-01T00:00:00Z","chargingRateUnit":"W",'
        '"chargingSchedulePeriod":[{"startPeriod":0,"limit":7400.5,"numberPhases":1},'
        '{"startPeriod":300,"limit":0}]}}'
    )
    return [
        ('[2,"id-%d","%s",%s]' % (number, action, payload)).encode()
        for number, (action, payload) in enumerate(
            (
                ("CancelReservation", '{"reservationId":-1}'),
                ("ChangeConfiguration", '{"key":"HeartbeatInterval","value":"60"}'),
                ("ClearChargingProfile", '{"connectorId":0,"stackLevel":1}'),
                (
                    "DataTransfer",
                    '{"vendorId":"v\\u00e9","messageId":"m","data":"\\ud83d\\ude00"}',
                ),
                ("GetCompositeSchedule", '{"connectorId":1,"duration":60}'),
                ("GetConfiguration", '{"key":["MeterType","x"]}'),
                ("GetDiagnostics", '{"location":"ftp://x/","startTime":"2026-01-01T00:00:00Z"}'),
                ("RemoteStartTransaction", '{"idTag":"A","chargingProfile":%s}' % profile),
                ("RemoteStopTransaction", '{"transactionId":12}'),
                (
                    "ReserveNow",
                    (
                        '{"connectorId":1,"expiryDate":"2026-01-01T00:00:00Z","idTag":"A",'
                        '"reservationId":1}'
                    ),
                ),  # fmt: skip
                ("Reset", '{"type":"Soft"}'),
                ("SetChargingProfile", '{"connectorId":1,"csChargingProfiles":%s}' % profile),
                ("TriggerMessage", '{"requestedMessage":"Heartbeat"}'),
                ("UnlockConnector", '{"connectorId":1}'),
                (
                    "UpdateFirmware",
                    '{"location":"http://x/","retrieveDate":"2026-01-01T00:00:00Z"}',
                ),
                ("ClearCache", "{}"),
            )
        )
    ] + [b'[4,"i","GenericError","why",{}]', b'[3,"i",{}]']


def _finish(work):
    return asyncio.run(work)


async def _checked(data):
    from firmware.ocpp import CallError, json_reader, schemas

    try:
        frame = await json_reader.read_message(memoryview(data))
        if frame[0] != 2:
            return plain(frame)
        return plain(await schemas.checked(frame[2], frame[3]))
    except CallError as error:
        assert len(error.description) < 300 and error.code.isalpha()
        kind, uid, action = json_reader.read_head(memoryview(data))
        assert kind in (0, 2, 3, 4) and type(uid) is str and type(action) is str
        return plain([error.code, error.description, kind, uid, action])


def calls(data):
    """A frame, and a call's payload."""
    return _finish(_checked(data))


def answers_seeds():
    return [
        (
            b'Authorize {"idTagInfo":{"status":"Accepted","expiryDate":"2026-01-01T00:00:00Z",'
            b'"parentIdTag":"P"}}'
        ),
        (
            b'BootNotification {"currentTime":"2026-01-01T00:00:00Z","interval":300.0,'
            b'"status":"Accepted"}'
        ),
        b'StartTransaction {"idTagInfo":{"status":"Blocked"},"transactionId":-5}',
        b'StopTransaction {"idTagInfo":null,"x":[1]}',
        b"Heartbeat []",
        b'DataTransfer {"status":"Accepted","data":"x"}',
    ]


def answers(data):
    """The payload of an answer to a call of ours."""
    from firmware.ocpp import CallError, json_reader, schemas

    action, _, payload = data.partition(b" ")
    action = text(action)

    async def main():
        try:
            frame = await json_reader.read_message(memoryview(b'[3,"i",' + payload + b"]"))
            return plain(schemas.check(action, "conf", frame[2], False))
        except CallError as error:
            return plain([error.code, error.description])

    return "" if action is None else _finish(main())


def websocket_seeds():
    return [
        b"\x81\x02[]\x89\x00\x81\x00\x88\x02\x03\xe8",
        b"\x01\x02\xc3\xa9\x89\x03abc\x00\x01x\x80\x00\x81\x7e\x00\xc8" + b"y" * 200,
        b"\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x03abc\x88\x06\x0f\xa1why!",
        b"\x81\x7e\x03\x20" + b"z" * 800 + b"\x8a\x00",
        b"\x82\x01x",
    ]


def websocket(data):
    """What a peer sends over an open link, whole and in pieces."""
    return _finish(_websocket(data))


async def _websocket(data):
    from firmware.net import receiving, websocket

    verdicts = []
    for step in (0, 1 + len(data) % 7):
        stream = Stream(data, step)
        link = websocket.WebSocket(receiving.ReadAhead(stream), stream, 600, 5)
        got: list = []
        try:
            while True:
                message = await link.recv()
                if hasattr(message, "fill"):
                    await message.fill(601)
                assert len(message) <= 600
                message = bytes(message[0 : len(message)])
                str(message, "utf-8")
                got.append(message)
        except websocket.Closed as why:
            got.append(why.code)
            got.append(why.reason)
        assert link.closed
        verdicts.append(plain(got + _unframed(websocket, stream.said) + [link.pongs]))
    assert verdicts[0] == verdicts[1], verdicts
    return verdicts[0]


def _unframed(websocket, data):
    """The client's frames: whole and masked, all of them control frames here."""
    frames = []
    at = 0
    while at < len(data):
        n = data[at + 1] & 127
        assert data[at + 1] & 128 and data[at] & 0xF8 == 0x88 and n < 126
        payload = bytearray(data[at + 6 : at + 6 + n])
        assert len(payload) == n
        websocket.mask(memoryview(payload), bytes(data[at + 2 : at + 6]))
        frames.append([data[at] & 15, bytes(payload)])
        at += 6 + n
    return frames


def handshake_seeds():
    good = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    )
    return [
        good,
        good.replace(b"\r\n", b"\n"),
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\nno",
        b"HTTP/1.0 101 x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    ]


def handshake(data):
    """A server's answer to the opening handshake."""
    from firmware.net import receiving, websocket_handshake

    async def main():
        incoming = receiving.ReadAhead(Stream(data, 1 + len(data) % 50))
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        try:
            await websocket_handshake.check_answer(incoming, key, "ocpp1.6", 700, 5)
        except websocket_handshake.Refused as why:
            assert all(31 < ord(c) < 127 for c in str(why)) and len(str(why)) < 200
            return plain([why.status, str(why)])
        except OSError:
            return "the end"
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in data
        return "open"

    return _finish(main())


# --- wires ---


def tic_seeds():
    def group(label, value, tab):
        body = label + (b"\t" if tab else b" ") + value
        total = sum(body) + (9 if tab else 0)
        return b"\n" + body + (b"\t" if tab else b" ") + bytes(((total & 63) + 32,)) + b"\r"

    def frame(groups, tab):
        return b"\x02" + b"".join([group(*g.split(b"=") + [tab]) for g in groups]) + b"\x03"

    old = (
        b"ADCO=012345678901 ISOUSC=30 BASE=000012345 IINST=010 IMAX=060 PAPP=02300 MOTDETAT=000000"
    )
    three = b"ADCO=012345678901 ISOUSC=20 IINST1=001 IINST2=002 IINST3=003 PAPP=01380 PPOT=00"
    new = b"ADSC=041876097767 IRMS1=010 URMS1=230 PREF=06 PCOUP=06 SINSTS=02300 STGE=003A0001"
    return [
        frame(old.split(), False) + frame(old.split(), False),
        frame(three.split(), False)
        + b"\x04"
        + frame(b"ADIR1=030 ADCO=0 IINST1=030".split(), False),
        frame(new.split(), True),
    ]


def tic(data):
    from firmware.sensing import tic

    verdicts = []
    for step in (len(data) or 1, 1 + len(data) % 13):
        decoder = tic.Decoder()
        frames = []
        for at in range(0, len(data), step):
            frames += decoder.feed(data[at : at + step])
        verdicts.append(plain([frames, decoder.good_groups]))
    assert verdicts[0] == verdicts[1]
    for frame in frames:
        assert len(frame) <= 1024
        facts = tic.house_facts(frame, 30000)
        if facts:
            assert len(facts["i"]) == facts["phases"] and min(facts["i"]) >= 0
            verdicts.append(plain(facts))
    return " ".join(verdicts[1:])


def modbus_seeds():
    from firmware.sensing import modbus

    sent = modbus.request(1, 3, 0x0BD3, 6)
    reply = modbus.with_crc(b"\x01\x03\x0c" + bytes(range(12)))
    return [sent + reply, sent + sent + reply, sent + b"\x00" + modbus.with_crc(b"\x01\x83\x02")]


def modbus(data):
    """What is heard after a request, which the first 8 bytes are."""
    from firmware.sensing import modbus

    if len(data) < 8:
        return ""
    sent, got = data[:8], data[8:]
    try:
        found = modbus.find_answer(got, sent)
    except modbus.ModbusError as why:
        return "%d %s" % (why.code, why)
    assert found is None or len(found) == 2 * (sent[4] << 8 | sent[5])
    return plain(found)


def meters_seeds():
    return [bytes([number]) + bytes(range(200)) for number in range(6)] + [b"\x02" + b"\xff" * 200]


def meters(data):
    """The registers of one of the meters, with any content."""
    from firmware.sensing import meters

    names = [model.name for model in meters.models()]
    number = data[0] if data else 0
    try:
        known = meters.RegisterMap(names[number % len(names)])
    except ValueError:
        return "none"
    blocks = []
    at = 1
    for _, count in known.blocks:
        block = data[at : at + 2 * count]
        blocks.append(block + bytes(2 * count - len(block)))
        at += 2 * count
    reading = known.decode(blocks)
    assert all(type(reading[name]) is int for name in reading), reading
    return plain(reading)


# --- other peers ---


def certificates_seeds():
    der = b"\x30\x0b\x30\x09\x02\x01\x01\x30\x00\x30\x00\x30\x00"
    body = b"\x02\x01\x05\x30\x00\x30\x00\x30\x1e\x17\x0d250101000000Z\x17\x0d350101000000Z"
    cert = b"\x30%c\x30%c" % (len(body) + 2, len(body)) + body
    pem = b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n"
    return [der, der + der, cert, pem % binascii.b2a_base64(cert)]


def certificates(data):
    from firmware.net import tls

    seen = tls.NotBefore()
    assert seen(data, 0) == 0
    try:
        found = tls.certificates(data)
    except ValueError:
        return "refused %d" % seen.epoch
    assert found and all(cert[:1] == b"\x30" for cert in found)
    return "%s %d" % (plain(found), seen.epoch)


def ntp_seeds():
    good = (
        b"\x24\x02\x06\xec" + bytes(20) + b"12345678" + bytes(8) + b"\xed\x00\x00\x00" + bytes(4)
    )
    return [good, b"\xe4" + good[1:], good + good]


def ntp(data):
    from firmware.net import ntp

    question = bytearray(48)
    question[40:] = b"12345678"
    epoch = ntp.epoch_of(data, question)
    assert type(epoch) is int and 0 <= epoch < 1 << 33 or epoch < 0
    return str(epoch)


def ftp_seeds():
    login = b"220 hi\r\n331 pass\r\n230-in\r\n 230 almost\r\n230 in\r\n200 binary\r\n"
    return [
        login + b"213 5\r\n229 ok (|||4711|)\r\n150 go\r\n226 done\r\n\0hello",
        login + b"550 no\r\n500 ?\r\n227 (1,2,3,4,5,6)\r\n125 go\r\n250 done\r\n\0hello again",
        b"120 wait\r\n" + login + b"213 5\r\n229 (|||0|)\r\n425 no\r\n\0",
        b"530 go away\r\n\0",
    ]


def ftp(data):
    """What an FTP server says on both connections."""
    from firmware.net import dial, ftp
    from firmware.net.url import TRANSFER_SCHEMES, parse_url

    control, _, content = data.partition(b"\0")
    streams = [Stream(control, 1 + len(data) % 50), Stream(content)]
    spent = streams[:]

    class Location:
        url = parse_url("ftp://u:secret@h:21/a/b", TRANSFER_SCHEMES)
        step_s = 5
        log = Log()
        addresses = None

    class Sink:
        received = 0

        async def write(self, block):
            self.received += len(block)

        def restart(self):
            self.received = 0

    async def dialled(host, port, *more):
        assert host == "h" and 0 <= port < 65536
        if not streams:
            raise OSError("refused")
        stream = streams.pop(0)
        return stream, stream

    async def main():
        sink = Sink()
        client = ftp.Ftp(Location())
        try:
            await client.get(sink)
            outcome = "ok"
        except runtime.LINK_ERRORS as why:
            outcome = str(why).partition("'")[0]
            assert "secret" not in outcome and len(outcome) < 700
            if not all(31 < c < 127 for c in outcome.encode()):
                assert "%r" in "%r", outcome
        finally:
            await client.close()
        for stream in spent:
            assert b"\n\n" not in stream.said
        return "%s %d %s" % (outcome, sink.received, plain(spent[0].said))

    original, dial.dial = dial.dial, dialled
    try:
        return _finish(main())
    finally:
        dial.dial = original


# --- what is in flash ---


_BETWEEN = b"\xfe--\xff"  # the files of an image


class Clock:
    """Stands still, at 1 January 2027."""

    def ms(self):
        return 5000

    def epoch(self):
        return 1798761600

    def epoch_at(self, ms):
        return 1798761600 + (ms - 5000) // 1000


def records_seeds():
    from firmware.base.journal import Record, encode, pack_ints

    return [
        encode(Record(1, 1, b"abc"))
        + encode(Record(2, 7, b""))
        + encode(Record(3, 2, bytes(255)))
        + encode(Record(5, 9, pack_ints(0, -1, 1 << 40, -(1 << 62)))),
    ]


def records(data):
    """A segment of the journal."""
    from firmware.base import journal
    from host_tests.both.memory_files import MemoryFiles

    files = MemoryFiles()
    files.data["journal/00000001.log"] = data
    log = journal.Journal(files, Log())
    found = [[position, kind, payload] for position, kind, payload in log.records()]
    last = 0
    for position, _kind, _ in found:
        assert position > last
        last = position
    assert log.append(3, b"new") > last
    log.flush()
    assert list(log.records())[-1][1:] == (3, b"new")
    return plain(found)


def journal_seeds():
    """The files of a station that has charged."""
    from host_tests.both.transactions_rig import Station

    station = Station()
    station.start(1000, "TAG")
    station.wait(60)
    station.values(1100)
    station.wait(60)
    station.stop(1200)
    station.send(most=2)
    station.start(1200, "OTHER", 7)
    station.wait(60)
    station.values(1300)
    station.t.outbox.save()
    station.t.journal.flush()
    station.values(1400)
    files = station.files.data
    return [_BETWEEN.join([name.encode() + b"=" + files[name] for name in sorted(files)])]


def journal(data):
    """The journal and the store of transactions: damaged, a station still charges and bills."""
    from host_tests.both.transactions_rig import Station

    station = Station()
    known = [part.split(b"=", 1)[0] for part in journal_seeds()[0].split(_BETWEEN)]
    for part in data.split(_BETWEEN):
        name, _, content = part.partition(b"=")
        if name in known:
            station.files.data[name.decode()] = content
    station.boot()
    station.t.recover("PowerLoss")
    station.send()
    station.start(5000, "NEW")
    station.wait(60)
    station.values(5100)
    station.stop(5200)
    sent = station.send()
    assert [action for action, _ in sent] == ["StartTransaction", "MeterValues", "StopTransaction"]
    assert not station.t.outbox.pending
    return plain([sent[0][1]["meterStart"], sent[2][1]["meterStop"]])


def _sealed(data):
    return binascii.crc32(data).to_bytes(4, "little") + data


def profiles_seeds():
    from struct import pack

    periods = pack("<II", 0, 600) + pack("<II", 160, 60) + b"\3\1"
    seeds = []
    for rank, flags in ((0, 0), (2, 5), (3, 2)):
        row = pack("<BBBBiiiiiq", rank, 250, flags, 2, -100, 1 << 29, 0, 86400, 0, 7)
        seeds.append(row + pack("<iI", 63072000, 3) + periods)
    frames = b""
    for slot in (1, 7):
        frame = pack("<IBH", 5 + slot, slot, len(seeds[0])) + seeds[0]
        frames += frame + pack("<I", binascii.crc32(frame))
    return seeds + [frames]


def profiles(data):
    """A charging profile's record with a good checksum, as earlier firmware has kept it; and the
    same bytes where there are frames now."""
    from firmware.smart_charging.controller import ProfileLimit
    from firmware.smart_charging.profile_files import ProfileFiles
    from firmware.smart_charging.store import ProfileStore
    from host_tests.both.memory_files import MemoryFiles

    files = MemoryFiles()
    for slot, content in (("0", profiles_seeds()[0]), ("1", data), ("17", data), ("x", data)):
        files.data["profiles/" + slot] = _sealed(content)
    for name in ("small2", "segments0/a", "segments1/9", "segments1/x"):
        files.data["profiles/" + name] = data
    clock = Clock()
    store = ProfileStore(ProfileFiles(files), clock, Log())
    limit = ProfileLimit(store, clock)
    found = []
    for _ in range(2):
        piece = limit.now(None, 3, 32000)
        assert 0 <= piece.limit <= 32000 and piece.power_limit >= 0, piece
        found.append([piece.limit, piece.power_limit, piece.phases, piece.until])
        store.maintain(None)
    store.flush()
    for number in store.slots():
        store.remove(number)
    return plain(found)


def settings_seeds():
    return [
        _sealed(b"SupervisionUrl=ws://h/x\nBoxIdentifier=B\xc3\xb6x\nHeartbeatInterval=60"),
        _sealed(b"MeterValuesSampledData=Voltage\nAuthorizationKey=0123456789abcdef="),
        _sealed(b""),
    ]


def settings(data):
    """The keys' values in flash: all of them, or none when they are damaged."""
    from firmware.base.store import Store
    from firmware.ocpp.configuration import Configuration
    from host_tests.both.memory_files import MemoryFiles

    files = MemoryFiles()
    files.data["store/keys"] = data
    made = Configuration(Store(files), {}, {})
    url = made.get("SupervisionUrl")
    interval = made.int("HeartbeatInterval")
    made.change("HeartbeatInterval", "77")
    again = Configuration(Store(files), {}, {})
    assert again.int("HeartbeatInterval") == 77 and again.get("SupervisionUrl") == url
    return plain([url, interval])


def bundle_seeds():
    import hashlib

    def bundle(manifest, content):
        return b"WALLBRIDGE 1 %d 0\n" % len(manifest) + manifest + content

    def digest(data):
        return binascii.hexlify(hashlib.sha256(data).digest())

    files = (
        b"version 1.2\nboards wrover pc\nfile firmware/a.mpy 3 %s\nfile firmware/b/c.mpy 2 %s\n"
    )
    files %= digest(b"abc"), digest(b"de")
    image = b"version 2\nneeds x 1.2 6\nboards pc\nreads 0\nimage 4 %s\n" % digest(b"flat")
    return [bundle(files, b"abcde"), bundle(image, b"flat"), bundle(files, b"abcdf")]


def bundle(data):
    """A firmware bundle, unsigned: whatever it says, no file gets out of its slot."""
    from firmware.base import bundle
    from host_tests.both.memory_files import MemoryFiles

    class Files(MemoryFiles):
        def open(self, name, mode):
            file = MemoryFiles.open(self, name, mode)
            file.close = file.__exit__
            return file

        def listdir(self, name):
            if name in self.data:
                raise OSError(20)
            return MemoryFiles.listdir(self, name)

    files = Files()
    files.data["other/firmware/a.mpy"] = b"mine"
    image = Stream(b"")

    async def main():
        made = bundle.Unpacker(files, "slot", bundle.UNSIGNED, lambda size: image)
        try:
            for at in range(0, len(data), 100):
                await made.write(data[at : at + 100])
            made.finish()
            outcome = "ok %s" % made.version
        except bundle.BadBundle:
            outcome = "bad"  # what is text, and how it is shown, differs
        except OSError:
            outcome = "damaged"
        made.close()
        return outcome

    outcome = _finish(main())
    assert files.data.pop("other/firmware/a.mpy") == b"mine"
    for name in files.data:
        assert name.startswith(("slot/bundle", "slot/firmware/")), name
        assert "/../" not in name and "//" not in name
    return outcome
