"""Frames against CPython's own JSON parser made strict, and against MicroPython."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.ocpp import CallError, json_reader
from host_tests.ocpp import verdicts
from host_tests.ocpp.ocpp_messages import FROM_STATION, TO_STATION, instances, mutated, validator

NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,2})?", re.ASCII)


def refuse(text):
    raise ValueError(text)


def number(kind):
    return lambda text: kind(text) if NUMBER.fullmatch(text) else refuse(text)


def depth(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def expected(data):
    """The frame, by CPython's parser and the rules of json_reader.py; None where it is none."""
    try:
        text = data.decode("utf-8")
        frame = json.loads(
            text, parse_constant=refuse, parse_int=number(int), parse_float=number(float)
        )
        json.dumps(frame, ensure_ascii=False).encode("utf-8")  # no half surrogates
    except (ValueError, RecursionError):
        return None
    if not isinstance(frame, list) or len(frame) < 3 or depth(frame) > 8:
        return None
    kind, uid, what = frame[:3]
    if type(kind) is not int or not isinstance(uid, str) or len(uid) > 36:
        return None
    if kind == 2 and len(frame) == 4 or kind == 4:
        return frame if isinstance(what, str) else None
    return frame if kind == 3 else None


def parsed(data):
    try:
        return asyncio.run(json_reader.read_message(memoryview(data)))
    except CallError as error:
        assert error.code == "FormationViolation"
        return None


def same(one, other):
    """Equal, and of the same types all the way down."""
    return one == other and repr(one) == repr(other)


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**18) + 1, 10**18 - 1),
        st.decimals(-(10**6), 10**6, places=3).map(float),
        st.text(max_size=20),
        st.sampled_from(
            ["\\", '"', "/", "\U0001f600", "\u20ac\x00\x1f", "é" * 30, "\ud7ff\ue000"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=30,
).filter(lambda value: depth(value) < 7)
STYLES = st.sampled_from(
    [
        {},
        {"indent": 2},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"ensure_ascii": False, "indent": "\t"},
    ]
)
quick = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@settings(quick, max_examples=200)
@given(VALUES, STYLES)
def test_what_json_writes_is_read(value, style):
    data = json.dumps([3, "id", value], **style).encode()
    if len(data) < 4000:  # within the bound on the heap
        assert same(parsed(data), [3, "id", value])


@st.composite
def damaged(draw):
    """A frame as it should be, with a byte or a few wrong."""
    data = bytearray(json.dumps([3, "id", draw(VALUES)], **draw(STYLES)).encode()[:1500])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(["put", "put", "insert", "insert", "cut", "repeat", "end"]))
        some = draw(st.sampled_from(PIECES))
        if what == "put":
            data[at : at + len(some)] = some
        elif what == "insert":
            data[at:at] = some
        elif what == "cut":
            del data[at : at + draw(st.integers(1, 3))]
        elif what == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 8))]
        else:
            del data[at:]
    return bytes(data)


PIECES = [bytes((n,)) for n in b'[]{}:,"\\ \t\n\r0123456789-+.eEtfnuabx/\x00\x1f\x7f\x80\xc3\xff']
PIECES += [b"\\u", b"\\ud83d", b"\\ude00", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80"]
PIECES += [b"true", b"false", b"null", b"NaN", b"Infinity", b"1e5", b"-0", b"01", b'"a":', b"[]"]
PIECES += [b'{"":1}', b"\xef\xbb\xbf", b"1" * 19, b"0.1", b"'a'", b"//", b"\x0b", b"\xc2\xa0"]


@settings(quick, max_examples=600)
@given(damaged())
def test_damaged_frames(data):
    assert same(parsed(data), expected(data))


@settings(quick, max_examples=600)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_soup(pieces):
    data = b'[3,"i",' + b"".join(pieces) + b"]"
    assert same(parsed(data), expected(data))


@settings(quick, max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.integers(0, 420))
def test_soup_at_the_edge_of_a_window(pieces, blanks):
    data = b'[3,"i",[' + b" " * blanks + b"".join(pieces) + b', {"a": 1.5, "b": "\\u00e9"}]]'
    assert same(parsed(data), expected(data))


# the same on MicroPython


def messages(direction, actions):
    return st.one_of(
        [
            st.tuples(st.just(action), mutated(instances(validator(action, direction).schema)))
            for action in actions
        ]
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Frames of every sort, in hex; the same in each run."""
    found = []
    derandomized = settings(quick, derandomize=True, database=None)

    @settings(derandomized, max_examples=400)
    @given(damaged())
    def damage(data):
        found.append(data)

    @settings(derandomized, max_examples=300)
    @given(st.lists(st.sampled_from(PIECES), max_size=12))
    def soup(pieces):
        found.append(b'[3,"i",' + b"".join(pieces) + b"]")
        found.append(b'[2,"i","Reset",{"type":' + b"".join(pieces) + b"}]")

    @settings(derandomized, max_examples=500)
    @given(messages("req", TO_STATION), STYLES)
    def calls(message, style):
        found.append(json.dumps([2, "i", *message], **style).encode())

    @settings(derandomized, max_examples=300)
    @given(messages("conf", FROM_STATION), STYLES)
    def answers(message, style):
        found.append(json.dumps([3, "i", message[1]], **style).encode())

    for collect in (damage, soup, calls, answers):
        collect()
    path = tmp_path_factory.mktemp("frames") / "corpus"
    path.write_text("".join(data.hex() + "\n" for data in found if len(data) < 1500))
    return path


@pytest.mark.micropython
@pytest.mark.parametrize("bits", [64, 32])
def test_micropython_says_the_same(corpus, micropython, bits):
    frames = corpus.read_text().splitlines()

    async def ours():
        return [await verdicts.verdict(bytes.fromhex(line)) for line in frames]

    theirs = micropython(bits).run(Path(verdicts.__file__), corpus).stdout.splitlines()
    mine = asyncio.run(ours())
    assert len(mine) == len(theirs) == len(frames) > 1500
    for data, one, other in zip(frames, mine, theirs):
        assert one == other, bytes.fromhex(data)
    accepted = sum(line.startswith("[") for line in mine)
    assert 0.2 < accepted / len(mine) < 0.8  # both sorts
