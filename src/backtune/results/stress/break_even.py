"""The costs at which the gain of a winner is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backtune.results.stress.winner_backtest import WinnerBacktest
from backtune.spec import Execution

# A fee of the whole notional, just what a spec can charge.
_MOST_BPS: Final = 9_999.0
_FIRST_BPS: Final = 16.0
# Relative, far below what is shown.
_PRECISION: Final = 1e-12


@dataclass(frozen=True)
class BreakEven:
    """The costs that a winner can bear beside those that it is charged.

    Attributes:
        cost_bps: The fee of every fill in basis points of its notional at which the total return is 0, without slippage and fees
            in money; None where there is no gain without costs. 9,999, the most that is tried, where the gain is never gone.
        charged_bps: The fee and the slippage that the spec charges, in basis points of the notional.
        has_fees_in_money: True where the spec charges fees in money besides, which ``charged_bps`` leaves out.
    """

    cost_bps: float | None
    charged_bps: float
    has_fees_in_money: bool

    @property
    def is_borne(self) -> bool:
        """Tell whether the fee and the slippage that the spec charges leave a gain."""
        return self.cost_bps is not None and self.cost_bps > self.charged_bps


def find_break_even(winner: WinnerBacktest) -> BreakEven:
    """Return the costs at which the winner neither gains nor loses, by bisection."""
    execution = winner.scorer.execution

    def has_gain(cost_bps: float) -> bool:
        total_return = winner.score_execution(charge_fee_alone(execution, cost_bps))["total_return"]
        return total_return is not None and total_return > 0.0

    fees_in_money = (execution.fee_per_order, execution.fee_per_share, execution.minimum_fee)
    return BreakEven(
        cost_bps=_bisect(has_gain) if has_gain(0.0) else None,
        charged_bps=execution.fee_bps + execution.slippage_bps,
        has_fees_in_money=any(fees_in_money),
    )


def charge_fee_alone(execution: Execution, fee_bps: float) -> Execution:
    """Return rules that charge every fill the same share of its notional, and nothing else."""
    nothing = dict.fromkeys(("slippage_bps", "fee_per_order", "fee_per_share", "minimum_fee"), 0.0)
    return execution.model_copy(update={**nothing, "fee_bps": fee_bps, "maker_fee_bps": None})


def _bisect(has_gain: Callable[[float], bool]) -> float:
    """Return where the gain ends, from a cost of 0 on where there is one."""
    low, high = 0.0, _FIRST_BPS
    while has_gain(high):
        if high == _MOST_BPS:
            return high
        low, high = high, min(2.0 * high, _MOST_BPS)
    while high - low > _PRECISION * high:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if has_gain(middle) else (low, middle)
    return high
