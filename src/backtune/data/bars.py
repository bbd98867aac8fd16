"""Bars: the schema of market data, its units and its checks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from backtune.data.calendar import annualise
from backtune.data.schema import COLUMNS, PRICES, SCHEMA, check_bars
from backtune.spec.timeframe import Timeframe


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of one asset in one timeframe, as contiguous columns.

    Attributes:
        timestamp: (n_bars,) int64, microseconds since the epoch in UTC; the bar's open time, increasing.
        open, high, low, close: (n_bars,) float64, finite and positive, low <= open, close <= high.
        volume: (n_bars,) float64, finite and not negative.
        timeframe: the length of a bar. Bars may be absent (gaps); none overlap.
        bars_per_year: The number of bars in a year, which annualises means and deviations.
        asset: the asset's name, empty where unknown.
        funding: (n_bars,) float64, the fraction of its notional that a long pays at each open and a short
            receives (the other way round where negative); None where none is paid.

    Columns that come from ``from_frame`` are read-only: they are shared with every other user of the data.
    """

    timestamp: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    timeframe: Timeframe
    bars_per_year: float
    asset: str = ""
    funding: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.timestamp)

    def __getitem__(self, window: slice) -> Bars:
        """The bars of a window of rows, as views; ``bars_per_year`` stays that of the whole."""
        funding = None if self.funding is None else self.funding[window]
        return replace(self, funding=funding, **{name: getattr(self, name)[window] for name in COLUMNS})

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        timeframe: Timeframe | str | None = None,
        calendar: str = "auto",
        asset: str = "",
        adjust: Literal["all", "splits", "none"] | None = None,
    ) -> Bars:
        """Read a Polars or pandas frame, and check it. It is understood as a file of bars is, see ``docs/data.md``.

        Args:
            frame: Rows in time order; a pandas frame may carry the time as its index. A column ``funding``, where there is one,
                holds the rates that a long pays at each open.
            timeframe: The length of a bar; without it, the usual step between two rows.
            calendar: ``auto``, ``24/7`` or ``sessions-N``, see :func:`~backtune.data.calendar.annualise`.
            adjust: The treatment of adjusted prices, splits and dividends that the frame holds beside the prices; None refuses a
                frame in which that matters.

        Raises:
            BarsError: A column is missing, a time or a number is not one, or a bar breaks the schema.
            SpecError: The calendar is not one.
        """
        source = asset or "bars"
        length = None if timeframe is None else Timeframe.parse(timeframe)
        if length is not None and isinstance(frame, pl.DataFrame) and frame.schema == SCHEMA:
            return cls.from_checked(check_bars(frame, source=source), length, calendar=calendar, asset=asset)
        from backtune.data.ingest.frames import read_frame

        table, length = read_frame(frame, source=source, timeframe=length, adjust=adjust)
        return cls.from_checked(table, length, calendar=calendar, asset=asset)

    @classmethod
    def from_checked(
        cls, frame: pl.DataFrame, timeframe: Timeframe, *, calendar: str = "auto", asset: str = ""
    ) -> Bars:
        """Take a frame that :func:`backtune.data.schema.check_bars` has passed."""
        columns = {name: _read_only(frame[name]) for name in frame.columns if name != "timestamp"}
        timestamp = _read_only(frame["timestamp"].to_physical())
        return cls(
            timestamp=timestamp,
            **columns,
            timeframe=timeframe,
            asset=asset,
            bars_per_year=annualise(timestamp, timeframe, calendar).bars_per_year,
        )

    def to_frame(self) -> pl.DataFrame:
        """A Polars frame with the columns of the schema, and ``funding`` where there is one."""
        columns = {name: getattr(self, name) for name in (*PRICES, "volume")}
        timestamp = pl.Series("timestamp", self.timestamp).cast(SCHEMA["timestamp"])
        frame = pl.DataFrame({"timestamp": timestamp, **columns}, schema=SCHEMA)
        return frame if self.funding is None else frame.with_columns(pl.Series("funding", self.funding))


def _read_only(column: pl.Series) -> np.ndarray:
    array = np.ascontiguousarray(column.to_numpy())
    array.flags.writeable = False
    return array
