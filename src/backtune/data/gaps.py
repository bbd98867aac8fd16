"""Bars that are absent: counted, never invented."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backtune.timeframe import Timeframe


@dataclass(frozen=True)
class Gaps:
    """What is missing between the first bar and the last.

    Attributes:
        count: places where one or more bars are absent.
        longest_seconds: time without a bar at the longest of them.
        absent: share of the bars of a full grid that are absent, in [0, 1).
    """

    count: int = 0
    longest_seconds: int = 0
    absent: float = 0.0


def find_gaps(frame: pl.DataFrame, timeframe: Timeframe) -> Gaps:
    """The gaps of sorted bars of ``timeframe``."""
    if frame.height < 2:
        return Gaps()
    opens = frame["timestamp"].to_physical()
    missing = opens.diff().drop_nulls() - timeframe.microseconds
    longest = int(missing.max())  # type: ignore[arg-type]
    full = (int(opens[-1]) - int(opens[0])) // timeframe.microseconds + 1
    return Gaps(int((missing > 0).sum()), longest // 1_000_000, max(0.0, 1 - frame.height / full))


def common_step(frame: pl.DataFrame) -> tuple[int, int] | None:
    """The smallest and the most common step of sorted rows in seconds, or None for fewer than two rows."""
    if frame.height < 2:
        return None
    steps = frame["timestamp"].to_physical().diff().drop_nulls() // 1_000_000
    return int(steps.min()), int(steps.mode().min())  # type: ignore[arg-type]
