"""Bars out of a vendor's file: columns found, times and numbers read."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from backtune.data.bars import PRICES, SCHEMA
from backtune.data.parquet import read_any
from backtune.data.times import to_utc
from backtune.data.vendor import Columns, columns_by_name, columns_without_header
from backtune.errors import BarsError, SpecError

# A tab or a semicolon splits nothing else, where a comma may also be a decimal mark.
_DELIMITERS: Final = ("\t", ";", "|", ",")
_SAMPLE_BYTES: Final = 65_536
_SAMPLE_LINES: Final = 50
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


@dataclass(frozen=True)
class Table:
    """The rows of a file, in the file's order and not yet checked.

    Attributes:
        frame: columns of the schema.
        notes: what was taken for what, where it was not plain.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def read_csv_table(path: Path, *, price_scale: float = 1.0) -> Table:
    """Read a text file of bars.

    Raises:
        BarsError: the file cannot be read, or a column, a time or a number in it.
        SpecError: the scale is not above 0.
    """
    content = _utf8(path)
    sample = content[:_SAMPLE_BYTES].decode(errors="replace").splitlines()[:_SAMPLE_LINES]
    delimiter, skipped = _dialect(sample, path)
    rows = [row for row in csv.reader(sample[skipped:], delimiter=delimiter) if row]
    has_header = not any(_is_number(field) for field in rows[0])
    data = rows[1:] if has_header else rows
    if not data:
        raise BarsError("has a header and no rows", source=path)
    columns = columns_by_name(rows[0], data[0], path) if has_header else columns_without_header(data[0], path)
    body = _after_lines(content, skipped + has_header)
    names = rows[0] if has_header else [f"column {i + 1}" for i in range(len(data[0]))]
    return _table(_text_columns(body, delimiter, len(data[0]), path), columns, names, path, price_scale)


def read_parquet_table(path: Path, *, price_scale: float = 1.0) -> Table:
    """Read a Parquet file of bars.

    Raises:
        BarsError: the file cannot be read, or a column, a time or a number in it.
        SpecError: the scale is not above 0.
    """
    frame = read_any(path)
    if frame.is_empty():
        raise BarsError("has no rows", source=path)
    columns = columns_by_name(frame.columns, [str(value) for value in frame.row(0)], path)
    return _table(frame, columns, frame.columns, path, price_scale)


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


def _table(
    frame: pl.DataFrame, columns: Columns, names: Sequence[str], path: Path, price_scale: float
) -> Table:
    check_scale(price_scale)
    notes: list[str] = []
    time = frame.to_series(columns.time[0])
    if len(columns.time) == 2:
        time = time.str.strip_chars() + " " + frame.to_series(columns.time[1]).str.strip_chars()
    elif time.dtype == pl.String and names[columns.time[0]].lower().startswith("local"):
        notes.append(f"{names[columns.time[0]]!r}: taken as UTC where it has no offset")
    prices = [
        _numbers(frame.to_series(at), role, path, notes)
        for role, at in zip(PRICES, columns.prices, strict=True)
    ]
    # columns: timestamp, open, high, low, close, volume
    bars = pl.DataFrame(
        [to_utc(time, source=path).alias("timestamp"), *prices, _volume(frame, columns, names, path, notes)],
        schema=SCHEMA,
    )
    if price_scale != 1:
        bars = bars.with_columns(scaled(bars[name], price_scale) for name in PRICES)
    return Table(bars, tuple(dict.fromkeys(notes)))


def _volume(
    frame: pl.DataFrame, columns: Columns, names: Sequence[str], path: Path, notes: list[str]
) -> pl.Series:
    """The first volume that is not all zero: MetaTrader writes zeros beside the tick volume."""
    if not columns.volumes:
        notes.append("no volume column: volume is 0")
        return pl.zeros(frame.height, dtype=pl.Float64, eager=True).alias("volume")
    for at in columns.volumes:
        volume = _numbers(frame.to_series(at), "volume", path, notes)
        if (volume != 0).any() or at == columns.volumes[-1]:
            break
    if len(columns.volumes) > 1 or names[at].strip("<>").lower() not in ("volume", f"column {at + 1}"):
        notes.append(f"volume is {names[at]!r}")
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


def _utf8(path: Path) -> bytes:
    """The text of a file in UTF-8, with plain ends of lines and no blank lines."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BarsError(f"cannot be read: {error.strerror}", source=path) from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BarsError(f"is not text in UTF-8 or UTF-16: {error}", source=path) from error
    if not text.strip():
        raise BarsError("is empty", source=path)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANK_LINES.sub("\n", text).lstrip("\n").encode()


def _dialect(sample: list[str], path: Path) -> tuple[str, int]:
    """The delimiter, and how many lines of other matter stand before the table."""
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter)]
        width = Counter(w for w in widths if w).most_common(1)[0][0]
        if width > 1:
            return delimiter, next(i for i, w in enumerate(widths) if w >= max(2, width / 2))
    raise BarsError("is not a table: no tab, semicolon, bar or comma splits its lines", source=path)


def _text_columns(body: bytes, delimiter: str, width: int, path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(
            body,
            has_header=False,
            separator=delimiter,
            schema={f"column_{i + 1}": pl.String for i in range(width)},
        )
    except pl.exceptions.PolarsError as error:
        raise BarsError(f"cannot be read as a table: {str(error).splitlines()[0]}", source=path) from error
    # Spreadsheets end tables with lines of mere delimiters.
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))


def _after_lines(content: bytes, n_lines: int) -> bytes:
    at = 0
    for _ in range(n_lines):
        at = content.index(b"\n", at) + 1
    return content[at:]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
