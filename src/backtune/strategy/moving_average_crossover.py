"""Follow the trend: long while a fast average is above a slow one, short while it is below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.space import Int, Space
from backtune.strategy.base import BaseStrategy, check_periods
from backtune.strategy.indicators import EQUAL, hold_side, rolling_sum


@dataclass(frozen=True)
class MovingAverageCrossover(BaseStrategy):
    """Long while SMA(fast_period) of the close is above SMA(slow_period), short while below; a tie keeps the side."""

    name: ClassVar[str] = "MovingAverageCrossover"
    fast_period: int = 10
    slow_period: int = 50

    def __post_init__(self) -> None:
        check_periods(self.fast_period, self.slow_period)

    @classmethod
    def space(cls) -> Space:
        return Space(
            fast_period=Int(3, 40, default=10),
            slow_period=Int(41, 250, default=50),
            rules=["fast_period < slow_period"],
        )

    def positions(self, bars: Bars) -> np.ndarray:
        fast, slow = self.fast_period, self.slow_period
        # The averages times both periods: nothing is divided, so that equal averages are equal to the last digit.
        lead = rolling_sum(bars.close, fast) * slow - rolling_sum(bars.close, slow) * fast
        tie = EQUAL * fast * slow * bars.close
        positions: np.ndarray = hold_side(lead > tie, lead < -tie)
        return positions
