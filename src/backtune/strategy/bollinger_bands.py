"""Fade extremes: trade from outside a Bollinger band back to the middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.space import Float, Int, Space
from backtune.strategy.base import BaseStrategy, check_periods
from backtune.strategy.indicators import EQUAL, hold_side, rolling_squares, rolling_sum


@dataclass(frozen=True)
class BollingerBandsStrategy(BaseStrategy):
    """Long from a close below the lower band, short from one above the upper band, flat again at the middle."""

    name: ClassVar[str] = "BollingerBandsStrategy"
    period: int = 20
    num_std: float = 2.0

    def __post_init__(self) -> None:
        check_periods(self.period)

    @classmethod
    def space(cls) -> Space:
        return Space(period=Int(10, 150, default=20), num_std=Float(1.0, 4.0, default=2.0))

    def positions(self, bars: Bars) -> np.ndarray:
        middle = rolling_sum(bars.close, self.period) / self.period
        squares = np.maximum(rolling_squares(bars.close, middle, self.period), 0.0)
        distance, tie = bars.close - middle, EQUAL * bars.close
        # The squared distance against num_std squared times the variance: without a root and its rounding.
        is_outside = distance * distance > self.num_std * self.num_std / self.period * squares + tie * tie
        is_below, is_above = distance < -tie, distance > tie
        positions: np.ndarray = hold_side(is_outside & is_below, is_outside & is_above, ~is_below, ~is_above)
        return positions
