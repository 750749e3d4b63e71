"""Charging periods as they are received, against the schemas on the tree of objects."""

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from host_tests.both.ocpp.test_charging_periods import GOOD, OTHERS, same

NUMBERS = (
    st.integers(-3, 2**40)
    | st.integers(0, 1000).map(lambda n: n / 10)
    | st.floats(0, 100).map(lambda n: round(n, 3))
)
VALUES = NUMBERS | st.none() | st.booleans() | st.text(max_size=3) | st.just([]) | st.just({})
NAMES = st.sampled_from(["startPeriod", "limit", "numberPhases", "startperiod", "x"])
ITEMS = (
    st.sampled_from(OTHERS)
    | st.integers(0, 99).map(lambda n: GOOD % n)
    | st.dictionaries(NAMES, VALUES, max_size=4).map(json.dumps)
)


@given(st.lists(ITEMS, max_size=40))
def test_the_same_verdict_and_the_same_numbers(items):
    asyncio.run(same(items))
