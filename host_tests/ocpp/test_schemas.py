"""The message table against the JSON schemas of OCPP 1.6 that the `ocpp` package brings along.

They agree on everything but this, where OCPP's text says more than its schemas:
- a dateTime has to be one (their `format` is not checked);
- integers that the text bounds: connectorId, stackLevel, duration, startPeriod, retries and
  retryInterval from 0, StartTransaction's connectorId from 1; a limit or minChargingRate from 0;
- chargingSchedulePeriod (1..*), and sampledValue in StopTransaction's transactionData;
- MeterValues' unit Hertz, which OCPP 1.6 does not have (errata 3.86) and StopTransaction's
  schema neither.
"""

import decimal
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.ocpp import CallError, schemas
from host_tests.both import sent_messages
from host_tests.ocpp.ocpp_messages import (
    FROM_STATION,
    MESSAGES,
    NOT_SUPPORTED,
    TO_STATION,
    as_received,
    instances,
    mutated,
    validator,
)

RECEIVED = schemas.MESSAGES
SENT = sent_messages.MESSAGES
ALL = {**RECEIVED, **SENT}
CODES = {
    "type": "TypeConstraintViolation",
    "additionalProperties": "FormationViolation",
    "required": "OccurenceConstraintViolation",
    "minItems": "OccurenceConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "enum": "PropertyConstraintViolation",
    "multipleOf": "PropertyConstraintViolation",
}
MORE = re.compile(
    r"(^|\.)(currentTime|expiryDate|retrieveDate|scheduleStart|startSchedule|startTime|stopTime|"
    r"timestamp|validFrom|validTo): (not a date-time|out of range|not a zone|a fraction)"
    r"|(^|\.)(connectorId|stackLevel|duration|startPeriod|retries|retryInterval|limit|"
    r"minChargingRate): .*less than [01]"
    r"|chargingSchedulePeriod: empty|transactionData\[\d+\]\.sampledValue: empty"
)

each = pytest.mark.parametrize(
    "action, direction", [pytest.param(*message, id=".".join(message)) for message in MESSAGES]
)
some = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def check_verdict(schema, payload, ours):
    """Asserts that `ours()`, a CallError or None, agrees with what the schema says of it."""
    errors = list(schema.iter_errors(as_received(payload)))
    if payload is None:
        return  # a payload without members (OCPP-J 4.2.1)
    error = ours()
    if not isinstance(payload, dict):
        assert error.code == "FormationViolation"
    elif error and MORE.search(error.description):
        assert error.code in ("PropertyConstraintViolation", "OccurenceConstraintViolation")
    elif errors:
        assert error, errors
        assert error.code in {CODES[wrong.validator] for wrong in errors}, (error, errors)
    else:
        assert error is None


def ours(action, direction, payload):
    """The CallError, or None."""
    try:
        schemas.check(action, direction, payload, True, ALL)
    except CallError as error:
        return error
    return None


@each
@some
@given(data=st.data())
def test_what_fits_the_schema_is_taken(action, direction, data):
    schema = validator(action, direction)
    payload = data.draw(instances(schema.schema))
    schema.validate(as_received(payload))
    assert ours(action, direction, payload) is None


@each
@some
@given(data=st.data())
def test_what_does_not_fit_is_refused_and_nothing_else(action, direction, data):
    schema = validator(action, direction)
    payload = data.draw(mutated(instances(schema.schema)))
    check_verdict(schema, payload, lambda: ours(action, direction, payload))


def rules(schema, path=""):
    """What a schema says, flat: path -> (type, length, values, required)."""
    out = {}
    if schema["type"] == "array":
        return rules(schema["items"], path + "[]") if path else out
    for name, field in schema.get("properties", {}).items():
        place = f"{path}.{name}"
        required = name in schema.get("required", ())
        inner = field
        while inner["type"] == "array":
            inner = inner["items"]
            place += "[]"
        kind = "time" if inner.get("format") == "date-time" else inner["type"]
        values = frozenset(inner.get("enum", ()))
        out[place] = (kind, inner.get("maxLength"), values, required)
        if kind == "object":
            out.update(rules(inner, place))
    return out


KINDS = {"i": "integer", "d": "number", "b": "boolean", "t": "time", "s": "string"}


def rows(fields, path=""):
    """The same of a row of ours."""
    out = {}
    for name, kind, required in fields:
        required = bool(required)
        place = f"{path}.{name}"
        while kind[0] in "[(":
            kind = kind[1:-1].rstrip("+")
            place += "[]"
        inner = ALL[kind] if kind in ALL else kind
        if isinstance(inner, tuple):
            out[place] = ("object", None, frozenset(), required)
            out.update(rows(inner, place))
        elif "|" in inner:
            out[place] = ("string", None, frozenset(inner.split("|")), required)
        else:
            length = int(inner[1:]) if inner[0] == "s" and inner != "s" else None
            out[place] = (KINDS[inner[0]], length, frozenset(), required)
    return out


@each
def test_the_table_says_what_the_schema_says(action, direction):
    theirs = rules(validator(action, direction).schema)
    if (action, direction) == ("MeterValues", "req"):
        place = ".meterValue[].sampledValue[].unit"
        kind, length, values, required = theirs[place]
        theirs[place] = (kind, length, values - {"Hertz"}, required)
    assert rows(schemas.fields(action, direction, ALL)) == theirs


def test_the_station_knows_what_the_guide_lists_and_no_more():
    def names(table, direction):
        return {name.split(".")[0] for name in table if name.endswith("." + direction)}

    assert names(RECEIVED, "req") == set(TO_STATION)
    assert names(RECEIVED, "conf") == set(FROM_STATION)
    assert names(SENT, "req") == {*FROM_STATION, *NOT_SUPPORTED}
    assert names(SENT, "conf") == {*TO_STATION, *NOT_SUPPORTED}
    assert {*schemas.NOT_SUPPORTED} == {*NOT_SUPPORTED}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3000000))
def test_limits_in_tenths(hundredths):
    """A float of 64 bits; on the device it has 24, which the tolerance allows for."""
    limit = hundredths / 100
    period = {"startPeriod": 0, "limit": limit}
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    error = ours(
        "GetCompositeSchedule", "conf", {"status": "Accepted", "chargingSchedule": schedule}
    )
    exact = decimal.Decimal(hundredths) % 10 == 0
    assert (error is None) == exact, (limit, error)
