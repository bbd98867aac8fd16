"""Bars and funding out of a vendor's file: columns found, times and numbers read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from backtune.data.bars import PRICES, SCHEMA
from backtune.data.funding import RATES
from backtune.data.sheet import Sheet
from backtune.data.times import to_utc
from backtune.data.vendor import Columns, columns_by_name, columns_without_header, rate_columns
from backtune.errors import BarsError, SpecError


@dataclass(frozen=True)
class Table:
    """The rows of a file, in the file's order and not yet checked.

    Attributes:
        frame: columns of the bars' schema, or of the funding's.
        notes: what was taken for what, where it was not plain.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def bars_table(sheet: Sheet, *, price_scale: float = 1.0) -> Table:
    """The bars of a file.

    Raises:
        BarsError: a column is missing, or a time or a number cannot be read.
        SpecError: the scale is not above 0.
    """
    check_scale(price_scale)
    columns = (
        columns_by_name(sheet.names, sheet.first_row, sheet.path)
        if sheet.has_header
        else columns_without_header(sheet.first_row, sheet.path)
    )
    notes: list[str] = []
    prices = [
        _numbers(sheet.frame.to_series(at), role, sheet.path, notes)
        for role, at in zip(PRICES, columns.prices, strict=True)
    ]
    # columns: timestamp, open, high, low, close, volume
    bars = pl.DataFrame(
        [_times(sheet, columns.time, notes), *prices, _volume(sheet, columns, notes)], schema=SCHEMA
    )
    if price_scale != 1:
        bars = bars.with_columns(scaled(bars[name], price_scale) for name in PRICES)
    return Table(bars, tuple(dict.fromkeys(notes)))


def rates_table(sheet: Sheet) -> Table:
    """The funding payments of a file.

    Raises:
        BarsError: a column is missing, or a time or a number cannot be read.
    """
    if not sheet.has_header:
        raise BarsError("has no header; put a line such as timestamp,rate on top", source=sheet.path)
    time, rate = rate_columns(sheet.names, sheet.first_row, sheet.path)
    notes: list[str] = []
    # columns: timestamp, rate
    rates = pl.DataFrame(
        [_times(sheet, time, notes), _numbers(sheet.frame.to_series(rate), "rate", sheet.path, notes)],
        schema=RATES,
    )
    return Table(rates, tuple(notes))


def check_scale(scale: float) -> None:
    """Raise a SpecError unless prices can be multiplied with ``scale``."""
    if not 0 < scale < float("inf"):
        raise SpecError("price_scale", f"{scale} is not a number above 0", value=scale)


def scaled(prices: pl.Series, scale: float) -> pl.Series:
    """Prices times ``scale``. Points, as in 1e-5, are divided by their exact number per unit instead, so that
    158611 gives the double 1.58611 and not its neighbour.
    """
    values = prices.to_numpy()
    per_unit = round(1 / scale)
    # By NumPy: Polars turns a division by a constant into a product with its inexact reciprocal.
    exact = scale < 1 and abs(per_unit * scale - 1) < 1e-9
    return pl.Series(prices.name, np.divide(values, per_unit) if exact else values * scale)


def _times(sheet: Sheet, at: tuple[int, ...], notes: list[str]) -> pl.Series:
    time = sheet.frame.to_series(at[0])
    if len(at) == 2:
        time = time.str.strip_chars() + " " + sheet.frame.to_series(at[1]).str.strip_chars()
    elif time.dtype == pl.String and sheet.names[at[0]].lower().startswith("local"):
        notes.append(f"{sheet.names[at[0]]!r}: taken as UTC where it has no offset")
    return to_utc(time, source=sheet.path).alias("timestamp")


def _volume(sheet: Sheet, columns: Columns, notes: list[str]) -> pl.Series:
    """The first volume that is not all zero: MetaTrader writes zeros beside the tick volume."""
    if not columns.volumes:
        notes.append("no volume column: volume is 0")
        return pl.zeros(sheet.frame.height, dtype=pl.Float64, eager=True).alias("volume")
    for at in columns.volumes:
        volume = _numbers(sheet.frame.to_series(at), "volume", sheet.path, notes)
        if (volume != 0).any() or at == columns.volumes[-1]:
            break
    if len(columns.volumes) > 1 or sheet.names[at].strip("<>").lower() not in ("volume", f"column {at + 1}"):
        notes.append(f"volume is {sheet.names[at]!r}")
    return volume


def _numbers(values: pl.Series, role: str, path: Path, notes: list[str]) -> pl.Series:
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        text = _with_decimal_point(values)
        if text is not values:
            notes.append("numbers with a comma: decimal or thousands mark, see the first rows")
    else:
        text = values
    numbers = text.cast(pl.Float64, strict=False)
    unread = (numbers.is_null() & values.is_not_null()).arg_true()
    if len(unread):
        row = int(unread[0])
        raise BarsError(f"{values[row]!r} is not a number", source=path, row=row, column=role)
    return numbers.alias(role)


def _with_decimal_point(values: pl.Series) -> pl.Series:
    """Numbers such as ``1.234,5``, ``1,234.5`` and ``1,5``: the mark that comes last is the decimal one."""
    with_comma = values.filter(values.str.contains(",", literal=True))
    if with_comma.is_empty():
        return values
    if with_comma.str.contains(r"\..*,|^[^.]*$").all():
        return values.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return values.str.replace_all(",", "", literal=True)
