"""Remote calls both ways over one link (OCPP-J 4): what stays between messages. `calling.py`
is loaded for a call of ours, `frames.py`, `schemas.py` and `receiving.py` for one that comes."""

import asyncio
import binascii

from firmware.base import runtime
from firmware.ocpp import CallError, LinkDown

_RECEIVING = "firmware.ocpp.receiving"


class Rpc:
    """One CALL at a time goes out, in the order asked for (OCPP-J 4.1.1); what comes in goes to
    `await handler(action, payload)`, which returns the answer, (answer, after), or a coroutine
    that does, for what takes its time; () for no answer at all. `after()` runs when the answer is
    on its way, or has lost its link.

    `timeout_s()` is MessageTimeout, `now_ms()` the clock for `active_ms`: when a message last
    went out or came in. `turn` is for all that needs some KB for a moment: to read a message
    and handle it, to make one, to look for a limit. Ids are unique over reconnections and
    restarts: `nonce`, by default random, and a counter. `check_sent` checks all that goes out
    against the schemas.
    """

    def __init__(self, handler, log, timeout_s, now_ms, nonce: str = "", check_sent: bool = False):
        self.handler = handler
        self.log = log
        self.timeout_s = timeout_s
        self._now_ms = now_ms
        self.nonce = nonce[:24] or binascii.hexlify(runtime.urandom(8)).decode()
        self.check_sent = check_sent
        self.count = 0
        self._lock = asyncio.Lock()
        self.turn = runtime.Turn()
        self.answered = asyncio.Event()
        self.waiting = None  # the id of the CALL that is out
        self.answer = None
        self.link = None
        self.tasks = []  # of answers that take their time
        self.active_ms = now_ms()

    def attach(self, link) -> None:
        """A new link: a WebSocket, or what sends and lives as one."""
        self.link = link

    def detach(self) -> None:
        """The link is gone: calls made on it fail with LinkDown."""
        self.link = None
        if self.waiting:
            self.resolve(self.waiting, LinkDown("link lost"))

    async def call(self, action: str, payload) -> dict:
        """Sends a CALL, emptying `payload`, or what it returns if it is a function, called when
        the CALL's turn has come; returns the payload of its answer.

        Raises CallError for a CALLERROR or an answer without what we need, asyncio.TimeoutError
        when none comes within MessageTimeout on a link that lives, LinkDown.
        """
        link = self.link
        async with self._lock:
            return await runtime.soon("firmware.ocpp.calling", "call", self, link, action, payload)

    async def received(self, message: list) -> None:
        """Takes in one text frame: a list with what `WebSocket.recv` returned, which is taken out
        once it is read, so that its memory is free. Raises LinkDown when the answer can't be sent,
        and nothing for what is in a frame.

        The reader of frames, the schemas, the handler and what answers are loaded one after the
        other, so that they are never in memory at once, nor with more of the message than they
        need."""
        link = self.link
        answer = None
        try:
            async with self.turn:
                frame = await runtime.soon("firmware.ocpp.frames", "take", message)
                if frame[0] == 2:
                    answer = await self._handled(frame)
        except CallError as error:
            await runtime.soon(_RECEIVING, "refused", self, link, message[0], error)
            return
        self.active()
        kind, uid, action = frame[:3]
        if kind == 2:
            await runtime.soon(_RECEIVING, "reply", self, link, uid, action, answer)
        elif kind == 3:
            self.resolve(uid, frame)
        else:
            what = frame[3] if len(frame) > 3 and type(frame[3]) is str else ""
            self.resolve(uid, CallError(frame[2], what))

    async def _handled(self, frame):
        try:
            answer = await runtime.soon("firmware.ocpp.schemas", "checked", frame[2], frame.pop())
            return await self.handler(frame[2], answer)
        except Exception as error:  # for `reply`
            return error

    def unanswered(self, error) -> None:
        """An answer that took its time came to nothing."""
        if isinstance(error, LinkDown):
            self.log.info("not answered: %s", error)
        else:
            self.log.error("%s", runtime.trace(error))

    def resolve(self, uid, answer) -> None:
        """The CALL that is out has its answer: a frame, or an exception to raise."""
        if uid == self.waiting and not self.answer:
            self.answer = answer
            self.answered.set()
        else:
            self.log.debug("answer to %r, which nobody waits for", uid)

    async def send(self, link, text: list) -> None:
        """Sends pieces of text over this link if it is still the one."""
        if not link or link is not self.link:
            raise LinkDown("no link")
        try:
            await link.send(text)
        except runtime.LINK_ERRORS as why:
            raise LinkDown(str(why) or "sending took too long")
        self.active()

    def active(self) -> None:
        """A message went out or came in."""
        self.active_ms = self._now_ms()
