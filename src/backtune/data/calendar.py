"""Calendars: how many bars a year has, by what a spec states and by what the bars show.

The number annualises means and deviations, so it must count the bars that there are: an hour of a market that is open
for seven hours on weekdays comes 1,826 times a year and not 8,766 times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from backtune.spec import read_sessions_per_year
from backtune.spec.timeframe import Timeframe

SECONDS_PER_YEAR: Final = 365.25 * 86_400

_DAY: Final = 86_400_000_000
_WEEK: Final = 7 * _DAY
_YEAR: Final = SECONDS_PER_YEAR * 1e6
_WEEKS_PER_YEAR: Final = _YEAR / _WEEK
# The time before the first and after the last bar of a market that closes is at most one closure. Where that is less of
# the whole than this, it is left out of account.
_EDGE: Final = 0.01
# A shorter daily break leaves open whether a market closes at night.
_NIGHT: Final = 4 * 3_600_000_000
_WORKING_DAYS: Final = 5
# Saturday 1970-01-03, in microseconds after the epoch.
_FIRST_SATURDAY: Final = 2 * _DAY
_DISAGREEMENT: Final = 0.05


@dataclass(frozen=True)
class Annualisation:
    """The number of bars a year of one series, and where it comes from.

    Attributes:
        calendar: The calendar as stated: ``auto``, ``24/7`` or ``sessions-N``.
        bars_per_year: The number that is used.
        shown: The number that the bars show, see :func:`annualise`.
        stated: The least and the greatest number that fits the calendar; None for ``auto``. The two differ only for
            sessions in bars that are longer than a day.
        sessions: The sessions that the bars show, in words; empty for bars that are longer than a day.
        assumed: The assumption, in words, where the bars cover too little time to show when the market is closed; else empty.
    """

    calendar: str
    bars_per_year: float
    shown: float
    stated: tuple[float, float] | None
    sessions: str = ""
    assumed: str = ""

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Annualisation:
        """Build a calendar from the plain data of :func:`dataclasses.asdict`."""
        stated = content["stated"]
        return cls(**{**content, "stated": tuple(stated) if stated is not None else None})

    @property
    def disagrees(self) -> bool:
        """Return whether the bars show a number that is more than 5 % away from every number that the calendar allows."""
        if self.stated is None or self.assumed:
            return False
        least, most = self.stated
        return not (1.0 - _DISAGREEMENT) * least <= self.shown <= (1.0 + _DISAGREEMENT) * most

    def disagreement(self, series: str) -> str:
        """A sentence on how the calendar and the bars differ; empty where they agree.

        Args:
            series: The asset and the timeframe.
        """
        if not self.disagrees or self.stated is None:
            return ""
        stated = " to ".join(dict.fromkeys(map(format_count, self.stated)))
        return (
            f"calendar {self.calendar} counts {stated} bars a year, the bars of {series} show {format_count(self.shown)}; "
            f"{format_count(self.bars_per_year)} is used"
        )

    def describe_short(self) -> str:
        """Return a phrase on the number that is used and on what the bars show."""
        details = "; ".join(text for text in (self.sessions, self.assumed) if text)
        return f"{format_count(self.bars_per_year)} bars a year{f' ({details})' if details else ''}"

    def to_json(self, asset: str, timeframe: str) -> dict[str, Any]:
        """Flat and plain, with the warning of :meth:`disagreement`, null where there is none."""
        return {
            "asset": asset,
            "timeframe": timeframe,
            **asdict(self),
            "warning": self.disagreement(f"{asset} {timeframe}") or None,
        }


def describe(alike: Sequence[Annualisation], series: str) -> str:
    """A line on the numbers that are used and on what the bars show.

    Args:
        alike: One at least, of the same calendar; of all of them the first one's sessions are told.
        series: Their assets and timeframe.
    """
    numbers = [found.bars_per_year for found in alike]
    counts = " to ".join(dict.fromkeys(map(format_count, (min(numbers), max(numbers)))))
    first = alike[0]
    # Nothing is assumed for a stated number.
    details = first.sessions or (first.assumed if first.bars_per_year == first.shown else "")
    stated = "" if first.calendar == "auto" else f", calendar {first.calendar}"
    return f"{counts} bars ({series}{f': {details}' if details else ''}{stated})"


def format_count(number: float) -> str:
    """Write a number of bars a year: ``8,766``, ``261``, ``52.18``."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.4g}"


def bars_per_year(timestamp: np.ndarray, timeframe: Timeframe, calendar: str) -> float:
    """Count the bars of a year, see :func:`annualise`."""
    return annualise(timestamp, timeframe, calendar).bars_per_year


def annualise(timestamp: np.ndarray, timeframe: Timeframe, calendar: str) -> Annualisation:
    """Find how many bars a year has.

    The bars show ``n_bars * year / elapsed``, a year of 365.25 days, with elapsed from the open of the first bar to the
    end of the last; never more than ``year / length of a bar``. ``auto`` takes that number. The other calendars state
    one: ``24/7`` a year full of bars, ``sessions-N`` N session days of as many bars as the median UTC day that has bars,
    of one for bars of a day, and never more than a year full of bars. The smaller of the stated number and the shown one is used, so
    that bars that are absent lower it.

    A market that closes has closed time before its first and after its last bar as well, up to one closure (a night, a
    weekend) in all. Elapsed time leaves it out, which makes the number too large by at most the longest closure over
    elapsed. Where that is more than 1 %, other estimates take its place:

    - From one week on, the mean count over all windows of whole weeks inside the span. That is exact for a market whose week repeats
      itself, whichever moment the span begins and ends at; a clock change within the span moves it by one hour of
      sessions at most. A holiday counts as though it came back at the same rate: one of ten
      weekdays takes a tenth off.
    - Below a week, the mean count over whole days, whole closed days cut out, times the days that the market is open
      in a week: seven, or five where a weekend or nights of four hours and more are closed. Five sessions of 7 hours give 7 x 5 x
      52.18 = 1,826, not 2,978. Bars without a gap in less than a week do not show whether the market closes: it is taken
      never to close. ``assumed`` says so.
    - Bars that are longer than a day are counted over whole multiples of their common multiple with a week; below that by
      elapsed time, which may be too large by one bar.

    Where bars are absent at random, n bars tell their number to about sqrt(absent share / n).

    Args:
        timestamp: (n_bars,) int64, open times in microseconds, increasing.
        timeframe: The length of a bar.
        calendar: ``auto``, ``24/7`` or ``sessions-N``.

    Raises:
        SpecError: The calendar is none of these.
    """
    n_sessions = read_sessions_per_year(calendar)
    shown, assumed = _shown(timestamp, timeframe.microseconds)
    n_per_day = _usual_day(timestamp, timeframe.microseconds)
    stated = None
    if calendar != "auto":
        stated = _stated(n_sessions, n_per_day, timeframe.microseconds)
    used = shown if stated is None else min(stated[1], shown)
    return Annualisation(
        calendar,
        used,
        shown,
        stated,
        sessions="" if assumed else _sessions(shown, n_per_day, timeframe.microseconds),
        assumed=assumed,
    )


def _stated(n_sessions: int | None, n_per_day: float, length: int) -> tuple[float, float]:
    full = _YEAR / length
    if n_sessions is None:
        return full, full
    if length > _DAY:
        # As many as sessions can be put into, and as are touched by one.
        return min(n_sessions * _DAY / length, full), min(float(n_sessions), full)
    count = min(n_sessions * n_per_day, full)
    return count, count


def _shown(timestamp: np.ndarray, length: int) -> tuple[float, str]:
    """The number of bars a year that the bars show, and what is assumed for it."""
    full, n = _YEAR / length, len(timestamp)
    if n == 0:
        return full, ""
    elapsed = int(timestamp[-1] - timestamp[0]) + length
    # Months differ in length, and a step may be shorter than the nominal one.
    closures = np.maximum(np.diff(timestamp) - length, 0)
    period = _WEEK if length <= _DAY else math.lcm(length, _WEEK)
    assumed = ""
    if not closures.any():
        found = full
    elif elapsed < period and length <= _DAY:
        found, assumed = _shown_by_days(timestamp, elapsed, closures)
    elif elapsed < period or closures.max() <= _EDGE * elapsed:
        found = n * _YEAR / elapsed
    else:
        found = _mean_count(timestamp - timestamp[0], elapsed, period) * _YEAR / period
    if not assumed and length <= _DAY and elapsed < _WEEK and not _has_weekend(timestamp[0], elapsed):
        assumed = _never_closes(elapsed)
    return min(found, full), assumed


def _shown_by_days(timestamp: np.ndarray, elapsed: int, closures: np.ndarray) -> tuple[float, str]:
    """Return what :func:`_shown` does, for less than a week of bars that are not longer than a day."""
    n_closed = closures // _DAY
    opens = (timestamp - timestamp[0]) - np.concatenate([[0], np.cumsum(n_closed)]) * _DAY
    left = elapsed - int(n_closed.sum()) * _DAY
    per_day = _mean_count(opens, left, _DAY) if left >= _DAY else len(opens) * _DAY / left
    closes = n_closed.any() or (closures % _DAY).max() >= _NIGHT
    is_open_at_weekends = not n_closed.any() and _has_weekend(timestamp[0], elapsed)
    if not closes or is_open_at_weekends:
        return per_day * 7 * _WEEKS_PER_YEAR, "" if is_open_at_weekends else _never_closes(elapsed)
    open_days = max(_WORKING_DAYS, min(7, math.ceil(left / _DAY)))
    assumed = f"less than a week of bars, {open_days} such days a week are assumed"
    return per_day * open_days * _WEEKS_PER_YEAR, assumed


def _never_closes(elapsed: int) -> str:
    return (
        f"less than a {'week' if elapsed >= _DAY else 'day'} of bars, a market that never closes is assumed"
    )


def _has_weekend(start: int, elapsed: int) -> bool:
    """Return whether a whole weekend, in UTC, lies inside."""
    return bool((_FIRST_SATURDAY - start) % _WEEK + 2 * _DAY <= elapsed)


def _mean_count(opens: np.ndarray, elapsed: int, period: int) -> float:
    """The mean number of bars in a period, over all windows of as many whole periods as fit into [0, elapsed)."""
    n_periods = elapsed // period
    width = n_periods * period
    room = elapsed - width
    if room == 0:
        return len(opens) / n_periods
    # A bar counts as often as a window of this width, which may begin anywhere in [0, room], has it.
    weights = np.minimum(opens, room) - np.maximum(opens - width, 0)
    return float(np.maximum(weights, 0).sum()) / room / n_periods


def _usual_day(timestamp: np.ndarray, length: int) -> float:
    """The median number of bars over the UTC days that have some; 1 for bars of a day or longer."""
    if len(timestamp) == 0 or length >= _DAY:
        return 1.0
    days = timestamp // _DAY
    last = np.flatnonzero(np.diff(days, append=days[-1] + 1))
    return float(np.median(np.diff(last, prepend=-1)))


def _sessions(shown: float, n_per_day: float, length: int) -> str:
    if length > _DAY:
        return ""
    days = f"{min(7.0, shown / n_per_day / _WEEKS_PER_YEAR):.2g} days a week"
    return days if length == _DAY else f"{days} of {n_per_day:g} {'bar' if n_per_day == 1 else 'bars'}"
