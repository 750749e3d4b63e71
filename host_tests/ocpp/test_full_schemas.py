"""The calls of FeatureSet `full` against the JSON schemas that the `ocpp` package brings along: a
message is read, packed and checked as it is at the station."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.ocpp import CallError, json_reader, schemas
from firmware.ocpp.handlers import full_core
from host_tests.both.local_authorization.test_local_list import packers
from host_tests.ocpp.ocpp_messages import (
    NOT_SUPPORTED,
    as_received,
    instances,
    mutated,
    validator,
)
from host_tests.ocpp.test_schemas import check_verdict

each = pytest.mark.parametrize("action", NOT_SUPPORTED)
some = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def error_of(action, payload):
    """The CallError, or None."""
    text = json.dumps([2, "1", action, payload]).encode()

    async def receive():
        frame = await json_reader.read_message(memoryview(text), packers())
        await schemas.checked(action, frame[3], full_core._CALLS)

    try:
        asyncio.run(receive())
    except CallError as error:
        return error
    return None


@each
@some
@given(data=st.data())
def test_what_fits_the_schema_is_taken(action, data):
    schema = validator(action, "req")
    payload = data.draw(instances(schema.schema))
    schema.validate(as_received(payload))
    assert error_of(action, payload) is None


@each
@some
@given(data=st.data())
def test_what_does_not_fit_is_refused_and_nothing_else(action, data):
    schema = validator(action, "req")
    payload = data.draw(mutated(instances(schema.schema)))
    check_verdict(schema, payload, lambda: error_of(action, payload))
