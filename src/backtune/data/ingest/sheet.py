"""The content of a file or a frame as a table of named columns, before anything in it is understood."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import polars as pl

from backtune.data.ingest.json_table import read_json_table
from backtune.data.ingest.sources import Source
from backtune.data.ingest.text import read_text_table
from backtune.data.parquet import UNREADABLE, unreadable
from backtune.errors import BarsError

# How pandas writes the columns of two levels into Parquet: ('Close', 'ACME').
_PAIR = re.compile(r"""\(\s*(['"])(.*?)\1\s*,\s*(['"])(.*?)\3\s*\)""")


@dataclass(frozen=True)
class SourceRows:
    """The rows of a file or frame below its header, if it has one.

    Attributes:
        source: The name of the file or frame that messages show.
        frame: The columns by position, text from a text file, of any type from elsewhere. Never empty.
        names: The name of each column, empty where it has none.
        tickers: The asset of each column in a table that holds several assets side by side; None for a column of all.
        has_header: True if the names come from the file.
        zone: The zone that the head of the file or the name of a column states, None where none does.
        notes: Remarks on how the file was read.
    """

    source: str
    frame: pl.DataFrame
    names: tuple[str, ...]
    tickers: tuple[str | None, ...]
    has_header: bool = True
    zone: str | None = None
    notes: tuple[str, ...] = ()

    def name_of(self, position: int) -> str:
        """Return the name of a column as messages show it, or its number (from 1) where it has none."""
        return repr(self.names[position]) if self.names[position].strip() else f"column {position + 1}"


def read_sheet(source: Source) -> SourceRows:
    """Read a file by its suffix.

    Raises:
        BarsError: The file cannot be read, or holds no table or no row.
    """
    return _READERS[source.suffix](source.read(), source.label)


def sheet_of_frame(frame: Any, source: str) -> SourceRows:
    """Take a Polars or pandas frame; the index of a pandas frame becomes its first column, unless it merely counts rows.

    Raises:
        BarsError: It is neither, or has no row.
    """
    if isinstance(frame, pl.DataFrame):
        return _of_polars(frame, source)
    if not hasattr(frame, "reset_index"):
        raise BarsError(f"a {type(frame).__name__} is not a Polars or pandas frame", source=source)
    return _of_pandas(frame, source)


def _of_polars(frame: pl.DataFrame, source: str, names: tuple[str, ...] | None = None) -> SourceRows:
    if frame.is_empty():
        raise BarsError("has no rows", source=source)
    fields, tickers = _split_pairs(names or tuple(frame.columns))
    return SourceRows(source, frame, fields, tickers)


def _of_pandas(frame: Any, source: str) -> SourceRows:
    import pandas as pd

    index = frame.index
    columns = [str(tuple(name)) if isinstance(name, tuple) else str(name) for name in frame.columns]
    values = [frame.iloc[:, i] for i in range(frame.shape[1])]
    counts_rows = pd.api.types.is_numeric_dtype(index.dtype) and index.name is None
    if not isinstance(index, pd.MultiIndex) and not counts_rows:
        columns.insert(0, str(index.name) if index.name is not None else "")
        values.insert(0, index.to_series())
    elif isinstance(index, pd.MultiIndex):
        columns[:0] = ["" if name is None else str(name) for name in index.names]
        values[:0] = [index.get_level_values(i).to_series() for i in range(index.nlevels)]
    try:
        series = [_polars_series(column, f"column_{i}") for i, column in enumerate(values)]
    except (pl.exceptions.PolarsError, TypeError, ValueError, ArithmeticError) as error:
        raise BarsError(f"cannot be read as bars: {str(error).splitlines()[0]}", source=source) from error
    return _of_polars(pl.DataFrame(series), source, tuple(columns))


def _polars_series(column: Any, name: str) -> pl.Series:
    import pandas as pd

    column = column.reset_index(drop=True)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    zone = getattr(column.dtype, "tz", None)
    if zone is None:
        return pl.Series(name, pl.from_pandas(column))
    # Through UTC, for Polars reads zones of pandas in a way that pandas retires; the zone is put back for its midnights.
    naive = pl.Series(name, pl.from_pandas(column.dt.tz_convert("UTC").dt.tz_localize(None)))
    utc = naive.dt.replace_time_zone("UTC")
    key = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return utc.dt.convert_time_zone(key) if key else utc


def _split_pairs(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Take apart names of two levels, a field and an asset in either order."""
    pairs = [_PAIR.fullmatch(name.strip()) for name in names]
    if not any(pairs):
        return names, (None,) * len(names)
    levels = [[match[2], match[4]] for match in pairs if match]
    split = list(zip(*split_levels([["", *level] for level in zip(*levels, strict=True)]), strict=True))[1:]
    rest = iter(split)
    parts = [next(rest) if match else (name, None) for match, name in zip(pairs, names, strict=True)]
    return tuple(field for field, _ in parts), tuple(ticker or None for _, ticker in parts)


def split_levels(rows: list[list[str]]) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Tell the fields from the assets in a header of two lines and more.

    Args:
        rows: (n_lines, n_columns) the lines; a line whose cells but the first are empty names the index.

    Returns:
        The field of each column, and its asset, or None where no line holds assets.
    """
    fields = max(rows, key=lambda row: len(_PRICE_NAMES & {cell.strip().lower() for cell in row}))
    index_line = next((row for row in rows if row[0].strip() and not any(c.strip() for c in row[1:])), None)
    others = [row for row in rows if row is not fields and row is not index_line]
    names = [cell.strip() for cell in fields]
    if index_line is not None:
        names[0] = index_line[0].strip()
    assets = next((row for row in others if len({c.strip() for c in row[1:]} - {""}) >= 1), None)
    if assets is None:
        return tuple(names), (None,) * len(names)
    tickers = [cell.strip() or None for cell in assets]
    tickers[0] = None if names[0].strip().lower() not in _PRICE_NAMES else tickers[0]
    return tuple(names), tuple(tickers)


def _zone_in_names(names: tuple[str, ...]) -> str | None:
    """Return the zone of a name such as ``Time (EST)``."""
    found = (re.fullmatch(r"(?i).*(?:time|date).*\((.+)\)\s*", name) for name in names)
    zone = next((match[1] for match in found if match), None)
    return (
        zone
        if zone is None or re.fullmatch(r"[A-Z]{2,5}|[A-Za-z]+/[A-Za-z_]+|[+-]\d{1,2}:?\d{0,2}", zone)
        else None
    )


_PRICE_NAMES: Final = frozenset({"open", "high", "low", "close", "adj close", "volume"})


def _read_text(content: bytes, source: str) -> SourceRows:
    table = read_text_table(content, source)
    width = table.frame.width
    names: tuple[str, ...] = ("",) * width
    tickers: tuple[str | None, ...] = (None,) * width
    if len(table.header) == 1:
        names = tuple(table.header[0])
    elif table.header:
        names, tickers = split_levels(table.header)
    zone = table.zone or _zone_in_names(names)
    return SourceRows(source, table.frame, names, tickers, bool(table.header), zone, table.notes)


def _read_binary(content: bytes, source: str, *, kind: str) -> SourceRows:
    read = pl.read_parquet if kind == "Parquet" else pl.read_ipc
    try:
        frame = read(io.BytesIO(content))
    except UNREADABLE as error:
        raise unreadable(error, source, kind=kind) from error
    return _of_polars(frame, source)


def _read_json(content: bytes, source: str) -> SourceRows:
    names, frame, zone = read_json_table(content, source)
    tickers = (None,) * frame.width
    return SourceRows(source, frame, names or ("",) * frame.width, tickers, names is not None, zone=zone)


_READERS: Final[Mapping[str, Callable[[bytes, str], SourceRows]]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".prn", ".asc"), _read_text),
    **dict.fromkeys((".parquet", ".pq"), partial(_read_binary, kind="Parquet")),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), partial(_read_binary, kind="Feather")),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), _read_json),
}
