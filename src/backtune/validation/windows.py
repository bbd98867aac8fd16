"""The windows of bars that a fold is searched and tested on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backtune.data.bars import Bars
from backtune.errors import CatalogError
from backtune.simulation.bar_window import BarWindow
from backtune.validation.folds import TimeWindow


def search_window(bars: Bars, train: TimeWindow, parts: Sequence[TimeWindow] = ()) -> BarWindow:
    """Return the window of a search, with its parts. Its bars end where the train window ends.

    Raises:
        CatalogError: The window or one of its parts has no bar.
    """
    rows = np.searchsorted(bars.timestamp, [train.start, train.end])
    whole = _make_window(bars[int(rows[0]) : int(rows[1])], 0, "train")
    return replace(whole, parts=tuple(validation_window(whole.bars, part, "fold") for part in parts))


def leading_window(window: BarWindow, fraction: float) -> BarWindow:
    """Return the first bars of a window, at least one, with the same bars before them."""
    n_bars = len(window.bars) - window.start
    return BarWindow.of(window.bars[: window.start + math.ceil(fraction * n_bars)], window.start)


def validation_window(bars: Bars, test: TimeWindow, name: str = "test") -> BarWindow:
    """Return the window of a winner's test, with all bars before it as warm-up.

    Raises:
        CatalogError: The window has no bar.
    """
    rows = np.searchsorted(bars.timestamp, [test.start, test.end])
    return _make_window(bars[: int(rows[1])], int(rows[0]), name)


def _make_window(bars: Bars, start: int, name: str) -> BarWindow:
    if start >= len(bars):
        raise CatalogError(
            f"{bars.asset} {bars.timeframe}: the {name} window has no bar; give the sweep more time"
        )
    return BarWindow.of(bars, start)
