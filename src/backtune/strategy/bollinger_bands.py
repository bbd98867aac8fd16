"""Fade extremes: trade from outside a Bollinger band back to the middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Float, Int, Space
from backtune.strategy.base import BaseStrategy
from backtune.strategy.indicators import EQUAL, bollinger_bands


@dataclass(frozen=True)
class BollingerBandsStrategy(BaseStrategy):
    """Long from a close below the lower band, short from one above the upper band, flat again at the middle."""

    name: ClassVar[str] = "BollingerBandsStrategy"
    period: int = 20
    num_std: float = 2.0

    @classmethod
    def space(cls) -> Space:
        return Space(period=Int(10, 150, default=20), num_std=Float(1.0, 4.0, default=2.0))

    def positions(self, bars: Bars) -> np.ndarray:
        lower, middle, upper = bollinger_bands(bars.close, self.period, self.num_std)
        positions: np.ndarray = _fade(bars.close, lower, middle, upper)
        return positions


@njit(cache=True)
def _fade(close: np.ndarray, lower: np.ndarray, middle: np.ndarray, upper: np.ndarray) -> np.ndarray:
    out = np.empty(len(close))
    held = 0.0
    for i in range(len(close)):
        slack = EQUAL * close[i]
        if close[i] < lower[i] - slack:
            held = 1.0
        elif close[i] > upper[i] + slack:
            held = -1.0
        elif held * (close[i] - middle[i]) >= 0.0:
            held = 0.0
        out[i] = held
    return out
