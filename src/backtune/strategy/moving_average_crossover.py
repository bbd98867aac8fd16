"""Follow the trend: long while a fast average is above a slow one, short while it is below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from backtune.data.bars import Bars
from backtune.space import Int, Space
from backtune.strategy.base import BatchedStrategy, check_periods, one_by_one, positions_from_sides
from backtune.strategy.columns import Columns, PrefixSums
from backtune.strategy.indicators import EQUAL

_CHUNK = 1024
_ROUNDING = 16 * 2.0**-52


@dataclass(frozen=True)
class MovingAverageCrossover(BatchedStrategy):
    """Long while SMA(fast_period) of the close is above SMA(slow_period), short while below."""

    name: ClassVar[str] = "MovingAverageCrossover"
    fast_period: int = 10
    slow_period: int = 50

    def __post_init__(self) -> None:
        check_periods(self.fast_period, self.slow_period)

    @classmethod
    def space(cls) -> Space:
        return Space(
            fast_period=Int(3, 40, default=10),
            slow_period=Int(41, 250, default=50),
            rules=["fast_period < slow_period"],
        )

    def positions(self, bars: Bars) -> np.ndarray:
        return positions_from_sides(self, bars)

    @staticmethod
    def sides(candidates: Sequence[Any], columns: Columns) -> Iterator[np.ndarray]:
        close, sums, highest = columns.bars.close, columns.close_sums, columns.highest_close

        def decide(one: MovingAverageCrossover, out: np.ndarray) -> None:
            if compare(sums, close, highest, int(one.fast_period), int(one.slow_period), out):
                _hold_ties(out)

        return one_by_one(candidates, columns, decide)


@njit(cache=True)
def compare(
    sums: PrefixSums, close: np.ndarray, highest: float, fast: int, slow: int, out: np.ndarray
) -> bool:
    """The side of fast - slow average, 0 where equal or before the first of either; whether any are equal.

    Sums of the windows are compared crosswise, times the other period, so that nothing is divided. Their high parts
    alone decide nearly always; a chunk of bars where one does not is decided again with all digits.
    """
    first = max(fast, slow)
    if first > len(close):
        out[:] = 0
        return False
    out[: first - 1] = 0
    # What the low parts of four sums and the rounding of all steps come to at most, several times over, and a tie.
    doubt = fast * slow * (_ROUNDING * sums.high[-1] + EQUAL * highest)
    any_equal = False
    for start in range(first - 1, len(close), _CHUNK):
        sides = out[start : start + _CHUNK]
        if _compare_high(sums.high, start, fast, slow, doubt, sides) < len(sides):
            n_sided = _compare_all(sums, close[start : start + _CHUNK], start, fast, slow, sides)
            any_equal |= n_sided < len(sides)
    return any_equal


@njit(cache=True)
def _compare_high(high: np.ndarray, start: int, fast: int, slow: int, doubt: float, sides: np.ndarray) -> int:
    """Sides of bars from ``start`` on, 0 where in doubt; returns how many are not."""
    # Slices, because an index that might be negative keeps the loop from the vector units.
    now, of_fast, of_slow = high[start + 1 :], high[start + 1 - fast :], high[start + 1 - slow :]
    fast_weight, slow_weight = float(slow), float(fast)
    n_sided = 0
    for i in range(len(sides)):
        lead = (now[i] - of_fast[i]) * fast_weight - (now[i] - of_slow[i]) * slow_weight
        above, below = lead > doubt, lead < -doubt
        sides[i] = np.int8(above) - np.int8(below)
        n_sided += above | below
    return n_sided


@njit(cache=True)
def _compare_all(
    sums: PrefixSums, close: np.ndarray, start: int, fast: int, slow: int, sides: np.ndarray
) -> int:
    """The same with the low parts, 0 where equal; ``close`` begins at ``start``."""
    now, now_low = sums.high[start + 1 :], sums.low[start + 1 :]
    fast_high, fast_low = sums.high[start + 1 - fast :], sums.low[start + 1 - fast :]
    slow_high, slow_low = sums.high[start + 1 - slow :], sums.low[start + 1 - slow :]
    fast_weight, slow_weight = float(slow), float(fast)
    slack = EQUAL * fast * slow
    n_sided = 0
    for i in range(len(sides)):
        fast_sum = (now[i] - fast_high[i]) + (now_low[i] - fast_low[i])
        slow_sum = (now[i] - slow_high[i]) + (now_low[i] - slow_low[i])
        lead = fast_sum * fast_weight - slow_sum * slow_weight
        above, below = lead > slack * close[i], lead < -slack * close[i]
        sides[i] = np.int8(above) - np.int8(below)
        n_sided += above | below
    return n_sided


@njit(cache=True)
def _hold_ties(sides: np.ndarray) -> None:
    """A tie keeps the side before it."""
    for i in range(1, len(sides)):
        if sides[i] == 0:
            sides[i] = sides[i - 1]
