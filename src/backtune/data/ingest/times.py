"""Times as vendors write them: epochs, compact dates, spreadsheet days, and text in many forms and zones.

A number is a time only where it lands in a plausible range as an epoch, or reads as a date: nothing lands in 1970
because a column was misunderstood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from backtune.data.schema import SCHEMA
from backtune.errors import BarsError, SpecError

DateOrder = Literal["dmy", "mdy"]

_TIME: Final = SCHEMA["timestamp"]
_DAY: Final = 86_400_000_000
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# Epochs between these years are taken for times; the ranges of the four units do not touch.
_EPOCH_YEARS: Final = (1980, 2100)
_UNITS: Final = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
# Days since 1899-12-30, as spreadsheets count them: 1954 to 2064.
_SERIAL_DAYS: Final = (20_000, 60_000)
_SERIAL_ORIGIN: Final = datetime(1899, 12, 30, tzinfo=UTC)

_DATES: Final = (
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y"),
    (r"\d{1,2}-\d{1,2}-\d{4}", "%d-%m-%Y"),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", "%d.%m.%y"),
    (r"\d{1,2}/\d{1,2}/\d{2}", "%d/%m/%y"),
    (r"\d{1,2}-\d{1,2}-\d{2}", "%d-%m-%y"),
    (r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])", "%Y%m%d"),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", "%b %d, %Y"),
    (r"[A-Za-z]{4,} \d{1,2}, \d{4}", "%B %d, %Y"),
    (r"[A-Za-z]{3} \d{1,2} \d{4}", "%b %d %Y"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", "%d-%b-%Y"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{2}", "%d-%b-%y"),
    (r"\d{1,2} [A-Za-z]{3},? \d{4}", "%d %b %Y"),
    (r"\d{1,2} [A-Za-z]{4,},? \d{4}", "%d %B %Y"),
    (r"\d{1,2}[A-Za-z]{3}\d{4}", "%d%b%Y"),
    (r"\d{4}-[A-Za-z]{3}-\d{1,2}", "%Y-%b-%d"),
)
_MONTHS: Final = (
    (r"\d{4}-\d{1,2}", "%Y-%m-%d", "-1"),
    (r"\d{4}/\d{1,2}", "%Y/%m/%d", "/1"),
    (r"[A-Za-z]{3}[- ]\d{4}", "%b-%Y-%d", "-1"),
    (r"[A-Za-z]{3}[- ]\d{2}", "%b-%y-%d", "-1"),
)
_CLOCKS: Final = (
    (r"\d{1,2}:\d{2}:\d{2}(?:\.\d+)?", "%H:%M:%S%.f"),
    (r"\d{1,2}:\d{2}", "%H:%M"),
    (r"\d{1,2}:\d{2}:\d{2}(?:\.\d+)? ?[AaPp][Mm]", "%I:%M:%S%.f %p"),
    (r"\d{1,2}:\d{2} ?[AaPp][Mm]", "%I:%M %p"),
    (r"\d{6}", "%H%M%S"),
    (r"\d{4}", "%H%M"),
)
_OFFSET: Final = r"\s*(?:Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?)"
_ZONE: Final = r"\s+[A-Za-z]+(?:/[A-Za-z_]+)+|\s+(?:EST|EDT|CST|CDT|MST|MDT|PST|PDT|CET|CEST|BST|JST|IST|HKT|EET|EEST|MSK)"
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE]\+?\d+)?")
_NO_TIME: Final = ("", "nan", "nat", "null", "none")
_FIXED_ZONE = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
# Abbreviations say whether the clock is at summer time, so they are fixed offsets, in hours.
_ABBREVIATIONS: Final = {
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "CET": 1, "CEST": 2,
    "BST": 1, "JST": 9, "IST": 5.5, "HKT": 8, "EET": 2, "EEST": 3, "MSK": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Zone:
    """A zone for times without an offset.

    Attributes:
        name: The name as the user or the vendor gives it.
        key: The name in the tz database, None for a fixed offset.
        offset_minutes: The fixed offset from UTC.
    """

    name: str
    key: str | None = None
    offset_minutes: int = 0

    @classmethod
    def parse(cls, text: str) -> Zone:
        """Read ``America/New_York``, ``UTC``, ``UTC-5``, ``+05:30`` or an abbreviation such as ``EST``.

        Raises:
            SpecError: The text names no zone.
        """
        name = text.strip()
        if name.upper() in _ABBREVIATIONS:
            return cls(name, None, int(_ABBREVIATIONS[name.upper()] * 60))
        if match := _FIXED_ZONE.fullmatch(name):
            minutes = int(match[2]) * 60 + int(match[3] or 0)
            if minutes <= 14 * 60:
                return cls(name, None, -minutes if match[1] == "-" else minutes)
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SpecError(
                "timezone",
                f"{text!r} is not a time zone; write one of the tz database, as in America/New_York, or an offset, as in UTC-5",
                value=text,
            ) from None
        return cls(name, name)

    def to_utc(self, naive: pl.Series, *, source: str) -> pl.Series:
        """Convert times on the clocks of this zone.

        An hour that the clocks show twice is taken in the order of the rows: its second showing follows the first.

        Raises:
            BarsError: The clocks of the zone never show a time; names the row.
        """
        if self.key is None:
            return _shift(naive, -self.offset_minutes).dt.replace_time_zone("UTC")
        early = naive.dt.replace_time_zone(self.key, ambiguous="earliest", non_existent="null")
        absent = (early.is_null() & naive.is_not_null()).arg_true()
        if len(absent):
            row = int(absent[0])
            raise BarsError(
                f"{naive[row]:%Y-%m-%d %H:%M} does not exist in {self.name}, where the clocks skip it; is the zone right?",
                source=source, row=row, column="timestamp",
            )  # fmt: skip
        late = naive.dt.replace_time_zone(self.key, ambiguous="latest", non_existent="null")
        return _second_showings(naive, early, late).dt.convert_time_zone("UTC")


@dataclass(frozen=True)
class Times:
    """A column of times, understood.

    Attributes:
        utc: (n,) the times in the schema's type.
        form: A phrase for the form that they have in the file.
        zone: A phrase for the zone that they were read in.
        is_date: True if they are dates without a clock.
        is_assumed_utc: True if nothing in the file or from the user says the zone.
    """

    utc: pl.Series
    form: str
    zone: str
    is_date: bool = False
    is_assumed_utc: bool = False


def read_times(
    values: pl.Series, *, source: str, zone: Zone | None = None, date_order: DateOrder | None = None
) -> Times:
    """Read times of any kind.

    Args:
        zone: The zone of times that carry none; UTC where it is None.
        date_order: The order of day and month, for dates that leave it open.

    Raises:
        BarsError: A value is not a time, or not in the form of the others; names the row.
    """
    kind = values.dtype
    if isinstance(kind, pl.Datetime):
        times = _from_datetimes(values, zone, source)
    elif kind == pl.Date:
        times = _of_dates(values.cast(pl.Datetime("us")), "dates")
    elif kind == pl.String:
        times = _from_text(values.str.strip_chars(), source, zone, date_order)
    elif kind.is_numeric():
        times = _from_numbers(values, source, zone)
    else:
        raise BarsError(f"a column of {kind} does not hold times", source=source, column="timestamp")
    _check(times.utc, values, source)
    return times


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


def looks_like_dates(values: pl.Series) -> bool:
    """Return True if a column holds dates without a time of day."""
    if values.dtype == pl.Date:
        return True
    if isinstance(values.dtype, pl.Datetime):
        return bool((values.dt.truncate("1d") == values).all())
    if values.dtype != pl.String and not values.dtype.is_integer():
        return False
    text = values.drop_nulls().head(1_000).cast(pl.String).str.strip_chars()
    text = text.str.replace(r"[T ]0{1,2}:00(:00(\.0+)?)?$", "")
    return not text.is_empty() and any(text.str.contains(f"^(?:{pattern})$").all() for pattern, _ in _DATES)


def _from_datetimes(values: pl.Series, zone: Zone | None, source: str) -> Times:
    kind = values.dtype
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        utc = values.dt.convert_time_zone("UTC").cast(_TIME)
        if kind.time_zone == "UTC":
            return Times(utc, "times", "UTC, as stated")
        return _session_days(Times(utc, "times", f"{kind.time_zone}, as stated"), values)
    naive = values.cast(pl.Datetime("us"))
    if bool((naive.dt.truncate("1d") == naive).all()) and zone is not None:
        return _of_dates(naive, "dates")
    return _of_naive(naive, "times", zone, source)


def _session_days(times: Times, local: pl.Series) -> Times:
    """Label bars of days that open at midnight of their exchange's zone by their date, as dates are everywhere."""
    naive = local.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if len(naive.drop_nulls()) > 1 and bool((naive.dt.truncate("1d") == naive).all()):
        days = _of_dates(naive, times.form)
        return replace(
            days, zone=f"{times.zone.removesuffix(', as stated')}; midnights there are taken as dates"
        )
    return times


def _of_dates(naive: pl.Series, form: str) -> Times:
    return Times(naive.dt.replace_time_zone("UTC").cast(_TIME), form, "dates, at 00:00 UTC", is_date=True)


def _of_naive(naive: pl.Series, form: str, zone: Zone | None, source: str) -> Times:
    if zone is None:
        utc = naive.dt.replace_time_zone("UTC").cast(_TIME)
        return Times(utc, form, "taken as UTC, for they carry no zone", is_assumed_utc=True)
    return Times(zone.to_utc(naive, source=source).cast(_TIME), form, zone.name)


def _from_numbers(values: pl.Series, source: str, zone: Zone | None) -> Times:
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
        source=source, row=int(values.is_not_null().arg_true()[0]), column="timestamp",
    )  # fmt: skip


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
    parsed = _parse_naive(padded, form if form != "%Y%m%d%H" else "%Y%m%d%H%M")
    if (parsed.is_null() & values.is_not_null()).any() or not parsed.drop_nulls().dt.year().is_between(
        1900, 2100
    ).all():
        return None
    if form == "%Y%m%d%H" and parsed.max() > datetime.now(UTC).replace(tzinfo=None):  # type: ignore[operator]
        return None  # seconds of an epoch that happen to read as a date of the future
    shown = (
        form.replace("%Y", "YYYY")
        .replace("%m", "MM")
        .replace("%d", "DD")
        .replace("%H", "HH")
        .replace("%M", "MM")
    )
    shown = f"numbers of the form {shown.replace('%S', 'SS')}"
    return _of_dates(parsed, shown) if form == "%Y%m%d" else _of_naive(parsed, shown, zone, source)


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
            exact = number * (1_000_000 // unit) if unit <= 1_000_000 else number // 1_000
            converted = pl.when(inside).then(exact).otherwise(converted)
    utc = frame.select(converted.cast(pl.Int64, strict=False).cast(_TIME)).to_series()
    form = f"{' and '.join(used)} since 1970"
    return Times(utc, form, "UTC, as epochs are")


def _steps_are_days(values: pl.Series) -> bool:
    steps = values.drop_nulls().cast(pl.Float64).diff().abs().drop_nulls()
    return len(steps) >= 10 and float((steps >= 43_200).mean() or 0.0) > 0.9  # type: ignore[arg-type]


def _serial_days(values: pl.Series, *, whole: bool, zone: Zone | None, source: str) -> Times:
    seconds = (values.cast(pl.Float64) * 86_400).round()
    naive = (seconds * 1_000_000).cast(pl.Int64) + int((_SERIAL_ORIGIN.timestamp()) * 1_000_000)
    moments = naive.cast(pl.Datetime("us"))
    form = "days of a spreadsheet, counted from 1899-12-30"
    return _of_dates(moments, form) if whole else _of_naive(moments, form, zone, source)


def _from_text(values: pl.Series, source: str, zone: Zone | None, date_order: DateOrder | None) -> Times:
    values = _without_blanks(values, source)
    first = str(values.drop_nulls()[0])
    if _NUMBER.fullmatch(first) and _find_format(first) is None:
        whole = values.cast(pl.Int64, strict=False)
        if whole.null_count() > values.null_count():
            whole = values.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
        exact = whole.null_count() == values.null_count()
        if not exact:
            _check_digits(values, source)
        return _from_numbers(whole if exact else values.cast(pl.Float64, strict=False), source, zone)
    if _find_format(first) is None:
        values = _tidy(values)
        first = str(values.drop_nulls()[0])
    month = _read_months(values, first)
    if month is not None:
        return month
    found = _find_format(first)
    if found is None:
        raise BarsError(
            f"{first!r} is not a time in a known form; write ISO as in 2018-01-01 12:00, or an epoch",
            source=source, row=0, column="timestamp",
        )  # fmt: skip
    form, ending = found
    if form.startswith(("%d/%m", "%d-%m")):
        form = _day_or_month_first(values, form, source, date_order)
    if ending == "zone":
        return _from_named_zones(values, form, source)
    if ending == "offset":
        return _from_offsets(values, form)
    shown = f"text of the form {_readable(form)}"
    naive = _parse_naive(values, form)
    if "%H" in form or "%I" in form:
        naive = _fill_shorter_forms(naive, values, form)
        return _of_naive(naive, shown, zone, source)
    return _of_dates(naive, shown)


def _without_blanks(values: pl.Series, source: str) -> pl.Series:
    """Return null for what stands for no time."""
    if values.null_count() == len(values):
        raise BarsError("holds no time at all", source=source, column="timestamp")
    if values.str.len_chars().min() == values.str.len_chars().max():
        return values
    none = values.str.to_lowercase().is_in(_NO_TIME)
    values = pl.select(pl.when(none).then(None).otherwise(values)).to_series()
    if values.null_count() == len(values):
        raise BarsError("holds no time at all", source=source, column="timestamp")
    return values


def _tidy(values: pl.Series) -> pl.Series:
    """Bring rarer ways of writing times into usual ones."""
    return (
        values.str.replace(r"^'+", "")
        .str.replace(r"-([AaPp][Mm])$", ":00 $1")  # 2020-01-01 12-AM
        .str.replace(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? ", "")
        .str.replace(r"^(\d{8})-(\d{1,2}:)", "$1 $2")
        .str.replace_all(r"\s{2,}", " ")
        .str.replace(r"(\.\d{6})\d+", "$1")
    )


def _fill_shorter_forms(naive: pl.Series, values: pl.Series, form: str) -> pl.Series:
    """Read what is left of a column in the same form without seconds, or without a clock: spreadsheets drop midnights."""
    date = re.split(r"(?:T|,? )?%[HI]", form, maxsplit=1)[0]
    for shorter in (form.replace(":%S%.f", ""), date):
        if shorter != form and (naive.is_null() & values.is_not_null()).any():
            naive = naive.fill_null(_parse_naive(values, shorter))
    return naive


def _check_digits(values: pl.Series, source: str) -> None:
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
            source=source, row=row, column="timestamp",
        )  # fmt: skip


def _read_months(values: pl.Series, first: str) -> Times | None:
    for pattern, form, day in _MONTHS:
        if re.fullmatch(pattern, first):
            text = values.str.replace(" ", "-", literal=True) + day
            return _of_dates(_parse_naive(text, form), f"months such as {first!r}")
    return None


def _parse_naive(values: pl.Series, form: str) -> pl.Series:
    """Parse text without an offset; what does not fit becomes null."""
    if "%H" not in form and "%I" not in form:
        return values.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    if "%I" in form:
        values = values.str.replace(r"(\d) ?([AaPp][Mm])$", "$1 $2")
    return values.str.to_datetime(form, time_unit="us", strict=False)


def _from_offsets(values: pl.Series, form: str) -> Times:
    text = _plain_offsets(values)
    utc = text.str.to_datetime(form + "%z", time_unit="us", strict=False, ambiguous="null").cast(_TIME)
    shown = f"text of the form {_readable(form)} with an offset"
    if text.str.ends_with("+0000").all():
        return Times(utc, shown, "UTC, as stated")
    times = Times(utc, shown, "offsets of their own")
    local = text.str.replace(r"[+-]\d{4}$", "").str.to_datetime(form, time_unit="us", strict=False)
    return _session_days(times, local)


def _from_named_zones(values: pl.Series, form: str, source: str) -> Times:
    """Read times that each name their zone, as Interactive Brokers writes them."""
    parts = values.str.extract_groups(rf"^(.*?)({_ZONE})$").struct.unnest()
    naive = _parse_naive(parts.to_series(0), form)
    names = parts.to_series(1).str.strip_chars()
    utc = pl.repeat(None, len(values), dtype=_TIME, eager=True)
    for name in names.drop_nulls().unique(maintain_order=True):
        here = names == name
        inside = pl.select(pl.when(here).then(naive).otherwise(None)).to_series()
        try:
            zone = Zone.parse(name)
        except SpecError as error:
            raise BarsError(
                str(error), source=source, row=int(here.arg_true()[0]), column="timestamp"
            ) from None
        utc = pl.select(
            pl.when(here).then(zone.to_utc(inside, source=source).cast(_TIME)).otherwise(utc)
        ).to_series()
    times = Times(
        utc, f"text of the form {_readable(form)} with a zone", f"{names.drop_nulls()[0]}, as stated"
    )
    return _session_days(times, naive)


def _find_format(text: str) -> tuple[str, Literal["", "offset", "zone"]] | None:
    """Return the strptime format of a time and the kind of its ending, or None where it has no known form."""
    for date, date_format in _DATES:
        if re.fullmatch(date, text):
            return date_format, ""
        for clock, clock_format in _CLOCKS:
            match = re.fullmatch(rf"{date}(T|,? ?){clock}(?:({_OFFSET})|({_ZONE}))?", text)
            if match:
                ending: Literal["", "offset", "zone"] = "offset" if match[2] else "zone" if match[3] else ""
                return f"{date_format}{match[1]}{clock_format}", ending
    return None


def _readable(form: str) -> str:
    """Return a strptime format as people write it."""
    parts = {
        "%Y": "YYYY", "%y": "YY", "%m": "MM", "%d": "DD", "%b": "Mon", "%B": "Month", "%H": "HH", "%I": "HH", "%M": "MM",
        "%S%.f": "SS", "%S": "SS", "%p": "AM",
    }  # fmt: skip
    for part, text in parts.items():
        form = form.replace(part, text)
    return form


def _plain_offsets(values: pl.Series) -> pl.Series:
    """Write ``Z``, ``GMT+01:00`` and the like as ``+0000``, ``+0100``."""
    return (
        values.str.replace(r"\s*(?:Z|UTC|GMT)$", "+0000")
        .str.replace(r"\s*(?:UTC|GMT)?([+-]\d{2}):?(\d{2})$", "$1$2")
        .str.replace(r"([ :T]\d{2}(?:\.\d+)?)\s*(?:UTC|GMT)?([+-])(\d)$", "${1}${2}0${3}00")
        .str.replace(r"([ :T]\d{2}(?:\.\d+)?)\s*(?:UTC|GMT)?([+-]\d{2})$", "${1}${2}00")
    )


def _day_or_month_first(values: pl.Series, form: str, source: str, chosen: DateOrder | None) -> str:
    month_first = form.replace("%d", "%#").replace("%m", "%d").replace("%#", "%m")
    parts = values.str.extract_groups(r"^(\d{1,2})[/-](\d{1,2})").struct.unnest().cast(pl.Int64)
    first, second = (parts.to_series(i).max() or 0 for i in range(2))
    if first > 12 >= second:  # type: ignore[operator]
        return form
    if second > 12 >= first:  # type: ignore[operator]
        return month_first
    if chosen is not None:
        return form if chosen == "dmy" else month_first
    raise BarsError(
        f"dates such as {values[0]!r} do not tell the day from the month; pass --date-order dmy or --date-order mdy",
        source=source,
        column="timestamp",
    )


def _shift(naive: pl.Series, minutes: int) -> pl.Series:
    return (naive.to_physical() + minutes * 60_000_000).cast(pl.Datetime("us"))


def _second_showings(naive: pl.Series, early: pl.Series, late: pl.Series) -> pl.Series:
    """Choose between the two showings of an ambiguous hour, by the order of the rows.

    A row is the second showing if the clock of a row before it, since the last unambiguous one, was at the same time or later; in a
    column that runs backwards, if that of a row after it was.
    """
    ambiguous = (early != late).fill_null(value=False)
    if not ambiguous.any():
        return early
    chosen = early.to_list()
    clock, second = naive.to_physical().to_list(), late.to_list()
    rows = ambiguous.arg_true().to_list()
    present = naive.drop_nulls()
    if len(present) > 1 and present[0] > present[-1]:
        rows.reverse()
    highest: int | None = None
    before: int | None = None
    turned = False
    for row in rows:
        if before is None or abs(row - before) != 1:
            highest, turned = None, False
        turned = turned or (highest is not None and clock[row] <= highest)
        if turned:
            chosen[row] = second[row]
        else:
            highest = clock[row] if highest is None else max(highest, clock[row])
        before = row
    return pl.Series(early.name, chosen, dtype=early.dtype)


def _check(times: pl.Series, values: pl.Series, source: str) -> None:
    unread = (times.is_null() & values.is_not_null()).arg_true()
    if values.dtype == pl.String and len(unread):
        none = values.str.strip_chars().str.to_lowercase().is_in(_NO_TIME)
        unread = (times.is_null() & values.is_not_null() & ~none).arg_true()
    if len(unread):
        row = int(unread[0])
        raise BarsError(
            f"{values[row]!r} is not a time like {values.drop_nulls()[0]!r} in the first row",
            source=source, row=row, column="timestamp",
        )  # fmt: skip
    beyond = (~times.is_between(_EARLIEST, _LATEST)).fill_null(value=False).arg_true()
    if len(beyond):
        row = int(beyond[0])
        raise BarsError(
            f"{values[row]!r} is not a time between 1900 and 2200", source=source, row=row, column="timestamp"
        )
