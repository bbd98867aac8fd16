from __future__ import annotations

import pandas as pd
import polars as pl
import pytest

from backtune.data.bars import Bars
from backtune.data.schema import check_bars
from backtune.errors import BarsError


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("open", float("nan"), "is not a finite number"),
        ("volume", float("inf"), "is not a finite number"),
        ("close", None, "is not a finite number"),
        ("timestamp", None, "the time is missing"),
        ("low", -1.0, "a price must be above 0"),
        ("low", 0.0, "a price must be above 0"),
        ("volume", -0.5, "must not be negative"),
        ("high", 1.0, "high is below low"),
        ("open", 98.0, "open is below low"),
        ("close", 900.0, "close is above high"),
    ],
)
def test_first_violation_is_named(make_frame, column, value, problem):
    frame = make_frame(range(5))
    values = frame[column].to_list()
    values[2] = value
    broken = frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))
    with pytest.raises(BarsError, match=problem) as caught:
        check_bars(broken, source="file.csv")
    assert caught.value.source == "file.csv"
    assert caught.value.row == 2


@pytest.mark.parametrize(
    ("minutes", "problem", "row"), [([0, 1, 1, 2], "duplicate", 2), ([0, 2, 1], "unsorted", 2)]
)
def test_order_is_checked(make_frame, minutes, problem, row):
    with pytest.raises(BarsError, match=problem) as caught:
        check_bars(make_frame(minutes), source="x")
    assert (caught.value.row, caught.value.column) == (row, "timestamp")


def test_rows_can_be_those_of_another_order(make_frame):
    frame = make_frame([0, 1, 1])
    with pytest.raises(BarsError) as caught:
        check_bars(frame, source="x", rows=pl.Series([7, 5, 3]))
    assert caught.value.row == 3


def test_columns_are_read_only(make_frame):
    bars = Bars.from_frame(make_frame(range(3)))
    for array in (bars.timestamp, bars.close, bars[1:].open):
        assert not array.flags.writeable


def test_frame_survives_the_round_trip(make_frame):
    frame = make_frame(range(10))
    assert Bars.from_frame(frame).to_frame().equals(frame)


@pytest.mark.parametrize(
    ("zone", "first"),
    [(None, "2021-01-01 00:00"), ("UTC", "2021-01-01 00:00"), ("Europe/Paris", "2020-12-31 23:00")],
)
def test_pandas_times_in_any_zone_become_utc(zone, first):
    index = pd.date_range("2021-01-01", periods=3, freq="1h", tz=zone)
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0), index=index)
    bars = Bars.from_frame(frame)
    assert str(bars.timeframe) == "1h"
    assert bars.to_frame()["timestamp"].dt.strftime("%Y-%m-%d %H:%M")[0] == first
