"""The flash outlives the station: tools/bench/wear.py tells by how much."""

import pytest

from tools.bench import wear


@pytest.mark.slow
def test_busy_days_leave_the_flash_20_years():
    measured = wear.measure(3)
    assert measured["programs"] > 4000  # the days were busy
    assert measured["erases"] < 600
    assert measured["years"] >= 20
