"""A message of the central system: read, checked, handled, answered (OCPP-J 4); loaded for each.

The reader of frames, the schemas and the handler are loaded one after the other, so that they are
never in memory at once, nor with more of the message than they need.
"""

from firmware.base import runtime
from firmware.ocpp import CallError

_FRAMES = "firmware.ocpp.frames"
_SCHEMAS = "firmware.ocpp.schemas"
_ENCODING = "firmware.ocpp.encoding"


async def received(rpc, message) -> None:
    """See `Rpc.received`."""
    link = rpc.link
    try:
        frame = await runtime.soon(_FRAMES, "take", message)
    except CallError as error:
        await _refused(rpc, link, message[0], error)
        return
    rpc.active()
    kind, uid = frame[:2]
    if kind == 2:
        await _reply(rpc, link, uid, frame[2], await _dispatch(rpc, frame))
    elif kind == 3:
        rpc.resolve(uid, frame)
    else:
        what = frame[3] if len(frame) > 3 and type(frame[3]) is str else ""
        rpc.resolve(uid, CallError(frame[2], what))


async def _refused(rpc, link, view, error):
    kind, uid, action = runtime.once("firmware.ocpp.escapes", "head", view)
    rpc.log.warning("refused %r %r: %s", uid, action, error)
    if kind == 2:
        try:
            if action:  # a large SendLocalList is not supported rather than too large
                runtime.once(_SCHEMAS, "fields", action, "req")
        except CallError as unknown:
            error = unknown
        await _reply(rpc, link, uid, action, error)
    elif kind:
        rpc.resolve(uid, error)


async def _dispatch(rpc, frame):
    try:
        payload = await runtime.soon(_SCHEMAS, "checked", frame[2], frame.pop())
        return rpc.handler(frame[2], payload)
    except Exception as error:  # for _reply
        return error


def _failure(rpc, action, error):
    if isinstance(error, CallError):
        rpc.log.info("%r refused: %r", action, str(error))
        return error
    rpc.log.error("%s: %s", action, runtime.trace(error))
    return CallError("InternalError", type(error).__name__)


async def late(rpc, link, uid, action, work) -> None:
    """Answers a call once the work for it is done."""
    try:
        answer = await work
    except Exception as error:  # for _reply
        answer = error
    await _reply(rpc, link, uid, action, answer)


async def _reply(rpc, link, uid, action, answer):
    if hasattr(answer, "send"):
        late = runtime.soon("firmware.ocpp.receiving", "late", rpc, link, uid, action, answer)
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
        message = runtime.once(_ENCODING, "encode", [3, uid, answer])
    except Exception as error:
        error = _failure(rpc, action, error)
        message = [4, uid, error.code, error.description[:255], {}]
        message = runtime.once(_ENCODING, "encode", message)
    answer = None  # the tree is garbage while the text is sent
    try:
        await rpc.send(link, message)
    finally:
        if after:
            try:
                after()
            except Exception as error:
                _failure(rpc, action, error)
