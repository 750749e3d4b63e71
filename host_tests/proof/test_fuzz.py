"""A sample of `make fuzz`: whole stations besieged by fixed seeds, and the tool itself."""

import subprocess
import sys

import pytest

from host_tests.both import fuzz_targets
from host_tests.proof import disturbances, fuzz_decoders, fuzz_messages, fuzzing
from host_tests.station import BITS, RUNTIMES, play
from tools import runtimes


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_station_under_siege(runtime, tmp_path):
    steps = 20 if runtime in BITS else 100
    assert play(runtime, fuzzing.siege(runtime, tmp_path, 1, steps)) > steps


def test_a_seed_is_the_same_siege_again(tmp_path):
    sieges = []
    for name in ("one", "two"):
        seen = []
        (tmp_path / name).mkdir()

        def watch(station, lost, seen=seen):
            seen.append((list(station.did), station.sent, station.last))

        play("cpython", fuzzing.siege("cpython", tmp_path / name, 5, 20, watch=watch))
        sieges.append(seen)
    assert sieges[0] == sieges[1] and len(sieges[0]) == 2


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([3, "x", {"status": "Fine"}], "'Fine' is not one of"),
        ([4, "x", "InternalError", "", {}], "not {"),
        ([4, "x", "OccurenceConstraintViolation", "", {}], "not {"),
    ],
)
def test_the_oracle_minds(wrong, why):
    """What it would let through, it would never find."""
    siege = fuzzing.Siege("cpython", None, 1)
    good = b'[2,"x","TriggerMessage",{"requestedMessage":"Heartbeat"}]'
    bad = b'[2,"x","TriggerMessage",{"requestedMessage":7}]'
    siege.judge(good, fuzz_messages.model(good), [[3, "x", {"status": "Accepted"}]])
    siege.judge(bad, fuzz_messages.model(bad), [[4, "x", "TypeConstraintViolation", "", {}]])
    frame = good if wrong[0] == 3 else bad
    with pytest.raises(fuzz_decoders.Found, match=why):
        siege.judge(frame, fuzz_messages.model(frame), [wrong])
    with pytest.raises(fuzz_decoders.Found, match="0 answers"):
        siege.judge(frame, fuzz_messages.model(frame), [])


def test_a_finding_says_what_was_wrong_and_what_came_before(tmp_path, monkeypatch):
    """A bare time-out had an empty text, and so had the finding."""

    async def typed_in_vain(siege):
        await siege._say(b"[3]", fuzz_messages.model(b"[3]"))
        siege.typed = "status now"
        raise TimeoutError

    monkeypatch.setattr(fuzzing.Siege, "_calls", typed_in_vain)
    with pytest.raises(fuzz_decoders.Found) as found:
        play("cpython", fuzzing.siege("cpython", tmp_path, 1, 30))
    for words in ("TimeoutError", "typed_in_vain", "b'[3]'", "'status now'", "seed 1, step"):
        assert words in str(found.value)


def test_what_is_left_of_a_typed_line():
    for line, left in (
        ("status", "status"), ("\x7f\b", ""), ("quut\b\bit", "quit"), ("a\x15help", "help"),
        ("a\x1b[Ab\x1bOPc\x1b[1;5Dd\x1bxe", "abcde"), ("a\x1b[12", "a"), ("x\ty\x01", "x y"),
    ):  # fmt: skip
        assert disturbances.left_of(line) == left


def test_what_is_broken_is_answered_by_its_id():
    for data in (b'[2,"x","Reset",{"type":"Soft"', b' [2 , "x" ,7,{}]', b'[2,"x"]'):
        assert fuzz_messages.model(data)[:2] == ("refused", "x")
    for data in (b"", b"[", b'[2,"x', b'[2,"\xff"]', b'["2","x"', b'[2,"\\u0041",'):
        assert fuzz_messages.model(data)[:2] == ("broken", None)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_tool(runtime):
    if runtime in BITS and runtimes.find(BITS[runtime]) is None:
        pytest.skip(runtimes.why_missing(BITS[runtime]))
    command = [sys.executable, "-m", "tools.fuzz", "--runtime", runtime, "--only", "urls"]
    for words, said in (
        (["--time", "1", "--seed", "3"], f"{runtime}, seed 3: "),
        (["--hex", b"ws://h:1".hex()], "the same" if runtime in BITS else "7773"),
    ):
        done = subprocess.run(
            [*command, *words], cwd=runtimes.ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_the_tool_finds(monkeypatch):
    """A decoder that breaks for some inputs: seen, made small, said how to see it again."""

    def fragile(data):
        if b":" in data and len(data) > 3:
            raise KeyError("no")
        return ""

    monkeypatch.setattr(fuzz_targets, "urls", fragile)
    monkeypatch.setattr(fuzz_targets, "urls_seeds", lambda: [b"abc"])
    one = fuzz_decoders.Decoder("urls", 1)
    with pytest.raises(fuzz_decoders.Found, match="--only urls --hex") as found:
        one.work(inputs=5000)
    assert len(bytes.fromhex(str(found.value).rpartition(" ")[2])) == 4
