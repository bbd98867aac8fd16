"""Longer bars from shorter ones."""

from __future__ import annotations

import polars as pl

from backtune.data.window import grid_offset
from backtune.timeframe import Timeframe

_BAR = (
    pl.col("open").first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close").last(),
    pl.col("volume").sum(),
)


def resample(frame: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Bars of ``timeframe`` from sorted bars of a timeframe that divides it.

    Bars are labelled by their open time, hold [open, open + timeframe), and lie on a grid from the epoch in
    UTC; whole weeks open on Monday. A bar without a single row is absent, as in the source.
    """
    # Windows over sorted rows sum in row order. A hash group-by sums in an order that depends on the number
    # of threads, so that volumes would differ between machines in the last digit; streaming engines may too.
    # columns: timestamp, open, high, low, close, volume
    return (
        frame.lazy()
        .set_sorted("timestamp")
        .group_by_dynamic(
            "timestamp",
            every=f"{timeframe.seconds}s",
            offset=f"{grid_offset(timeframe)}s",
            closed="left",
            label="left",
        )
        .agg(*_BAR)
        .collect(engine="in-memory")
    )
