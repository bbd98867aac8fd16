from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from backtune.data.resample import resample
from backtune.data.schema import SCHEMA
from backtune.timeframe import Timeframe


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


@pytest.mark.parametrize(
    ("timeframe", "first"),
    [
        ("1d", "2018-01-03T00:00"),  # a Wednesday
        ("1w", "2018-01-01T00:00"),  # its Monday
        ("2w", "2018-01-01T00:00"),
        ("4h", "2018-01-03T08:00"),
        ("7h", "2018-01-03T03:00"),  # a grid from the epoch, not from the day
    ],
)
def test_bars_lie_on_a_grid_from_the_epoch(make_frame, timeframe, first):
    built = resample(make_frame([0], first="2018-01-03T09:10"), Timeframe.parse(timeframe))
    assert built["timestamp"][0] == datetime.fromisoformat(first).replace(tzinfo=UTC)


_SUMS = """
import hashlib, numpy as np, polars as pl
from backtune.data.resample import resample
from backtune.timeframe import Timeframe
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


def test_sums_are_close_to_exact(make_frame):
    rng = np.random.default_rng(1)
    frame = make_frame(range(1440)).with_columns(volume=pl.Series(rng.random(1440)))
    built = resample(frame, Timeframe.parse("1h"))
    np.testing.assert_allclose(built["volume"], frame["volume"].to_numpy().reshape(24, 60).sum(axis=1))
