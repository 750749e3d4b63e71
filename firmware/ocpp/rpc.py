"""Remote calls in both directions over one link (OCPP-J 4).

A message comes in by `Rpc.received`, the JSON reader, the schemas and the handler. It goes out by
`json_pieces`, which makes its text of lists and dicts (OCPP-J 4.2), and `WebSocket.send`. A long
list in it may be a generator, whose members are made one by one while they are written.
"""

import asyncio
import binascii

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.ocpp import (
    CALL,
    CALLERROR,
    CALLRESULT,
    Answer,
    CallError,
    LinkDown,
    Unanswered,
    json_reader,
    schemas,
)

_SHORT = const(192)  # bytes: such a message is read and checked in one turn

# The answers to these hold nothing that we need: any empty value is accepted.
_EMPTY_ANSWERS = ("MeterValues", "StatusNotification", "StopTransaction")
# How a message's text is made.
_PIECE = const(192)  # characters: about so much is masked and sent at a time
_AT_ONCE = const(2)  # members that are written in one go, if none of them is large
_LARGE = const(12)  # members
_GENERATOR = type(member for member in ())


class Rpc:
    """Our CALLs and the central system's, over the link that stands.

    Ours go out one at a time, in the order of `call` (OCPP-J 4.1.1). Their ids are unique over
    reconnections and restarts: `nonce`, by default random, and a counter.

    `await handler(action, payload)` answers a CALL that comes in: it returns a dict or an
    `Answer`, or raises CallError to refuse it, or `Unanswered`. Each CALL has a task of its own.
    The tasks begin in the order of arrival, and a handler that waits for nothing has its answer
    written before the next message is read. So other messages are read while a handler waits for
    the lock to move, and answers can't pile up for a peer that does not read them. `tasks` are
    those not yet answered; the handler refuses when there are too many
    (`Station.is_overloaded`).

    `more_calls`: rows of CALLs that are taken besides those in `schemas.MESSAGES`; `packers`: the
    packers of lists that may be long (json_reader.py).

    `timeout_s()` returns MessageTimeout in s. `now_ms()` is the clock for `active_ms`, the time
    when a message last went out or came in, and `sent_ms`, when our newest CALL went out.
    """

    def __init__(self, handler, log, timeout_s, now_ms, nonce: str = ""):
        self.handler = handler
        self.log = log
        self.timeout_s = timeout_s
        self.more_calls = {}
        self.packers = json_reader.PACKERS
        self.nonce = nonce[:24] or binascii.hexlify(runtime.urandom(8)).decode()
        self.link = None
        self.waiting = None  # the id of our CALL that is out
        self.tasks = []  # of CALLs that are being handled
        self.active_ms = self.sent_ms = now_ms()
        self._now_ms = now_ms
        self._count = 0  # of our CALLs
        self._calling = asyncio.Lock()  # held while a CALL of ours is out
        self._answer = None  # to it: the payload, or an exception to raise
        self._answered = runtime.Event()
        self._beginning = False  # the task of the newest CALL has not begun yet
        self._answering = asyncio.Lock()  # held while an answer of ours is written

    def attach(self, link) -> None:
        """Uses a new link from now on: a WebSocket, or an object with the same `send`, `slow_s`
        and `lives`."""
        self.link = link

    def detach(self) -> None:
        """The link is gone: a call made on it fails with LinkDown."""
        self.link = None
        if self.waiting:
            self._resolve(self.waiting, LinkDown("link lost"))

    # what comes in

    async def received(self, message) -> None:
        """Handles one text message, as `WebSocket.recv` returned it. Returns when the next one may
        be read. Whatever the message holds, this raises nothing."""
        link = self.link
        try:
            frame = await json_reader.read_message(message, self.packers)
        except CallError as error:
            await self._refuse(link, message, error)
            return
        self._active()
        kind, uid = frame[:2]
        if kind == CALL:
            if len(message) > _SHORT:
                await asyncio.sleep(0)  # to read the rest of it was enough for one turn
            await self._take_call(link, uid, frame[2], frame[3])
        elif kind == CALLRESULT:
            self._resolve(uid, frame[2])
        else:
            has_text = len(frame) > 3 and type(frame[3]) is str
            self._resolve(uid, CallError(frame[2], frame[3] if has_text else ""))

    async def _refuse(self, link, message, error):
        """Handles a message that can't be read. A CALL gets a CALLERROR if at least its id can be
        read."""
        kind, uid, action = json_reader.read_head(message)
        self.log.warning("refused %r %r: %s", uid, action, error)
        if kind == CALL:
            try:
                if action and action + ".req" not in self.more_calls:
                    # a SendLocalList is NotSupported even when it is too large to read
                    schemas.fields(action, "req")
            except CallError as unknown:
                error = unknown
            await self._reply(link, uid, action, error)
        elif kind:
            self._resolve(uid, error)

    async def _take_call(self, link, uid, action, payload):
        """Checks a CALL and starts a task that handles it. Waits until that has answered, or waits
        for something itself."""
        try:
            payload = await schemas.checked(action, payload, self.more_calls)
        except Exception as error:  # also where there is no memory for it
            await self._reply(link, uid, action, error)
            return
        self._beginning = True
        self.tasks.append(asyncio.create_task(self._handle(link, uid, action, payload)))
        while self._beginning:  # the handlers begin in the order of their calls
            await asyncio.sleep(0)
        if self._answering.locked():  # the handler is done: its answer is written first
            async with self._answering:
                pass

    async def _handle(self, link, uid, action, payload):
        """The task of a CALL."""
        self._beginning = False
        try:
            try:
                answer = await self.handler(action, payload)
            except Unanswered:
                return
            except Exception as error:
                answer = error
            await self._reply(link, uid, action, answer)
        finally:
            self.tasks.remove(asyncio.current_task())

    async def _reply(self, link, uid, action, answer):
        """Sends a handler's answer, or the exception that it raised; see `Rpc`."""
        then = None
        if isinstance(answer, Answer):
            answer, then = answer.payload, answer.then
        try:
            async with self._answering:
                await asyncio.sleep(0)  # what the handler did was enough for one turn
                await self._send(link, await self._answer_text(uid, action, answer))
        except LinkDown as why:
            self.log.info("not answered: %s", why)
        except Exception as error:  # not even the text of a CALLERROR could be made
            self.log.error(runtime.trace(error))
        finally:
            if then:
                try:
                    then()
                except Exception as error:
                    self._failure(action, error)

    async def _answer_text(self, uid, action, answer):
        try:
            if isinstance(answer, Exception):
                raise answer
            return await json_pieces([CALLRESULT, uid, answer])
        except Exception as error:
            error = self._failure(action, error)
            message = [CALLERROR, uid, error.code, error.description[:255], {}]
            return await json_pieces(message)

    def _failure(self, action, error):
        """Logs why a CALL is refused or its handler crashed. Returns the CallError to be sent."""
        if isinstance(error, CallError):
            self.log.info("%r refused: %r", action, str(error))
            return error
        self.log.error("%s: %s", action, runtime.trace(error))
        return CallError("InternalError", type(error).__name__)

    def _resolve(self, uid, answer):
        """Hands the answer to our CALL that waits for it: a payload, or an exception to raise."""
        if uid == self.waiting and not self._answered.is_set():
            self._answer = answer
            self._answered.set()
        else:
            self.log.debug("answer to %r, which nobody waits for", uid)

    # what goes out

    async def call(self, action: str, payload) -> dict:
        """Sends a CALL and returns the payload of its answer, checked. `payload` is a dict, or a
        coroutine function that returns one when the CALL's turn has come. A long list in it may be
        a generator.

        Raises CallError for a CALLERROR or an answer that lacks a required field; LinkDown when
        the link is lost; asyncio.TimeoutError when no answer comes within MessageTimeout though
        the link works.
        """
        link = self.link
        async with self._calling:
            self._count += 1
            self.waiting = "%s-%d" % (self.nonce, self._count)
            self._answered.clear()
            try:
                text = await self._call_text(action, payload)
                self.sent_ms = self._now_ms()
                await self._send(link, text)
                await self._wait_for_answer(link)
            finally:
                self.waiting = None
                answer, self._answer = self._answer, None
        if isinstance(answer, Exception):
            raise answer
        if not answer and action in _EMPTY_ANSWERS:
            return {}
        # Others have no turn from here on: where a peer hangs up after its answer, our task would
        # be cancelled meanwhile, and the answer lost.
        return schemas.check(action, "conf", answer, False)

    async def _call_text(self, action, payload):
        await asyncio.sleep(0)  # what the caller did was enough for one turn
        if callable(payload):
            payload = await payload()
            await asyncio.sleep(0)
        return await json_pieces([CALL, self.waiting, action, payload])

    async def _wait_for_answer(self, link):
        """Waits for the answer to our CALL. MessageTimeout begins when the message can have
        reached the other end of a slow link. Raises TimeoutError if the link works nevertheless;
        else the link is dropped, and LinkDown raised."""
        seconds = self.timeout_s() + link.slow_s()
        if await runtime.wait(self._answered, seconds * 1000):
            return
        lives = await link.lives(self.timeout_s())
        if not self._answered.is_set():
            if lives:
                raise asyncio.TimeoutError()
            raise LinkDown("neither an answer nor a pong")

    # both ways

    async def _send(self, link, text):
        """Sends pieces of text over this link. Raises LinkDown if it is no longer ours."""
        if len(text) > 1:
            await asyncio.sleep(0)  # to make the last piece was enough for one turn
        if not link or link is not self.link:
            raise LinkDown("no link")
        try:
            await link.send(text)
        except runtime.LINK_ERRORS as why:
            raise LinkDown(str(why) or "sending took too long")
        self._active()

    def _active(self):
        """A message went out or came in."""
        self.active_ms = self._now_ms()


async def json_pieces(message: list) -> list:
    """The text of a message, in pieces. Lets other tasks run after each piece. Raises TypeError
    for what JSON can't express."""
    if not any(_is_large(member) for member in message):  # as in most messages
        return [runtime.json_text(message)]
    text = ""
    pieces = []
    for part in _parts(message):
        if text and len(text) + len(part) > _PIECE:
            pieces.append(text)
            text = part
            await asyncio.sleep(0)
        else:
            text += part
    pieces.append(text)
    return pieces


def _is_large(value) -> bool:
    """Whether it has many members, or members that have members themselves."""
    kind = type(value)
    if kind is _GENERATOR:
        return True
    if kind is not dict and kind is not list:
        return False
    if len(value) > _LARGE:
        return True
    for member in value.values() if kind is dict else value:
        kind = type(member)
        if kind is dict or kind is list or kind is _GENERATOR:
            return True
    return False


def _parts(value):
    """Generator: the text of a list, a generator or an object, some members at a time."""
    is_object = type(value) is dict
    mark = "{" if is_object else "["
    some = {} if is_object else []  # members that come next and are not large
    for name in value:  # or the member itself
        member = value[name] if is_object else name
        is_large = _is_large(member)
        if not is_large:
            if is_object:
                some[name] = member  # type: ignore[index]
            else:
                some.append(member)  # type: ignore[attr-defined]
            if len(some) < _AT_ONCE:
                continue
        if some:
            yield mark + runtime.json_text(some)[1:-1]
            mark = ","
            some = {} if is_object else []
        if is_large:
            yield mark + runtime.json_text(name) + ":" if is_object else mark
            yield from _parts(member)
            mark = ","
    if some:
        yield mark + runtime.json_text(some)[1:-1]
        mark = ","
    if mark != ",":  # there was no member
        yield mark
    yield "}" if is_object else "]"
