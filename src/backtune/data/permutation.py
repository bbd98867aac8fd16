"""Permuted bars: the same moves in another order, in which nothing can be found but by luck."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backtune.data.bars import Bars
from backtune.data.schema import PRICES
from backtune.errors import CatalogError


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

    def permute(self, bars: Bars) -> Bars:
        """Return the bars of the window alone, their moves in another order (Masters 2018, *Permutation and Randomization Tests
        for Trading System Development*).

        The logarithmic returns from close to close are permuted one by one, whatever the timeframe. A bar keeps its open, high
        and low in proportion to the close before it, its volume and its funding. The first bar is left where it is. Timestamps
        stay, so gaps stay where they are. The first and the last close are those of the real bars, the latter but for rounding.

        Args:
            bars: All bars of the series; ``bars_per_year`` stays theirs.

        Raises:
            CatalogError: There is no bar in the window.
        """
        first, last = np.searchsorted(bars.timestamp, [self.start, self.end])
        window = bars[int(first) : int(last)]
        if not len(window):
            raise CatalogError("the window of the permuted bars holds no bar; give it more bars")
        # The stream of PCG64 is fixed; what numpy makes of it is not, so the order comes from sorting raw words.
        words = np.random.PCG64(self.seed).random_raw(len(window) - 1)
        # Row 0 has no return.
        rows = np.concatenate([[0], 1 + np.argsort(words, kind="stable")])
        scale = _scales(window.close, rows)
        open_, high, low, close = (_read_only(getattr(window, name)[rows] * scale) for name in PRICES)
        funding = None if window.funding is None else _read_only(window.funding[rows])
        return replace(
            window,
            volume=_read_only(window.volume[rows]),
            funding=funding,
            open=open_,
            high=high,
            low=low,
            close=close,
        )


def _scales(close: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the (n_bars,) factors that link the prices of each bar to the close before it.

    One factor holds for all prices of a bar, so that their order cannot be lost to rounding.

    Args:
        close: (n_bars,) closes in the order that they had.
        rows: (n_bars,) rows in the order that they are put into; the first is 0.
    """
    close_before, old_close_before = close[rows[:-1]], close[rows[1:] - 1]
    return np.concatenate([[1.0], np.cumprod(close_before / old_close_before)])


def _read_only(column: np.ndarray) -> np.ndarray:
    column.flags.writeable = False
    return column
