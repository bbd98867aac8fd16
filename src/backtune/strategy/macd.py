"""Follow momentum: long while the MACD line is above its signal line, short while it is below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.space import Int, Space
from backtune.strategy.base import BaseStrategy, check_periods
from backtune.strategy.indicators import EQUAL, hold_side, macd


@dataclass(frozen=True)
class MACDStrategy(BaseStrategy):
    """Long while MACD(fast_period, slow_period) is above its EMA(signal_period), short while below; a tie keeps the side."""

    name: ClassVar[str] = "MACDStrategy"
    fast_period: int = 12
    slow_period: int = 26
    signal_period: int = 9

    def __post_init__(self) -> None:
        check_periods(self.fast_period, self.slow_period, self.signal_period)

    @classmethod
    def space(cls) -> Space:
        return Space(
            fast_period=Int(5, 25, default=12),
            slow_period=Int(26, 100, default=26),
            signal_period=Int(3, 30, default=9),
            rules=["fast_period < slow_period"],
        )

    @classmethod
    def lookback(cls, space: Space) -> int:
        names = ("fast_period", "slow_period", "signal_period")
        fast, slow, signal = (max(int(end) for end in space[name].ends()) for name in names)
        # The signal is an average of the line, which is one of the close.
        return max(fast, slow) + signal

    def positions(self, bars: Bars) -> np.ndarray:
        line, signal = macd(bars.close, self.fast_period, self.slow_period, self.signal_period)
        lead, tie = line - signal, EQUAL * bars.close
        positions: np.ndarray = hold_side(lead > tie, lead < -tie)
        return positions
