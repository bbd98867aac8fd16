"""The bars of a simulation, with what every simulation on them shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backtune.data.bars import Bars
from backtune.errors import BarsError
from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.simulation.mark_to_market import chunk_ranges
from backtune.simulation.target_changes import find_side_changes, find_target_changes
from backtune.simulation.types import N_BLOCKS, Closes, PriceColumns, TargetChanges


@dataclass(frozen=True)
class BarWindow:
    """Bars to trade on, with what every simulation on them shares.

    Attributes:
        bars: Bars that positions are computed on: those of the window and the ones before it.
        start: Row of the first bar that is traded and scored.
        block_edges: (17,) rows, relative to ``start``, that cut the window in 16 equal blocks of time.
        elapsed_seconds: Time from the first open to the last close of the window.
        parts: Windows inside this one that a search scores besides; the bars of each are a beginning of ``bars``.
    """

    bars: Bars
    start: int
    block_edges: np.ndarray
    elapsed_seconds: float
    parts: tuple[BarWindow, ...] = ()

    @classmethod
    def of(cls, bars: Bars, start: int = 0) -> BarWindow:
        """Return the window from row ``start`` to the end of ``bars``.

        Raises:
            BarsError: The window has no bar.
        """
        if start >= len(bars):
            raise BarsError("there is no bar to trade on", source=bars.asset or "bars")
        times = bars.timestamp[start:]
        elapsed = bars.timeframe.end_of(int(times[-1])) - int(times[0])
        cuts = times[0] + (np.arange(1, N_BLOCKS) * elapsed) // N_BLOCKS
        edges = np.concatenate([[0], np.searchsorted(times, cuts), [len(times)]]).astype(np.int64)
        return cls(bars, start, edges, elapsed / 1e6)

    @cached_property
    def prices(self) -> PriceColumns:
        """Return the columns of the window as the kernel takes them."""
        bars = self.bars[self.start :]
        funding = bars.funding if bars.funding is not None else np.empty(0)
        return PriceColumns(bars.timestamp, bars.open, bars.high, bars.low, bars.close, funding)

    @cached_property
    def closes(self) -> Closes:
        """Return the closes of the window as marking to market reads them."""
        close = self.prices.close
        return Closes(close, self.block_edges, chunk_ranges(close, self.block_edges))

    def find_target_changes(self, positions: np.ndarray, *, allow_short: bool) -> TargetChanges:
        """Find the changes of checked targets for all of ``bars``; the one before the window is filled at its first open."""
        first_target = float(positions[self.start - 1]) if self.start > 0 else 0.0
        return find_target_changes(positions[self.start :], first_target, -1.0 if allow_short else 0.0)

    def find_side_changes(self, sides: np.ndarray, *, allow_short: bool) -> TargetChanges:
        """Find the changes of (n_bars,) int8 targets of -1, 0 and 1, as :meth:`find_target_changes` does."""
        first_side = int(sides[self.start - 1]) if self.start > 0 else 0
        # Copied where it may begin at an odd address.
        own = sides[self.start :].copy() if self.start > 0 else sides
        return find_side_changes(own, first_side, -1 if allow_short else 0)

    @cached_property
    def shared_columns(self) -> SharedColumns:
        """Return the columns that all candidates on ``bars`` share."""
        return SharedColumns(self.bars)
