"""A judgement of bars that obey the schema: what may still be wrong with them, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from backtune.data.quality.finding import CONFIDENCES, Finding, JudgedBars, factor_of, runs
from backtune.data.quality.price_faults import find_frozen_prices, find_price_faults
from backtune.data.quality.time_faults import find_time_faults
from backtune.data.quality.volume_faults import find_volume_faults
from backtune.data.window import to_datetime
from backtune.spec.timeframe import Timeframe


@dataclass(frozen=True)
class Extremes:
    """The sizes of a series, for a reader to judge.

    Attributes:
        largest_step, largest_step_at: the largest change between two closes as a fraction of the first of them, by the
            size of its logarithm, and the open time of the bar that ends it; None with fewer than two bars.
        largest_range, largest_range_at: the largest (high - low) / low of a bar, and its open time.
        without_volume: share of the bars without volume, in [0, 1].
        equal_closes: bars of the longest run of one and the same close.
    """

    largest_step: float | None = None
    largest_step_at: datetime | None = None
    largest_range: float = 0.0
    largest_range_at: datetime | None = None
    without_volume: float = 0.0
    equal_closes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; times in ISO."""
        plain = dict(vars(self))
        return plain | {
            key: plain[key] and plain[key].isoformat() for key in ("largest_step_at", "largest_range_at")
        }


def judge_bars(frame: pl.DataFrame, timeframe: Timeframe) -> tuple[Finding, ...]:
    """Judge sorted bars of the schema; the surest findings come first.

    The rules are robust (medians around each bar) and are stated in ``price_faults``, ``volume_faults`` and
    ``time_faults``. Nothing is changed, and no finding proves that bars are wrong unless it is ``certain``.
    """
    if frame.is_empty():
        return ()
    with np.errstate(over="ignore", invalid="ignore"):  # prices and volumes may be as large as floats get
        columns = JudgedBars(frame, timeframe)
        findings = [
            *find_price_faults(columns),
            *find_frozen_prices(columns),
            *find_volume_faults(columns),
            *find_time_faults(columns),
        ]
    return tuple(sorted(findings, key=lambda finding: (CONFIDENCES.index(finding.confidence), finding.first)))


def measure_extremes(frame: pl.DataFrame) -> Extremes:
    """Measure the largest step and range, absent volume and equal closes of sorted bars."""
    if frame.is_empty():
        return Extremes()
    time = frame["timestamp"].to_physical().to_numpy()
    high, low, close, volume = (frame[name].to_numpy() for name in ("high", "low", "close", "volume"))
    ranges, steps = np.log(high) - np.log(low), np.diff(np.log(close))
    widest = int(ranges.argmax())
    step = int(np.abs(steps).argmax()) if len(steps) else None
    equal = runs(np.diff(close) == 0)[1]
    return Extremes(
        largest_step=None if step is None else factor_of(steps[step]) - 1,
        largest_step_at=None if step is None else to_datetime(int(time[step + 1])),
        largest_range=factor_of(ranges[widest]) - 1,
        largest_range_at=to_datetime(int(time[widest])),
        without_volume=float((volume == 0).mean()),
        equal_closes=int(equal.max(initial=0)) + 1,
    )
