"""Times of day in a column of their own."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from backtune.errors import BarsError


def join_date_and_clock(dates: pl.Series, clocks: pl.Series, *, source: str) -> pl.Series:
    """Join a column of dates and one of times of day into text that :func:`read_times` reads."""
    if isinstance(dates.dtype, pl.Datetime):
        dates = dates.dt.date()
    day = dates.cast(pl.String).str.strip_chars().str.replace(r"^(\d{8})\.0$", "$1")
    if dates.dtype == pl.String:
        # Some vendors repeat midnight behind every date.
        day = day.str.replace(r"[T ]0{1,2}:00(:00(\.0+)?)?$", "")
    return pl.select(day + pl.lit(" ") + read_clocks(clocks, source=source)).to_series()


def read_clocks(clocks: pl.Series, *, source: str) -> pl.Series:
    """Write times of day as ``HH:MM:SS`` text, from text, whole numbers such as 93000, or a type of their own.

    Raises:
        BarsError: A value is not a time of day; names the row.
    """
    if clocks.dtype == pl.Time:
        return clocks.cast(pl.String).str.replace(r"\.0+$", "")
    if isinstance(clocks.dtype, pl.Duration):
        return (clocks + datetime(2000, 1, 1)).dt.to_string("%H:%M:%S%.f").str.replace(r"\.0+$", "")  # noqa: DTZ001
    if isinstance(clocks.dtype, pl.Datetime):
        return clocks.dt.to_string("%H:%M:%S")
    text = clocks.cast(pl.String).str.strip_chars().str.replace(r"^(\d{1,6})\.0$", "$1")
    present = text.drop_nulls()
    if not present.str.contains(r"^\d{1,6}$").all():
        return text
    numbers = text.cast(pl.Int64, strict=False)
    # Numbers of at most two digits up to 23 are hours, for minutes after midnight would soon be more.
    if (present.str.len_chars() <= 2).all() and (present.cast(pl.Int64) <= 23).all():
        return numbers.cast(pl.String).str.zfill(2) + ":00:00"
    with_seconds = bool((present.str.len_chars() > 4).any())
    if with_seconds:
        hours, minutes, seconds = numbers // 10_000, numbers // 100 % 100, numbers % 100
    else:
        hours, minutes, seconds = numbers // 100, numbers % 100, numbers * 0
    beyond = ((hours > 23) | (minutes > 59) | (seconds > 59)).arg_true()
    if len(beyond):
        row = int(beyond[0])
        raise BarsError(f"{clocks[row]!r} is not a time of day", source=source, row=row, column="timestamp")
    parts = [part.cast(pl.String).str.zfill(2) for part in (hours, minutes, seconds)]
    return parts[0] + ":" + parts[1] + ":" + parts[2]


def looks_like_clocks(values: pl.Series) -> bool:
    """Return True if a column holds times of day and not whole times."""
    if values.dtype == pl.Time or isinstance(values.dtype, pl.Duration):
        return True
    if values.dtype != pl.String and not values.dtype.is_numeric():
        return False
    text = values.drop_nulls().cast(pl.String).str.strip_chars().str.replace(r"\.0$", "")
    if text.is_empty():
        return False
    if text.str.contains(r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$").all():
        return True
    if not text.str.contains(r"^\d{1,6}$").all():
        return False
    numbers = text.cast(pl.Int64)
    if (text.str.len_chars() > 4).any():
        valid = (numbers // 10_000 <= 23) & (numbers // 100 % 100 <= 59) & (numbers % 100 <= 59)
    else:
        valid = (numbers // 100 <= 23) & (numbers % 100 <= 59)
    return bool(valid.all())
