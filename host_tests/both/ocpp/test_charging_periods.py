"""Charging periods become numbers as they are received, with the verdicts of the schemas."""

import json

from firmware.ocpp import CallError, json_reader, schemas

GOOD = '{"startPeriod":%d,"limit":16.1,"numberPhases":3}'
# Each in the place of a period.
OTHERS = (
    '{"startPeriod":0,"limit":0}',
    '{"limit":16,"startPeriod":0,"numberPhases":1}',
    '{"startPeriod":5,"limit":1e9}',
    '{"startPeriod":5,"limit":123456789012}',
    '{"startPeriod":123456789012,"limit":6,"numberPhases":-123456789012}',
    '{"startPeriod":0,"limit":1e99}',
    '{"startPeriod":0,"limit":1e37}',
    '{"startPeriod":7,"startPeriod":8,"limit":1.5}',
    "{}",
    '{"startPeriod":0}',
    '{"limit":6}',
    '{"startPeriod":-1,"limit":6}',
    '{"startPeriod":1.0,"limit":6}',
    '{"startPeriod":"1","limit":6}',
    '{"startPeriod":true,"limit":6}',
    '{"startPeriod":null,"limit":6}',
    '{"startPeriod":0,"limit":6.55}',
    '{"startPeriod":0,"limit":-0.1}',
    '{"startPeriod":0,"limit":-5}',
    '{"startPeriod":0,"limit":-1e99}',
    '{"startPeriod":0,"limit":"6"}',
    '{"startPeriod":0,"limit":false}',
    '{"startPeriod":0,"limit":[6]}',
    '{"startPeriod":0,"limit":6,"numberPhases":null}',
    '{"startPeriod":0,"limit":6,"numberPhases":3.0}',
    '{"startPeriod":0,"limit":6,"color":1}',
    '{"startPeriod":0,"limit":6,"numberPhases":3,"color":{}}',
    "[]",
    '[{"startPeriod":0,"limit":6}]',
    "null",
    "5",
    '"x"',
)


def message(items, wrapped="%s"):
    periods = wrapped % ",".join(items)
    return (
        '[2,"1","SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,'
        '"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative",'
        '"chargingSchedule":{"chargingSchedulePeriod":[%s],"chargingRateUnit":"A"}}}]' % periods
    ).encode()


def outcome(payload):
    try:
        checked = schemas.check("SetChargingProfile", "req", payload)
    except CallError as error:
        return str(error)
    pieces = checked["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    assert all(len(piece) <= 48 for piece in pieces)
    return [number for piece in pieces for number in piece]


async def same(items):
    """What becomes of them as they are received is what becomes of the tree of objects."""
    data = message(items)
    found = outcome((await json_reader.read_message(memoryview(data)))[3])
    assert found == outcome(json.loads(data)[3]), items
    return found


async def test_a_hundred():
    numbers = await same([GOOD % (60 * n) for n in range(100)])
    assert numbers[:6] == [0, 161, 3, 60, 161, 3] and len(numbers) == 300


async def test_anything_in_the_place_of_a_period():
    for other in OTHERS:
        for before in (0, 1, 16):
            items = [GOOD % n for n in range(before)] + [other]
            await same(items)
            found = await same(items + [GOOD % 900, other])
            if isinstance(found, str):
                assert "chargingSchedulePeriod[%d]" % before in found, found


async def test_elsewhere_it_is_a_list_as_any_other():
    """The name alone makes no numbers of what holds no periods, nor of what is around it."""
    text = (
        b'[3,"1",{"chargingSchedulePeriod":{"startPeriod":1},"b":[{"startPeriod":1,"limit":2}]}]'
    )
    frame = await json_reader.read_message(memoryview(text))
    assert frame[2]["b"] == [{"startPeriod": 1, "limit": 2}]
    assert frame[2]["chargingSchedulePeriod"] == {"startPeriod": 1}
    text = b'[3,"1",{"chargingSchedulePeriod":[[{"startPeriod":1,"limit":2}],7,{"a":1}]}]'
    frame = await json_reader.read_message(memoryview(text))
    assert frame[2]["chargingSchedulePeriod"][1:] == [7, {"a": 1}]
    assert await json_reader.read_message(memoryview(b'[3,"1",{"chargingSchedulePeriod":[]}]'))
