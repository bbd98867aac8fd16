"""Follow momentum: long while the MACD line is above its signal line, short while it is below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.space import Int, Space
from backtune.strategy.base import BaseStrategy
from backtune.strategy.indicators import macd, side


@dataclass(frozen=True)
class MACDStrategy(BaseStrategy):
    """Long while MACD(fast_period, slow_period) is above its EMA(signal_period), short while below."""

    name: ClassVar[str] = "MACDStrategy"
    fast_period: int = 12
    slow_period: int = 26
    signal_period: int = 9

    @classmethod
    def space(cls) -> Space:
        return Space(
            fast_period=Int(5, 25, default=12),
            slow_period=Int(26, 100, default=26),
            signal_period=Int(3, 30, default=9),
        )

    def positions(self, bars: Bars) -> np.ndarray:
        line, signal = macd(bars.close, self.fast_period, self.slow_period, self.signal_period)
        positions: np.ndarray = side(line - signal, bars.close)
        return positions
