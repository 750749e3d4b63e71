"""A sample of `month.py`; `make torture` lives through whole months."""

import pytest

from host_tests import virtual
from host_tests.transactions import month


@pytest.mark.parametrize("full", [False, True], ids=["guide", "full"])
@pytest.mark.parametrize("seed", [2, 3])
def test_a_few_hours_with_outages_cuts_and_refusals(seed, full, tmp_path):
    done = virtual.run(month.weeks(seed, 0.08, tmp_path, idle=600, full=full))
    assert done["sessions"] >= 2
    assert not full or done["orders"] > 5 and done["orders cut short"]
