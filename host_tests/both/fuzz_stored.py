"""Targets of fuzzing (see fuzz_targets.py): what other peers say, and what is in flash."""

import binascii

from firmware.base import runtime
from host_tests.both.fuzz_inputs import Stream, finish, plain
from host_tests.both.logs import Log


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
        return finish(main())
    finally:
        dial.dial = original


_BETWEEN = b"\xfe--\xff"  # the files of an image


class Clock:
    """Stands still, at 1 January 2027."""

    def ms(self):
        return 5000

    def epoch(self):
        return 1798761600

    def epoch_at(self, ms):
        return 1798761600 + (ms - 5000) // 1000

    def fraction_at(self, ms):
        return 0


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

    outcome = finish(main())
    assert files.data.pop("other/firmware/a.mpy") == b"mine"
    for name in files.data:
        assert name.startswith(("slot/bundle", "slot/firmware/")), name
        assert "/../" not in name and "//" not in name
    return outcome
