"""Zones for times without an offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from backtune.errors import BarsError, SpecError

_FIXED_ZONE = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
# Abbreviations say whether the clock is at summer time, so they are fixed offsets, in hours.
_ABBREVIATIONS: Final = {
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "CET": 1,
    "CEST": 2,
    "BST": 1,
    "JST": 9,
    "IST": 5.5,
    "HKT": 8,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
}


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
            utc = naive.to_physical() - self.offset_minutes * 60_000_000
            return utc.cast(pl.Datetime("us", "UTC"))
        early = naive.dt.replace_time_zone(self.key, ambiguous="earliest", non_existent="null")
        absent = (early.is_null() & naive.is_not_null()).arg_true()
        if len(absent):
            row = int(absent[0])
            raise BarsError(
                f"{naive[row]:%Y-%m-%d %H:%M} does not exist in {self.name}, where the clocks skip it; is the zone right?",
                source=source,
                row=row,
                column="timestamp",
            )
        late = naive.dt.replace_time_zone(self.key, ambiguous="latest", non_existent="null")
        return _second_showings(naive, early, late).dt.convert_time_zone("UTC")


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
