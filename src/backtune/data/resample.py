"""Longer bars from shorter ones."""

from __future__ import annotations

import numpy as np
import polars as pl
from numba import njit

from backtune.data.bar_grid import BarGrid
from backtune.spec.origin import UTC_MIDNIGHT, Origin
from backtune.spec.timeframe import Timeframe

_COLUMNS = ("open", "high", "low", "close", "volume")


def resample(frame: pl.DataFrame, timeframe: Timeframe, origin: Origin = UTC_MIDNIGHT) -> pl.DataFrame:
    """Build bars of ``timeframe`` from sorted bars of a timeframe that divides it.

    Bars are labelled by their open time in UTC and lie on the grid of :class:`~backtune.data.bar_grid.BarGrid`; a row belongs
    to the bar that holds its open. A bar without a single row is absent, as in the source.

    Args:
        frame: columns of the schema.
        origin: the local time at which days begin.
    """
    times = frame["timestamp"].to_physical().to_numpy()
    grid = BarGrid(timeframe, origin)
    if grid.uniform is not None:
        every, offset = grid.uniform
        room = min(len(times), int(times[-1] - times[0]) // every + 2) if len(times) > 0 else 0
        return _built(frame, times, every, offset, room)
    opens = grid.opens_of(times)
    # The same pass over numbers of bars instead of times, so that sums are the same to the last digit.
    is_first = np.concatenate([[True], opens[1:] != opens[:-1]])[: len(opens)]
    numbers = np.cumsum(is_first) - 1
    numbers.flags.writeable = False  # as columns of frames are: compiled once for both
    built = _built(frame, numbers, 1, 0, int(is_first.sum()))
    return built.with_columns(pl.Series("timestamp", opens[is_first]).cast(frame.schema["timestamp"]))


def _built(frame: pl.DataFrame, times: np.ndarray, every: int, offset: int, room: int) -> pl.DataFrame:
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
    times: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    volume: np.ndarray,
    every: int,
    offset: int,
    opens: np.ndarray,
    bars: np.ndarray,
) -> int:
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
