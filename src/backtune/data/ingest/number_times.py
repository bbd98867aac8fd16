"""Numbers as times: epochs, compact dates and days of spreadsheets.

A number is a time only where it lands in a plausible range as an epoch, or reads as a date: nothing lands in 1970
because a column was misunderstood.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import polars as pl

from backtune.data.ingest.understood_times import (
    TIME,
    Times,
    parse_naive,
    readable,
    times_of_clock,
    times_of_dates,
)
from backtune.data.ingest.zones import Zone
from backtune.errors import BarsError

# Epochs between these years are taken for times; the ranges of the four units do not touch.
_EPOCH_YEARS: Final = (1980, 2100)
_UNITS: Final = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
# Days since 1899-12-30, as spreadsheets count them: 1954 to 2064.
_SERIAL_DAYS: Final = (20_000, 60_000)
# Tenths of microseconds since the year 1, at the beginnings of 1970, 1995 and 2100.
_DOTNET_1970, _DOTNET_1995, _DOTNET_2100 = (
    621_355_968_000_000_000,
    629_245_152_000_000_000,
    662_380_416_000_000_000,
)
_SERIAL_ORIGIN: Final = datetime(1899, 12, 30, tzinfo=UTC)


def read_number_times(values: pl.Series, source: str, zone: Zone | None) -> Times:
    """Read epochs, compact dates and spreadsheet days; anything else is refused with a sample."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    present = values.drop_nulls()
    if present.is_empty():
        raise BarsError("holds no time at all", source=source, column="timestamp")
    whole = bool((present.cast(pl.Float64) == present.cast(pl.Float64).round()).all())
    compact = _compact_dates(values, source, zone) if whole else None
    if compact is not None:
        return compact
    ticks = _ticks_of_dotnet(values)
    if ticks is not None:
        return ticks
    epochs = _epochs(values)
    if epochs is not None:
        return epochs
    low, high = float(present.min()), float(present.max())  # type: ignore[arg-type]
    if _SERIAL_DAYS[0] <= low and high <= _SERIAL_DAYS[1]:
        return _serial_days(values, whole=whole, zone=zone, source=source)
    sample = present[0]
    raise BarsError(
        f"{sample!r} is not a time: as an epoch it would lie outside of {_EPOCH_YEARS[0]} to {_EPOCH_YEARS[1]}, and it is "
        "neither a date such as 20180131 nor a spreadsheet's day; name the column of the times with --columns time=NAME",
        source=source,
        row=int(values.is_not_null().arg_true()[0]),
        column="timestamp",
    )


def _compact_dates(values: pl.Series, source: str, zone: Zone | None) -> Times | None:
    """Read whole numbers such as 20180131, 201801310930 and 20180131093000."""
    text = values.cast(pl.Int64, strict=False).cast(pl.String)
    lengths = set(text.drop_nulls().str.len_chars().unique())
    if len(lengths) != 1:
        return None
    form = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(lengths.pop())
    if form is None:
        return None
    padded = text + "00" if form.endswith("%H") else text
    parsed = parse_naive(padded, form if form != "%Y%m%d%H" else "%Y%m%d%H%M")
    if (parsed.is_null() & values.is_not_null()).any() or not parsed.drop_nulls().dt.year().is_between(
        1900, 2100
    ).all():
        return None
    if form == "%Y%m%d%H" and parsed.max() > datetime.now(UTC).replace(tzinfo=None):  # type: ignore[operator]
        return None  # seconds of an epoch that happen to read as a date of the future
    shown = f"numbers of the form {readable(form)}"
    return times_of_dates(parsed, shown) if form == "%Y%m%d" else times_of_clock(parsed, shown, zone, source)


def _epochs(values: pl.Series) -> Times | None:
    """Read epochs where every value lies in the plausible range of a unit; None where one does not.

    Vendors mix units within a column; seconds before the range are taken where the rest of the column is in seconds
    and its steps are of days, for daily prices begin long before there were intraday ones.
    """
    number = pl.col("n")
    low, high = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in _EPOCH_YEARS)
    frame = pl.DataFrame({"n": values})
    if values.dtype.is_integer():
        frame = frame.with_columns(number.cast(pl.Int64, strict=False))
    counts = frame.select(
        number.is_between(low * unit, high * unit).sum().alias(name) for name, unit in _UNITS.items()
    ).row(0, named=True)
    total = len(values) - values.null_count()
    used = [name for name, count in counts.items() if count]
    if not used:
        return None
    if sum(counts.values()) < total and not (used == ["seconds"] and _steps_are_days(values)):
        return None
    if sum(counts.values()) < total:
        converted = number * 1_000_000
    else:
        converted = pl.lit(None, pl.Float64 if values.dtype.is_float() else pl.Int64)
        for unit in _UNITS.values():
            inside = number.is_between(low * unit, high * unit)
            if unit <= 1_000_000:
                exact = number * (1_000_000 // unit)
            else:
                # Nanoseconds as floats are good to a quarter of a microsecond.
                exact = (number / 1_000).round() if frame["n"].dtype.is_float() else number // 1_000
            converted = pl.when(inside).then(exact).otherwise(converted)
    utc = frame.select(converted.cast(pl.Int64, strict=False).cast(TIME)).to_series()
    form = f"{' and '.join(used)} since 1970"
    return Times(utc, form, "UTC, as epochs are")


def _ticks_of_dotnet(values: pl.Series) -> Times | None:
    """Read tenths of microseconds since the year 1, which .NET counts; as nanoseconds they would be of the year 1990."""
    if not bool(values.drop_nulls().is_between(_DOTNET_1995, _DOTNET_2100).all()):
        return None
    utc = ((values.cast(pl.Int64) - _DOTNET_1970) // 10).cast(TIME)
    return Times(utc, "ticks of .NET", "taken as UTC, for they carry no zone")


def _steps_are_days(values: pl.Series) -> bool:
    steps = values.drop_nulls().cast(pl.Float64).diff().abs().drop_nulls()
    return len(steps) >= 10 and float((steps >= 43_200).mean() or 0.0) > 0.9  # type: ignore[arg-type]


def _serial_days(values: pl.Series, *, whole: bool, zone: Zone | None, source: str) -> Times:
    seconds = (values.cast(pl.Float64) * 86_400).round()
    naive = (seconds * 1_000_000).cast(pl.Int64) + int((_SERIAL_ORIGIN.timestamp()) * 1_000_000)
    moments = naive.cast(pl.Datetime("us"))
    form = "days of a spreadsheet, counted from 1899-12-30"
    return times_of_dates(moments, form) if whole else times_of_clock(moments, form, zone, source)


def check_digits(values: pl.Series, source: str) -> None:
    """Refuse epochs in powers of ten with too few digits to tell a second, as spreadsheets write them.

    Raises:
        BarsError: There is such a number; names the row.
    """
    parts = values.str.extract_groups(r"^(\d+)\.?(\d*)[eE]\+?(\d+)$").struct.unnest()
    digits = parts.to_series(1).str.len_chars().cast(pl.Int64)
    lost = parts.to_series(2).cast(pl.Int64, strict=False) - digits
    # Seconds have 10 digits, milliseconds 13 and so on: so many may be lost of each.
    exponent = parts.to_series(2).cast(pl.Int64, strict=False)
    allowed = pl.select(
        pl.when(exponent >= 18).then(9).when(exponent >= 15).then(6).when(exponent >= 12).then(3).otherwise(0)
    ).to_series()
    too_few = (lost > allowed).fill_null(value=False).arg_true()
    if len(too_few):
        row = int(too_few[0])
        raise BarsError(
            f"{values[row]!r} has too few digits to tell a time; write times as whole numbers, or as dates",
            source=source,
            row=row,
            column="timestamp",
        )
