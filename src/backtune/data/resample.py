"""Longer bars from shorter ones."""

from __future__ import annotations

import numpy as np
import polars as pl
from numba import njit

from backtune.data.window import grid_offset
from backtune.timeframe import Timeframe

_COLUMNS = ("open", "high", "low", "close", "volume")


def resample(frame: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Bars of ``timeframe`` from sorted bars of a timeframe that divides it.

    Bars are labelled by their open time, hold [open, open + timeframe), and lie on a grid from the epoch in
    UTC; whole weeks open on Monday. A bar without a single row is absent, as in the source.
    """
    times = frame["timestamp"].to_physical().to_numpy()
    every, offset = timeframe.microseconds, grid_offset(timeframe) * 1_000_000
    room = min(len(times), int(times[-1] - times[0]) // every + 2) if len(times) > 0 else 0
    # Numpy asks for large pages, compiled code does not: touching this memory first would take longer than to fill it.
    opens, bars = np.empty(room, np.int64), np.empty((len(_COLUMNS), room))
    open_, high, low, close, volume = (frame[name].to_numpy() for name in _COLUMNS)
    n = _fill(times, open_, high, low, close, volume, every, offset, opens, bars)
    # columns: timestamp, open, high, low, close, volume
    return pl.DataFrame(
        {
            "timestamp": pl.Series(opens[:n]).cast(frame.schema["timestamp"]),
            **dict(zip(_COLUMNS, bars[:, :n], strict=True)),
        }
    )


@njit(cache=True)
def _fill(
    times: np.ndarray, open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray, volume: np.ndarray,
    every: int, offset: int, opens: np.ndarray, bars: np.ndarray,
) -> int:  # fmt: skip
    """One pass in the order of rows, so that sums of volume are the same on every machine to the last digit.

    Returns:
        How many bars there are; their opens and ``_COLUMNS`` fill ``opens`` and the rows of ``bars``.
    """
    o, h, lo, c, v = bars[0], bars[1], bars[2], bars[3], bars[4]
    k = -1
    end = np.int64(np.iinfo(np.int64).min)
    highest = lowest = total = 0.0
    for i in range(len(times)):
        if times[i] >= end:
            k += 1
            opens[k] = times[i] - (times[i] - offset) % every
            end = opens[k] + every
            o[k] = open_[i]
            highest, lowest, total = high[i], low[i], volume[i]
        else:
            highest, lowest = max(highest, high[i]), min(lowest, low[i])
            total += volume[i]
        # Kept as variables: read again from where they are written, every bar would wait for the one before.
        h[k], lo[k], c[k], v[k] = highest, lowest, close[i], total
    return k + 1
