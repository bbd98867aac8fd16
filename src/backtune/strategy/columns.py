"""What candidates on the same bars share."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from backtune.data.bars import Bars


class PrefixSums(NamedTuple):
    """(n + 1,) sums of the first i values, as ``high + low``: twice the digits of a float64.

    The difference of two of them is the sum of a window to the last digit, however long the series: a plain running
    sum would carry the rounding of all bars before, and with it trade on a constant price.
    """

    high: np.ndarray
    low: np.ndarray


class Columns:
    """Bars, with columns made from them when they are first asked for and then kept."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars

    @cached_property
    def close_sums(self) -> PrefixSums:
        """Prefix sums of the closes."""
        sums: PrefixSums = prefix_sums(self.bars.close)
        return sums

    @cached_property
    def highest_close(self) -> float:
        """The highest of the closes."""
        return float(self.bars.close.max())


@njit(cache=True)
def prefix_sums(values: np.ndarray) -> PrefixSums:
    """Prefix sums of a (n,) series, with the rounding of every addition kept (Knuth's two-sum)."""
    n = len(values)
    high = np.empty(n + 1)
    low = np.empty(n + 1)
    total = 0.0
    lost = 0.0
    high[0] = low[0] = 0.0
    for i in range(n):
        new = total + values[i]
        part = new - total
        lost += (total - (new - part)) + (values[i] - part)
        total = new
        high[i + 1] = total
        low[i + 1] = lost
    return PrefixSums(high, low)
