"""The TIC decoder against real lines and against generated damage."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.board.simulated import serial_lines
from firmware.sensing import tic
from firmware.sensing.tic import HISTORIQUE, STANDARD, Decoder, value
from host_tests.both.sensing.tic_frames import facts_or_none
from host_tests.sensing import make_captures
from tools import runtimes

EXAMPLES = settings(max_examples=150, deadline=None)

# Short lines with every damage that was seen on real ones (make_captures.py).
OURS = Path(__file__).with_name("captures")
# Lines of real meters, which are not ours to give away: a second source where they are at hand.
CAPTURES = runtimes.ROOT.parent / "shared" / "data" / "tic"


@pytest.fixture
def captures():
    if not CAPTURES.is_dir():
        pytest.skip(f"no recorded TIC lines in {CAPTURES}")
    return CAPTURES


# --- the captured lines ---


def decode(data, step=61):
    decoder = Decoder()
    frames = []
    for at in range(0, len(data), step):
        frames += decoder.feed(data[at : at + step])
    return decoder, frames


@pytest.mark.parametrize(
    "name, groups, frames, amperes",
    [
        ("historique", 40, 4, [12]),
        ("standard", 139, 4, [2]),  # it begins and ends in the middle of a group
        ("overrun", 57, 7, [26, 4, 3]),
    ],
)
def test_whole_lines(name, groups, frames, amperes):
    decoder, found = decode((OURS / f"{name}.bin").read_bytes())
    assert (decoder.good_groups, len(found)) == (groups, frames)
    for frame in found:
        assert facts_or_none(frame)["i"] == [i * 1000 for i in amperes]


def test_damaged_lines():
    """Each damage costs its group and the frame around it; the frames that are left are right."""
    data = (OURS / "damaged.bin").read_bytes()
    decoder, frames = decode(data)
    facts = [facts_or_none(frame) for frame in frames]
    assert [f and f["i"] for f in facts] == [[1000, 1000, 0]] * 4 + [None, [2000]]
    # lost: a group each for the flipped bit, the glued label, the missing start and the two lines,
    # on which it is one more line feed; what came before the meter broke off
    assert decoder.good_groups == data.count(b"\n") - 13


@pytest.mark.parametrize("name", ["historique", "standard", "overrun", "damaged"])
def test_the_lines_are_what_the_encoder_makes(name):
    assert (OURS / f"{name}.bin").read_bytes() == getattr(make_captures, name)()


def test_historique_tempo_capture(captures):
    decoder, frames = decode((captures / "historique-mono-tempo.bin").read_bytes())
    assert (decoder.good_groups, len(frames)) == (160, 10)
    energies = [int(value(f, "BBRHCJB")) for f in frames]
    assert energies == sorted(energies) and energies[0] == 18328856
    for frame in frames:
        assert len(frame.split("\n")) == 16
        found = facts_or_none(frame)
        assert found["i"] == [12000] and found["subscribed"] == 30000
        assert 2840 <= found["va"] <= 2860 and not found["overrun"]


def test_standard_capture(captures):
    decoder, frames = decode((captures / "standard-mono.bin").read_bytes())
    assert (decoder.good_groups, len(frames)) == (456, 12)  # the 13th is truncated
    for frame in frames:
        assert len(frame.split("\n")) == 37  # all but PJOURF+1, which is long and of no use here
        found = facts_or_none(frame)
        assert found["phases"] == 1 and found["i"] == [1000] and found["subscribed"] == 20000
        assert 230000 <= found["v"][0] <= 233000 and 235 <= found["va"] <= 250
    assert value(frames[0], "DATE") == "H230301091834"
    assert value(frames[0], "SMAXSN") == "H230301065253 01024"


# What the meter of the damaged line sent, and what may differ from frame to frame.
SENT = {
    b"ADCO": b"056234673197", b"OPTARIF": b"BASE", b"ISOUSC": b"20", b"PTEC": b"TH..",
    b"IINST1": b"001", b"IINST2": b"001", b"IINST3": b"000", b"IMAX1": b"060",
    b"IMAX2": b"060", b"IMAX3": b"060", b"PMAX": b"02910", b"HHPHC": b"A",
    b"MOTDETAT": b"000000", b"PPOT": b"00",
}  # fmt: skip


def test_damaged_capture(captures, monkeypatch):
    """About 124 groups were damaged, some in two pieces; what is taken for good is right."""
    groups = []
    real = tic.parse_group
    monkeypatch.setattr(tic, "parse_group", lambda group: groups.append(real(group)) or groups[-1])
    data = (captures / "historique-tri-rx-errors.bin").read_bytes()
    decoder, frames = decode(data)
    good = [g for g in groups if g]
    assert decoder.good_groups == len(good) == 298
    for mode, label, text in good:
        assert mode == HISTORIQUE
        if label == b"BASE":
            assert 16878528 <= int(text) <= 16878542
        elif label == b"PAPP":
            assert 700 <= int(text) <= 740
        else:
            assert SENT[label] == text
    # no ETX came through, and the frames at the end are whole
    assert data.count(3) == 0 and len(frames) == 5
    assert all(facts_or_none(f)["i"] == [1000, 1000, 0] for f in frames)


@pytest.mark.parametrize("bits", [64, 32])
def test_captures_on_micropython(micropython, bits):
    code = """
from firmware.sensing.tic import Decoder, house_facts
for name in sys.argv[1:]:
    decoder = Decoder()
    last = None
    with open(name, "rb") as line:
        while True:
            data = line.read(100)
            if not data:
                break
            for frame in decoder.feed(data):
                try:
                    last = house_facts(frame)
                except ValueError:
                    last = None
    print(decoder.good_groups, sorted(last.items()))
"""
    names = sorted([*OURS.glob("*.bin"), *CAPTURES.glob("*.bin")])
    expected = ""
    for name in names:
        decoder, frames = decode(name.read_bytes())
        items = sorted(facts_or_none(frames[-1]).items())
        expected += f"{decoder.good_groups} {items}\n"
    assert micropython(bits).run(code, *names).stdout == expected


# --- generated lines ---

PHASE = st.tuples(st.integers(0, 60000), st.integers(207, 253).map(lambda u: u * 1000))


@st.composite
def houses(draw, phases=(1, 3)):
    """A line's mode and facts; nothing is fed in."""
    mode = draw(st.sampled_from((HISTORIQUE, STANDARD)))
    count = draw(st.sampled_from(phases))
    drawn = [draw(PHASE) for _ in range(count)]
    if mode == HISTORIQUE:
        drawn = [(i, 230000) for i, _ in drawn]
    kva = draw(st.sampled_from((3, 6, 9, 12) if count == 1 else (9, 12, 18, 36)))
    made = {
        "i": [i for i, _ in drawn],
        "v": [u for _, u in drawn],
        "subscribed": kva * 5000 // count,
        "energy": draw(st.integers(0, 999999999)),
    }
    return mode, made


@given(houses(), st.integers(1, 400), st.booleans())
@EXAMPLES
def test_what_is_encoded_is_decoded(line, step, short):
    mode, made = line
    phases = len(made["i"])
    short = short and mode == HISTORIQUE and phases == 3
    data = serial_lines.tic_frame(mode, made, short)
    decoder, frames = decode(b"noise\r\n\x03" + data * 3, step)
    assert (len(frames), decoder.good_groups) == (3, 3 * data.count(b"\n"))
    found = facts_or_none(frames[2], made["subscribed"] // 1000 * 1000)
    assert all(abs(a - b) <= 500 for a, b in zip(found["i"], made["i"]))
    va = sum(i * u // 1000000 for i, u in zip(made["i"], made["v"]))
    assert found["phases"] == phases
    assert found["va"] is None if short else abs(found["va"] - va) <= 6
    assert found["subscribed"] == (
        made["subscribed"] if mode == STANDARD else made["subscribed"] // 1000 * 1000
    )


def cut(draw, data):
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + data[at + draw(st.integers(1, 300)) :]


def flip(draw, data):
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes((data[at] ^ 1 << draw(st.integers(0, 6)),)) + data[at + 1 :]


def drop(draw, data):
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + data[at + 1 :]


def repeat(draw, data):
    at = draw(st.integers(0, len(data) - 1))
    end = at + draw(st.integers(1, 300))
    return data[:end] + data[at:end] + data[end:]


def fill(draw, data):
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.sampled_from((b"\x00" * 40, b"\x04", b"\x02", b"\xff"))) + data[at:]


@st.composite
def spoilt(draw):
    """A line's facts, some frames of it with damage, and the size of the pieces that arrive."""
    mode, made = draw(houses())
    data = serial_lines.tic_frame(mode, made) * 4
    for damage in draw(st.lists(st.sampled_from((cut, flip, drop, repeat, fill)), max_size=12)):
        data = damage(draw, data) or b"\x00"
    return mode, made, data, draw(st.integers(1, 300))


@given(spoilt())
@settings(max_examples=300, deadline=None)
def test_damage_never_makes_a_wrong_value(line):
    mode, made, data, step = line
    decoder, frames = decode(data, step)
    for frame in frames:
        found = facts_or_none(frame)
        if found is None:
            continue
        va = sum(i * u // 1000000 for i, u in zip(made["i"], made["v"]))
        assert found["phases"] == len(made["i"])
        # What fits its own cross-check may be off by its tolerance and no more.
        for a, b in zip(found["i"], made["i"]):
            assert abs(a - b) <= 2600 + b // 6
        if found["va"] is None:  # a short frame, or what a cut left of one: nothing to compare
            assert mode == HISTORIQUE
        else:
            assert abs(found["va"] - va) <= 300 * len(made["i"]) + va // 6
    # the line goes on: the next whole frame is found, whatever came before
    again = decoder.feed(serial_lines.tic_frame(mode, made))
    assert facts_or_none(again[-1])["phases"] == len(made["i"])


@given(houses(), st.data())
@EXAMPLES
def test_one_flipped_bit_costs_one_group_and_its_frame(line, data):
    mode, made = line
    sent = serial_lines.tic_frame(mode, made)
    at = data.draw(st.integers(0, len(sent) - 1))
    bit = data.draw(st.integers(0, 6))
    wrong = sent[at] ^ 1 << bit
    decoder, frames = decode(sent + sent[:at] + bytes((wrong,)) + sent[at + 1 :] + sent)
    groups = sent.count(b"\n")
    assert frames[0] == frames[-1] and len(frames) >= 2
    if len(frames) == 3:  # bit 6 of a text, or a boundary that its twin stands in for
        assert bit == 6 or sent[at] in b"\x02\x03\n\r" or wrong == 0
        kept = (facts_or_none(f) for f in frames)
        assert len({str(f) for f in kept if f}) == 1
    elif sent[at] >= 32 and wrong >= 32:
        assert decoder.good_groups == 3 * groups - 1
    assert decoder.good_groups >= 2 * groups


def forge(mode, data, label, text):
    """The frame with another value of a label, and a good checksum."""
    separator = b"\t" if mode == STANDARD else b" "
    start = data.index(b"\n" + label.encode() + separator)
    end = data.index(b"\r", start) + 1
    return data[:start] + serial_lines.tic_group(mode, label, text) + data[end:]


@given(houses((1,)), st.integers(0, 99999), st.booleans())
@EXAMPLES
def test_a_forged_value_is_refused_on_one_phase(line, number, power):
    mode, made = line
    amps = made["i"][0] / 1000
    va = amps * made["v"][0] / 1000
    names = ("IINST", "PAPP") if mode == HISTORIQUE else ("IRMS1", "SINSTS")
    if power:
        text = "%05d" % number
        wrong = number > 0 and abs(number - va) > 560 + va * 0.3
    else:
        text = "%03d" % (number % 1000)
        wrong = va >= 5 and abs(number % 1000 - amps) > 2.5 + amps * 0.3
    data = forge(mode, serial_lines.tic_frame(mode, made), names[power], text)
    decoder, frames = decode(data)
    assert len(frames) == 1 and decoder.good_groups == data.count(b"\n")
    if wrong:
        assert facts_or_none(frames[0]) is None


@given(houses((3,)), st.integers(0, 2), st.integers(0, 99999), st.booleans())
@EXAMPLES
def test_a_forged_value_is_refused_on_three_phases(line, phase, number, power):
    mode, made = line
    amps = made["i"][phase] / 1000
    each = [i * u / 1000000 for i, u in zip(made["i"], made["v"])]
    data = serial_lines.tic_frame(mode, made)
    if mode == STANDARD:
        va = each[phase]
        if power:
            data = forge(mode, data, "SINSTS%d" % (phase + 1), "%05d" % number)
            wrong = number > 0 and abs(number - va) > 600 + va * 0.3
        else:
            data = forge(mode, data, "IRMS%d" % (phase + 1), "%03d" % (number % 1000))
            wrong = va >= 1 and abs(number % 1000 - amps) > 2.5 + amps * 0.3
    elif power:
        data = forge(mode, data, "PAPP", "%05d" % number)
        wrong = number > sum(each) * 1.2 + 1500
    else:
        # Too little contradicts PAPP; too much only where the others can't feed it in.
        data = forge(mode, data, "IINST%d" % (phase + 1), "%03d" % (number % 1000))
        false = number % 1000 * 230
        rest = sum(each) - each[phase]
        wrong = sum(each) > 20 and (
            rest + false < sum(each) * 0.8 - 1500 or false * 0.8 > sum(each) + rest + 1500
        )
    decoder, frames = decode(data)
    assert len(frames) == 1 and decoder.good_groups == data.count(b"\n")
    if wrong and power and mode == STANDARD:  # left out, and the currents are not touched
        true = facts_or_none(decode(serial_lines.tic_frame(mode, made))[1][0])
        found = facts_or_none(frames[0]) or true
        assert all(one >= other for one, other in zip(found["i"], true["i"]))
        assert found["va"] == true["va"]
    elif wrong:
        assert facts_or_none(frames[0]) is None


@given(st.binary(max_size=3000), st.integers(1, 300))
@EXAMPLES
def test_noise_is_survived(noise, step):
    decoder, frames = decode(noise, step)
    good = serial_lines.tic_frame(STANDARD, {"i": [5000], "v": [230000], "subscribed": 30000})
    assert len(decoder.feed(good)) >= 1


@given(st.lists(st.sampled_from((b"\n", b"\r", b"\x02", b"\x03", b"\nPAPP 02840 /\r", b"\nADCO")),
                max_size=60))  # fmt: skip
@EXAMPLES
def test_groups_are_counted_once(pieces):
    data = b"".join(pieces)
    decoder, frames = decode(data, 7)
    inside = data[data.find(b"\x02") :] if b"\x02" in data else b""
    assert decoder.good_groups <= inside.count(b"PAPP 02840 /\r")
    assert frames == []
