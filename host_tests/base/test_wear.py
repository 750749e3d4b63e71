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
