"""Bars: the schema of market data, its units and its checks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from backtune.errors import BarsError, SpecError
from backtune.timeframe import Timeframe

PRICES = ("open", "high", "low", "close")
COLUMNS = ("timestamp", *PRICES, "volume")
SCHEMA = pl.Schema(
    {"timestamp": pl.Datetime("us", "UTC"), **dict.fromkeys((*PRICES, "volume"), pl.Float64())}
)

SECONDS_PER_YEAR = 365.25 * 86_400


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of one asset in one timeframe, as contiguous columns.

    Attributes:
        timestamp: (n_bars,) int64, microseconds since the epoch in UTC; the bar's open time, increasing.
        open, high, low, close: (n_bars,) float64, finite and positive, low <= open, close <= high.
        volume: (n_bars,) float64, finite and not negative.
        timeframe: the length of a bar. Bars may be absent (gaps); none overlap.
        bars_per_year: how many bars a year has; annualises means and deviations.
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
        calendar: str = "24/7",
        asset: str = "",
    ) -> Bars:
        """Take a Polars or pandas frame with the columns of the schema, and check it.

        Args:
            frame: rows in time order; a pandas frame may carry the time as its index. A column ``funding``, where
                there is one, holds the rates that a long pays at each open.
            timeframe: the length of a bar; without it, the smallest step between two rows.
            calendar: ``24/7`` or ``sessions-N``, see :func:`bars_per_year`.

        Raises:
            BarsError: a column is missing or a bar breaks the schema.
        """
        table = check_bars(to_schema(frame, source=asset or "bars"), source=asset or "bars")
        columns = {name: _read_only(table[name]) for name in table.columns if name != "timestamp"}
        timestamp = _read_only(table["timestamp"].to_physical())
        length = Timeframe.parse(timeframe) if isinstance(timeframe, str) else timeframe
        length = length or _smallest_step(timestamp, asset)
        return cls(
            timestamp=timestamp, **columns, timeframe=length, asset=asset,
            bars_per_year=bars_per_year(timestamp, length, calendar),
        )  # fmt: skip

    def to_frame(self) -> pl.DataFrame:
        """A Polars frame with the columns of the schema, and ``funding`` where there is one."""
        columns = {name: getattr(self, name) for name in (*PRICES, "volume")}
        timestamp = pl.Series("timestamp", self.timestamp).cast(SCHEMA["timestamp"])
        frame = pl.DataFrame({"timestamp": timestamp, **columns}, schema=SCHEMA)
        return frame if self.funding is None else frame.with_columns(pl.Series("funding", self.funding))


def bars_per_year(timestamp: np.ndarray, timeframe: Timeframe, calendar: str) -> float:
    """How many bars a year has.

    ``24/7`` counts a year of 365.25 days filled with bars. ``sessions-N`` counts N session days of as many
    bars as the median UTC day of the data has.

    Raises:
        SpecError: the calendar is neither.
    """
    if calendar == "24/7":
        return SECONDS_PER_YEAR / timeframe.seconds
    match = re.fullmatch(r"sessions-([1-9]\d*)", calendar)
    if match is None:
        raise SpecError(
            "data.calendar", f"{calendar!r} is unknown", value=calendar, allowed=("24/7", "sessions-252")
        )
    days = timestamp // 86_400_000_000
    per_day = float(np.median(np.unique(days, return_counts=True)[1])) if len(days) else 1.0
    return int(match[1]) * per_day


def to_schema(frame: Any, *, source: str | Path) -> pl.DataFrame:
    """Cast a Polars or pandas frame to the schema, and ``funding`` where it has one; naive times are taken as UTC.

    Raises:
        BarsError: a column is missing, or cannot be cast.
    """
    table = frame if isinstance(frame, pl.DataFrame) else _from_pandas(frame, source)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise BarsError(f"no column {missing[0]!r} among {table.columns}", source=source, column=missing[0])
    time = pl.col("timestamp")
    kind = table.schema["timestamp"]
    if isinstance(kind, pl.Datetime) and kind.time_zone not in (None, "UTC"):
        time = time.dt.convert_time_zone("UTC")
    elif isinstance(kind, pl.Datetime) and kind.time_zone is None:
        time = time.dt.replace_time_zone("UTC")
    elif kind == pl.Date:
        time = time.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    numbers = [name for name in (*PRICES, "volume", "funding") if name in table.columns]
    try:
        return table.select(
            time.cast(SCHEMA["timestamp"]), *(pl.col(name).cast(pl.Float64) for name in numbers)
        )
    except pl.exceptions.PolarsError as error:
        raise BarsError(f"cannot be read as bars: {str(error).splitlines()[0]}", source=source) from error


def check_bars(frame: pl.DataFrame, *, source: str | Path, rows: pl.Series | None = None) -> pl.DataFrame:
    """Return ``frame`` unchanged if every bar obeys the schema.

    Args:
        rows: (n_bars,) the rows of ``source`` that the frame's rows come from, where they were reordered.

    Raises:
        BarsError: names the first violation's row and column.
    """
    return check_rows(frame, _rules(with_funding="funding" in frame.columns), source=source, rows=rows)


def check_rows(
    frame: pl.DataFrame,
    rules: Iterable[tuple[str, str, pl.Expr]],
    *,
    source: str | Path,
    rows: pl.Series | None = None,
) -> pl.DataFrame:
    """Return ``frame`` unchanged if no row breaks a rule.

    Args:
        rules: a column, what is wrong in it, and an expression that is true or null where it is.
        rows: as in :func:`check_bars`.

    Raises:
        BarsError: names the first violation's row and column.
    """
    rules = list(rules)
    violated = frame.select(
        broken.fill_null(value=True).any().alias(str(i)) for i, (_, _, broken) in enumerate(rules)
    )
    for (column, problem, broken), found in zip(rules, violated.row(0), strict=True):
        if found:
            row = int(frame.select(broken.fill_null(value=True).arg_true()).to_series()[0])
            raise BarsError(
                f"{problem} (value {frame[column][row]})",
                source=source,
                row=row if rows is None else int(rows[row]),
                column=column,
            )
    return frame


def time_rules() -> Iterable[tuple[str, str, pl.Expr]]:
    """Rules of :func:`check_rows`: every row has a time, after that of the row before."""
    time = pl.col("timestamp")
    yield "timestamp", "the time is missing", time.is_null()
    yield (
        "timestamp",
        "the time is that of the row before (duplicate)",
        (time.diff() == pl.duration(microseconds=0)).fill_null(value=False),
    )
    yield (
        "timestamp",
        "the time is before that of the row before (unsorted)",
        (time.diff() < pl.duration(microseconds=0)).fill_null(value=False),
    )


def _rules(*, with_funding: bool) -> Iterable[tuple[str, str, pl.Expr]]:
    yield from time_rules()
    for name in (*PRICES, "volume", *(["funding"] if with_funding else [])):
        yield name, "is not a finite number", ~pl.col(name).is_finite()
    for name in PRICES:
        yield name, "a price must be above 0", pl.col(name) <= 0
    yield "volume", "a volume must not be negative", pl.col("volume") < 0
    yield "high", "high is below low", pl.col("high") < pl.col("low")
    for name in ("open", "close"):
        yield name, f"{name} is below low", pl.col(name) < pl.col("low")
        yield name, f"{name} is above high", pl.col(name) > pl.col("high")


def _smallest_step(timestamp: np.ndarray, asset: str) -> Timeframe:
    if len(timestamp) < 2:
        raise BarsError("one bar alone does not tell its timeframe: pass timeframe=", source=asset or "bars")
    return Timeframe(max(1, int(np.diff(timestamp).min()) // 1_000_000))


def _read_only(column: pl.Series) -> np.ndarray:
    array = np.ascontiguousarray(column.to_numpy())
    array.flags.writeable = False
    return array


def _from_pandas(frame: Any, source: str | Path) -> pl.DataFrame:
    if not hasattr(frame, "reset_index"):
        raise BarsError(f"a {type(frame).__name__} is not a Polars or pandas frame", source=source)
    if "timestamp" not in frame.columns:
        frame = frame.rename_axis("timestamp").reset_index()
    zone = getattr(frame["timestamp"].dtype, "tz", None)
    if zone is not None:
        # As naive UTC, which the schema takes as UTC: Polars reads zoned pandas times in a way that pandas retires.
        frame = frame.assign(timestamp=frame["timestamp"].dt.tz_convert("UTC").dt.tz_localize(None))
    table: pl.DataFrame = pl.from_pandas(frame)
    return table
