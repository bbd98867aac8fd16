"""The batched form of :class:`~backtune.strategy.moving_average_crossover.MovingAverageCrossover`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba import njit

from backtune.simulation.accelerated.batches import decide_one_by_one
from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.strategy.indicators import EQUAL, PrefixSums

_CHUNK = 1024
_ROUNDING = 16 * 2.0**-52


def decide_moving_average_crossover(
    candidates: Sequence[Any], columns: SharedColumns
) -> Iterator[np.ndarray]:
    """Yield the (n_bars,) int8 sides of each candidate."""
    close, sums, highest = columns.bars.close, columns.close_sums, columns.highest_close

    def decide(candidate: Any, out: np.ndarray) -> None:
        if compare_averages(
            sums, close, highest, int(candidate.fast_period), int(candidate.slow_period), out
        ):
            _hold_ties(out)

    return decide_one_by_one(candidates, columns, decide)


@njit(cache=True)
def compare_averages(
    sums: PrefixSums, close: np.ndarray, highest: float, fast: int, slow: int, out: np.ndarray
) -> bool:
    """Fill ``out`` with the side of every bar, 0 where the averages are equal or not known yet; return whether any are equal.

    The sums of the windows are compared, each times the other period. Their high parts alone decide nearly always; a
    chunk of bars in which they leave a doubt is decided again with all digits.

    Args:
        highest: Highest close of all bars.
    """
    first = max(fast, slow)
    if first > len(close):
        out[:] = 0
        return False
    out[: first - 1] = 0
    # An upper bound, several times over, of the low parts of four sums and the rounding of all steps, and a tie.
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
    """Fill the sides of bars from ``start`` on, 0 where in doubt; return the number of those that are not."""
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
    """Fill the same sides from all digits, 0 where equal; ``close`` begins at ``start``."""
    now, now_low = sums.high[start + 1 :], sums.low[start + 1 :]
    fast_high, fast_low = sums.high[start + 1 - fast :], sums.low[start + 1 - fast :]
    slow_high, slow_low = sums.high[start + 1 - slow :], sums.low[start + 1 - slow :]
    fast_weight, slow_weight = float(slow), float(fast)
    tie = EQUAL * fast * slow
    n_sided = 0
    for i in range(len(sides)):
        fast_sum = (now[i] - fast_high[i]) + (now_low[i] - fast_low[i])
        slow_sum = (now[i] - slow_high[i]) + (now_low[i] - slow_low[i])
        lead = fast_sum * fast_weight - slow_sum * slow_weight
        above, below = lead > tie * close[i], lead < -tie * close[i]
        sides[i] = np.int8(above) - np.int8(below)
        n_sided += above | below
    return n_sided


@njit(cache=True)
def _hold_ties(sides: np.ndarray) -> None:
    """Keep the side before a tie."""
    for i in range(1, len(sides)):
        if sides[i] == 0:
            sides[i] = sides[i - 1]
