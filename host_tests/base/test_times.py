"""Date-times against CPython's own."""

import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.base import times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(moment):
    return (moment - EPOCH) // timedelta(seconds=1)


@settings(max_examples=300, deadline=None)
@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_parses_as_cpython_does(moment, offset):
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert times.parse(moment.isoformat()) == seconds(moment)
    assert times.parse(moment.isoformat().replace("+00:00", "Z")) == seconds(moment)


@settings(max_examples=300, deadline=None)
@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_writes_what_cpython_reads(moment):
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    text = times.text(seconds(moment))
    assert datetime.fromisoformat(text) == moment
    assert len(text) == 20 and text.endswith("Z")
    assert times.parse(text) == seconds(moment)


def test_every_day_of_the_calendar():
    day = datetime(1, 1, 1, tzinfo=UTC)
    epoch = seconds(day)
    while day < datetime(9990, 1, 1, tzinfo=UTC):
        assert times.text(epoch)[:10] == day.strftime("%Y-%m-%d").zfill(10)
        day += timedelta(days=37)
        epoch += 37 * 86400


SHAPE = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d(:?[0-5]\d)?)?", re.ASCII
)


@settings(max_examples=500, deadline=None)
@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)),
    st.sampled_from(["", "Z", "z", "+01:00", "-0530", "+01", ".5", ".123456789Z"]),
    st.lists(st.tuples(st.integers(0, 34), st.sampled_from("0123456789TtZz:.+- ,")), max_size=2),
    st.sampled_from([19, 16]),
)
def test_wrong_in_a_character_or_two(moment, tail, changes, length):
    text = moment.replace(microsecond=0).isoformat()[:length] + tail
    for at, character in changes:
        text = text[:at] + character + text[at + 1 :]
    expected = None
    if SHAPE.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper())
            expected = seconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except ValueError:
            pass
    try:
        assert times.parse(text) == expected
    except ValueError:
        assert expected is None
