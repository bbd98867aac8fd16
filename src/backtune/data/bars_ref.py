"""Bars by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backtune.data.bars import Bars
from backtune.data.load import cached_bars
from backtune.origin import UTC_MIDNIGHT


@dataclass(frozen=True)
class BarsRef:
    """Bars by name, so that a study is small and every worker reads its own partitions.

    Attributes:
        start, end: bounds of the window: the spec's, or those of the asset's bars where it has none, so that a window stays
            the same when bars are added to the catalog.
        origin: the local time at which the days of built bars begin.
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

    def load(self) -> Bars:
        """The bars, from this process's cache where they are.

        Raises:
            DataError: they are not what the plan was made for, or cannot be read.
        """
        return cached_bars(
            self.root, self.asset, self.timeframe, self.start, self.end, self.calendar, self.fingerprint,
            funding=self.funding, origin=self.origin,
        )  # fmt: skip
