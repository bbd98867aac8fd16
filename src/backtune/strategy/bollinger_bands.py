"""Fade extremes: trade from outside a Bollinger band back to the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Float, Int, Space
from backtune.strategy.base import BatchedStrategy, check_periods, one_by_one, positions_from_sides
from backtune.strategy.columns import Columns, PrefixSums
from backtune.strategy.indicators import EQUAL


@dataclass(frozen=True)
class BollingerBandsStrategy(BatchedStrategy):
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
        return positions_from_sides(self, bars)

    @staticmethod
    def sides(candidates: Sequence[Any], columns: Columns) -> Iterator[np.ndarray]:
        close = columns.bars.close

        mean = np.empty(len(close))

        def decide(one: BollingerBandsStrategy, out: np.ndarray) -> None:
            _window_means(columns.close_sums, int(one.period), mean)
            _fade(close, mean, int(one.period), float(one.num_std), out)

        return one_by_one(candidates, columns, decide)


@njit(cache=True)
def _window_means(sums: PrefixSums, period: int, out: np.ndarray) -> None:
    """Means of the last ``period`` closes, from index period - 1 on."""
    if period > len(out):
        return
    means, now, now_low = out[period - 1 :], sums.high[period:], sums.low[period:]
    for i in range(len(means)):
        means[i] = ((now[i] - sums.high[i]) + (now_low[i] - sums.low[i])) / period


@njit(cache=True)
def _fade(close: np.ndarray, mean: np.ndarray, period: int, num_std: float, out: np.ndarray) -> None:
    """Squared distance from the mean against ``num_std`` squared variances: without a root."""
    out[: period - 1] = 0
    held = 0.0
    squares = 0.0
    share = num_std * num_std / period
    age = period
    for i in range(period - 1, len(close)):
        price = close[i]
        distance = price - mean[i]
        if age == period:
            # Summed afresh once a period, so that rounding does not grow with the length of the data.
            squares = _sum_of_squares(close[i - period + 1 : i + 1], mean[i])
            age = 0
        else:
            old = close[i - period]
            squares += (price - old) * (distance + (old - mean[i - 1]))
        age += 1
        slack = EQUAL * price
        outside = distance * distance > share * max(squares, 0.0) + slack * slack
        # Selections instead of branches, which would be guessed wrong.
        kept = held if held * distance < -slack else 0.0
        faded = -1.0 if distance > 0.0 else 1.0
        held = faded if outside else kept
        out[i] = np.int8(held)


@njit(cache=True)
def _sum_of_squares(values: np.ndarray, center: float) -> float:
    """Four sums at a time, so that none waits for the addition before it."""
    a = b = c = d = 0.0
    whole = len(values) - len(values) % 4
    for i in range(0, whole, 4):
        a += (values[i] - center) ** 2
        b += (values[i + 1] - center) ** 2
        c += (values[i + 2] - center) ** 2
        d += (values[i + 3] - center) ** 2
    for i in range(whole, len(values)):
        a += (values[i] - center) ** 2
    return (a + b) + (c + d)
