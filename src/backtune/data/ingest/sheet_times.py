"""The times of a sheet: the first of its columns that holds them, in the zone that the file or the user states."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from backtune.data.ingest.clocks import join_date_and_clock
from backtune.data.ingest.named_columns import find_clock_beside
from backtune.data.ingest.sheet import SourceRows
from backtune.data.ingest.times import DateOrder, read_times
from backtune.data.ingest.understood_times import Times
from backtune.data.ingest.zones import Zone
from backtune.errors import BarsError, SpecError


def read_first_times(
    sheet: SourceRows,
    candidates: Sequence[tuple[int, ...]],
    *,
    zone: Zone | None,
    zone_column: int | None = None,
    date_order: DateOrder | None = None,
) -> tuple[Times, dict[str, str]]:
    """Read the first candidate that holds times, and say what it is.

    Args:
        candidates: Columns that may hold times, the best first; two are a date and a time of day.
        zone: The zone that the user chose for times that carry none.
        zone_column: The column of zones or offsets.

    Returns:
        The times, and what is assumed of them by subject.

    Raises:
        BarsError: No candidate holds times; tells why of the first. Or a time of day beside a date is not understood.
    """
    first_error: BarsError | None = None
    zone = zone or _stated_zone(sheet, zone_column)
    for at in candidates:
        values = sheet.frame.to_series(at[0])
        try:
            if len(at) == 2:
                values = join_date_and_clock(values, sheet.frame.to_series(at[1]), source=sheet.source)
            times = read_times(values, source=sheet.source, zone=zone, date_order=date_order)
        except BarsError as error:
            first_error = first_error or error
        else:
            clock = find_clock_beside(sheet, at) if times.is_date and sheet.has_header else None
            if clock is not None and sheet.frame.to_series(clock).drop_nulls().n_unique() > 1:
                raise BarsError(
                    f"{sheet.name_of(at[0])} holds dates, and the times of day in {sheet.name_of(clock)} are not "
                    "understood; say which columns hold the time with --columns time=DATE+CLOCK",
                    source=sheet.source,
                    column=sheet.names[clock],
                )
            names = " and ".join(sheet.name_of(position) for position in at)
            return times, {"time": f"{names}, {times.form}", "zone": times.zone}
    assert first_error is not None  # noqa: S101
    raise first_error


def _stated_zone(sheet: SourceRows, at: int | None) -> Zone | None:
    """Return the zone that a file states beside its times: in a column, behind the name of a column, or in its head.

    Raises:
        BarsError: A column of zones or offsets has several, or one that is not known.
    """
    text = sheet.zone
    if at is not None:
        values = sheet.frame.to_series(at).drop_nulls().cast(pl.String).str.strip_chars().unique().sort()
        if len(values) > 1:
            raise BarsError(
                f"states several zones, {', '.join(map(repr, values.head(4)))}; write times with their offsets, or pass "
                "--timezone for all of them",
                source=sheet.source,
                column=sheet.names[at],
            )
        text = str(values[0]) if len(values) else text
    if text is None:
        return None
    try:
        return Zone.parse(re.sub(r"^(\d)", r"+\1", text))
    except SpecError as error:
        raise BarsError(
            f"states a zone that is not known; pass --timezone ({error})", source=sheet.source
        ) from None
