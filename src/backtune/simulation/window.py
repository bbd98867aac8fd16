"""The bars of a simulation, with what every simulation on them shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backtune.data.bars import Bars
from backtune.errors import BarsError
from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.simulation.marks import chunk_ranges
from backtune.simulation.moves import moves_of, moves_of_sides
from backtune.simulation.types import N_BLOCKS, Closes, Moves, PriceColumns


@dataclass(frozen=True)
class BarWindow:
    """Bars to trade on, with what every simulation on them shares.

    Attributes:
        bars: the bars that positions are computed on: those of the window and the ones before it.
        start: row of the first bar that is traded and scored.
        block_edges: (17,) rows, relative to ``start``, that cut the window in 16 equal blocks of time.
        elapsed_seconds: from the first open to the last close of the window.
        parts: windows inside this one, on a beginning of the same bars, that a search scores by themselves besides.
    """

    bars: Bars
    start: int
    block_edges: np.ndarray
    elapsed_seconds: float
    parts: tuple[BarWindow, ...] = ()

    @classmethod
    def of(cls, bars: Bars, start: int = 0) -> BarWindow:
        """The window from row ``start`` to the end of ``bars``.

        Raises:
            BarsError: there is no bar in it.
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
        """The columns of the window as the kernel takes them."""
        bars = self.bars[self.start :]
        funding = bars.funding if bars.funding is not None else np.empty(0)
        return PriceColumns(bars.timestamp, bars.open, bars.high, bars.low, bars.close, funding)

    @cached_property
    def closes(self) -> Closes:
        """What marking reads, with what it needs to know of every chunk of bars."""
        close = self.prices.close
        return Closes(close, self.block_edges, chunk_ranges(close, self.block_edges))

    def moves(self, positions: np.ndarray, *, allow_short: bool) -> Moves:
        """Where checked targets for all of ``bars`` change; the one before the window is filled at its first open."""
        first_target = float(positions[self.start - 1]) if self.start > 0 else 0.0
        return moves_of(positions[self.start :], first_target, -1.0 if allow_short else 0.0)

    def moves_of_sides(self, sides: np.ndarray, *, allow_short: bool) -> Moves:
        """:meth:`moves` for (n_bars,) int8 targets of -1, 0 and 1."""
        first_side = int(sides[self.start - 1]) if self.start > 0 else 0
        # Copied where it may begin at an odd address.
        own = sides[self.start :].copy() if self.start > 0 else sides
        return moves_of_sides(own, first_side, -1 if allow_short else 0)

    @cached_property
    def shared_columns(self) -> SharedColumns:
        """Return the columns that all candidates on ``bars`` share."""
        return SharedColumns(self.bars)
