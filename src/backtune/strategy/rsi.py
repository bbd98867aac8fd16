"""Buy weakness, sell strength, by the relative strength index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.space import Float, Int, Space
from backtune.strategy.base import BaseStrategy, check_periods
from backtune.strategy.indicators import average_gain_loss, hold_side


@dataclass(frozen=True)
class RSIStrategy(BaseStrategy):
    """Long from an RSI below ``oversold`` until it is above ``overbought``, then short until the reverse."""

    name: ClassVar[str] = "RSIStrategy"
    period: int = 14
    oversold: float = 30.0
    overbought: float = 70.0

    def __post_init__(self) -> None:
        check_periods(self.period)

    @classmethod
    def space(cls) -> Space:
        return Space(
            period=Int(5, 50, default=14),
            oversold=Float(10.0, 45.0, default=30.0),
            overbought=Float(55.0, 90.0, default=70.0),
        )

    def positions(self, bars: Bars) -> np.ndarray:
        gain, loss = average_gain_loss(bars.close, self.period)
        # RSI = 100 gain / (gain + loss), and 50 at rest. Undivided, an RSI on a level is not beyond it by rounding.
        at_rest = gain + loss == 0
        strength, whole = np.where(at_rest, 50, 100 * gain), np.where(at_rest, 1, gain + loss)
        positions: np.ndarray = hold_side(
            strength < self.oversold * whole, strength > self.overbought * whole
        )
        return positions
