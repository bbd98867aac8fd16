"""Bars by name, as they are or permuted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backtune.data.bars import Bars
from backtune.data.load import cached_bars
from backtune.data.permutation import Permutation
from backtune.spec.origin import UTC_MIDNIGHT


@dataclass(frozen=True)
class BarsRef:
    """Bars by name, so that a study is small and every worker reads its own partitions.

    Attributes:
        start, end: bounds of the window: the spec's, or those of the asset's bars where it has none, so that a window stays
            the same when bars are added to the catalog.
        origin: the local time at which the days of built bars begin.
        permutation: the part of the bars that is wanted, and the order that it is put into; None for the bars as they are.
    """

    root: str
    asset: str
    timeframe: str
    start: datetime
    end: datetime
    calendar: str
    fingerprint: str
    funding: bool = False
    origin: str = str(UTC_MIDNIGHT)
    permutation: Permutation | None = None

    def load(self) -> Bars:
        """Return the bars, from this process's cache where they are; permuted ones are made anew each time.

        Raises:
            DataError: they are not what the plan was made for, or cannot be read.
        """
        bars = cached_bars(
            self.root,
            self.asset,
            self.timeframe,
            self.start,
            self.end,
            self.calendar,
            self.fingerprint,
            funding=self.funding,
            origin=self.origin,
        )
        return bars if self.permutation is None else self.permutation.permute(bars)
