"""Calls of the central system: how they are answered, refused, and outlive a crash."""

import asyncio
import json

from firmware.ocpp import Answer, CallError, Unanswered, rpc
from host_tests.both.ocpp.test_rpc import SEEN, TIME, Link, Rig, heartbeat

# calls in


async def test_a_call_comes_in_and_is_answered():
    rig = Rig()
    answer = await rig.answer([2, "x-1", "RemoteStopTransaction", {"transactionId": 0}])
    assert answer == [3, "x-1", {"status": "Accepted"}]
    assert rig.calls == [("RemoteStopTransaction", {"transactionId": 0})]
    rig.handler = lambda action, payload: {}
    assert await rig.answer('[2,"x-2","GetConfiguration",null]') == [3, "x-2", {}]


async def test_calls_cross():
    rig = Rig()
    task = heartbeat(rig)
    uid = (await rig.link.next())[1]
    assert (await rig.answer([2, uid, "Reset", {"type": "Hard"}]))[0:2] == [3, uid]
    assert not task.done()
    await rig.receive([3, uid, TIME])
    assert await task == SEEN


async def test_what_a_call_is_refused_with():
    rig = Rig()
    for text, code in (
        ('[2,"a","Reset",{"type":"Soft"', "FormationViolation"),
        ('[2,"a","Reset",{"type":"Soft",}]', "FormationViolation"),
        ('[2,"a","Reset",{"type":NaN}]', "FormationViolation"),
        ('[2,"a","Reset"]', "FormationViolation"),
        ('[2,"a","Reset",{},1]', "FormationViolation"),
        ('[2,"a",7,{}]', "FormationViolation"),
        ('[2,"a","Reset",[]]', "FormationViolation"),
        ('[2,"a","Reset",{"type":"Soft","x":1}]', "FormationViolation"),
        ('[2,"a","Reset",{}]', "OccurenceConstraintViolation"),
        ('[2,"a","Reset",{"type":1}]', "TypeConstraintViolation"),
        ('[2,"a","Reset",{"type":"soft"}]', "PropertyConstraintViolation"),
        ('[2,"a","Explode",{}]', "NotImplemented"),
        ('[2,"a","Explode",{', "NotImplemented"),
        ('[2,"a","ClearCache",{}]', "NotSupported"),
        ('[2,"a","SendLocalList",{"x":[' + "[]," * 900 + "0]}]", "NotSupported"),
        ('[2,"a","Heartbeat",{}]', "NotSupported"),
        ('[2,"a","GetConfiguration",{"key":[' + "[]," * 900 + "0]}]", "FormationViolation"),
        ('[2,"a","GetConfiguration",' + "[" * 900, "FormationViolation"),
    ):
        answer = await rig.answer(text)
        assert answer[:3] == [4, "a", code], (text[:60], answer)
        assert isinstance(answer[3], str) and len(answer) == 5 and answer[4] == {}
    assert (await rig.answer('[2,"%s","Reset",{"type":"Soft"}]' % ("i" * 37)))[:3] == [
        4,
        "i" * 37,
        "FormationViolation",
    ]
    assert not rig.calls
    answer = await rig.answer([2, "b", "Reset", {"type": "Soft"}])
    assert answer == [3, "b", {"status": "Accepted"}]


async def test_what_nobody_could_answer_is_ignored():
    rig = Rig()
    for text in (
        "",
        "hello",
        "[]",
        "{}",
        "[2]",
        "[2,",
        '[2,5,"Reset",{"type":"Soft"}]',
        '[2,"a',
        '[9,"a","Reset",{}]',
        '[5,"a",{}]',
        '[4,"a"]',
        '[3,"a"',
        b"\xff\xfe",
        b'[2,"\xff","Reset",{"type":"Soft"}]',
    ):
        await rig.receive(text)
        assert not rig.link.sent and not rig.calls, text
    assert rig.log.has("warning", "refused")


async def test_a_handler_refuses():
    def handler(action, payload):
        raise CallError("PropertyConstraintViolation", "connectorId: no such connector" * 20)

    rig = Rig(handler)
    answer = await rig.answer([2, "a", "UnlockConnector", {"connectorId": 9}])
    assert answer[2] == "PropertyConstraintViolation"
    assert answer[3].startswith("connectorId: no such") and len(answer[3]) == 255


async def test_a_handler_crashes_and_the_station_goes_on():
    def handler(action, payload):
        if action == "Reset":
            return {}[payload["type"]]
        if action == "UnlockConnector":
            raise MemoryError
        if action == "CancelReservation":
            return None
        return {"status": "Great"}

    rig = Rig(handler)
    answer = await rig.answer([2, "a", "Reset", {"type": "Soft"}])
    assert answer[:3] == [4, "a", "InternalError"]
    assert rig.log.has("error", "KeyError")
    for action, payload in (
        ("UnlockConnector", {"connectorId": 1}),
        ("CancelReservation", {"reservationId": 1}),
        ("RemoteStopTransaction", {"transactionId": 1}),
    ):
        answer = await rig.answer([2, "b", action, payload])
        assert answer[:3] == [4, "b", "InternalError"], answer


async def test_after_runs_when_the_answer_is_out():
    order = []

    def handler(action, payload):
        return Answer({"status": "Accepted"}, lambda: order.append(list(rig.link.sent)))

    rig = Rig(handler)
    await rig.receive([2, "a", "Reset", {"type": "Soft"}])
    assert order == [[[3, "a", {"status": "Accepted"}]]]
    rig.link.broken = OSError("gone")
    await rig.receive([2, "b", "Reset", {"type": "Soft"}])
    assert rig.log.has("info", "not answered: gone")
    assert len(order) == 2  # what was accepted is done all the same


async def test_a_call_without_an_answer():
    def handler(action, payload):
        raise Unanswered

    rig = Rig(handler)
    await rig.receive([2, "a", "Reset", {"type": "Soft"}])
    await asyncio.sleep(1)
    assert not rig.link.sent and not rig.log.lines and not rig.rpc.tasks


async def test_answers_keep_the_order_of_calls_and_are_not_piled_up():
    """The next call is handled once the answer to the one before is out, unless its handler
    waits for something itself."""
    rig = Rig()
    rig.link.pause_s = 1
    begun = rig.clock.ms()
    for number in range(5):
        await rig.receive([2, str(number), "Reset", {"type": "Soft"}])
        assert [answer[1] for answer in rig.link.sent] == [str(n) for n in range(number + 1)]
        assert len(rig.calls) == number + 1 and not rig.rpc.tasks
    assert rig.clock.ms() - begun >= 5000


async def test_after_crashes():
    def handler(action, payload):
        return Answer({"status": "Accepted"}, lambda: 1 // 0)

    rig = Rig(handler)
    assert (await rig.answer([2, "a", "Reset", {"type": "Soft"}]))[0] == 3
    assert rig.log.has("error", "ZeroDivisionError")


async def test_a_handler_that_takes_its_time():
    order = []

    def handler(action, payload):
        async def unlock():
            await asyncio.sleep(3)
            if payload["connectorId"] == 2:
                raise CallError("GenericError", "stuck")
            if payload["connectorId"] == 3:
                raise OSError("lock")
            return Answer({"status": "Unlocked"}, lambda: order.append("after"))

        return unlock() if action == "UnlockConnector" else {"status": "Accepted"}

    rig = Rig(handler)
    for number in (1, 2, 3):
        await rig.receive([2, str(number), "UnlockConnector", {"connectorId": number}])
    assert not rig.link.sent  # and meanwhile others are answered
    answer = await rig.answer([2, "x", "Reset", {"type": "Soft"}])
    assert answer == [3, "x", {"status": "Accepted"}]
    await asyncio.sleep(4)
    answers = {answer[1]: answer for answer in rig.link.sent}
    assert answers["1"] == [3, "1", {"status": "Unlocked"}] and order == ["after"]
    assert answers["2"][:4] == [4, "2", "GenericError", "stuck"]
    assert answers["3"][2] == "InternalError"


async def test_a_late_answer_goes_to_the_link_that_asked_or_to_none():
    order = []

    def handler(action, payload):
        async def unlock():
            await asyncio.sleep(3)
            return Answer({"status": "Unlocked"}, lambda: order.append("after"))

        return unlock()

    rig = Rig(handler)
    await rig.receive([2, "a", "UnlockConnector", {"connectorId": 1}])
    rig.rpc.detach()
    other = Link()
    rig.rpc.attach(other)
    await asyncio.sleep(4)
    assert not rig.link.sent and not other.sent and order == ["after"]


async def test_activity_is_noted():
    rig = Rig()
    await rig.clock.sleep_ms(5000)
    assert rig.clock.ms() - rig.rpc.active_ms >= 5000
    await rig.receive([2, "a", "Reset", {"type": "Soft"}])
    assert rig.clock.ms() - rig.rpc.active_ms < 100
    await rig.clock.sleep_ms(5000)
    heartbeat(rig)
    await rig.link.next()
    await rig.link.next()
    assert rig.clock.ms() - rig.rpc.active_ms < 100


async def test_secrets_are_not_logged():
    rig = Rig()
    payload = {"key": "AuthorizationKey", "value": "5ecret5ecret5ecret"}
    await rig.receive([2, "a", "ChangeConfiguration", payload])
    await rig.receive(json.dumps([2, "b", "ChangeConfiguration", payload])[:-2])
    payload["value"] *= 100
    await rig.receive([2, "c", "ChangeConfiguration", payload])
    assert not any("5ecret" in line for line in rig.log.lines), rig.log.lines


async def test_a_list_may_be_a_generator():
    async def written(members):
        text = "".join(await rpc.json_pieces([3, "1", {"a": (n for n in members), "b": 1}]))
        return json.loads(text)

    for members in ([], [1], [{"n": n} for n in range(100)], [[], [[2]], "x" * 300]):
        expected = json.loads(json.dumps(members))  # lists are emptied as they are written
        assert await written(members) == [3, "1", {"a": expected, "b": 1}]
