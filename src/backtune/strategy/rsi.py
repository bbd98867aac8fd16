"""Buy weakness, sell strength, by the relative strength index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Float, Int, Space
from backtune.strategy.base import BaseStrategy
from backtune.strategy.indicators import rsi


@dataclass(frozen=True)
class RSIStrategy(BaseStrategy):
    """Long from an RSI below ``oversold`` until it is above ``overbought``, then short until the reverse."""

    name: ClassVar[str] = "RSIStrategy"
    period: int = 14
    oversold: float = 30.0
    overbought: float = 70.0

    @classmethod
    def space(cls) -> Space:
        return Space(
            period=Int(5, 50, default=14),
            oversold=Float(10.0, 45.0, default=30.0),
            overbought=Float(55.0, 90.0, default=70.0),
        )

    def positions(self, bars: Bars) -> np.ndarray:
        positions: np.ndarray = _hold_between(rsi(bars.close, self.period), self.oversold, self.overbought)
        return positions


@njit(cache=True)
def _hold_between(strength: np.ndarray, oversold: float, overbought: float) -> np.ndarray:
    out = np.empty(len(strength))
    held = 0.0
    for i in range(len(strength)):
        if strength[i] < oversold:
            held = 1.0
        elif strength[i] > overbought:
            held = -1.0
        out[i] = held
    return out
