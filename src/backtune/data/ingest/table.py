"""Bars and funding out of a sheet: parts told, times and numbers read, assets split, prices adjusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from backtune.data.funding import RATES
from backtune.data.ingest.adjustments import Actions, Adjust, adjust_bars
from backtune.data.ingest.columns import ColumnRoles
from backtune.data.ingest.named_columns import find_chosen_columns, find_named_columns, find_rate_columns
from backtune.data.ingest.numbers import Decimal, find_convention, read_numbers
from backtune.data.ingest.sheet import SourceRows
from backtune.data.ingest.sheet_columns import (
    NumberReader,
    find_sheet_convention,
    read_actions,
    read_first_times,
    read_volume,
)
from backtune.data.ingest.times import DateOrder, read_times
from backtune.data.ingest.understood_times import Times
from backtune.data.ingest.unnamed_columns import find_unnamed_columns
from backtune.data.ingest.zones import Zone
from backtune.data.schema import PRICES, SCHEMA
from backtune.errors import BarsError, SpecError

_BILLIONTH: Final = 1e-9


@dataclass(frozen=True)
class Reading:
    """The user's choices of how files are read; None leaves one to what the file shows.

    Attributes:
        zone: The zone of times that carry none.
        decimal: The decimal mark of numbers.
        date_order: The order of day and month in dates that leave it open.
        adjust: The treatment of splits and dividends; None refuses where it would matter.
        columns: ColumnRoles by the part that they play, see :func:`backtune.data.ingest.columns.parse_columns`.
        price_scale: The factor for prices; 1e-5 reads 158611 as exactly 1.58611.
    """

    zone: Zone | None = None
    decimal: Decimal | None = None
    date_order: DateOrder | None = None
    adjust: Adjust | None = "all"
    columns: Mapping[str, str] = field(default_factory=dict)
    price_scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.price_scale < float("inf"):
            raise SpecError(
                "price_scale", f"{self.price_scale} is not a number above 0", value=self.price_scale
            )


@dataclass(frozen=True)
class SeriesTable:
    """The bars of one asset, or its funding payments, oldest first and not yet checked.

    Attributes:
        frame: The columns of the schema, null where the file has no value, and ``row``, the row in the file.
        symbol: The asset's name in the file, None where no column tells it.
        assumed: The assumptions that were made, by subject.
        notes: Remarks on what was not plain.
        is_date: True if the times are dates.
        stamps_are_ends: True if the times are known to be those at which bars end.
        length: The usual time from a bar's open to its end in microseconds, where the file tells ends; else None.
    """

    frame: pl.DataFrame
    symbol: str | None = None
    assumed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_date: bool = False
    stamps_are_ends: bool = False
    length: int | None = None


def read_tables(sheet: SourceRows, reading: Reading) -> list[SeriesTable]:
    """Read the bars of a sheet, a table for each asset in it.

    Raises:
        BarsError: A column is missing, a time or a number cannot be read, or a choice is left open.
    """
    return [table for part in _split_tickers(sheet) for table in _tables_of(part, reading)]


def read_rates(sheet: SourceRows, reading: Reading) -> SeriesTable:
    """Read the funding payments of a sheet.

    Raises:
        BarsError: A column is missing, or a time or a number cannot be read.
    """
    if not sheet.has_header:
        raise BarsError("has no header; put a line such as timestamp,rate on top", source=sheet.source)
    candidates, rate = find_rate_columns(sheet)
    times, said = read_first_times(sheet, candidates, zone=reading.zone, date_order=reading.date_order)
    values = sheet.frame.to_series(rate)
    convention = find_convention((), (values,), source=sheet.source, chosen=reading.decimal)
    frame = pl.DataFrame(
        [times.utc.alias("timestamp"), read_numbers(values, convention, source=sheet.source, role="rate")],
        schema=RATES,
    )
    return _oldest_first(SeriesTable(frame.with_row_index("row"), assumed=said, notes=sheet.notes))


def scale_prices(prices: pl.Series, scale: float) -> pl.Series:
    """Multiply prices by ``scale``. Points, as in 1e-5, are divided by their exact number per unit instead, so that
    158611 gives the double 1.58611 and not its neighbour.
    """
    values = prices.to_numpy()
    per_unit = round(1 / scale)
    # By NumPy: Polars turns a division by a constant into a product with its inexact reciprocal.
    exact = scale < 1 and abs(per_unit * scale - 1) < 1e-9
    return pl.Series(prices.name, np.divide(values, per_unit) if exact else values * scale).fill_nan(None)


def _split_tickers(sheet: SourceRows) -> Iterator[SourceRows]:
    """Yield a sheet for each asset of those that stand side by side."""
    tickers = list(dict.fromkeys(ticker for ticker in sheet.tickers if ticker is not None))
    if not tickers:
        yield sheet
        return
    for ticker in tickers:
        at = [i for i, owner in enumerate(sheet.tickers) if owner in (None, ticker)]
        columns = [sheet.frame.to_series(i).alias(f"column_{i}") for i in at]
        yield replace(
            sheet,
            frame=pl.DataFrame(columns),
            names=tuple(sheet.names[i] for i in at),
            tickers=tuple(ticker for _ in at),
        )


def _tables_of(sheet: SourceRows, reading: Reading) -> list[SeriesTable]:
    if reading.columns:
        columns = find_chosen_columns(sheet, reading.columns)
    else:
        columns = find_named_columns(sheet) if sheet.has_header else find_unnamed_columns(sheet)
    _check_single_period(sheet, columns)
    times, said_of_times = read_first_times(
        sheet, columns.times, zone=reading.zone, zone_column=columns.zone, date_order=reading.date_order
    )
    convention = find_sheet_convention(sheet, columns, reading.decimal)
    numbers = NumberReader(sheet, convention)
    volume, said_of_volume, notes = read_volume(sheet, columns, numbers)
    assumed = {**said_of_times, "volume": said_of_volume}
    if (text := convention.describe()) is not None:
        assumed["numbers"] = text
    # columns: row, timestamp, open, high, low, close, volume, and what adjusts them
    frame = pl.DataFrame(
        [
            times.utc.alias("timestamp"),
            *(numbers.read(at, part) for part, at in zip(PRICES, columns.prices, strict=True)),
            volume.alias("volume"),
            *read_actions(columns, numbers),
        ]
    ).with_row_index("row")
    if columns.end_time is not None and not columns.stamps_are_ends:
        frame = frame.with_columns(_lengths(sheet, columns.end_time, times).alias("_length"))
    symbols = _read_symbols(sheet, columns)
    table = SeriesTable(
        frame,
        symbol=next((t for t in sheet.tickers if t), None),
        assumed=assumed,
        is_date=times.is_date,
        notes=(*sheet.notes, *columns.notes, *notes),
        stamps_are_ends=columns.stamps_are_ends,
    )
    parts = [table] if symbols is None else _split_by_symbol(table, symbols, sheet.source)
    return [_finish(_oldest_first(part), columns, sheet, reading) for part in parts]


def _finish(table: SeriesTable, columns: ColumnRoles, sheet: SourceRows, reading: Reading) -> SeriesTable:
    """Adjust and scale prices, and keep the columns of the schema."""
    extra = [c for c in table.frame.columns if c.startswith("_")]
    actions = Actions(
        adjusted=tuple(
            table.frame[c] for c in extra if c.startswith("_adjusted_") and c != "_adjusted_volume"
        ),
        adjusted_volume=table.frame["_adjusted_volume"] if "_adjusted_volume" in extra else None,
        splits=table.frame["_split"] if "_split" in extra else None,
        dividends=table.frame["_dividend"] if "_dividend" in extra else None,
        name=sheet.names[columns.adjusted[-1]] if columns.adjusted else "",
        is_raw=columns.is_raw,
    )
    adjusted, phrase = adjust_bars(table.frame, actions, reading.adjust, source=sheet.source)
    assumed = dict(table.assumed)
    assumed["prices"] = phrase or "as they stand"
    length = None
    if "_length" in extra and not (lengths := table.frame["_length"].drop_nulls()).is_empty():
        length = int(lengths.mode().min())  # type: ignore[arg-type]
    frame = adjusted.select("row", *SCHEMA.names())
    scale = reading.price_scale
    if scale == 1 and columns.is_fixed_point:
        closes = frame["close"].drop_nulls()
        if (closes >= 1e6).all() and (closes == closes.round()).all():
            scale = _BILLIONTH
    if scale != 1:
        frame = frame.with_columns(scale_prices(frame[name], scale) for name in PRICES)
        assumed["scale"] = (
            f"prices multiplied by {scale:g}{', as Databento writes them' if scale == _BILLIONTH else ''}"
        )
    if any(ticker is not None for ticker in sheet.tickers):
        table, frame = _without_empty_rows(table, frame)
    return replace(table, frame=frame, assumed=assumed, length=length)


def _without_empty_rows(table: SeriesTable, frame: pl.DataFrame) -> tuple[SeriesTable, pl.DataFrame]:
    """Drop the rows that only the other assets of the table have prices in."""
    kept = frame.filter(~pl.all_horizontal(pl.col(name).is_null() for name in PRICES))
    if kept.height == frame.height:
        return table, frame
    note = f"{frame.height - kept.height} rows of the other assets left out"
    return replace(table, notes=(*table.notes, note)), kept.with_columns(pl.col("volume").fill_null(0.0))


def _check_single_period(sheet: SourceRows, columns: ColumnRoles) -> None:
    if columns.period is None:
        return
    periods = sheet.frame.to_series(columns.period).drop_nulls().cast(pl.String).unique().sort().to_list()
    if len(periods) > 1:
        raise BarsError(
            f"holds bars of several lengths, {', '.join(map(repr, periods[:5]))}; split it into a file for each",
            source=sheet.source,
            column=sheet.names[columns.period],
        )


def _lengths(sheet: SourceRows, at: int, times: Times) -> pl.Series:
    """Return the time from each bar's open to its end; ends such as 12:59:59.999 are those of 13:00."""
    try:
        ends = read_times(sheet.frame.to_series(at), source=sheet.source).utc
    except BarsError:
        return pl.repeat(None, len(times.utc), dtype=pl.Int64, eager=True)
    seconds = (ends.to_physical() - times.utc.to_physical() + 999_999) // 1_000_000
    return seconds * 1_000_000


def _read_symbols(sheet: SourceRows, columns: ColumnRoles) -> pl.Series | None:
    if columns.symbol is None:
        return None
    symbols = sheet.frame.to_series(columns.symbol)
    if symbols.dtype.is_float():
        # Whole numbers that went through a float column, as ids do where one is absent.
        symbols = symbols.fill_nan(None).cast(pl.Int64, strict=False)
    return symbols.cast(pl.String).str.strip_chars()


def _split_by_symbol(table: SeriesTable, symbols: pl.Series, source: str) -> list[SeriesTable]:
    distinct = symbols.drop_nulls().unique(maintain_order=True).to_list()
    if len(distinct) > 1 and symbols.null_count():
        row = int(symbols.is_null().arg_true()[0])
        raise BarsError(
            "belongs to no asset, where the column of assets names several",
            source=source,
            row=row,
            column="symbol",
        )
    if len(distinct) <= 1:
        return [replace(table, symbol=table.symbol or (distinct[0] if distinct else None))]
    return [replace(table, frame=table.frame.filter(symbols == symbol), symbol=symbol) for symbol in distinct]


def _oldest_first(table: SeriesTable) -> SeriesTable:
    """Reverse rows that run strictly backwards, as some vendors lay files out."""
    steps = table.frame["timestamp"].diff().drop_nulls().to_physical()
    if len(steps) and bool((steps < 0).all()):
        return replace(table, frame=table.frame.reverse(), notes=(*table.notes, "newest first: reversed"))
    return table
