"""The flash outlives the station: tools/bench/wear.py tells by how much."""

import pytest

from tools.bench import wear


@pytest.mark.parametrize("board", wear.BOARDS)
@pytest.mark.parametrize("profiles, erases", [("24 periods", 800), ("100 periods", 1600)])
def test_busy_days_leave_the_flash_20_years(board, profiles, erases):
    measured = wear.measure(2, board, profiles)
    assert measured["programs"] > 4000  # the days were busy
    assert measured["erases"] < erases
    assert measured["years"] >= 20


@pytest.mark.slow
def test_what_feature_set_full_adds_is_little():
    """As docs/guide-notes.md says: the cache 14 erases a day, a list sent anew each night 26."""
    cache = wear.measure_ids(10, False)
    assert 10 < cache < 18
    assert 20 < wear.measure_ids(10, True) - cache < 32
