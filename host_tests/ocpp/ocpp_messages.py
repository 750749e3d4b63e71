"""Messages for tests, made from the JSON schemas that the `ocpp` package brings along."""

from __future__ import annotations

import copy
import decimal
import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st
from ocpp import messages

FROM_STATION = (
    "Authorize BootNotification DataTransfer DiagnosticsStatusNotification "
    "FirmwareStatusNotification Heartbeat MeterValues StartTransaction StatusNotification "
    "StopTransaction"
).split()
TO_STATION = (
    "CancelReservation ChangeConfiguration ClearChargingProfile DataTransfer "
    "GetCompositeSchedule GetConfiguration GetDiagnostics RemoteStartTransaction "
    "RemoteStopTransaction ReserveNow Reset "
    "SetChargingProfile TriggerMessage UnlockConnector UpdateFirmware"
).split()
NOT_SUPPORTED = "ChangeAvailability ClearCache GetLocalListVersion SendLocalList".split()
ACTIONS = sorted({*FROM_STATION, *TO_STATION, *NOT_SUPPORTED})
MESSAGES = [(action, direction) for action in ACTIONS for direction in ("req", "conf")]


def validator(action, direction):
    """The package's validator, exact for decimals."""
    kind = messages.MessageType.Call if direction == "req" else messages.MessageType.CallResult
    return messages.get_validator(kind, action, "1.6", parse_float=decimal.Decimal)


def as_received(payload):
    """The payload as that validator wants it."""
    return json.loads(json.dumps(payload), parse_float=decimal.Decimal)


def date_times():
    """dateTime as central systems write it."""
    zones = st.sampled_from(
        [UTC, None, timezone(timedelta(hours=2)), timezone(-timedelta(hours=9))]
    )
    moments = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=zones)
    styles = st.sampled_from(["seconds", "milliseconds", "microseconds"])
    return st.builds(
        lambda moment, style: moment.isoformat(timespec=style).replace("+00:00", "Z"),
        moments,
        styles,
    )


def instances(schema):
    """A strategy of what fits a schema, and what OCPP's text says beyond it."""
    kind = schema.get("type")
    if "enum" in schema:
        return st.sampled_from([value for value in schema["enum"] if value != "Hertz"])
    if schema.get("format") == "date-time":
        return date_times()
    if kind == "string":
        most = schema.get("maxLength", 60)
        return st.one_of(st.text(max_size=most), st.just("é" * most))
    if kind == "integer":
        return st.one_of(st.integers(1, 3), st.integers(1, 2**40))
    if kind == "number":
        return st.one_of(st.integers(0, 250000).map(lambda n: n / 10), st.integers(0, 99))
    if kind == "boolean":
        return st.booleans()
    if kind == "array":
        return st.lists(instances(schema["items"]), min_size=1, max_size=3)
    assert kind == "object", schema
    fields = {name: instances(field) for name, field in schema.get("properties", {}).items()}
    needed = {name: fields.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional=fields)


def _places(value, place=()):
    yield place
    if isinstance(value, dict):
        for name in value:
            yield from _places(value[name], (*place, name))
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _places(item, (*place, n))


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([-(2**31), 2**31, 2**50, 1.0, 0.5, 16.25, -0.1, 3.14, 1e9]),
    st.sampled_from(
        ["", "Accepted", "A", "0", "true", "2024-02-30T00:00:00Z", "x" * 21, "x" * 501]
    ),
    st.sampled_from([[], {}, [{}], [[]], {"a": 1}]),
).map(copy.deepcopy)


@st.composite
def mutated(draw, valid):
    """A payload with something wrong in one place or two, most of the time."""
    payload = copy.deepcopy(draw(valid))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(list(_places(payload))))
        what = draw(st.sampled_from(["replace", "replace", "remove", "add", "double"]))
        holder, last = None, payload
        for step in place:
            holder, last = last, last[step]
        if what == "add" and isinstance(last, dict):
            last[draw(st.sampled_from(["x", "Status", "idtag", "customData"]))] = draw(WRONG)
        elif what == "double" and isinstance(last, list):
            last.extend(copy.deepcopy(last))
        elif holder is None:
            payload = draw(st.one_of(st.just(payload), st.just({}), WRONG))
        elif what == "remove":
            del holder[place[-1]]
        else:
            holder[place[-1]] = draw(WRONG)
    return payload
