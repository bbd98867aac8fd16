"""Times as vendors write them: epochs in any unit, and text in many forms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import polars as pl

from backtune.data.bars import SCHEMA
from backtune.errors import BarsError

_TIME: Final = SCHEMA["timestamp"]
_MICROSECONDS_PER_DAY: Final = 86_400_000_000
# Days since the epoch of 1900-01-01 and 2200-01-01: beyond, the unit or the column was taken wrongly.
_PLAUSIBLE_DAYS: Final = (-25_567, 84_006)

_DATES: Final = (
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y"),
    (r"\d{1,2}-\d{1,2}-\d{4}", "%d-%m-%Y"),
    (r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])", "%Y%m%d"),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", "%b %d, %Y"),
)
_CLOCKS: Final = (
    (r"\d{1,2}:\d{2}:\d{2}(?:\.\d+)?", "%H:%M:%S%.f"),
    (r"\d{1,2}:\d{2}", "%H:%M"),
    (r"\d{1,2}:\d{2}:\d{2} [AaPp][Mm]", "%I:%M:%S %p"),
    (r"\d{1,2}:\d{2} [AaPp][Mm]", "%I:%M %p"),
    (r"\d{6}", "%H%M%S"),
    (r"\d{4}", "%H%M"),
)
_OFFSET: Final = r"\s*(?:Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?)"
_EPOCH = re.compile(r"-?\d+(\.\d+)?([eE]\+?\d+)?")


def to_utc(values: pl.Series, *, source: str | Path) -> pl.Series:
    """Times of any kind in the schema's type; text without an offset is UTC.

    An epoch's unit (s, ms, us, ns) is told by its magnitude, for each value.

    Raises:
        BarsError: a value is not a time, or not in the form of the first; names the row.
    """
    kind = values.dtype
    if isinstance(kind, pl.Datetime):
        aware = values.dt.replace_time_zone("UTC") if kind.time_zone is None else values
        times = aware.dt.convert_time_zone("UTC").cast(_TIME)
    elif kind == pl.Date:
        times = values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    elif kind == pl.String:
        times = _from_text(values.str.strip_chars(), source)
    elif kind.is_numeric():
        times = _from_epoch(values)
    else:
        raise BarsError(f"a column of {kind} does not hold times", source=source, column="timestamp")
    return _checked(times, values, source)


def _from_epoch(values: pl.Series) -> pl.Series:
    number = pl.col("n")
    size = number.abs()
    microseconds = (
        pl.when(size < 10**11).then(number * 10**6)
        .when(size < 10**14).then(number * 10**3)
        .when(size < 10**17).then(number)
        .otherwise(number // 10**3)
    )  # fmt: skip
    numbers = values.fill_nan(None) if values.dtype.is_float() else values.cast(pl.Int64, strict=False)
    return pl.select(n=numbers).select(microseconds.cast(pl.Int64, strict=False).cast(_TIME)).to_series()


def _from_text(values: pl.Series, source: str | Path) -> pl.Series:
    values = values.str.replace(r"-([AaPp][Mm])$", ":00 $1")  # 2020-01-01 12-AM
    first = next(iter(values.drop_nulls().head(1)), "")
    if _EPOCH.fullmatch(first) and _format_of(first) is None:
        whole = values.cast(pl.Int64, strict=False)
        exact = whole.null_count() == values.null_count()
        return _from_epoch(whole if exact else values.cast(pl.Float64, strict=False))
    form = _format_of(first)
    if form is None:
        raise BarsError(
            f"{first!r} is not a time in a known form; write ISO as in 2018-01-01 12:00, or an epoch",
            source=source, row=0, column="timestamp",
        )  # fmt: skip
    if form.startswith(("%d/%m", "%d-%m")):
        form = _day_or_month_first(values, form, source)
    if form.endswith("%z"):
        values = _plain_offsets(values)
        return values.str.to_datetime(form, time_unit="us", strict=False, ambiguous="null").cast(_TIME)
    if "%H" in form or "%I" in form:
        naive = values.str.to_datetime(form, time_unit="us", strict=False)
    else:
        naive = values.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    return naive.dt.replace_time_zone("UTC")


def _format_of(text: str) -> str | None:
    """The strptime format of a time, or None where it has no known form."""
    for date, date_format in _DATES:
        if re.fullmatch(date, text):
            return date_format
        for clock, clock_format in _CLOCKS:
            match = re.fullmatch(rf"{date}(T|,? ?){clock}({_OFFSET})?", text)
            if match:
                return f"{date_format}{match[1]}{clock_format}{'%z' if match[2] else ''}"
    return None


def _plain_offsets(values: pl.Series) -> pl.Series:
    """``Z``, ``GMT+01:00`` and the like as ``+0000``, ``+0100``."""
    return (
        values.str.replace(r"\s*(?:Z|UTC|GMT)$", "+0000")
        .str.replace(r"\s*(?:UTC|GMT)?([+-]\d{2}):?(\d{2})$", "$1$2")
        .str.replace(r"([ :]\d{2}(?:\.\d+)?)\s*(?:UTC|GMT)?([+-]\d{2})$", "${1}${2}00")
    )


def _day_or_month_first(values: pl.Series, form: str, source: str | Path) -> str:
    parts = values.str.extract_groups(r"^(\d{1,2})[/-](\d{1,2})").struct.unnest().cast(pl.Int64)
    first, second = (parts.to_series(i).max() or 0 for i in range(2))
    if first > 12 >= second:  # type: ignore[operator]
        return form
    if second > 12 >= first:  # type: ignore[operator]
        return form.replace("%d", "%#").replace("%m", "%d").replace("%#", "%m")
    raise BarsError(
        f"dates such as {values[0]!r} do not tell the day from the month; write them as 2018-01-31",
        source=source,
        column="timestamp",
    )


def _checked(times: pl.Series, values: pl.Series, source: str | Path) -> pl.Series:
    unread = (times.is_null() & values.is_not_null()).arg_true()
    if len(unread):
        row = int(unread[0])
        raise BarsError(
            f"{values[row]!r} is not a time like {values.drop_nulls()[0]!r} in the first row",
            source=source, row=row, column="timestamp",
        )  # fmt: skip
    low, high = (day * _MICROSECONDS_PER_DAY for day in _PLAUSIBLE_DAYS)
    beyond = (~times.to_physical().is_between(low, high)).arg_true()
    if len(beyond):
        row = int(beyond[0])
        raise BarsError(
            f"{values[row]!r} is not a time between 1900 and 2200", source=source, row=row, column="timestamp"
        )
    return times
