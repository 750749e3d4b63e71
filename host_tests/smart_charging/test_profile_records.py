"""Random charging periods: a profile's record gives them back."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.smart_charging.profile import MAX_PERIODS, NEVER
from host_tests.both.smart_charging.test_profile_records import check

GRIDS = st.sampled_from([1, 60, 864, 900, 3600, 40000])
UNITS = st.sampled_from([1, 5, 10, 100, 230])


@given(
    gaps=st.lists(st.integers(1, 12), max_size=MAX_PERIODS - 1),
    grid=GRIDS,
    first=st.integers(0, 899),
    limits=st.lists(st.integers(0, 3000000), min_size=1, max_size=8),
    tenths=UNITS,
    unit=st.sampled_from("AW"),
)
def test_any_periods(gaps, grid, first, limits, tenths, unit):
    starts = [0]
    for gap in gaps:
        starts.append(starts[-1] + gap * grid + (first if len(starts) == 1 else 0))
    assert starts[-1] < NEVER
    check([(s, limits[n % len(limits)] * tenths, n % 4) for n, s in enumerate(starts)], unit)
