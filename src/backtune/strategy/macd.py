"""Follow momentum: long while the MACD line is above its signal line, short while it is below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Int, Space
from backtune.strategy.base import BatchedStrategy, check_periods, one_by_one, positions_from_sides
from backtune.strategy.columns import Columns
from backtune.strategy.indicators import EQUAL


@dataclass(frozen=True)
class MACDStrategy(BatchedStrategy):
    """Long while MACD(fast_period, slow_period) is above its EMA(signal_period), short while below."""

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
        # The signal is an average of the line, which is one of the close.
        fast, slow, signal = (
            max(int(end) for end in space[name].ends())
            for name in ("fast_period", "slow_period", "signal_period")
        )
        return max(fast, slow) + signal

    def positions(self, bars: Bars) -> np.ndarray:
        return positions_from_sides(self, bars)

    @staticmethod
    def sides(candidates: Sequence[Any], columns: Columns) -> Iterator[np.ndarray]:
        close = columns.bars.close

        def decide(one: MACDStrategy, out: np.ndarray) -> None:
            _follow(close, int(one.fast_period), int(one.slow_period), int(one.signal_period), out)

        return one_by_one(candidates, columns, decide)


@njit(cache=True)
def _follow(
    close: np.ndarray, fast_period: int, slow_period: int, signal_period: int, out: np.ndarray
) -> None:
    """The side of line - signal, from the first signal on; the three averages of :func:`macd` in one pass."""
    n = len(close)
    out[:] = 0
    first_line = max(fast_period, slow_period) - 1
    first = first_line + signal_period - 1
    if first >= n:
        return
    fast_weight = 2.0 / (fast_period + 1.0)
    slow_weight = 2.0 / (slow_period + 1.0)
    weight = 2.0 / (signal_period + 1.0)
    fast, slow = close[:fast_period].mean(), close[:slow_period].mean()
    for i in range(fast_period, first_line + 1):
        fast = fast * (1.0 - fast_weight) + close[i] * fast_weight
    for i in range(slow_period, first_line + 1):
        slow = slow * (1.0 - slow_weight) + close[i] * slow_weight
    signal = (fast - slow) / signal_period
    for i in range(first_line + 1, first + 1):
        fast = fast * (1.0 - fast_weight) + close[i] * fast_weight
        slow = slow * (1.0 - slow_weight) + close[i] * slow_weight
        signal += (fast - slow) / signal_period
    held = np.int8(0)
    for i in range(first, n):
        price = close[i]
        if i > first:
            fast = fast * (1.0 - fast_weight) + price * fast_weight
            slow = slow * (1.0 - slow_weight) + price * slow_weight
            signal = signal * (1.0 - weight) + (fast - slow) * weight
        lead = (fast - slow) - signal
        held = np.int8(1) if lead > EQUAL * price else (np.int8(-1) if lead < -EQUAL * price else held)
        out[i] = held
