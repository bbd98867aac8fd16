from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from backtune.data.window import Window, iso
from backtune.errors import SpecError
from backtune.timeframe import Timeframe

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
    assert iso(Window.of(moment, None).start) == expected


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
        Window.of(start, end)


@pytest.mark.parametrize(
    ("target", "start", "end", "first", "beyond"),
    [
        ("1h", "2018-01-01", "2018-01-02", "2018-01-01T00:00:00Z", "2018-01-02T00:00:00Z"),
        ("1h", "2018-01-01T00:30", "2018-01-01T05:59", "2018-01-01T01:00:00Z", "2018-01-01T05:00:00Z"),
        ("7h", "2018-01-01", "2018-01-02", "2018-01-01T02:00:00Z", "2018-01-01T23:00:00Z"),
        ("1w", "2018-01-02", "2018-01-31", "2018-01-08T00:00:00Z", "2018-01-29T00:00:00Z"),
        ("1w", "2018-01-01", "2018-01-08", "2018-01-01T00:00:00Z", "2018-01-08T00:00:00Z"),
        ("2w", "2018-01-01", "2018-01-31", "2018-01-01T00:00:00Z", "2018-01-29T00:00:00Z"),
    ],
)
def test_built_bars_lie_wholly_inside(target, start, end, first, beyond):
    opens = Window.of(start, end).opens(Timeframe.parse(target), M1)
    assert (iso(opens.start), iso(opens.end)) == (first, beyond)


def test_stored_bars_lie_wholly_inside():
    hour = Timeframe.parse("1h")
    opens = Window.of("2018-01-01", "2018-01-01T05:30").opens(hour, hour)
    assert iso(opens.end) == "2018-01-01T04:30:00.000001Z"  # the bar of 04:30 would end with the window
