"""What an operation of the storage costs on the flash (tools/bench/flash_costs.py)."""

import pytest

from tools.bench import flash_costs

READS = 1000  # 25 to 33 ms, see the module
WHILE_NO_ENERGY_FLOWS = ("start-up", "free space")


@pytest.mark.parametrize(
    "blocks, slots, geometry",
    [board[1:] for board in flash_costs.BOARDS if "stock" not in board[0]],
)
def test_what_runs_while_energy_flows_is_short(blocks, slots, geometry):
    board = flash_costs.Board(blocks, slots, geometry)
    board.run()
    assert not board.refused
    erases = []
    for name, costs in board.rows:
        if name.startswith(WHILE_NO_ENERGY_FLOWS):
            continue
        for cost in costs:
            # where LittleFS moves a folder's metadata it looks through all of them for its parent
            most = 2 * READS if cost.most[2] > 1 else READS
            assert cost.most[0] <= most, (name, cost.most)
            erases.append(cost.most[2])
    # LittleFS compacts a folder's metadata now and then, which is an erase more, or two
    assert max(erases) <= 3
    assert sum(n > 1 for n in erases) < len(erases) // 20
    lists = [
        cost for name, costs in board.rows if name.startswith("SendLocalList") for cost in costs
    ]
    erasing = sum(cost.erasing for cost in lists)
    assert erasing > 50 and sum(cost.erasing_more for cost in lists) < erasing // 20
    typical = {}
    for name, costs in board.rows:
        typical[name] = sorted(cost.all for cost in costs)[len(costs) // 2]
    ten = typical["SetChargingProfile, the 10. and those before"]
    for name in ("SetChargingProfile, the 74.", "SetChargingProfile, the 199."):
        cost = typical[name + " and those before"]
        assert cost[0] <= ten[0] + 10 and cost[1:] <= ten[1:], name
