"""Follow the trend: long while a fast average is above a slow one, short while it is below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.space import Int, Space
from backtune.strategy.base import BaseStrategy
from backtune.strategy.indicators import side, sma


@dataclass(frozen=True)
class MovingAverageCrossover(BaseStrategy):
    """Long while SMA(fast_period) of the close is above SMA(slow_period), short while below."""

    name: ClassVar[str] = "MovingAverageCrossover"
    fast_period: int = 10
    slow_period: int = 50

    @classmethod
    def space(cls) -> Space:
        return Space(fast_period=Int(3, 40, default=10), slow_period=Int(41, 250, default=50))

    def positions(self, bars: Bars) -> np.ndarray:
        positions: np.ndarray = side(
            sma(bars.close, self.fast_period) - sma(bars.close, self.slow_period), bars.close
        )
        return positions
