"""The decoders of what comes from outside, each as a function from bytes to a verdict that is the
same on every Python. What a decoder may not raise goes through; what it may not answer fails an
assert. host_tests/proof/fuzzing.py drives them by coverage, test_fuzz_decoders.py by a few seeds.

A target is `NAME_seeds() -> list of bytes` and `NAME(data) -> str`, and needs nothing but what it
imports itself: on the device's heap they don't fit all at once.
"""

from host_tests.both.fuzz_inputs import Stream, finish, plain, text
from host_tests.both.fuzz_stored import (  # noqa: F401
    bundle,
    bundle_seeds,
    certificates,
    certificates_seeds,
    ftp,
    ftp_seeds,
    journal,
    journal_seeds,
    ntp,
    ntp_seeds,
    profiles,
    profiles_seeds,
    records,
    records_seeds,
    settings,
    settings_seeds,
)

NAMES = (
    "times calls answers websocket handshake urls options keys measurands tic modbus meters "
    "certificates ntp ftp records journal profiles settings bundle"
).split()


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
    from firmware import options

    said = text(data)
    if said is None:
        return ""
    try:
        made = options.parse(said.split("\n"))
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
    return finish(_checked(data))


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

    return "" if action is None else finish(main())


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
    return finish(_websocket(data))


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

    return finish(main())


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
        try:
            facts = tic.house_facts(frame, 30000)
        except ValueError as error:  # it contradicts itself
            verdicts.append(plain(str(error)))
            continue
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
