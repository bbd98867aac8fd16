"""Perturbations of later bars: changes from a cut on, which obey the schema of bars and leave the bars before the cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from backtune.data.bars import Bars
from backtune.data.schema import PRICES


def _scale(bars: Bars, cut: int, random: np.random.Generator) -> Bars:
    factor = random.choice([1e-3, 0.5, 1.7, 1e3])
    return _change_later_bars(
        bars, cut, {name: column[cut:] * factor for name, column in _columns(bars).items()}
    )


def _replace_by_walk(bars: Bars, cut: int, random: np.random.Generator) -> Bars:
    n, deviation = len(bars) - cut, random.choice([0.001, 0.02])
    close = bars.close[cut - 1] * np.exp(np.cumsum(deviation * random.standard_normal(n)))
    open_ = np.concatenate([bars.close[cut - 1 : cut], close[:-1]])
    wick = 1 + deviation * random.random(n)
    walk = {
        "open": open_,
        "high": np.maximum(open_, close) * wick,
        "low": np.minimum(open_, close) / wick,
        "close": close,
    }
    others = [name for name in _columns(bars) if name not in walk]
    drawn = {name: _columns(bars)[name][cut:] * random.uniform(0, 2, n) for name in others}
    return _change_later_bars(bars, cut, {**walk, **drawn})


def _reverse(bars: Bars, cut: int, random: np.random.Generator) -> Bars:
    del random
    return _change_later_bars(
        bars, cut, {name: column[cut:][::-1] for name, column in _columns(bars).items()}
    )


def _delay(bars: Bars, cut: int, random: np.random.Generator) -> Bars:
    n_bars = int(random.integers(1, 1_000))
    return _change_later_bars(bars, cut, {"timestamp": bars.timeframe.shift(bars.timestamp[cut:], n_bars)})


PERTURBATIONS: dict[str, Callable[[Bars, int, np.random.Generator], Bars]] = {
    "truncate": lambda bars, cut, _random: bars[:cut],
    "scale": _scale,
    "replace": _replace_by_walk,
    "reverse": _reverse,
    "delay": _delay,
}
DESCRIPTIONS = {
    "truncate": "are taken away",
    "scale": "are scaled",
    "replace": "are replaced by a random walk",
    "reverse": "are put in reverse order",
    "delay": "come later",
}


def _columns(bars: Bars) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {name: getattr(bars, name) for name in (*PRICES, "volume")}
    return columns if bars.funding is None else {**columns, "funding": bars.funding}


def _change_later_bars(bars: Bars, cut: int, later: dict[str, np.ndarray]) -> Bars:
    """Return the bars with other values from ``cut`` on, in the named columns."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(bars, name)[:cut], values]) for name, values in later.items()
    }
    for column in columns.values():
        column.flags.writeable = False
    return replace(bars, **columns)


def make_read_only(bars: Bars) -> Bars:
    """Return a copy of the caller's bars that a strategy cannot write to."""
    return _change_later_bars(bars, 0, {"timestamp": bars.timestamp, **_columns(bars)})
