"""A CALL to the central system and the wait for its answer (OCPP-J 4.1); loaded for each."""

import asyncio

from firmware.base import runtime
from firmware.ocpp import LinkDown

_SCHEMAS = "firmware.ocpp.schemas"  # loaded for a message that has something to check
_BARE = ("MeterValues", "StatusNotification", "StopTransaction")  # whose answers may be empty


async def call(rpc, link, action: str, payload) -> dict:
    """See `Rpc.call`; one at a time. MessageTimeout begins when the message can have reached the
    other end of a slow link. No answer is one only of a link that lives: else the link goes."""
    rpc.count += 1
    rpc.waiting = "%s-%d" % (rpc.nonce, rpc.count)
    rpc.answer = None
    rpc.answered.clear()
    try:
        async with rpc.turn:
            text = await _text(rpc, action, payload)
        await rpc.send(link, text)
        del text
        if not await _answered(rpc, rpc.timeout_s() + link.slow_s()):
            if not await link.lives(rpc.timeout_s()) and not rpc.answer:
                raise LinkDown("neither an answer nor a pong")
    finally:
        rpc.waiting = None
        answer, rpc.answer = rpc.answer, None
    if not answer:
        raise asyncio.TimeoutError()
    if isinstance(answer, Exception):
        raise answer
    if not answer[2] and action in _BARE:
        return {}
    return runtime.once(_SCHEMAS, "check", action, "conf", answer[2], False)


async def _text(rpc, action, payload):
    if callable(payload):
        payload = payload()
    if rpc.check_sent:
        runtime.once("firmware.ocpp.sent", "check", action, "req", payload)
    text = [2, rpc.waiting, action, payload]
    text = await runtime.soon("firmware.ocpp.encoding", "encode", text)
    payload.clear()  # whoever holds it: that is room for the answer
    return text


async def _answered(rpc, seconds):
    try:
        await asyncio.wait_for(rpc.answered.wait(), seconds)
    except asyncio.TimeoutError:  # an answer may have come just now
        pass
    return rpc.answer is not None
