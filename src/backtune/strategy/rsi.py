"""Buy weakness, sell strength, by the relative strength index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Float, Int, Space
from backtune.strategy.base import BatchedStrategy, check_periods, one_by_one, positions_from_sides
from backtune.strategy.columns import Columns


@dataclass(frozen=True)
class RSIStrategy(BatchedStrategy):
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
        return positions_from_sides(self, bars)

    @staticmethod
    def sides(candidates: Sequence[Any], columns: Columns) -> Iterator[np.ndarray]:
        close = columns.bars.close

        def decide(one: RSIStrategy, out: np.ndarray) -> None:
            _hold_between(close, int(one.period), float(one.oversold), float(one.overbought), out)

        return one_by_one(candidates, columns, decide)


@njit(cache=True)
def _hold_between(
    close: np.ndarray, period: int, oversold: float, overbought: float, out: np.ndarray
) -> None:
    """Wilder's averages as in :func:`rsi`; the index itself, 100 gain / (gain + loss), is compared undivided."""
    n = len(close)
    out[:] = 0
    if n <= period:
        return
    gain = 0.0
    loss = 0.0
    for i in range(1, period + 1):
        change = close[i] - close[i - 1]
        gain += max(change, 0.0) / period
        loss += max(-change, 0.0) / period
    weight = 1.0 / period
    held = np.int8(0)
    for i in range(period, n):
        if i > period:
            # The sign is taken without a branch: half of size and change, half of size less change.
            half = 0.5 * weight * (close[i] - close[i - 1])
            size = abs(half)
            gain = gain * (1.0 - weight) + (size + half)
            loss = loss * (1.0 - weight) + (size - half)
        total = gain + loss
        # Without any change at all the index counts as 50.
        low = 100.0 * gain < oversold * total or (total == 0.0 and oversold > 50.0)
        high = 100.0 * gain > overbought * total or (total == 0.0 and overbought < 50.0)
        held = np.int8(1) if low else (np.int8(-1) if high else held)
        out[i] = held
