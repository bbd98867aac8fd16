from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from backtune.data.resample import resample
from backtune.data.schema import SCHEMA
from backtune.spec.origin import Origin
from backtune.spec.timeframe import Timeframe


def test_one_bar_by_hand(make_frame):
    frame = make_frame([0, 4, 14, 15, 16, 44])  # opens 100 .. 105, gaps at 30-43
    built = resample(frame, Timeframe.parse("15m"))
    at = [datetime(2018, 1, 1, 0, minute, tzinfo=UTC) for minute in (0, 15, 30)]
    expected = pl.DataFrame(
        {
            "timestamp": at,
            "open": [100.0, 103.0, 105.0],
            "high": [104.0, 106.0, 107.0],
            "low": [99.0, 102.0, 104.0],
            "close": [103.0, 105.0, 106.0],
            "volume": [3.0, 2.0, 1.0],
        },
        schema=SCHEMA,
    )
    assert built.equals(expected)


_SUMS = """
import hashlib, numpy as np, polars as pl
from backtune.data.resample import resample
from backtune.spec.timeframe import Timeframe
rng = np.random.default_rng(0)
n = 200_000
frame = pl.DataFrame({"timestamp": np.arange(n) * 60_000_000, **{c: rng.random(n) for c in
    ("open", "high", "low", "close", "volume")}}).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
built = resample(frame, Timeframe(86_400))
print(hashlib.sha256(built["volume"].to_numpy().tobytes()).hexdigest())
"""


def test_volumes_do_not_depend_on_the_number_of_threads():
    digests = set()
    for threads in ("1", "5"):
        environment = {**os.environ, "POLARS_MAX_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", _SUMS], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == len(hashlib.sha256(b"").hexdigest())


def _bars(start: str, end: str, every: str, *, keep: float = 1.0) -> pl.DataFrame:
    """Random bars from start to end, of which a share is kept."""
    rng = np.random.default_rng(7)
    times = pl.datetime_range(
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
        every,
        closed="left",
        time_unit="us",
        eager=True,
    )
    times = times.filter(pl.Series(rng.random(len(times)) < keep)).dt.replace_time_zone("UTC")
    body = rng.uniform(1, 1000, (2, len(times)))
    columns = {
        "open": body[0], "high": body.max(axis=0) * 1.01, "low": body.min(axis=0) / 1.01, "close": body[1],
        "volume": rng.uniform(0, 10, len(times)),
    }  # fmt: skip
    return pl.DataFrame({"timestamp": times, **columns}, schema=SCHEMA)


def _by_pandas(frame: pl.DataFrame, rule: str, origin: Origin, offset: str | None) -> pd.DataFrame:
    """Bars of local times by pandas, which takes an offset of days on times without a zone alone."""
    zone = origin.zone
    times = pd.DatetimeIndex(frame["timestamp"].to_physical().to_numpy().astype("M8[us]"), tz="UTC")
    local = pd.DataFrame(
        {name: frame[name].to_numpy() for name in frame.columns[1:]},
        index=times.tz_convert(zone).tz_localize(None),
    )
    week = {"closed": "left", "label": "left"} if rule.startswith("W") else {}
    built = local.resample(rule, offset=offset, **week).agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    built = built[built["open"].notna()]
    first = np.ones(len(built), dtype=bool)
    built.index = built.index.tz_localize(zone, ambiguous=first, nonexistent="shift_forward").tz_convert(
        "UTC"
    )
    return built


@pytest.mark.parametrize("keep", [1.0, 0.3, 0.001])
@pytest.mark.parametrize(
    ("timeframe", "origin", "rule", "offset"),
    [
        ("1mo", "00:00 UTC", "MS", None),
        ("3mo", "00:00 UTC", "QS", None),
        ("1y", "00:00 UTC", "YS", None),
        ("1mo", "00:00 America/New_York", "MS", None),
        ("1w", "00:00 America/New_York", "W-MON", None),
        ("1d", "17:00 America/New_York", "1D", "17h"),
        ("1d", "00:00 Asia/Kolkata", "1D", "0h"),
        ("1d", "09:15 Asia/Kolkata", "1D", "9h15min"),
        ("30m", "09:15 Asia/Kolkata", "30min", "15min"),
        ("1h", "09:15 Asia/Kolkata", "1h", "15min"),
        ("1d", "00:00 America/Sao_Paulo", "1D", "0h"),
    ],
)
def test_the_same_in_pandas(timeframe, origin, rule, offset, keep):
    frame = _bars("2015-12-20", "2017-01-10", "15m", keep=keep)  # a leap year
    begins = Origin.parse(origin)
    built = resample(frame, Timeframe.parse(timeframe), begins)
    expected = _by_pandas(frame, rule, begins, offset)
    np.testing.assert_array_equal(built["timestamp"].to_physical(), expected.index.as_unit("us").asi8)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(built[name], expected[name])
    np.testing.assert_allclose(built["volume"], expected["volume"], rtol=1e-12)


def test_months_by_hand(make_frame):
    day = 1440
    # 28 to 31 January, 1 February and its last day in a leap year, nothing in March, 2 April; opens 100 .. 107
    frame = make_frame([day * k for k in (27, 28, 29, 30, 31, 59, 92)], first="2024-01-01")
    built = resample(frame, Timeframe.parse("1mo"))
    at = [datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 4)]
    expected = pl.DataFrame(
        {
            "timestamp": at,
            "open": [100.0, 104.0, 106.0],
            "high": [105.0, 107.0, 108.0],
            "low": [99.0, 103.0, 105.0],
            "close": [104.0, 106.0, 107.0],
            "volume": [4.0, 2.0, 1.0],
        },
        schema=SCHEMA,
    )
    assert built.equals(expected)
    quarters = resample(built, Timeframe.parse("3mo"))
    assert quarters["timestamp"].to_list() == [at[0], at[2]]
    assert quarters["volume"].to_list() == [6.0, 1.0]
    assert resample(built, Timeframe.parse("1y")).rows() == [(at[0], 100.0, 108.0, 99.0, 107.0, 7.0)]


def test_half_hours_and_hours_of_mumbai(make_frame):
    # A session from 09:15 to 15:30 in five minutes, 03:45 to 10:00 UTC.
    frame = make_frame([225 + 5 * k for k in range(75)], first="2024-01-03")
    halves = resample(frame, Timeframe.parse("30m"), Origin.parse("09:15 Asia/Kolkata"))
    assert [f"{t:%H:%M}" for t in halves["timestamp"]] == [
        "03:45", "04:15", "04:45", "05:15", "05:45", "06:15", "06:45", "07:15", "07:45", "08:15", "08:45", "09:15", "09:45",
    ]  # fmt: skip
    assert halves["open"].to_list() == [100.0 + 6 * k for k in range(13)]
    assert halves["volume"].to_list() == [6.0] * 12 + [3.0]
    hours = resample(frame, Timeframe.parse("1h"), Origin.parse("09:15 Asia/Kolkata"))
    assert [f"{t:%H:%M}" for t in hours["timestamp"]] == [
        "03:45",
        "04:45",
        "05:45",
        "06:45",
        "07:45",
        "08:45",
        "09:45",
    ]
    assert hours["volume"].to_list() == [12.0] * 6 + [3.0]
    (day,) = resample(frame, Timeframe.parse("1d"), Origin.parse("09:15 Asia/Kolkata")).rows()
    assert day == (datetime(2024, 1, 3, 3, 45, tzinfo=UTC), 100.0, 176.0, 99.0, 175.0, 75.0)


def test_sums_are_those_of_the_default_to_the_last_digit():
    """Midnight in Reykjavik is that of UTC, by the other way."""
    frame = _bars("2024-01-01", "2024-03-01", "1m", keep=0.9)
    for text in ("5m", "1h", "1d", "1w"):
        timeframe = Timeframe.parse(text)
        assert resample(frame, timeframe, Origin.parse("00:00 Atlantic/Reykjavik")).equals(
            resample(frame, timeframe)
        )
