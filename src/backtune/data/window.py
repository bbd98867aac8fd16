"""Windows of time in UTC: start inclusive, end exclusive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from backtune.data.bar_grid import BarGrid
from backtune.errors import SpecError
from backtune.spec.origin import UTC_MIDNIGHT, Origin
from backtune.spec.timeframe import Timeframe

Moment = datetime | date | str | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class TimeRange:
    """Microseconds since the epoch; None where there is no bound."""

    start: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, start: Moment, end: Moment) -> TimeRange:
        """Read dates, datetimes or ISO text; without an offset they are UTC.

        Raises:
            SpecError: a text is not a time, or the end is not after the start.
        """
        window = cls(_microseconds(start, "start"), _microseconds(end, "end"))
        if window.start is not None and window.end is not None and window.start >= window.end:
            raise SpecError("end", f"{iso(window.end)} is not after the start {iso(window.start)}", value=end)
        return window

    def opens(self, target: Timeframe, source: Timeframe, origin: Origin = UTC_MIDNIGHT) -> TimeRange:
        """The open times of those ``source`` bars that make up the ``target`` bars lying wholly inside.

        Args:
            origin: The origin of bars that are built; it has no effect where ``target`` is ``source``.
        """
        if target == source:
            return TimeRange(self.start, None if self.end is None else target.latest_open(self.end) + 1)
        grid = BarGrid(target, origin)
        return TimeRange(
            None if self.start is None else grid.ceil(self.start),
            None if self.end is None else grid.floor(self.end),
        )

    @property
    def is_empty(self) -> bool:
        """Return whether both bounds are given and no moment lies between them."""
        return self.start is not None and self.end is not None and self.start >= self.end

    def overlaps(self, start: int, end: int) -> bool:
        """Return whether [start, end) and the window share a moment."""
        return (self.end is None or start < self.end) and (self.start is None or end > self.start)

    def clip(self, start: int, end: int) -> tuple[int, int]:
        """The part of [start, end) that lies in the window, where there is one."""
        return (
            start if self.start is None else max(start, self.start),
            end if self.end is None else min(end, self.end),
        )

    def contains(self, column: str) -> list[pl.Expr]:
        """The bounds as predicates. A missing time is let through, for the checks to find."""
        time_of = pl.col(column)
        bounds = []
        if self.start is not None:
            bounds.append(time_of >= _literal(self.start))
        if self.end is not None:
            bounds.append(time_of < _literal(self.end))
        return [bound | time_of.is_null() for bound in bounds]

    def __str__(self) -> str:
        start = "the beginning" if self.start is None else iso(self.start)
        return f"{start} to {'the end' if self.end is None else iso(self.end)}"


ALL_TIME = TimeRange()


def iso(microseconds: int) -> str:
    """``2018-01-01T00:00:00Z``."""
    return to_datetime(microseconds).isoformat().replace("+00:00", "Z")


def to_datetime(microseconds: int) -> datetime:
    """Microseconds since the epoch as a time in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(moment: datetime) -> int:
    """A time with an offset as microseconds since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def _microseconds(moment: Moment, key: str) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise SpecError(
                key, f"{moment!r} is not an ISO date such as 2018-01-01 or 2018-01-01T12:00", value=moment
            ) from None
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), tzinfo=UTC)
    return to_microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _literal(microseconds: int) -> pl.Expr:
    return pl.lit(microseconds).cast(pl.Datetime("us", "UTC"))
