"""Equity curves on bars of any length, as returns at common times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtune.spec.timeframe import Timeframe, month_numbers, month_starts

DAY = Timeframe(86_400)
# Weeks begin on a Monday, and days at midnight: 1970-01-05.
_FIRST_MONDAY = 4 * DAY.microseconds


@dataclass(frozen=True, eq=False)
class Curve:
    """Equity at the closes of bars.

    Attributes:
        closes: (n,) microseconds since the epoch, UTC, at which the bars close, increasing.
        equity: (n,) then.
        initial_cash: before the first bar.
    """

    closes: np.ndarray
    equity: np.ndarray
    initial_cash: float


def step_of(timeframes: Sequence[Timeframe]) -> Timeframe:
    """A day, or the longest of these timeframes where that is longer.

    Assets do not trade at the same moments: over minutes, what moves together seems not to, the more so the shorter the bar (T.
    Epps, "Comovements in Stock Prices in the Very Short Run", JASA 74, 1979).
    """
    return max(DAY, *timeframes)


def common_returns(curves: Sequence[Curve], step: Timeframe) -> tuple[np.ndarray, np.ndarray]:
    """Returns of all curves over the same steps of time.

    A step counts where a bar of any curve closes in it; a curve without one keeps its equity. What lies before the latest
    beginning or after the earliest end is left out.

    Returns:
        (n,) ends of the steps, microseconds since the epoch, and (n, n_curves) returns; 0 after ruin. n may be 0.
    """
    ends = [_last_of_steps(curve, step) for curve in curves]
    first, last = max(steps[0] for steps, _ in ends), min(steps[-1] for steps, _ in ends)
    steps = np.unique(np.concatenate([own for own, _ in ends]))
    steps = steps[(steps >= first) & (steps <= last)]
    columns = []
    for curve, (own, equity) in zip(curves, ends, strict=True):
        here = equity[np.searchsorted(own, steps, side="right") - 1]
        n_before = int(np.searchsorted(own, first))
        before = np.concatenate([[equity[n_before - 1] if n_before else curve.initial_cash], here[:-1]])
        columns.append(np.divide(here, before, out=np.ones(len(here)), where=before > 0.0) - 1.0)
    return _ends(steps, step), np.column_stack(columns)


def _ends(steps: np.ndarray, step: Timeframe) -> np.ndarray:
    if step.months:
        return month_starts((steps + 1) * step.months)
    return (steps + 1) * step.microseconds + _FIRST_MONDAY


def _last_of_steps(curve: Curve, step: Timeframe) -> tuple[np.ndarray, np.ndarray]:
    """The steps in which bars close, and the equity at the last of these closes."""
    if step.months:
        steps = month_numbers(curve.closes - 1) // step.months
    else:
        steps = (curve.closes - 1 - _FIRST_MONDAY) // step.microseconds
    last = np.flatnonzero(np.diff(steps, append=steps[-1] + 1))
    return steps[last], curve.equity[last]
