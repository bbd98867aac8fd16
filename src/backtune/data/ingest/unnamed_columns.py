"""The parts of columns without names, by their order and by what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from backtune.data.ingest.clocks import looks_like_clocks
from backtune.data.ingest.columns import ColumnRoles
from backtune.data.ingest.sheet import SourceRows
from backtune.data.ingest.times import looks_like_dates
from backtune.errors import BarsError

_ORDERS_WITHOUT_NAMES: Final = (
    ("open, high, low, close", (0, 1, 2, 3)),
    ("low, high, open, close", (2, 1, 0, 3)),
    ("open, close, high, low", (0, 2, 3, 1)),
)


def find_unnamed_columns(sheet: SourceRows) -> ColumnRoles:
    """Tell the parts of a table without names: names of assets, a time or a date and a clock, four prices, a volume.

    Raises:
        BarsError: The first row does not begin so.
    """
    frame = sheet.frame
    columns = [frame.to_series(i) for i in range(frame.width)]
    at = 0
    while at < min(3, len(columns)) and _is_word(columns[at]):
        at += 1
    symbol = 0 if at > 0 else None
    rest = columns[at:]
    split = len(rest) >= 6 and looks_like_dates(rest[0]) and looks_like_clocks(rest[1])
    # Whole prices of up to four digits look like clocks too, but then high and low enclose them.
    split = split and (_encloses(rest[2:6]) or not _encloses(rest[1:5]))
    first = at + (2 if split else 1)
    if len(columns) < first + 4 or not all(_is_number(column) for column in columns[first : first + 4]):
        row = [str(value) for value in frame.row(0)]
        raise BarsError(
            f"has no header, and its first row {row} is not time, open, high, low, close, volume; "
            "put a line with the columns' names on top, or number them with --columns time=1,open=2,high=3,low=4,close=5",
            source=sheet.source,
        )
    order, prices = _find_order(columns[first : first + 4]) or _ORDERS_WITHOUT_NAMES[0]
    # Kraken's eight columns have the average price before the volume.
    volume = first + (5 if _is_average_price(columns, first) else 4)
    return ColumnRoles(
        times=((at, at + 1),) if split else ((at,),),
        prices=tuple(first + i for i in prices),
        volumes=(volume,) if len(columns) > volume and _is_number(columns[volume]) else (),
        symbol=symbol,
        end_time=first + 5 if len(columns) == first + 11 else None,  # klines of Binance
        notes=() if prices == (0, 1, 2, 3) else (f"prices stand in the order {order}",),
    )


def _is_average_price(columns: Sequence[pl.Series], first: int) -> bool:
    """Return True for time, prices, average price, volume and count: the first of the last three lies within high and low."""
    if len(columns) != first + 7 or not all(_is_number(column) for column in columns[first:]):
        return False
    values = [c.cast(pl.Float64, strict=False).fill_null(0.0).to_numpy() for c in columns[first : first + 5]]
    lowest, highest = np.min(values[:4], axis=0), np.max(values[:4], axis=0)
    average = values[4]
    traded = average != 0
    return bool(traded.any()) and bool(
        np.all((average[traded] >= lowest[traded]) & (average[traded] <= highest[traded]))
    )


def _is_word(column: pl.Series) -> bool:
    text = column.drop_nulls().head(100)
    if text.dtype != pl.String or text.is_empty():
        return False
    return bool(text.str.contains(r"^[A-Za-z^][A-Za-z0-9./_=^ -]*$").all()) and not looks_like_dates(text)


def _is_number(column: pl.Series) -> bool:
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    return bool(
        column.drop_nulls()
        .head(100)
        .str.contains(r"^\s*[-+$]?[\d.,]+(?:[eE][-+]?\d+)?\s*$|^\s*(?i:nan|null|)\s*$")
        .all()
    )


def _encloses(columns: Sequence[pl.Series]) -> bool:
    return _find_order(columns) is not None


def _find_order(columns: Sequence[pl.Series]) -> tuple[str, tuple[int, ...]] | None:
    """Return the first order of four columns in which high and low enclose open and close in nearly every row."""
    if not all(column.dtype == pl.String or column.dtype.is_numeric() for column in columns):
        return None
    text = [c.str.replace(",", ".", literal=True) if c.dtype == pl.String else c for c in columns]
    numbers = [c.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy() for c in text]
    values = np.column_stack(numbers)
    is_absent = np.isnan(values).any(axis=1)
    if is_absent.all():
        return None
    for order, (open_, high, low, close) in _ORDERS_WITHOUT_NAMES:
        is_inside = (values[:, low] <= np.minimum(values[:, open_], values[:, close])) & (
            values[:, high] >= np.maximum(values[:, open_], values[:, close])
        )
        if np.mean(is_inside | is_absent) > 0.99:
            return order, (open_, high, low, close)
    return None
