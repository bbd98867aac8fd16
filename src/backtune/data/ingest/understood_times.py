"""Times, understood: what every way of reading them gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from backtune.data.ingest.zones import Zone
from backtune.data.schema import SCHEMA

TIME: Final = SCHEMA["timestamp"]


@dataclass(frozen=True)
class Times:
    """A column of times, understood.

    Attributes:
        utc: (n,) the times in the schema's type.
        form: A phrase for the form that they have in the file.
        zone: A phrase for the zone that they were read in.
        is_date: True if they are dates without a clock.
    """

    utc: pl.Series
    form: str
    zone: str
    is_date: bool = False


def times_of_dates(naive: pl.Series, form: str) -> Times:
    return Times(naive.dt.replace_time_zone("UTC").cast(TIME), form, "dates, at 00:00 UTC", is_date=True)


def times_of_clock(naive: pl.Series, form: str, zone: Zone | None, source: str) -> Times:
    present = naive.drop_nulls()
    if len(present) > 1 and bool((present.dt.truncate("1d") == present).all()):
        return times_of_dates(naive, form)
    if zone is None:
        utc = naive.dt.replace_time_zone("UTC").cast(TIME)
        return Times(utc, form, "taken as UTC, for they carry no zone")
    return Times(zone.to_utc(naive, source=source).cast(TIME), form, zone.name)


def label_session_days(times: Times, local: pl.Series) -> Times:
    """Label bars of days that open at midnight of their exchange's zone by their date, as dates are everywhere."""
    naive = local.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if len(naive.drop_nulls()) > 1 and bool((naive.dt.truncate("1d") == naive).all()):
        days = times_of_dates(naive, times.form)
        return replace(
            days, zone=f"{times.zone.removesuffix(', as stated')}; midnights there are taken as dates"
        )
    return times


def parse_naive(values: pl.Series, form: str) -> pl.Series:
    """Parse text without an offset; what does not fit becomes null."""
    if "%H" not in form and "%I" not in form:
        return values.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    if "%I" in form:
        values = values.str.replace(r"(\d) ?([AaPp][Mm])$", "$1 $2")
    return values.str.to_datetime(form, time_unit="us", strict=False)


def readable(form: str) -> str:
    """Return a strptime format as people write it."""
    parts = {
        "%Y": "YYYY",
        "%y": "YY",
        "%m": "MM",
        "%d": "DD",
        "%b": "Mon",
        "%B": "Month",
        "%H": "HH",
        "%I": "HH",
        "%M": "MM",
        "%S%.f": "SS",
        "%S": "SS",
        "%p": "AM",
    }
    for part, text in parts.items():
        form = form.replace(part, text)
    return form
