from __future__ import annotations

import polars as pl
import pytest

from backtune.data.gaps import Gaps, find_gaps
from backtune.spec.timeframe import Timeframe

HOUR, DAY = 3_600, 86_400


def _frame(*moments: str) -> pl.DataFrame:
    times = pl.Series(moments).str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", time_zone="UTC")
    return pl.DataFrame({"timestamp": times})


@pytest.mark.parametrize(
    ("timeframe", "moments", "expected"),
    [
        ("1h", ["2024-01-01 00:00"], Gaps()),
        ("1h", ["2024-01-01 00:00", "2024-01-01 01:00"], Gaps()),
        ("1h", ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 04:00"], Gaps(1, 2 * HOUR, 0.4)),
        ("1mo", ["2024-01-01 00:00", "2024-02-01 00:00", "2024-03-01 00:00"], Gaps()),
        ("1mo", ["2024-01-01 00:00", "2024-02-01 00:00", "2024-05-01 00:00"], Gaps(1, 61 * DAY, 0.4)),
        ("3mo", ["2024-01-01 00:00", "2024-10-01 00:00"], Gaps(1, 183 * DAY, 0.5)),
        ("1mo", ["2024-01-02 00:00", "2024-02-01 00:00", "2024-03-01 00:00"], Gaps()),
        # Midnights of New York.
        ("1d", ["2024-03-10 05:00", "2024-03-11 04:00", "2024-03-12 04:00"], Gaps()),
        ("1d", ["2024-11-03 04:00", "2024-11-04 05:00", "2024-11-06 05:00"], Gaps(1, DAY, 0.25)),
    ],
)
def test_gaps(timeframe: str, moments: list[str], expected: Gaps) -> None:
    assert find_gaps(_frame(*moments), Timeframe.parse(timeframe)) == expected
