"""The TIC line: groups, frames, damage seen on real lines, and the reader's modes."""

import asyncio

from firmware.base.log import Log
from firmware.base.times import Clock
from firmware.board.simulated import serial_lines
from firmware.sensing import tic
from firmware.sensing.tic import HISTORIQUE, OFF, STANDARD, Decoder, house_facts, value
from host_tests.both.sensing.tic_frames import facts_or_none


def facts(i, subscribed=30000, **more):
    made = {"i": i, "v": [230000] * len(i), "subscribed": subscribed, "energy": 16878527}
    made.update(more)
    return made


ONE = facts([12000])
THREE = facts([11000, 4000, 20000])


def decode(data, mode=0):
    decoder = Decoder(mode)
    frames = decoder.feed(data)
    return decoder, frames


def test_real_groups():
    # from the captured lines
    assert tic.parse_group(b"PAPP 02840 /") == (HISTORIQUE, b"PAPP", b"02840")
    assert tic.parse_group(b"HHPHC A ,") == (HISTORIQUE, b"HHPHC", b"A")
    assert tic.parse_group(b"EASF01\t011887649\t;") is None
    assert tic.parse_group(b"EASF01\t011887649\tN") == (STANDARD, b"EASF01", b"011887649")
    assert tic.parse_group(b"DATE\tH230301091834\t\tC") == (STANDARD, b"DATE", b"H230301091834")
    peak = b"SMAXSN\tH230301065253\t01024\t2"
    assert tic.parse_group(peak) == (STANDARD, b"SMAXSN", b"H230301065253 01024")


def test_a_checksum_that_is_a_space():
    for mode in (HISTORIQUE, STANDARD):
        made = [serial_lines.tic_group(mode, "PTEC", "TH%c." % n) for n in range(33, 97)]
        spaces = [g for g in made if g[-2] == 32]
        assert len(spaces) == 1
        assert tic.parse_group(spaces[0][1:-1])[1] == b"PTEC"


def test_flips_that_the_checksum_does_not_see():
    assert tic.parse_group(b"IINST 012 Z")
    assert tic.parse_group(b"iINST 012 Z") is None
    assert tic.parse_group(b"IINSt 012 z") is None
    text = bytearray(serial_lines.tic_frame(HISTORIQUE, ONE))
    at = bytes(text).find(b"IINST 012") + 6
    text[at] ^= 0x40  # '0' becomes 'p', the checksum stays good
    frames = decode(text)[1]
    assert len(frames) == 1 and facts_or_none(frames[0]) is None


def test_frames_of_every_kind():
    for mode in (HISTORIQUE, STANDARD):
        for made in (ONE, THREE):
            data = serial_lines.tic_frame(mode, made)
            decoder, frames = decode(data)
            assert (len(frames), decoder.good_groups) == (1, data.count(b"\n"))
            found = house_facts(frames[0])
            assert found["phases"] == len(made["i"])
            assert found["i"] == made["i"]
            assert found["subscribed"] == 30000
            assert not found["overrun"]
            assert found["v"] == made["v"]
            assert found["va"] == sum(made["i"]) * 230 // 1000


def test_wrong_mode_is_damage():
    for mode in (HISTORIQUE, STANDARD):
        data = serial_lines.tic_frame(mode, ONE)
        decoder, frames = decode(data, 3 - mode)
        assert (frames, decoder.good_groups) == ([], 0)


def test_short_frames_and_overrun():
    over = facts([34000, 4000, 20000])
    short = decode(serial_lines.tic_frame(HISTORIQUE, over, True))[1][0]
    assert value(short, "ADIR1") == "034" and value(short, "ADIR2") is None
    assert value(short, "ISOUSC") is None
    found = house_facts(short)
    assert found["overrun"] and found["subscribed"] is None and found["va"] is None
    assert found["i"] == [34000, 4000, 20000]
    assert house_facts(short, 30000)["subscribed"] == 30000
    long = house_facts(decode(serial_lines.tic_frame(HISTORIQUE, facts([34000])))[1][0])
    assert long["overrun"]  # ADPS
    status = house_facts(decode(serial_lines.tic_frame(STANDARD, over))[1][0])
    assert status["overrun"]  # STGE bit 7


def test_subscribed():
    def standard(old, new, made=ONE):
        text = serial_lines.tic_frame(STANDARD, made)
        return facts_or_none(decode(swap(STANDARD, text, old, new))[1][0])

    assert standard("PREF", "04")["subscribed"] == 20000
    assert standard("PCOUP", "05")["subscribed"] == 25000  # the lesser of the two
    assert standard("PREF", "09", facts([4000] * 3))["subscribed"] == 15000
    assert standard("PREF", "99")["subscribed"] == 30000
    assert (
        house_facts(decode(serial_lines.tic_frame(HISTORIQUE, ONE))[1][0])["subscribed"] == 30000
    )


def swap(mode, data, label, text):
    """The frame with another value of a label, and a good checksum."""
    separator = b"\t" if mode == STANDARD else b" "
    start = data.find(b"\n" + label.encode() + separator)
    end = data.find(b"\r", start) + 1
    return data[:start] + serial_lines.tic_group(mode, label, text) + data[end:]


def test_an_absurd_value_with_a_good_checksum():
    made = facts([2000, 4000, 3000])
    good = serial_lines.tic_frame(STANDARD, made)
    assert house_facts(decode(good)[1][0])
    for label, text in (
        ("IRMS1", "048"),
        ("IRMS2", "000"),
        ("STGE", "003A00x1"),
    ):
        frames = decode(swap(STANDARD, good, label, text))[1]
        assert len(frames) == 1
        assert facts_or_none(frames[0]) is None, (label, text)
    good = serial_lines.tic_frame(HISTORIQUE, ONE)
    for label, text in (("IINST", "002"), ("IINST", "090"), ("PAPP", "09000"), ("ISOUSC", "00")):
        assert facts_or_none(decode(swap(HISTORIQUE, good, label, text))[1][0]) is None, (
            label,
            text,
        )
    over = serial_lines.tic_frame(HISTORIQUE, facts([34000, 4000, 20000]), True)
    for label, text in (("ADIR1", "090"), ("IINST1", "003")):
        assert facts_or_none(decode(swap(HISTORIQUE, over, label, text))[1][0]) is None, (
            label,
            text,
        )


def test_feeding_in():
    one = house_facts(decode(serial_lines.tic_frame(HISTORIQUE, facts([-12000])))[1][0])
    assert one["i"] == [0] and one["va"] == 0  # PAPP = 0 with IINST > 0
    text = decode(serial_lines.tic_frame(STANDARD, facts([-12000, 3000, 4000])))[1][0]
    assert value(text, "IRMS1") == "012"
    assert house_facts(text)["i"] == [0, 3000, 4000]
    # historique says nothing about each phase: taken as drawn
    three = decode(serial_lines.tic_frame(HISTORIQUE, facts([-12000, -3000, -4000])))[1][0]
    assert house_facts(three)["i"] == [12000, 3000, 4000]


def test_a_frame_that_misses_a_group():
    data = serial_lines.tic_frame(STANDARD, THREE)
    for label in ("IRMS1", "IRMS2", "URMS3", "SINSTS2"):
        start = data.find(b"\n" + label.encode())
        frames = decode(data[:start] + data[data.find(b"\r", start) + 1 :])[1]
        assert facts_or_none(frames[0]) is None, label
    start = data.find(b"\nADSC")
    assert decode(data[:start] + data[data.find(b"\r") + 1 :])[1] == []


def check(mode, spoilt, frames, good):
    """A damaged frame between two good ones: what is found of it."""
    data = serial_lines.tic_frame(mode, ONE)
    groups = data.count(b"\n")
    decoder, found = decode(data + spoilt + data)
    assert all(house_facts(f)["i"] == [12000] for f in found)
    assert len(found) == 2 + frames
    assert decoder.good_groups == (2 + good) * groups, spoilt


def test_early_meters_have_no_papp():
    def without(made, *labels):
        data = serial_lines.tic_frame(HISTORIQUE, made)
        for label in labels:
            start = data.find(b"\n" + label)
            data = data[:start] + data[data.find(b"\r", start) + 1 :]
        return facts_or_none(decode(data)[1][0])

    early = without(ONE, b"PAPP")
    assert early["va"] is None and early["i"] == [12000]
    assert without(ONE, b"PAPP", b"MOTDETAT") is None  # the end is missing
    assert without(THREE, b"PAPP") is None  # every three-phase meter has it


def test_damage_seen_on_real_lines():
    for mode in (HISTORIQUE, STANDARD):
        data = serial_lines.tic_frame(mode, ONE)
        groups = data.count(b"\n")
        nuls = b"\x00" * 500
        middle = len(data) // 2
        check(mode, data.replace(b"\x03", b""), 1, 1)  # no ETX
        check(mode, nuls + data[:middle] + nuls + data[middle:], 1, 1)
        check(mode, data[middle:], 0, 0)  # begins in the middle
        check(mode, data.replace(b"\n", b"\n\n"), 1, 1)
        check(mode, data.replace(b"\r", b"\n"), 1, 1)  # a terminal made each CR an LF
        check(mode, bytes(c | 0x80 for c in data), 1, 1)  # the parity bit left in

        decoder, frames = decode(data[:middle] + b"\x04" + data)  # broken off, begun again
        begun = data[:middle].count(b"\r")
        assert (len(frames), decoder.good_groups) == (1, begun + groups)
        decoder, frames = decode(data[:middle] + data)
        assert (len(frames), decoder.good_groups) == (1, begun + groups)
        decoder, frames = decode(data[:-1] + data[1:] + data)  # two frames in one
        assert (len(frames), decoder.good_groups) == (1, 3 * groups)

        label = b"\nISOUSC " if mode == HISTORIQUE else b"\nPREF\t"
        for spoilt in (
            label[:-1],  # the label glued to its value
            label[:1] + label[4:],  # the first characters missing
            label + b"\r\n",  # over two lines
            label + b"\x0f",
        ):
            decoder, frames = decode(data.replace(label, spoilt) + data)
            assert (len(frames), decoder.good_groups) == (1, 2 * groups - 1)


def test_bounds():
    decoder, frames = decode(b"\x02" + b"A" * 2000 + b"\r" + b"\nX 1 2\r" * 800 + b"\x03")
    assert frames == [] and decoder.good_groups == 0
    many = b"".join(serial_lines.tic_group(HISTORIQUE, "X%04d" % n, "1" * 40) for n in range(100))
    data = serial_lines.tic_frame(HISTORIQUE, ONE)
    for at in (1, len(data) - 1):
        decoder = Decoder()
        frames = decoder.feed(data[:at]) + decoder.feed(many) + decoder.feed(data[at:])
        assert len(frames[0]) < 1024 and house_facts(frames[0])["i"] == [12000]
    decoder.feed(bytes(range(256)) * 20)
    assert decoder.feed(data) != []


def test_the_labels_that_matter_always_fit():
    long = serial_lines.tic_frame(STANDARD, THREE)
    extra = b"".join(
        serial_lines.tic_group(STANDARD, "SMAXIN%d-%d" % (n, n), "H230301065253", "01024")
        for n in range(9)
    )
    at = long.find(b"\nIRMS1")
    frame = decode(long[:at] + extra + long[at:])[1][0]
    assert len(frame) < 1024
    assert house_facts(frame)["i"] == THREE["i"]


GAP_MS = 25  # between two frames: 16.7 to 33.4
SHORT = 20  # short frames for each long one
AFTER_MS = 60000  # short frames go on for so long after an overrun


def line(facts, ms):
    """A generator: each `next` gives the bytes that came since the last one, at the line's baud.

    `facts()` gives a frame's facts with their `mode`, or None while the line is dead; `ms()` is
    the time. A reader that stays away for seconds loses what it did not fetch."""
    start = ms()
    left = 0  # short frames before the next long one
    warned = None
    while True:
        now = facts()
        if not now:
            start = ms()
            yield b""
            continue
        mode = now["mode"]
        per_ms = tic.BAUD[mode]  # ten-thousandths of a byte, which has 10 bits on the line
        if ms() - start > 2000:
            start = ms()
        if serial_lines.tic_overrun(now):
            warned = start
        short = mode == HISTORIQUE and len(now["i"]) == 3 and warned is not None
        short = short and start - warned <= AFTER_MS and left > 0
        left = left - 1 if short else SHORT
        data = serial_lines.tic_frame(mode, now, short)
        sent = 0
        while sent < len(data):
            due = min((ms() - start) * per_ms // 10000, len(data))
            yield data[sent:due] if due > sent else b""
            sent = max(sent, due)
        start += len(data) * 10000 // per_ms + GAP_MS


class Port:
    """A line on a port; at another baud there is noise."""

    def __init__(self, clock, made):
        self.clock = clock
        self.facts = made
        self.baud = 0
        self.tunes = []
        self.reads = 0
        self._source = line(lambda: self.facts, clock.ms)
        self._left = b""

    def tune(self, baud):
        self.baud = baud
        self.tunes.append((self.clock.ms(), baud))
        return self

    def read(self, n):
        self.reads += 1
        self._left += next(self._source)
        out = self._left[:n]
        self._left = self._left[n:]
        if self.facts and self.baud != (0, 1200, 9600)[self.facts["mode"]]:
            return bytes(c * 5 % 251 for c in out)
        return out


def start(made, mode=0):
    """A running reader: (clock, port, line, the last that on_frame got, with their times)."""
    clock = Clock()
    log = Log(clock)
    log.level = 40
    port = Port(clock, made)
    got = []

    def keep(found):
        if len(got) >= 30:
            got.pop(0)
        got.append((clock.ms(), found))

    line = tic.TicLine(port.tune, clock, log("tic"), keep, mode)
    asyncio.create_task(line.run())
    return clock, port, line, got


async def test_historique_is_found():
    for made in (facts([12000], mode=HISTORIQUE), facts([9000] * 3, mode=HISTORIQUE)):
        clock, port, line, got = start(made)
        assert not line.detected
        await clock.sleep_ms(3500)
        assert line.detected and line.found == HISTORIQUE
        assert [baud for _, baud in port.tunes] == [1200]
        assert got[0][1]["i"] == made["i"]
        assert value(line.frame, "PAPP") == "%05d" % (sum(made["i"]) * 230 // 1000)


async def test_a_silent_line_wakes_nobody_often():
    clock, port, line, got = start(None)
    await clock.sleep_ms(60000)
    assert port.reads <= 62 and not line.heard
    port.facts = facts([12000], mode=HISTORIQUE)
    await clock.sleep_ms(5000)
    assert line.detected and port.reads > 140  # and once it talks, a buffer is never full


async def test_standard_is_found_after_five_seconds():
    clock, port, line, got = start(facts([12000], mode=STANDARD))
    await clock.sleep_ms(4900)
    assert not line.detected
    await clock.sleep_ms(3000)
    assert line.detected and line.found == STANDARD
    assert [baud for _, baud in port.tunes] == [1200, 9600]
    assert 5000 <= port.tunes[1][0] < 6100  # 5 s after the first look that saw bytes
    await clock.sleep_ms(10000)
    assert 13 <= len(got) <= 17  # 0.75 s each
    whole = got[-1][0] - got[0][0]
    assert abs(whole - (len(got) - 1) * 750) <= 200  # and none was left out


async def test_lost_after_ten_seconds_and_the_other_mode_found():
    clock, port, line, got = start(facts([12000], mode=HISTORIQUE))
    await clock.sleep_ms(5000)
    assert line.detected
    port.facts = None
    await clock.sleep_ms(2000)  # the frame's rest
    last = got[-1][0]
    await clock.sleep_ms(last + 9900 - clock.ms())
    assert line.detected
    await clock.sleep_ms(300)
    assert not line.detected
    port.facts = facts([3000], mode=STANDARD)
    await clock.sleep_ms(8000)
    assert line.detected and line.found == STANDARD
    assert got[-1][1]["i"] == [3000]


async def test_a_given_mode_is_kept():
    clock, port, line, got = start(facts([12000], mode=STANDARD), HISTORIQUE)
    await clock.sleep_ms(30000)
    assert not line.detected and [baud for _, baud in port.tunes] == [1200]
    line.set_mode(STANDARD)
    await clock.sleep_ms(3000)
    assert line.detected
    line.set_mode(OFF)
    assert not line.detected
    await clock.sleep_ms(200)
    reads = port.reads
    await clock.sleep_ms(5000)
    assert port.reads == reads
    line.set_mode(0)
    await clock.sleep_ms(12000)
    assert line.detected and line.found == STANDARD


async def test_a_new_subscription_is_believed_the_second_time():
    clock, port, line, got = start(facts([12000], mode=STANDARD), STANDARD)
    await clock.sleep_ms(3000)
    port.facts = facts([12000], 45000, mode=STANDARD)
    await clock.sleep_ms(6000)
    assert sorted({f["subscribed"] for _, f in got}) == [30000, 45000]
    apart = [after - before for (before, _), (after, _) in zip(got, got[1:])]
    assert len([ms for ms in apart if ms > 1000]) == 1, apart  # the first with 45 A is left out


async def test_start_during_an_overrun():
    made = facts([34000, 4000, 20000], mode=HISTORIQUE)
    clock, port, line, got = start(made)
    await clock.sleep_ms(40000)
    shorts = [f for _, f in got if f["va"] is None]
    assert len(got) == 30 and 27 <= len(shorts) <= 29
    assert all(f["overrun"] for f in shorts)
    assert all(f["i"] == made["i"] for _, f in got)
    assert got[-1][1]["subscribed"] == 30000
    port.facts = facts([14000, 4000, 20000], mode=HISTORIQUE)
    await clock.sleep_ms(61000)
    assert not got[-1][1]["overrun"]
    got.clear()
    await clock.sleep_ms(20000)
    assert 8 <= len(got) <= 12  # long frames again


async def test_a_flood_never_holds_the_loop():
    clock = Clock()

    class Flood:
        def read(self, n):
            return b"\x02\nABC" * (n // 5) + b"\n" * (n % 5)

    line = tic.TicLine(lambda baud: Flood(), clock, Log(clock)("tic"))
    task = asyncio.create_task(line.run())
    turns = 0
    while turns < 50:
        await asyncio.sleep(0)
        turns += 1
    task.cancel()
    assert not line.detected


def test_a_label_that_cannot_be_is_left_out_where_the_others_agree():
    made = facts([2000, 2000, 2000])
    data = serial_lines.tic_frame(STANDARD, made)
    for label, text in (("SINSTS", "01407"), ("SINSTS1", "48370"), ("SINSTS2", "17742")):
        data = swap(STANDARD, data, label, text)
    data = swap(STANDARD, data, "SINSTS3", "41187")  # each as on a real line, in every frame
    found = house_facts(decode(data)[1][0])
    assert found["i"] == [2000, 2000, 2000] and found["va"] == 1407
    made = facts([25000, 2000, 2000])
    good = serial_lines.tic_frame(STANDARD, made)
    for changes, va in (
        ((("SINSTS1", "48370"),), 6670),
        ((("SINSTS1", "00100"),), 6670),
        ((("SINSTS1", "48370"), ("SINSTS2", "17742"), ("SINSTS3", "41187")), 6670),
        ((("SINSTS", "48370"),), None),
        ((("SINSTS", "00300"),), None),
        ((("URMS1", "730"),), 6670),
        ((("URMS3", "000"),), 6670),
        ((("URMS1", "000"), ("URMS2", "999"), ("URMS3", "055")), 6670),
    ):
        data = good
        for label, text in changes:
            data = swap(STANDARD, data, label, text)
        found = house_facts(decode(data)[1][0])
        assert found and found["i"] == made["i"] and found["va"] == va, changes
        assert found["v"] == made["v"], changes
    # The powers make the sum, so it is the current that is wrong; or nothing agrees.
    for changes in (
        (("IRMS1", "002"),),
        (("IRMS1", "048"), ("URMS2", "999")),
        (("SINSTS", "30000"), ("SINSTS1", "48370")),
    ):
        data = good
        for label, text in changes:
            data = swap(STANDARD, data, label, text)
        assert facts_or_none(decode(data)[1][0]) is None, changes


def test_the_installer_says_that_the_house_feeds_in():
    data = serial_lines.tic_frame(HISTORIQUE, facts([-14000, -13000, -14000]))
    frame = decode(data)[1][0]
    assert value(frame, "PAPP") == "00000" and value(frame, "IINST1") == "014"
    assert house_facts(frame)["i"] == [14000, 13000, 14000]  # nobody can tell from it alone
    assert house_facts(frame, None, True)["i"] == [0, 0, 0]
    drawn = decode(serial_lines.tic_frame(HISTORIQUE, facts([14000, 13000, 14000])))[1][0]
    assert house_facts(drawn, None, True)["i"] == [14000, 13000, 14000]
