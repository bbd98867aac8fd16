"""Bars that are absent: counted, never invented."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backtune.spec.timeframe import Timeframe

_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Gaps:
    """The bars that are missing between the first bar and the last.

    Attributes:
        count: places where one or more bars are absent.
        longest_seconds: time without a bar at the longest of them.
        absent: share of the bars of a full grid that are absent, in [0, 1).
    """

    count: int = 0
    longest_seconds: int = 0
    absent: float = 0.0


def find_gaps(frame: pl.DataFrame, timeframe: Timeframe) -> Gaps:
    """Find the gaps of sorted bars of ``timeframe``."""
    if frame.height < 2:
        return Gaps()
    opens = frame["timestamp"].to_physical().to_numpy()
    missing = (opens[1:] - timeframe.ends(opens[:-1]))[timeframe.steps(opens) > 1]
    longest = int(missing.max()) if len(missing) else 0
    full = int(timeframe.steps(opens[[0, -1]])[0]) + 1
    return Gaps(len(missing), longest // _MICROSECONDS, max(0.0, 1 - frame.height / full))
