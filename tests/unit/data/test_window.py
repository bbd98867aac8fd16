from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from backtune.data.window import TimeRange, iso
from backtune.errors import SpecError
from backtune.spec.origin import Origin
from backtune.spec.timeframe import Timeframe

M1 = Timeframe.parse("1m")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2018-01-01", "2018-01-01T00:00:00Z"),
        ("2018-01-01T12:30", "2018-01-01T12:30:00Z"),
        ("2018-01-01T12:30+02:00", "2018-01-01T10:30:00Z"),
        ("2018-01-01T12:30:00Z", "2018-01-01T12:30:00Z"),
        (date(2018, 1, 1), "2018-01-01T00:00:00Z"),
        (datetime(2018, 1, 1, 5, tzinfo=UTC), "2018-01-01T05:00:00Z"),
        (datetime(2018, 1, 1, 5), "2018-01-01T05:00:00Z"),  # noqa: DTZ001
        (datetime(2018, 1, 1, 5, tzinfo=timezone(timedelta(hours=5))), "2018-01-01T00:00:00Z"),
    ],
)
def test_moments(moment, expected):
    assert iso(TimeRange.of(moment, None).start) == expected


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("yesterday", None, "start: 'yesterday' is not an ISO date such as 2018-01-01"),
        (None, "2018-13-01", "end: '2018-13-01' is not an ISO date"),
        ("2018-01-02", "2018-01-01", "end: 2018-01-01T00:00:00Z is not after the start 2018-01-02T00:00:00Z"),
        ("2018-01-01", "2018-01-01", "is not after the start"),
    ],
)
def test_impossible_windows(start, end, message):
    with pytest.raises(SpecError, match=message):
        TimeRange.of(start, end)


@pytest.mark.parametrize(
    ("target", "start", "end", "first", "beyond"),
    [
        ("1h", "2018-01-01", "2018-01-02", "2018-01-01T00:00:00Z", "2018-01-02T00:00:00Z"),
        ("1h", "2018-01-01T00:30", "2018-01-01T05:59", "2018-01-01T01:00:00Z", "2018-01-01T05:00:00Z"),
        ("7h", "2018-01-01", "2018-01-02", "2018-01-01T02:00:00Z", "2018-01-01T23:00:00Z"),
        ("1w", "2018-01-02", "2018-01-31", "2018-01-08T00:00:00Z", "2018-01-29T00:00:00Z"),
        ("1w", "2018-01-01", "2018-01-08", "2018-01-01T00:00:00Z", "2018-01-08T00:00:00Z"),
        ("2w", "2018-01-01", "2018-01-31", "2018-01-01T00:00:00Z", "2018-01-29T00:00:00Z"),
        ("1mo", "2018-01-02", "2018-04-30", "2018-02-01T00:00:00Z", "2018-04-01T00:00:00Z"),
        ("1mo", "2018-01-01", "2018-05-01", "2018-01-01T00:00:00Z", "2018-05-01T00:00:00Z"),
        ("1y", "2018-01-01", "2019-12-31", "2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"),
    ],
)
def test_built_bars_lie_wholly_inside(target, start, end, first, beyond):
    opens = TimeRange.of(start, end).opens(Timeframe.parse(target), M1)
    assert (iso(opens.start), iso(opens.end)) == (first, beyond)


def test_stored_bars_lie_wholly_inside():
    hour = Timeframe.parse("1h")
    opens = TimeRange.of("2018-01-01", "2018-01-01T05:30").opens(hour, hour)
    assert iso(opens.end) == "2018-01-01T04:30:00.000001Z"  # the bar of 04:30 would end with the window


@pytest.mark.parametrize(
    ("timeframe", "end", "opens"),
    [
        ("1mo", "2018-05-01", "2018-04-01"),
        ("1mo", "2018-04-30", "2018-03-01"),
        ("1mo", "2018-05-01", "2018-04-03"),  # the first day of trade
        ("1mo", "2018-04-30T18:30", "2018-03-31T18:30"),  # midnight in India
        ("3mo", "2018-04-01", "2018-01-01"),
        ("1y", "2019-01-01", "2018-01-01"),
    ],
)
def test_stored_months_lie_wholly_inside(timeframe, end, opens):
    month = Timeframe.parse(timeframe)
    start = TimeRange.of(opens, None).start
    bound = TimeRange.of(None, end).opens(month, month).end
    assert start < bound <= int(month.shift(np.array([start]), 1)[0])


def test_built_bars_lie_wholly_inside_on_the_grid_of_their_origin():
    window, origin = TimeRange.of("2024-03-01", "2024-03-31"), Origin.parse("17:00 America/New_York")
    found = {text: window.opens(Timeframe.parse(text), M1, origin) for text in ("1d", "1w", "1mo", "4h")}
    assert {
        text: (iso(opens.start), iso(opens.end)) for text, opens in found.items() if not opens.is_empty
    } == {
        "1d": ("2024-03-01T22:00:00Z", "2024-03-30T21:00:00Z"),
        "1w": ("2024-03-03T22:00:00Z", "2024-03-24T21:00:00Z"),
        "4h": ("2024-03-01T02:00:00Z", "2024-03-30T21:00:00Z"),
    }
    assert window.opens(M1, M1, origin) == window.opens(M1, M1)
