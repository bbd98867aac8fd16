from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from backtune.data.ingest.times import read_times
from backtune.errors import BarsError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1514764800.5", "2018-01-01 00:00:00.500000"),
        ("2018-01-01", "2018-01-01 00:00:00"),
        ("2018/01/01 05:00", "2018-01-01 05:00:00"),
        ("2018.01.01 05:00", "2018-01-01 05:00:00"),
        ("31.01.2018 07:00:00", "2018-01-31 07:00:00"),
        ("31.01.2018 00:00:00.000 GMT+0100", "2018-01-30 23:00:00"),
        ("20180131", "2018-01-31 00:00:00"),
        ("20180131 0500", "2018-01-31 05:00:00"),
        ("20180131050000", "2018-01-31 05:00:00"),
        ("2018-01-01T00:00:00+02:00", "2017-12-31 22:00:00"),
        ("2018-01-01T00:00:00.123-0330", "2018-01-01 03:30:00.123000"),
        ("2018-01-01 00:00:00+00", "2018-01-01 00:00:00"),
        ("2018-01-01 05:00+01", "2018-01-01 04:00:00"),
        ("2018-01-01 00:00:00 UTC", "2018-01-01 00:00:00"),
        ("13/01/2018 05:00", "2018-01-13 05:00:00"),
        ("01/13/2018 05:00", "2018-01-13 05:00:00"),
        ("2018-01-01 12-AM", "2018-01-01 00:00:00"),
        ("2018-01-01 01-PM", "2018-01-01 13:00:00"),
        ("2018-01-01 1:05:00 PM", "2018-01-01 13:05:00"),
        ("Jan 31, 2018", "2018-01-31 00:00:00"),
        (date(2018, 1, 1), "2018-01-01 00:00:00"),
        (datetime(2018, 1, 1, 3), "2018-01-01 03:00:00"),  # noqa: DTZ001
        (datetime(2018, 1, 1, 3, tzinfo=UTC), "2018-01-01 03:00:00"),
        (1_514_764_800.0, "2018-01-01 00:00:00"),
    ],
)
def test_forms(value, expected):
    times = read_times(pl.Series([value, None]), source="x").utc
    assert times.dtype == pl.Datetime("us", "UTC")
    assert times[0] == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert times[1] is None


def test_unit_is_told_for_each_epoch():
    """Binance went from milliseconds to microseconds in 2025."""
    times = read_times(pl.Series(["1735603200000", "1735689600000000"]), source="x").utc
    assert [f"{time:%Y-%m-%d}" for time in times] == ["2024-12-31", "2025-01-01"]


@pytest.mark.parametrize(
    ("values", "message", "row"),
    [
        (["today"], "'today' is not a time in a known form", 0),
        (["2018-01-01 00:00 XYZ"], "is not a time in a known form", 0),
        (["09:30", "09:31"], "is not a time in a known form", 0),
        ([0, 1, 2], "0 is not a time: as an epoch it would lie outside of 1980 to 2100", 0),
        ([93000, 93100], "93000 is not a time", 0),
        ([1_514_764_800, 12], "1514764800 is not a time", 0),
        (["2018-01-01", "2018-01-02", "n/a"], "'n/a' is not a time like '2018-01-01' in the first row", 2),
        (["2018-01-01 05:00", "2018-02-30 05:00"], "'2018-02-30 05:00' is not a time like", 1),
        (["1514764800", "x"], "'x' is not a time like '1514764800'", 1),
        (["01/02/2018", "02/03/2018"], "do not tell the day from the month", None),
        (["13/02/2018", "02/13/2018"], "do not tell the day from the month", None),
        ([-(10**15) * 3], "is not a time: as an epoch it would lie outside", 0),
        ([True], "a column of Boolean does not hold times", None),
    ],
)
def test_what_is_no_time(values, message, row):
    with pytest.raises(BarsError, match=message) as caught:
        read_times(pl.Series(values), source="x.csv")
    assert caught.value.row == row
    assert caught.value.source == "x.csv"
