"""Calls both ways, on every Python; MessageTimeout in virtual time."""

import asyncio
import json

from firmware.base.times import Clock
from firmware.ocpp import Answer, CallError, LinkDown
from firmware.ocpp.rpc import Rpc
from host_tests.both import sent_messages
from host_tests.both.logs import Log


class Link:
    """The other end: what is sent to it, parsed; calls are checked. `broken` makes sending fail.
    `pong_s`: how long it takes to answer a ping; None: it never does. `slow`: what a slow link
    needs, s."""

    def __init__(self):
        self.sent = []
        self.pong_s = 0
        self.slow = 0
        self.broken = None
        self.pause_s = 0

    async def send(self, text):
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        if self.broken:
            raise self.broken
        self.text = "".join(text)
        message = json.loads(self.text)
        if message[0] == 2:
            sent_messages.check(message[2], "req", json.loads(self.text)[3])
        self.sent.append(message)

    def slow_s(self):
        return self.slow

    async def lives(self, timeout_s):
        if self.pong_s is None:
            await asyncio.sleep(timeout_s)
            return False
        await asyncio.sleep(self.pong_s)
        return True

    async def next(self):
        """The message that comes next."""
        while not self.sent:
            await asyncio.sleep(0.001)
        return self.sent.pop(0)


class Rig:
    def __init__(self, handler=None, timeout_s=30, **options):
        self.log = Log()
        self.clock = Clock()
        self.timeout_s = timeout_s
        self.calls = []
        self.handler = handler or self._handle
        self.rpc = Rpc(
            self._call,
            self.log,
            lambda: self.timeout_s,
            self.clock.ms,
            **options,
        )
        self.link = Link()
        self.rpc.attach(self.link)

    async def _call(self, action, payload):
        answer = self.handler(action, payload)
        if hasattr(answer, "send"):
            answer = await answer
        said = answer.payload if isinstance(answer, Answer) else answer
        sent_messages.check(action, "conf", json.loads(json.dumps(said)))
        return answer

    def _handle(self, action, payload):
        self.calls.append((action, payload))
        return {"status": "Accepted"}

    async def receive(self, message):
        if not isinstance(message, (str, bytes)):
            message = json.dumps(message)
        if isinstance(message, str):
            message = message.encode()
        await self.rpc.received(memoryview(message))

    async def answer(self, message):
        """What the station answers to a message."""
        await self.receive(message)
        assert len(self.link.sent) == 1, self.link.sent
        return self.link.sent.pop()


def heartbeat(rig):
    return asyncio.create_task(rig.rpc.call("Heartbeat", {}))


TIME = {"currentTime": "2024-01-01T00:00:00Z"}


SEEN = {"currentTime": (1704067200, 0)}


async def error_of(work):
    try:
        await work
    except Exception as error:
        return error
    raise AssertionError("no error")


# calls out


async def test_a_call_and_its_answer():
    rig = Rig()
    task = heartbeat(rig)
    kind, uid, action, payload = await rig.link.next()
    assert (kind, action, payload) == (2, "Heartbeat", {})
    assert 0 < len(uid) <= 36
    await rig.receive([3, uid, TIME])
    assert await task == SEEN


async def test_one_call_at_a_time_in_the_order_asked_for():
    rig = Rig()
    done = []

    async def authorise(tag):
        await rig.rpc.call("Authorize", {"idTag": tag})
        done.append(tag)

    tasks = [asyncio.create_task(authorise(str(n))) for n in range(5)]
    seen = []
    for n in range(5):
        _, uid, _, payload = await rig.link.next()
        await asyncio.sleep(5)
        assert not rig.link.sent and payload == {"idTag": str(n)} and len(done) == n
        seen.append(uid)
        await rig.receive([3, uid, {"idTagInfo": {"status": "Accepted"}}])
    for task in tasks:
        await task
    assert done == ["0", "1", "2", "3", "4"] and len(set(seen)) == 5


async def test_ids_are_unique_over_restarts_and_short():
    ids = set()
    for _ in range(20):
        rig = Rig(timeout_s=1)
        for _ in range(5):
            task = heartbeat(rig)
            uid = (await rig.link.next())[1]
            assert len(uid) <= 36 and uid not in ids
            ids.add(uid)
            rig.rpc.detach()
            await error_of(task)
            rig.rpc.attach(rig.link)
    rig = Rig(nonce="boot-7")
    heartbeat(rig)
    assert (await rig.link.next())[1] == "boot-7-1"
    rig = Rig(nonce="x" * 100)
    heartbeat(rig)
    assert len((await rig.link.next())[1]) <= 36


async def test_no_answer_within_message_timeout():
    rig = Rig()
    begun = rig.clock.ms()
    error = await error_of(rig.rpc.call("Heartbeat", {}))
    assert isinstance(error, asyncio.TimeoutError) and not isinstance(error, LinkDown)
    assert 29900 <= rig.clock.ms() - begun <= 30500
    rig.timeout_s = 5  # the key was changed
    await error_of(rig.rpc.call("Heartbeat", {}))
    assert rig.clock.ms() - begun <= 36000


async def test_no_answer_on_half_a_link_is_a_lost_link():
    """Else a message would be given up that nobody ever had (OCPP 3.7.1)."""
    rig = Rig(timeout_s=5)
    rig.link.pong_s = None
    begun = rig.clock.ms()
    assert isinstance(await error_of(rig.rpc.call("Heartbeat", {})), LinkDown)
    assert rig.clock.ms() - begun <= 10500


async def test_a_slow_link_has_its_time():
    rig = Rig(timeout_s=5)
    rig.link.slow = 40
    task = heartbeat(rig)
    uid = (await rig.link.next())[1]
    await asyncio.sleep(44)
    await rig.receive([3, uid, TIME])
    assert await task == SEEN
    # an answer that comes before the pong is none too late
    rig.link.slow, rig.link.pong_s = 0, 4
    task = heartbeat(rig)
    uid = (await rig.link.next())[1]
    await asyncio.sleep(8)
    await rig.receive([3, uid, TIME])
    assert await task == SEEN


async def test_late_and_duplicate_and_strange_answers_are_ignored():
    rig = Rig(timeout_s=10)
    await error_of(rig.rpc.call("Heartbeat", {}))
    late = (await rig.link.next())[1]
    task = heartbeat(rig)
    uid = (await rig.link.next())[1]
    for message in (
        [3, late, TIME],
        [4, late, "InternalError", "", {}],
        [3, "somebody's", TIME],
        [3, "", TIME],
        [4, "", "GenericError", "", {}],
        [3, late.upper(), {}],
        [3, uid + " ", {}],
    ):
        await rig.receive(message)
        await asyncio.sleep(0.1)
        assert not task.done(), message
    await rig.receive([3, uid, TIME])
    await rig.receive([3, uid, {"currentTime": "1999-01-01T00:00:00Z"}])
    assert await task == SEEN
    await rig.receive([3, uid, TIME])
    assert not rig.link.sent and not rig.log.has("warning", "")
    assert rig.log.has("debug", late)


async def test_call_errors():
    rig = Rig()
    for message, code, description in (
        (["NotSupported", "no", {}], "NotSupported", "no"),
        (["GenericError", "", {}], "GenericError", ""),
        (["Strange", None], "Strange", ""),
        (["InternalError"], "InternalError", ""),
    ):
        task = heartbeat(rig)
        uid = (await rig.link.next())[1]
        await rig.receive([4, uid] + message)
        error = await error_of(task)
        assert isinstance(error, CallError)
        assert (error.code, error.description) == (code, description)


async def test_answers_that_are_unusable():
    rig = Rig()
    for text in (
        '{"currentTime":5}',
        "{}",
        "[1]",
        '"now"',
        '{"currentTime":"2024-01-01T00:00:00Z"',  # not even JSON: no use in waiting
        "{,}",
        '{"a":NaN}',
    ):
        task = heartbeat(rig)
        uid = (await rig.link.next())[1]
        await rig.receive('[3,"%s",%s]' % (uid, text))
        error = await error_of(task)
        assert isinstance(error, CallError), error
    assert not rig.link.sent


async def test_transaction_ids_zero_and_negative_are_ordinary():
    rig = Rig()
    request = {
        "connectorId": 1,
        "idTag": "freeCharge",
        "meterStart": 0,
        "timestamp": "2024-01-01T00:00:00Z",
    }
    for number in (0, -1, -2147483648, 1 << 40):
        task = asyncio.create_task(rig.rpc.call("StartTransaction", dict(request)))
        uid = (await rig.link.next())[1]
        answer = {"transactionId": number, "idTagInfo": {"status": "Accepted"}, "extra": None}
        await rig.receive([3, uid, answer])
        assert (await task)["transactionId"] == number


async def test_the_link_goes_while_a_call_waits():
    rig = Rig()
    tasks = [heartbeat(rig) for _ in range(3)]
    uid = (await rig.link.next())[1]
    rig.rpc.detach()
    other = Link()
    rig.rpc.attach(other)
    begun = rig.clock.ms()
    for task in tasks:  # those in the queue belonged to that link too
        error = await error_of(task)
        assert isinstance(error, LinkDown) and isinstance(error, OSError)
    assert rig.clock.ms() - begun < 1000 and not other.sent
    await rig.receive([3, uid, TIME])
    rig.link = other
    task = heartbeat(rig)
    uid = (await other.next())[1]
    await rig.receive([3, uid, TIME])
    assert await task == SEEN


async def test_without_a_link():
    rig = Rig()
    rig.rpc.detach()
    assert isinstance(await error_of(rig.rpc.call("Heartbeat", {})), LinkDown)
    await rig.receive([2, "a", "Reset", {"type": "Soft"}])
    assert not rig.link.sent and rig.log.has("info", "not answered")
    assert isinstance(await error_of(rig.rpc.call("Heartbeat", {})), LinkDown)


async def test_sending_fails():
    rig = Rig()
    for broken in (OSError("reset"), EOFError(), asyncio.TimeoutError(), ValueError("tls")):
        rig.link.broken = broken
        assert isinstance(await error_of(rig.rpc.call("Heartbeat", {})), LinkDown)
    rig.link.broken = None
    task = heartbeat(rig)
    uid = (await rig.link.next())[1]
    await rig.receive([3, uid, TIME])
    await task


async def test_a_call_that_is_cancelled_lets_the_next_one_go():
    rig = Rig()
    first, second = heartbeat(rig), heartbeat(rig)
    lost = (await rig.link.next())[1]
    first.cancel()
    uid = (await rig.link.next())[1]
    await rig.receive([3, lost, TIME])
    await rig.receive([3, uid, TIME])
    assert await second == SEEN
    try:
        await first
    except asyncio.CancelledError:
        pass


async def test_an_answer_that_arrives_while_the_call_is_still_being_sent():
    rig = Rig()
    rig.link.pause_s = 1
    task = heartbeat(rig)
    await asyncio.sleep(0.5)
    await rig.receive([3, rig.rpc.waiting, TIME])
    assert await task == SEEN


async def test_what_goes_out_is_checked_in_tests():
    rig = Rig()
    error = await error_of(rig.rpc.call("Authorize", {"idTag": "x" * 21}))
    assert isinstance(error, RuntimeError) and "idTag" in str(error)
    error = await error_of(rig.rpc.call("Authorise", {}))
    assert isinstance(error, RuntimeError)


async def test_a_message_that_goes_out_is_compact():
    rig = Rig()
    task = asyncio.create_task(rig.rpc.call("Authorize", {"idTag": "é"}))
    uid = (await rig.link.next())[1]
    await rig.receive('[3, "%s", {"idTagInfo": {"status": "Invalid"}}]' % uid)
    await task
    text = '[2,"%s","Authorize",{"idTag":"' % uid
    assert rig.link.text[: len(text)] == text and rig.link.text[-3:] == '"}]'
