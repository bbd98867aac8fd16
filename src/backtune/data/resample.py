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
    open_, high, low, close, volume = (frame[name].to_numpy() for name in _COLUMNS)
    every, offset = timeframe.microseconds, grid_offset(timeframe) * 1_000_000
    opens, *bars = _bars(times, open_, high, low, close, volume, every, offset)
    # columns: timestamp, open, high, low, close, volume
    return pl.DataFrame(
        {
            "timestamp": pl.Series(opens).cast(frame.schema["timestamp"]),
            **dict(zip(_COLUMNS, bars, strict=True)),
        }
    )


@njit(cache=True)
def _bars(
    times: np.ndarray, open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray, volume: np.ndarray,
    every: int, offset: int,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """One pass in the order of rows, so that sums of volume are the same on every machine to the last digit."""
    n = len(times)
    opens = np.empty(n, np.int64)
    o, h, lo, c, v = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    k = -1
    end = np.int64(np.iinfo(np.int64).min)
    for i in range(n):
        if times[i] >= end:
            k += 1
            opens[k] = times[i] - (times[i] - offset) % every
            end = opens[k] + every
            o[k], h[k], lo[k], c[k], v[k] = open_[i], high[i], low[i], close[i], volume[i]
        else:
            h[k] = max(h[k], high[i])
            lo[k] = min(lo[k], low[i])
            c[k] = close[i]
            v[k] += volume[i]
    m = k + 1
    return opens[:m].copy(), o[:m].copy(), h[:m].copy(), lo[:m].copy(), c[:m].copy(), v[:m].copy()
