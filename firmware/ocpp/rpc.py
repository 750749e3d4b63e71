"""Remote calls both ways over one link (OCPP-J 4)."""

import asyncio
import binascii
import json

from firmware.base import runtime
from firmware.ocpp import frames
from firmware.ocpp.frames import CallError

_SCHEMAS = "firmware.ocpp.schemas"  # loaded for a message that has something to check
_BARE = ("MeterValues", "StatusNotification", "StopTransaction")  # whose answers may be empty


class LinkDown(OSError):
    """There is no link, or it went before the answer came."""


def _text(message):
    return json.dumps(message, separators=(",", ":"))


class Rpc:
    """One CALL at a time goes out, in the order asked for (OCPP-J 4.1.1); what comes in goes to
    `handler(action, payload)`, which returns the answer, (answer, after), or a coroutine that
    does; () for no answer at all. `after()` runs when the answer is on its way, or has lost its
    link.

    `timeout_s()` is MessageTimeout, `now_ms()` the clock for `active_ms`: when a message last
    went out or came in. Ids are unique over reconnections and restarts: `nonce`, by default
    random, and a counter. `check_sent` checks all that goes out against the schemas.
    """

    def __init__(
        self, handler, log, timeout_s, now_ms, nonce: str = "", check_sent: bool = False
    ):  # cold
        self._handler = handler
        self._log = log
        self._timeout_s = timeout_s
        self._now_ms = now_ms
        self._nonce = nonce[:24] or binascii.hexlify(runtime.urandom(8)).decode()
        self._rows = runtime.load("firmware.ocpp.sent").ROWS if check_sent else None
        self._count = 0
        self._lock = asyncio.Lock()
        self._answered = asyncio.Event()
        self._waiting = None  # the id of the CALL that is out
        self._answer = None
        self._link = None
        self._tasks = []
        self.active_ms = now_ms()
        # (direction, text), "sent" or "received": the bench's view of all that goes over the link,
        # keys included, so nothing for a log
        self.on_message = None

    def attach(self, link) -> None:
        """A new link: anything with `async send(text)`."""
        self._link = link

    def detach(self) -> None:
        """The link is gone: calls made on it fail with LinkDown."""
        self._link = None
        if self._waiting:
            self._resolve(self._waiting, LinkDown("link lost"))

    async def call(self, action: str, payload: dict) -> dict:
        """Sends a CALL; returns the payload of its answer.

        Raises CallError for a CALLERROR or an answer without what we need, asyncio.TimeoutError
        when none comes within MessageTimeout, LinkDown.
        """
        link = self._link
        async with self._lock:
            if self._rows:
                self._check(action, "req", payload)
            self._count += 1
            self._waiting = "%s-%d" % (self._nonce, self._count)
            self._answer = None
            self._answered.clear()
            try:
                await self._send(link, _text([2, self._waiting, action, payload]))
                await asyncio.wait_for(self._answered.wait(), self._timeout_s())
            except asyncio.TimeoutError:
                if not self._answer:
                    raise
            finally:
                self._waiting = None
                answer, self._answer = self._answer, None
        if isinstance(answer, Exception):
            raise answer
        if not answer[2] and action in _BARE:
            return {}
        return runtime.once(_SCHEMAS, "check", action, "conf", answer[2], False)

    async def received(self, view) -> None:
        """Takes in one text frame; the memoryview is not looked at after this returns.
        Raises LinkDown when the answer can't be sent, and nothing for what is in a frame."""
        link = self._link
        try:
            frame = await frames.parse(view)
        except CallError as error:
            await self._refused(link, view, error)
            return
        self.active_ms = self._now_ms()
        if self.on_message:
            self.on_message("received", str(view, "utf-8"))
        kind, uid = frame[:2]
        if kind == 2:
            await self._reply(link, uid, frame[2], await self._dispatch(frame))
        elif kind == 3:
            self._resolve(uid, frame)
        else:
            what = frame[3] if len(frame) > 3 and type(frame[3]) is str else ""
            self._resolve(uid, CallError(frame[2], what))

    def _resolve(self, uid, answer):
        if uid == self._waiting and not self._answer:
            self._answer = answer
            self._answered.set()
        else:
            self._log.debug("answer to %r, which nobody waits for", uid)

    async def _refused(self, link, view, error):  # cold
        kind, uid, action = frames.head(view)
        self._log.warning("refused %r %r: %s", uid, action, error)
        if kind == 2:
            try:
                if action:  # a large SendLocalList is not supported rather than too large
                    runtime.once(_SCHEMAS, "fields", action, "req")
            except CallError as unknown:
                error = unknown
            await self._reply(link, uid, action, error)
        elif kind:
            self._resolve(uid, error)

    async def _dispatch(self, frame):
        try:
            payload = await runtime.soon(_SCHEMAS, "checked", frame[2], frame.pop())
            return self._handler(frame[2], payload)
        except Exception as error:  # for _reply
            return error

    def _failure(self, action, error):  # cold
        if isinstance(error, CallError):
            self._log.info("%r refused: %r", action, str(error))
            return error
        self._log.error("%s: %s", action, runtime.trace(error))
        return CallError("InternalError", type(error).__name__)

    def _check(self, action, direction, payload):  # cold
        try:
            runtime.once(_SCHEMAS, "check", action, direction, payload, True, self._rows)
        except CallError as error:
            raise RuntimeError("%s.%s to be sent: %s" % (action, direction, error))

    async def _late(self, link, uid, action, work):  # cold
        try:
            answer = await work
        except Exception as error:  # for _reply
            answer = error
        try:
            await self._reply(link, uid, action, answer)
        except LinkDown as why:
            self._log.info("%s is not answered: %s", action, why)
        finally:  # a task that is kept keeps its code in memory
            self._tasks.remove(asyncio.current_task())

    async def _reply(self, link, uid, action, answer):
        if hasattr(answer, "send"):
            self._tasks.append(asyncio.create_task(self._late(link, uid, action, answer)))
            return
        if answer == ():
            return
        after = None
        if type(answer) is tuple:
            answer, after = answer
        try:
            if isinstance(answer, Exception):
                raise answer
            if self._rows:
                self._check(action, "conf", answer)
            text = _text([3, uid, answer])
        except Exception as error:
            error = self._failure(action, error)
            text = _text([4, uid, error.code, error.description[:255], {}])
        answer = None  # the tree is garbage while the text is sent
        try:
            await self._send(link, text)
        finally:
            if after:
                try:
                    after()
                except Exception as error:
                    self._failure(action, error)

    async def _send(self, link, text):
        if not link or link is not self._link:
            raise LinkDown("no link")
        if self.on_message:
            self.on_message("sent", text)
        try:
            await link.send(text)
        except runtime.LINK_ERRORS as why:
            raise LinkDown(str(why) or "sending took too long")
        self.active_ms = self._now_ms()
