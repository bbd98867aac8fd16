"""The opens and ends of bars that are built from finer ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from backtune.errors import SpecError
from backtune.spec.origin import UTC_MIDNIGHT, Origin
from backtune.spec.timeframe import Timeframe, month_numbers, month_starts

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_FIRST_MONDAY: Final = 4  # 1970-01-05, in days after the epoch
# Dates that a zone's table of days has, 1900 to 2199; what lies beyond counts to the first or the last of them.
_FIRST_DATE: Final = -25_567
_N_DATES: Final = 109_573


@dataclass(frozen=True)
class BarGrid:
    """The moments at which bars of a timeframe open, in microseconds since the epoch.

    From the default origin, midnight UTC, lengths in seconds lie on a grid from the epoch, whole weeks from its first Monday.
    From any other, and for months, bars are made of local days: a day lasts from the origin's local time to the same time of
    the next date, be that 23 or 25 hours later; shorter bars are counted from where each day begins, and the last one ends with
    it; longer bars are whole days, counted from 1970-01-01, weeks from a Monday, months from the first. Where the origin is in
    the evening, from 16:00 on, a day begins on the evening before its date.

    A local time that clocks skip begins when they have, and one that they show twice begins the first time.

    Args:
        timeframe: the length of a bar.
        origin: the local time at which days begin.

    Raises:
        SpecError: the bars are longer than a day and no whole days, and the origin is not the default.
    """

    timeframe: Timeframe
    origin: Origin = UTC_MIDNIGHT

    def __post_init__(self) -> None:
        length = self.timeframe
        if (
            not self._is_uniform
            and not length.months
            and length.seconds * _SECOND > _DAY
            and self._n_days is None
        ):
            raise SpecError(
                "data.origin",
                f"bars of {length} are no whole days, so they cannot be counted from {self.origin}; "
                f"choose days, or leave the origin at {UTC_MIDNIGHT}",
                value=str(self.origin),
            )

    @property
    def uniform(self) -> tuple[int, int] | None:
        """The step of the grid and the offset of an open from the epoch, where the grid is the same for all time."""
        if not self._is_uniform:
            return None
        in_weeks = self.timeframe.seconds % (7 * 86_400) == 0
        return self.timeframe.microseconds, _FIRST_MONDAY * _DAY if in_weeks else 0

    def opens_of(self, moments: np.ndarray) -> np.ndarray:
        """(n,) opens of the bars that hold (n,) moments, which do not decrease."""
        if self.uniform is not None:
            step, offset = self.uniform
            return np.asarray(moments - (moments - offset) % step)
        if not len(moments):
            return moments
        days = self._days
        numbers = days.numbers(moments)
        if not self.timeframe.months and self._n_days is None:
            starts = days.starts(numbers)
            return np.asarray(
                starts + (moments - starts) // self.timeframe.microseconds * self.timeframe.microseconds
            )
        # Of every day once: there are many moments to a day.
        first = numbers[0]
        all_days = np.arange(first, numbers[-1] + 1)
        return np.asarray(days.starts(self._first_days(all_days))[numbers - first])

    def ends_of(self, opens: np.ndarray) -> np.ndarray:
        """(n,) ends of the bars that open at (n,) moments of the grid, which increase."""
        if self.uniform is not None:
            return self.timeframe.shift(opens, 1)
        days = self._days
        numbers = days.numbers(opens)
        if self.timeframe.months:
            return days.starts(_first_days(_months_of(numbers) + self.timeframe.months))
        if self._n_days is None:
            return np.asarray(np.minimum(opens + self.timeframe.microseconds, days.starts(numbers + 1)))
        return days.starts(numbers + self._n_days)

    def floor(self, moment: int) -> int:
        """The last open at or before a moment."""
        return int(self.opens_of(np.array([moment]))[0])

    def ceil(self, moment: int) -> int:
        """The first open at or after a moment."""
        opens_at = self.floor(moment)
        return moment if opens_at == moment else int(self.ends_of(np.array([opens_at]))[0])

    @property
    def _is_uniform(self) -> bool:
        return self.origin == UTC_MIDNIGHT and not self.timeframe.months

    @property
    def _n_days(self) -> int | None:
        """The length in days; None for months and for what is no whole days."""
        days, rest = divmod(self.timeframe.seconds, 86_400)
        return days if rest == 0 and not self.timeframe.months else None

    @property
    def _days(self) -> _UtcDays | _ZonedDays:
        return _UtcDays(self.origin) if self.origin.zone == "UTC" else _ZonedDays(self.origin)

    def _first_days(self, days: np.ndarray) -> np.ndarray:
        """Return the bars that hold (n,) days, given by their number."""
        if self.timeframe.months:
            months = _months_of(days)
            return _first_days(months - months % self.timeframe.months)
        assert self._n_days is not None  # noqa: S101
        offset = _FIRST_MONDAY if self._n_days % 7 == 0 else 0
        return np.asarray(days - (days - offset) % self._n_days)


@dataclass(frozen=True)
class _UtcDays:
    """Days by their number, that of their date after 1970-01-01, where all have 24 hours."""

    origin: Origin

    def numbers(self, moments: np.ndarray) -> np.ndarray:
        """(n,) the days that hold (n,) moments, which do not decrease."""
        return np.asarray((moments - _opening(self.origin)) // _DAY)

    def starts(self, numbers: np.ndarray) -> np.ndarray:
        """(n,) the moments at which (n,) days begin."""
        return np.asarray(numbers * _DAY + _opening(self.origin))


@dataclass(frozen=True)
class _ZonedDays:
    """The days of a zone whose clocks change, with the interface of :class:`_UtcDays`."""

    origin: Origin

    def numbers(self, moments: np.ndarray) -> np.ndarray:
        table = _table(self.origin)
        first, last = np.searchsorted(table, moments[[0, -1]], side="right")
        # There are fewer days than moments, so the days are looked up among the moments.
        begins = np.searchsorted(moments, table[first:last])
        n_moments = np.diff(begins, prepend=0, append=len(moments))
        found = np.repeat(np.arange(first - 1, last), n_moments)
        return np.asarray(np.clip(found, 0, _N_DATES - 1) + _FIRST_DATE)

    def starts(self, numbers: np.ndarray) -> np.ndarray:
        return np.asarray(_table(self.origin)[np.clip(numbers - _FIRST_DATE, 0, _N_DATES - 1)])


def _opening(origin: Origin) -> int:
    """Return the time from midnight of a date to the begin of its day, in microseconds."""
    return origin.minutes * _MINUTE - (_DAY if origin.opens_the_evening_before else 0)


@lru_cache(maxsize=8)
def _table(origin: Origin) -> np.ndarray:
    """(_N_DATES,) the moments at which the days of a zone begin."""
    local = np.arange(_FIRST_DATE, _FIRST_DATE + _N_DATES) * _DAY + _opening(origin)
    instants = (
        pl.Series(local)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone(origin.zone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        .to_physical()
    )
    skipped = instants.is_null().to_numpy()
    table = instants.fill_null(0).to_numpy().copy()
    table[skipped] = _after_the_skip(local[skipped], origin.zone)
    table.flags.writeable = False
    return table


def _after_the_skip(local: np.ndarray, zone: str) -> np.ndarray:
    """(n,) the moments at which clocks jump over (n,) local times, by halving."""
    low, high = local - 16 * _HOUR, local + 40 * _HOUR
    while (high - low > 1).any():
        middle = (low + high) // 2
        shown = pl.Series(middle).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
        is_after = shown.dt.replace_time_zone(None).to_physical().to_numpy() >= local
        low, high = np.where(is_after, low, middle), np.where(is_after, middle, high)
    return np.asarray(high)


def _months_of(days: np.ndarray) -> np.ndarray:
    return month_numbers(days * _DAY)


def _first_days(months: np.ndarray) -> np.ndarray:
    return month_starts(months) // _DAY
