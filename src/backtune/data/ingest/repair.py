"""Rows that break the schema: what ``--repair`` mends, each kind counted and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import polars as pl

from backtune.data.ingest.table import SeriesTable
from backtune.data.ingest.words import count_of
from backtune.data.schema import PRICES
from backtune.errors import BarsError

# Prices that differ by less are equal but for the rounding of their last place.
_LAST_PLACE: Final = 1e-9
# Broken rows beyond this number, or share, are no slips: then the file is looked at, not mended.
_FEW: Final = 10
_FEW_SHARE: Final = 0.01


def sort_rows(table: SeriesTable) -> SeriesTable:
    """Sort rows by time and drop those that another equals in every column."""
    columns = [name for name in table.frame.columns if name != "row"]
    notes = list(table.notes)
    unique = table.frame.unique(subset=columns, keep="first", maintain_order=True)
    if unique.height < table.frame.height:
        notes.append(f"dropped {count_of(table.frame.height - unique.height, 'exact duplicate')}")
    backward = int(unique.select((pl.col("timestamp").diff() < pl.duration()).sum()).item())
    if backward:
        notes.append(f"sorted: {count_of(backward, 'row')} older than the row before")
    return replace(table, frame=unique.sort("timestamp", maintain_order=True), notes=tuple(notes))


def mend_rows(table: SeriesTable) -> SeriesTable:
    """Mend bars: a bar without any price is an absent bar, an absent volume is 0, last places are evened out, and a few
    rows that break the schema are dropped. More of them than slips would be stay, for the checks to find.
    """
    for step in (_drop_rows_without_price, _fill_volumes, _even_out_last_places):
        table = step(table)
    return _drop_broken_rows(table)


def describe_empty_rows(table: SeriesTable, *, source: str) -> None:
    """Refuse rows without a price, or without a volume, with what ``--repair`` would do about them.

    Raises:
        BarsError: There is such a row; names the first and counts all.
    """
    frame = table.frame
    without_price = frame.filter(_has_no_price())
    if without_price.height:
        raise BarsError(
            f"has no price; {count_of(without_price.height, 'row')} of {frame.height:,} have none; --repair drops them, "
            "for a bar may be absent",
            source=source,
            row=int(without_price["row"][0]),
            column="open",
        )
    if frame.filter(pl.any_horizontal(pl.col(name).is_null() for name in PRICES)).height:
        return  # for the checks to name
    without_volume = frame.filter(pl.col("volume").is_null())
    if without_volume.height:
        raise BarsError(
            f"has no volume; {count_of(without_volume.height, 'row')} of {frame.height:,} have none; --repair sets them to 0",
            source=source,
            row=int(without_volume["row"][0]),
            column="volume",
        )


def _has_no_price() -> pl.Expr:
    return pl.all_horizontal(pl.col(name).is_null() for name in PRICES)


def _drop_rows_without_price(table: SeriesTable) -> SeriesTable:
    kept = table.frame.filter(~_has_no_price())
    return _with(
        table,
        kept,
        table.frame.height - kept.height,
        lambda n: f"dropped {count_of(n, 'row')} without a price",
    )


def _fill_volumes(table: SeriesTable) -> SeriesTable:
    filled = table.frame.with_columns(pl.col("volume").fill_null(0.0))
    return _with(
        table,
        filled,
        table.frame["volume"].null_count(),
        lambda n: f"{count_of(n, 'absent volume')} set to 0",
    )


def _even_out_last_places(table: SeriesTable) -> SeriesTable:
    top, bottom = pl.max_horizontal(*PRICES), pl.min_horizontal(*PRICES)
    high, low = pl.col("high"), pl.col("low")
    is_high_off = (top > high) & (top - high <= _LAST_PLACE * top)
    is_low_off = (bottom < low) & (low - bottom <= _LAST_PLACE * low)
    count = int(table.frame.select((is_high_off | is_low_off).sum()).item() or 0)
    mended = table.frame.with_columns(
        pl.when(is_high_off).then(top).otherwise(high).alias("high"),
        pl.when(is_low_off).then(bottom).otherwise(low).alias("low"),
    )
    return _with(
        table, mended, count, lambda n: f"high or low of {count_of(n, 'row')} evened out in the last place"
    )


def _drop_broken_rows(table: SeriesTable) -> SeriesTable:
    """Drop rows that break the schema: a few anywhere, and any number at the beginning of the file."""
    frame = table.frame
    broken = frame.select(_is_broken().fill_null(value=True).alias("broken"))["broken"]
    total = int(broken.sum())
    if not total:
        return table
    leading = frame.height if broken.all() else int((~broken).arg_true()[0])
    scattered = total - leading
    if leading == frame.height or scattered > max(_FEW, _FEW_SHARE * frame.height):
        return table
    kept = frame.filter(~broken)
    notes = table.notes
    if leading:
        last = frame["timestamp"][leading - 1]
        notes = (
            *notes,
            f"dropped the first {count_of(leading, 'row')}, to {last:%Y-%m-%d %H:%M}: their prices break the schema",
        )
    if scattered:
        notes = (*notes, f"dropped {count_of(scattered, 'row')} whose values break the schema")
    return replace(table, frame=kept, notes=notes)


def _is_broken() -> pl.Expr:
    high, low = pl.col("high"), pl.col("low")
    not_finite = pl.any_horizontal(~pl.col(name).is_finite() for name in (*PRICES, "volume"))
    not_above_0 = pl.any_horizontal(pl.col(name) <= 0 for name in PRICES)
    outside = pl.any_horizontal((pl.col(name) < low) | (pl.col(name) > high) for name in ("open", "close"))
    return (
        not_finite
        | not_above_0
        | outside
        | (high < low)
        | (pl.col("volume") < 0)
        | pl.col("timestamp").is_null()
    )


def _with(table: SeriesTable, frame: pl.DataFrame, count: int, note: Callable[[int], str]) -> SeriesTable:
    return replace(table, frame=frame, notes=(*table.notes, note(count))) if count else table
