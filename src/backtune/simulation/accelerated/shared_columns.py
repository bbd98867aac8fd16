"""Columns made from the bars once, for all candidates that are decided on them."""

from __future__ import annotations

from functools import cached_property

from backtune.data.bars import Bars
from backtune.strategy.indicators import PrefixSums, prefix_sums


class SharedColumns:
    """Bars, with columns made from them when they are first asked for and then kept."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars

    @cached_property
    def close_sums(self) -> PrefixSums:
        """Return the prefix sums of the closes."""
        sums: PrefixSums = prefix_sums(self.bars.close)
        return sums

    @cached_property
    def highest_close(self) -> float:
        """Return the highest of the closes."""
        return float(self.bars.close.max())
