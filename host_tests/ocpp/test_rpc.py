"""Whatever comes in: the station goes on, and each call that can be answered is answered once."""

import asyncio
import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from firmware.ocpp import CallError
from firmware.ocpp.rpc import Rpc, json_pieces
from host_tests.ocpp.ocpp_messages import (
    NOT_SUPPORTED,
    TO_STATION,
    as_received,
    instances,
    mutated,
    validator,
)
from host_tests.ocpp.test_json_reader import PIECES, expected, messages, quick

CODES = set(
    "NotImplemented NotSupported InternalError ProtocolError SecurityError FormationViolation "
    "PropertyConstraintViolation OccurenceConstraintViolation TypeConstraintViolation "
    "GenericError".split()
)


class Silent:
    def __getattr__(self, name):
        return lambda text, *args: text % args


class Link:
    def __init__(self):
        self.sent = []

    async def send(self, text):
        self.sent.append(json.loads("".join(text).encode()))


def answers(data, handler=lambda action, payload: {"handled": action}):
    """What is sent back when these bytes come in."""

    async def handle(action, payload):
        return handler(action, payload)

    rpc = Rpc(handle, Silent(), lambda: 30, lambda: 0)
    link = Link()
    rpc.attach(link)
    asyncio.run(rpc.received(memoryview(data)))
    return link.sent


def fits(action, payload):
    try:
        payload = {} if payload is None else payload
        validator(action, "req").validate(as_received(payload))
    except Exception:
        return False
    return True


@quick
@given(messages("req", TO_STATION))
def test_calls(message):
    action, payload = message
    (answer,) = answers(json.dumps([2, "x", action, payload]).encode())
    assert answer[1] == "x"
    if answer[0] == 3:
        assert answer[2] == {"handled": action} and fits(action, payload)
    else:
        assert answer[0] == 4 and len(answer) == 5 and answer[2] in CODES


@quick
@given(messages("req", NOT_SUPPORTED))
def test_calls_that_are_not_supported(message):
    (answer,) = answers(json.dumps([2, "x", *message]).encode())
    assert answer[:3] == [4, "x", "NotSupported"]


@st.composite
def damaged_calls(draw):
    action = draw(st.sampled_from(TO_STATION))
    payload = draw(mutated(instances(validator(action, "req").schema)))
    data = bytearray(json.dumps([2, "id-1", action, payload]).encode())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from(PIECES))
    return bytes(data)


@quick
@given(damaged_calls())
def test_calls_with_bytes_wrong(data):
    sent = answers(data)
    frame = expected(data)
    if frame and frame[0] == 2:
        (answer,) = sent
        assert answer[1] == frame[1]
    else:
        assert len(sent) <= 1
        assert not sent or sent[0][0] == 4
        if data.startswith(b'[2, "id-1", '):
            assert sent[0][1] == "id-1"


@quick
@given(st.binary(max_size=200))
def test_any_bytes(data):
    assert len(answers(data)) <= 1


def test_an_answer_that_cannot_be_written():
    call = json.dumps([2, "x", "Reset", {"type": "Soft"}]).encode()
    for answer in ({"status": object()}, {"status": {1, 2}}):
        (sent,) = answers(call, lambda action, payload, answer=answer: answer)
        assert sent[:3] == [4, "x", "InternalError"]

    def refuse(action, payload):
        raise CallError("PropertyConstraintViolation", "é" * 300)

    (sent,) = answers(call, refuse)
    assert sent[2:] == ["PropertyConstraintViolation", "é" * 255, {}]


LEAVES = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=300)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.from_regex(r"[a-zA-Z]+"), inner)
)


@given(st.lists(TREES))
def test_a_message_in_pieces(message):
    whole = json.dumps(message, separators=(",", ":"))
    pieces = asyncio.run(json_pieces(message))
    assert "".join(pieces) == whole
    assert all(len(a) + len(b) > 192 for a, b in itertools.pairwise(pieces))
