"""Permuted bars: the same moves in another order, in which nothing can be found but by luck."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from backtune.data.bar_grid import BarGrid
from backtune.data.bars import Bars
from backtune.data.schema import PRICES
from backtune.errors import CatalogError
from backtune.origin import UTC_MIDNIGHT, Origin
from backtune.timeframe import Timeframe

_DAY: Final = Timeframe.parse("1d")


@dataclass(frozen=True)
class Permutation:
    """A window of bars and the random order that its moves are put into.

    Attributes:
        start, end: The window in microseconds since the epoch, UTC; start inclusive, end exclusive.
        seed: The seed of the order; the same one gives the same bars.
    """

    start: int
    end: int
    seed: int

    def permute(self, bars: Bars, origin: Origin = UTC_MIDNIGHT) -> Bars:
        """Return the bars of the window alone, their moves in another order (Masters 2018, *Permutation and Randomization Tests
        for Trading System Development*).

        The logarithmic returns from close to close are permuted in blocks: bars shorter than a day in the blocks of a day, so
        that the clusters of volatility within a day stay, longer ones each by itself. A bar keeps its open, high and low in
        proportion to the close before it, its volume and its funding. The first bar is left where it is. Timestamps stay, so
        gaps stay where they are, and where days differ in their number of bars, a bar may come to lie at another time of the
        day. The first and the last close are those of the real bars, the latter but for rounding.

        Args:
            bars: All bars of the series; ``bars_per_year`` stays theirs.
            origin: The local time at which a day begins.

        Raises:
            CatalogError: There is no bar in the window.
        """
        first, last = np.searchsorted(bars.timestamp, [self.start, self.end])
        window = bars[int(first) : int(last)]
        if not len(window):
            raise CatalogError("the window of the permuted bars holds no bar; give it more bars")
        starts = _block_starts(window, origin)
        if len(starts) < 2:
            return window
        ends = np.append(starts[1:], len(window))
        # The stream of PCG64 is fixed; what numpy makes of it is not, so the order comes from sorting raw words.
        words = np.random.PCG64(self.seed).random_raw(len(starts))
        order = np.argsort(words, kind="stable")
        rows = np.concatenate([[0], *(np.arange(starts[k], ends[k]) for k in order)])
        scale = _scales(window.close, starts[order], ends[order])
        open_, high, low, close = (_read_only(getattr(window, name)[rows] * scale) for name in PRICES)
        funding = None if window.funding is None else _read_only(window.funding[rows])
        return replace(
            window, volume=_read_only(window.volume[rows]), funding=funding,
            open=open_, high=high, low=low, close=close,
        )  # fmt: skip


def _block_starts(bars: Bars, origin: Origin) -> np.ndarray:
    """(n_blocks,) rows at which the blocks begin, the first at row 1: row 0 has no return."""
    rows = np.arange(1, len(bars))
    if bars.timeframe.months or bars.timeframe.seconds >= _DAY.seconds:
        return rows
    days = BarGrid(_DAY, origin).opens_of(bars.timestamp)
    begins = days[1:] != days[:-1]
    begins[:1] = True
    return np.asarray(rows[begins])


def _scales(close: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(n_bars,) factors of the prices of bars that are put into the order of these blocks, each linked to the close before it.

    One factor holds for a whole block, so that the order of a bar's prices cannot be lost to rounding.

    Args:
        close: (n_bars,) closes in the order that they had.
        starts, ends: (n_blocks,) rows of the blocks, in the order that they are put into.
    """
    close_before = np.concatenate([close[:1], close[ends[:-1] - 1]])
    by_block = np.cumprod(close_before / close[starts - 1])
    return np.concatenate([[1.0], np.repeat(by_block, ends - starts)])


def _read_only(column: np.ndarray) -> np.ndarray:
    column.flags.writeable = False
    return column
