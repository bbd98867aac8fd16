"""Times as vendors write them: text in many forms and zones, numbers, and types of their own."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Literal

import polars as pl

from backtune.data.ingest.number_times import check_digits, read_number_times
from backtune.data.ingest.understood_times import (
    TIME,
    Times,
    label_session_days,
    parse_naive,
    readable,
    times_of_clock,
    times_of_dates,
)
from backtune.data.ingest.zones import Zone
from backtune.errors import BarsError, SpecError

DateOrder = Literal["dmy", "mdy", "ymd"]

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
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
        times = times_of_dates(values.cast(pl.Datetime("us")), "dates")
    elif kind == pl.String:
        times = _from_text(values.str.strip_chars(), source, zone, date_order)
    elif kind.is_numeric():
        times = read_number_times(values, source, zone)
    else:
        raise BarsError(f"a column of {kind} does not hold times", source=source, column="timestamp")
    _check(times.utc, values, source)
    return times


def looks_like_dates(values: pl.Series) -> bool:
    """Return True if a column holds dates without a time of day."""
    if values.dtype == pl.Date:
        return True
    if isinstance(values.dtype, pl.Datetime):
        return bool((values.dt.truncate("1d") == values).all())
    if values.dtype != pl.String and not values.dtype.is_numeric():
        return False
    text = (
        values.drop_nulls().head(1_000).cast(pl.String).str.strip_chars().str.replace(r"^(\d{8})\.0$", "$1")
    )
    text = text.str.replace(r"[T ]0{1,2}:00(:00(\.0+)?)?$", "")
    return not text.is_empty() and any(text.str.contains(f"^(?:{pattern})$").all() for pattern, _ in _DATES)


def _from_datetimes(values: pl.Series, zone: Zone | None, source: str) -> Times:
    kind = values.dtype
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        utc = values.dt.convert_time_zone("UTC").cast(TIME)
        if kind.time_zone == "UTC":
            return Times(utc, "times", "UTC, as stated")
        return label_session_days(Times(utc, "times", f"{kind.time_zone}, as stated"), values)
    naive = values.cast(pl.Datetime("us"))
    if bool((naive.dt.truncate("1d") == naive).all()) and zone is not None:
        return times_of_dates(naive, "dates")
    return times_of_clock(naive, "times", zone, source)


def _from_text(values: pl.Series, source: str, zone: Zone | None, date_order: DateOrder | None) -> Times:
    values = _without_blanks(values, source)
    first = str(values.drop_nulls()[0])
    if _NUMBER.fullmatch(first) and _find_format(first) is None:
        whole = values.cast(pl.Int64, strict=False)
        if whole.null_count() > values.null_count():
            whole = values.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
        exact = whole.null_count() == values.null_count()
        if not exact:
            check_digits(values, source)
        return read_number_times(whole if exact else values.cast(pl.Float64, strict=False), source, zone)
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
            source=source,
            row=0,
            column="timestamp",
        )
    form, ending = found
    if form.startswith(("%d/%m", "%d-%m", "%d.%m")):
        form = _day_or_month_first(values, form, source, date_order)
    if ending == "zone":
        return _from_named_zones(values, form, source)
    if ending == "offset":
        return _from_offsets(values, form)
    shown = f"text of the form {readable(form)}"
    naive = parse_naive(values, form)
    if "%H" in form or "%I" in form:
        naive = _fill_shorter_forms(naive, values, form)
        return times_of_clock(naive, shown, zone, source)
    return times_of_dates(naive, shown)


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
            naive = naive.fill_null(parse_naive(values, shorter))
    return naive


def _read_months(values: pl.Series, first: str) -> Times | None:
    for pattern, form, day in _MONTHS:
        if re.fullmatch(pattern, first):
            text = values.str.replace(" ", "-", literal=True) + day
            return times_of_dates(parse_naive(text, form), f"months such as {first!r}")
    return None


def _from_offsets(values: pl.Series, form: str) -> Times:
    text = _plain_offsets(values)
    utc = text.str.to_datetime(form + "%z", time_unit="us", strict=False, ambiguous="null").cast(TIME)
    shown = f"text of the form {readable(form)} with an offset"
    if text.str.ends_with("+0000").all():
        return Times(utc, shown, "UTC, as stated")
    times = Times(utc, shown, "offsets of their own")
    local = text.str.replace(r"[+-]\d{4}$", "").str.to_datetime(form, time_unit="us", strict=False)
    return label_session_days(times, local)


def _from_named_zones(values: pl.Series, form: str, source: str) -> Times:
    """Read times that each name their zone, as Interactive Brokers writes them."""
    parts = values.str.extract_groups(rf"^(.*?)({_ZONE})$").struct.unnest()
    naive = parse_naive(parts.to_series(0), form)
    names = parts.to_series(1).str.strip_chars()
    utc = pl.repeat(None, len(values), dtype=TIME, eager=True)
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
            pl.when(here).then(zone.to_utc(inside, source=source).cast(TIME)).otherwise(utc)
        ).to_series()
    times = Times(
        utc, f"text of the form {readable(form)} with a zone", f"{names.drop_nulls()[0]}, as stated"
    )
    return label_session_days(times, naive)


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


def _plain_offsets(values: pl.Series) -> pl.Series:
    """Write ``Z``, ``GMT+01:00`` and the like as ``+0000``, ``+0100``."""
    return (
        values.str.replace(r"\s*(?:Z|UTC|GMT)$", "+0000")
        .str.replace(r"\s*(?:UTC|GMT)?([+-]\d{2}):?(\d{2})$", "$1$2")
        .str.replace(r"([ :T]\d{2}(?:\.\d+)?)\s*(?:UTC|GMT)?([+-])(\d)$", "${1}${2}0${3}00")
        .str.replace(r"([ :T]\d{2}(?:\.\d+)?)\s*(?:UTC|GMT)?([+-]\d{2})$", "${1}${2}00")
    )


def _day_or_month_first(values: pl.Series, form: str, source: str, chosen: DateOrder | None) -> str:
    """Return the format with the order of day and month, and of a year of two digits, that the whole column tells.

    Years of two digits leave three orders open; of these the part that changes most often from row to row is the day.
    """
    parts = (
        values.str.extract_groups(r"^(\d{1,4})[/.-](\d{1,2})[/.-](\d{1,4})").struct.unnest().cast(pl.Int64)
    )
    numbers = [parts.to_series(i) for i in range(3)]
    greatest = [max(number.drop_nulls().to_list(), default=0) for number in numbers]
    short_year = "%y" in form
    orders = ("dmy", "mdy", "ymd") if short_year else ("dmy", "mdy")
    mark = form[2]
    possible = [
        order for order in orders if greatest[order.index("m")] <= 12 and greatest[order.index("d")] <= 31
    ]
    if "." in form[:3] and not short_year:
        return form
    if short_year and len(possible) > 1 and chosen is None:
        changes = [int((number.diff().drop_nulls() != 0).sum()) for number in numbers]
        by_day = [order for order in possible if changes[order.index("d")] == max(changes)]
        possible = by_day if changes.count(max(changes)) == 1 and by_day else possible
    if len(possible) != 1 and chosen is None:
        raise BarsError(
            f"dates such as {values.drop_nulls()[0]!r} do not tell the day from the month{' and the year' if short_year else ''}; "
            f"pass --date-order {', '.join(orders[:-1])} or {orders[-1]}",
            source=source,
            column="timestamp",
        )
    order = possible[0] if len(possible) == 1 else chosen
    year = "%y" if short_year else "%Y"
    date = mark.join({"d": "%d", "m": "%m", "y": year}[part] for part in str(order))
    return date + form[len("%d/%m/%Y") :]


def _check(times: pl.Series, values: pl.Series, source: str) -> None:
    unread = (times.is_null() & values.is_not_null()).arg_true()
    if values.dtype == pl.String and len(unread):
        none = values.str.strip_chars().str.to_lowercase().is_in(_NO_TIME)
        unread = (times.is_null() & values.is_not_null() & ~none).arg_true()
    if len(unread):
        row = int(unread[0])
        raise BarsError(
            f"{values[row]!r} is not a time like {values.drop_nulls()[0]!r} in the first row",
            source=source,
            row=row,
            column="timestamp",
        )
    beyond = (~times.is_between(_EARLIEST, _LATEST)).fill_null(value=False).arg_true()
    if len(beyond):
        row = int(beyond[0])
        raise BarsError(
            f"{values[row]!r} is not a time between 1900 and 2200", source=source, row=row, column="timestamp"
        )
