"""The execution section in words; keys that are not used are not in a spec."""

import pytest

from backtune.report.sweep_summary import describe_costs, describe_position
from backtune.spec import Execution


@pytest.mark.parametrize(
    ("rules", "costs", "position"),
    [
        ({}, "fee 10 bps and slippage 2 bps a fill", "100% of equity, long and short"),
        ({"size": 0.5, "allow_short": False}, "fee 10 bps and slippage 2 bps a fill", "50% of equity, long only"),
        (
            {"fee_bps": 0, "fee_per_order": 1.5, "fee_per_share": 0.005, "minimum_fee": 2},
            "fee 0 bps and slippage 2 bps a fill; 1.5 an order; 0.005 a share; at least 2 an order",
            "100% of equity, long and short",
        ),
        (
            {"lot_size": 0.001, "tick_size": 0.05},
            "fee 10 bps and slippage 2 bps a fill",
            "100% of equity, long and short, in lots of 0.001, at ticks of 0.05",
        ),
    ],
)  # fmt: skip
def test_execution_in_words(rules, costs, position):
    execution = Execution(**rules)
    assert (describe_costs(execution), describe_position(execution)) == (costs, position)
