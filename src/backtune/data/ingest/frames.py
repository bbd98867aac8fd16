"""Frames of the user's as bars, by the reader that files have."""

from __future__ import annotations

from typing import Any

import polars as pl

from backtune.data.ingest.adjustments import Adjust
from backtune.data.ingest.sheet import sheet_of_frame
from backtune.data.ingest.spacing import Length, check_plausible, find_length, fit_to_length, label_by_open
from backtune.data.ingest.table import Reading, SeriesTable, read_tables
from backtune.data.schema import SCHEMA, check_bars, check_rows, time_rules
from backtune.errors import BarsError
from backtune.spec.timeframe import Timeframe

_FUNDING = "funding"
_WAY_OUT = "drop them, or pass the right timeframe="


def read_frame(
    frame: Any, *, source: str, timeframe: Timeframe | None = None, adjust: Adjust | None = None
) -> tuple[pl.DataFrame, Timeframe]:
    """Read a Polars or pandas frame of bars.

    Args:
        frame: Rows in time order; names, times and numbers in any form that files may have. The index of a pandas frame may hold
            the time. A column ``funding`` holds the rates that a long pays at each open.
        timeframe: The length of a bar; without it, the usual step between rows.
        adjust: See :func:`backtune.data.ingest.adjustments.adjust_bars`.

    Returns:
        The bars in the schema, checked, with a column ``funding`` where the frame has one, and their length.

    Raises:
        BarsError: The frame cannot be read, holds several assets, or a bar breaks the schema.
    """
    sheet = sheet_of_frame(frame, source)
    tables = read_tables(sheet, Reading(adjust=adjust))
    if len(tables) > 1:
        symbols = ", ".join(str(table.symbol) for table in tables[:5])
        raise BarsError(f"holds {len(tables)} assets ({symbols}); pass the rows of one", source=source)
    table = tables[0]
    check_rows(table.frame, time_rules(), source=source, rows=table.frame["row"])
    length = (
        find_length(table, source) if timeframe is None else Length(timeframe, "as chosen", is_chosen=True)
    )
    table = fit_to_length(
        label_by_open(table, length.timeframe, "open"), length, repair=False, source=source, way_out=_WAY_OUT
    )
    check_plausible(table, length.timeframe, source)
    return check_bars(_with_funding(table, sheet.frame, sheet.names), source=source), length.timeframe


def _with_funding(table: SeriesTable, frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    bars = table.frame.select(SCHEMA.names())
    if _FUNDING not in names:
        return bars
    funding = frame.to_series(names.index(_FUNDING)).cast(pl.Float64, strict=False)
    return bars.with_columns(funding[table.frame["row"]].alias(_FUNDING))
