"""How a call of the central system is answered (OCPP-J 4.2); loaded for it."""

from firmware.base import runtime
from firmware.ocpp import CallError

_ENCODING = "firmware.ocpp.encoding"


async def refused(rpc, link, view, error) -> None:
    """A frame that is none, or more than there is room for."""
    kind, uid, action = runtime.once("firmware.ocpp.escapes", "head", view)
    rpc.log.warning("refused %r %r: %s", uid, action, error)
    if kind == 2:
        try:
            if action:  # a large SendLocalList is not supported rather than too large
                runtime.once("firmware.ocpp.schemas", "fields", action, "req")
        except CallError as unknown:
            error = unknown
        await reply(rpc, link, uid, action, error)
    elif kind:
        rpc.resolve(uid, error)


def _failure(rpc, action, error):
    if isinstance(error, CallError):
        rpc.log.info("%r refused: %r", action, str(error))
        return error
    rpc.log.error("%s: %s", action, runtime.trace(error))
    return CallError("InternalError", type(error).__name__)


async def late(rpc, link, uid, action, work: list) -> None:
    """Answers a call once the work for it is done: a coroutine in a list, from which it is taken,
    so that its code is gone before the answer is encoded."""
    try:
        answer = await work.pop()
    except Exception as error:  # for `reply`
        answer = error
    await reply(rpc, link, uid, action, answer)


async def reply(rpc, link, uid, action, answer) -> None:
    """Sends the answer that a handler gave: see `Rpc`; or the exception that it raised."""
    if hasattr(answer, "send"):
        work = [answer]
        late = runtime.soon("firmware.ocpp.receiving", "late", rpc, link, uid, action, work)
        runtime.spawn(rpc.tasks, late, rpc.unanswered)
        return
    if answer == ():
        return
    after = None
    if type(answer) is tuple:
        answer, after = answer
    try:
        if isinstance(answer, Exception):
            raise answer
        if rpc.check_sent:
            runtime.once("firmware.ocpp.sent", "check", action, "conf", answer)
        message = await runtime.soon(_ENCODING, "encode", [3, uid, answer])
    except Exception as error:
        error = _failure(rpc, action, error)
        message = [4, uid, error.code, error.description[:255], {}]
        message = await runtime.soon(_ENCODING, "encode", message)
    answer = None  # the tree is garbage while the text is sent
    try:
        await rpc.send(link, message)
    finally:
        if after:
            try:
                after()
            except Exception as error:
                _failure(rpc, action, error)
