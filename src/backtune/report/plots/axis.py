"""Axes of figures: their ranges and labelled ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

TickFormat = Callable[[float, int], str]

_DAY = 86_400.0
_HOURS = (1, 2, 3, 6, 12)
_DAYS = (1, 2, 5, 10)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)


@dataclass(frozen=True)
class Axis:
    """A range of values.

    Attributes:
        low: Lower end.
        high: Upper end, above ``low``.
        ticks: Labelled values, each with its label.
        title: Name of the quantity with its unit; empty for none.
        log: True if the scale is logarithmic, which needs ``low`` above 0.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    title: str = ""
    log: bool = False

    def share(self, values: np.ndarray) -> np.ndarray:
        """Return the positions of values, 0 at the low end and 1 at the high end."""
        if self.log:
            return np.asarray(np.log(values / self.low) / math.log(self.high / self.low))
        return np.asarray((values - self.low) / (self.high - self.low))


def format_tick(value: float, digits: int) -> str:
    """Format a number, with M for millions and G for thousands of millions."""
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:,.{digits}f}"


def format_percent_tick(value: float, digits: int) -> str:
    """Format a fraction in per cent."""
    return f"{100 * value:,.{max(0, digits - 2)}f}%"


def make_linear_axis(
    low: float, high: float, title: str = "", n_ticks: int = 5, text: TickFormat = format_tick
) -> Axis:
    """Make a linear axis with round numbers as ticks; equal ends are moved apart."""
    low, high = _separate_ends(low, high)
    return Axis(low, high, _round_ticks(low, high, n_ticks, text), title)


def make_log_axis(
    low: float, high: float, title: str = "", n_ticks: int = 5, text: TickFormat = format_tick
) -> Axis:
    """Make a logarithmic axis from ``low``, which is above 0, to ``high``."""
    low, high = _separate_ends(low, high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        found = [step * 10.0**power for power in powers for step in steps]
        ticks = [value for value in found if low <= value <= high]
        if len(ticks) <= n_ticks + 1:
            break
    ticks = ticks[:: math.ceil(len(ticks) / (n_ticks + 1))] if ticks else ticks
    if len(ticks) < 2:
        return Axis(low, high, _round_ticks(low, high, n_ticks, text), title, log=True)
    named = tuple((value, text(value, max(0, -math.floor(math.log10(value))))) for value in ticks)
    return Axis(low, high, named, title, log=True)


def make_choice_axis(names: Sequence[str], title: str = "") -> Axis:
    """Make an axis with a named position 0, 1, ... for each choice, and half a position at both ends."""
    return Axis(-0.5, len(names) - 0.5, tuple((float(i), name) for i, name in enumerate(names)), title)


def make_time_axis(start: int, end: int, n_ticks: int = 6) -> Axis:
    """Make an axis of time between two times in microseconds since the epoch, UTC."""
    low, high = _separate_ends(float(start), float(end))
    first, last = (datetime.fromtimestamp(moment / 1e6, UTC) for moment in (low, high))
    for moments, form in _list_calendar_ticks(first, last):
        if len(moments) <= n_ticks:
            ticks = tuple((moment.timestamp() * 1e6, f"{moment:{form}}") for moment in moments)
            return Axis(low, high, ticks)
    return Axis(low, high, ())


def _list_calendar_ticks(first: datetime, last: datetime) -> Iterator[tuple[list[datetime], str]]:
    """Yield candidate ticks, the densest first, each with its date format."""
    days = (last - first).total_seconds() / _DAY
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    for hours in _HOURS if days < 10 else ():
        found = [midnight + timedelta(hours=i * hours) for i in range(int(days * 24 / hours) + 48)]
        yield [moment for moment in found if first <= moment <= last], "%d %b %H:%M"
    for step in _DAYS if days < 365 else ():
        found = [midnight + timedelta(days=i) for i in range(int(days) + 2)]
        kept = [
            m for m in found if first <= m <= last and (m.day - 1) % step == 0 and m.day <= 31 - step // 2
        ]
        yield kept, "%d %b %Y"
    for step in _MONTHS:
        months = range(first.year * 12, last.year * 12 + 12)
        found = [
            datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in months if month % step == 0
        ]
        yield [moment for moment in found if first <= moment <= last], "%Y" if step >= 12 else "%b %Y"


def _round_ticks(low: float, high: float, n_ticks: int, text: TickFormat) -> tuple[tuple[float, str], ...]:
    rough = (high - low) / n_ticks
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    # A step of 2.5 needs a digit more.
    digits += not math.isclose(round(step, digits), step, rel_tol=1e-6)
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return tuple((place * step, text(place * step, digits)) for place in places)


def _separate_ends(low: float, high: float) -> tuple[float, float]:
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    half = 0.1 * abs(low) or 1.0
    return low - half, low + half
