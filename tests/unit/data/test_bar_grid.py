"""Where built bars open, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.data.bar_grid import BarGrid
from backtune.errors import SpecError
from backtune.spec.origin import Origin
from backtune.spec.timeframe import Timeframe

KOLKATA, NEW_YORK = "09:15 Asia/Kolkata", "17:00 America/New_York"


def grid(timeframe: str, origin: str = "00:00 UTC") -> BarGrid:
    return BarGrid(Timeframe.parse(timeframe), Origin.parse(origin))


def micros(moment: str) -> int:
    return int(np.datetime64(moment, "us").astype(np.int64))


def text(moment: int) -> str:
    return str(np.datetime64(moment, "us").astype("M8[m]"))


@pytest.mark.parametrize(
    ("timeframe", "origin", "moment", "opens", "ends"),
    [
        # A grid from the epoch.
        ("7h", "00:00 UTC", "2018-01-03T09:10", "2018-01-03T03:00", "2018-01-03T10:00"),
        ("4h", "00:00 UTC", "2018-01-03T09:10", "2018-01-03T08:00", "2018-01-03T12:00"),
        ("1d", "00:00 UTC", "2018-01-03T09:10", "2018-01-03T00:00", "2018-01-04T00:00"),
        ("2w", "00:00 UTC", "2018-01-03T09:10", "2018-01-01T00:00", "2018-01-15T00:00"),
        ("36h", "00:00 UTC", "2018-01-03T09:10", "2018-01-02T12:00", "2018-01-04T00:00"),
        ("1w", "00:00 UTC", "2018-01-03T09:10", "2018-01-01T00:00", "2018-01-08T00:00"),
        # Calendar months.
        ("1mo", "00:00 UTC", "2024-02-29T23:59", "2024-02-01T00:00", "2024-03-01T00:00"),
        ("1mo", "00:00 UTC", "1969-12-31T23:59", "1969-12-01T00:00", "1970-01-01T00:00"),
        ("3mo", "00:00 UTC", "2024-05-17T12:00", "2024-04-01T00:00", "2024-07-01T00:00"),
        ("1y", "00:00 UTC", "2024-05-17T12:00", "2024-01-01T00:00", "2025-01-01T00:00"),
        ("5mo", "00:00 UTC", "1970-06-02T00:00", "1970-06-01T00:00", "1970-11-01T00:00"),
        # Mumbai opens at 03:45 UTC.
        ("30m", KOLKATA, "2024-01-03T04:20", "2024-01-03T04:15", "2024-01-03T04:45"),
        ("1h", KOLKATA, "2024-01-03T04:20", "2024-01-03T03:45", "2024-01-03T04:45"),
        ("1h", KOLKATA, "2024-01-03T03:44", "2024-01-03T02:45", "2024-01-03T03:45"),
        (
            "7h",
            KOLKATA,
            "2024-01-03T03:44",
            "2024-01-03T00:45",
            "2024-01-03T03:45",
        ),  # the last of a day ends with it
        ("1d", KOLKATA, "2024-01-03T03:44", "2024-01-02T03:45", "2024-01-03T03:45"),
        ("1w", KOLKATA, "2024-01-03T03:44", "2024-01-01T03:45", "2024-01-08T03:45"),
        ("1mo", KOLKATA, "2024-02-01T03:44", "2024-01-01T03:45", "2024-02-01T03:45"),
        # New York: Monday's trade opens on Sunday at 17:00, that of the first on the evening before.
        ("1d", NEW_YORK, "2024-01-03T12:00", "2024-01-02T22:00", "2024-01-03T22:00"),
        ("1d", NEW_YORK, "2024-03-10T12:00", "2024-03-09T22:00", "2024-03-10T21:00"),  # 23 hours
        ("1d", NEW_YORK, "2024-11-03T12:00", "2024-11-02T21:00", "2024-11-03T22:00"),  # 25 hours
        ("4h", NEW_YORK, "2024-03-10T20:30", "2024-03-10T18:00", "2024-03-10T21:00"),
        ("4h", NEW_YORK, "2024-11-03T21:30", "2024-11-03T21:00", "2024-11-03T22:00"),
        ("1w", NEW_YORK, "2024-01-03T12:00", "2023-12-31T22:00", "2024-01-07T22:00"),
        ("1w", NEW_YORK, "2024-03-10T20:59", "2024-03-03T22:00", "2024-03-10T21:00"),
        ("1mo", NEW_YORK, "2024-03-31T20:59", "2024-02-29T22:00", "2024-03-31T21:00"),
        ("3mo", NEW_YORK, "2024-01-03T12:00", "2023-12-31T22:00", "2024-03-31T21:00"),
        ("1mo", "16:00 UTC", "2024-01-31T16:00", "2024-01-31T16:00", "2024-02-29T16:00"),
        ("1mo", "15:59 UTC", "2024-01-31T16:00", "2024-01-01T15:59", "2024-02-01T15:59"),
        # A midnight that the clocks skip, and a time that they show twice.
        ("1d", "00:00 America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00"),
        ("1d", "02:30 America/New_York", "2024-03-10T12:00", "2024-03-10T07:00", "2024-03-11T06:30"),
        ("1d", "01:30 America/New_York", "2024-11-03T06:00", "2024-11-03T05:30", "2024-11-04T06:30"),
        (
            "1d",
            "00:00 Pacific/Apia",
            "2011-12-30T12:00",
            "2011-12-30T10:00",
            "2011-12-31T10:00",
        ),  # a date skipped
    ],
)
def test_opens_and_ends(timeframe: str, origin: str, moment: str, opens: str, ends: str) -> None:
    found = grid(timeframe, origin)
    assert text(found.floor(micros(moment))) == opens
    assert text(int(found.ends_of(np.array([micros(opens)]))[0])) == ends
    assert text(found.ceil(micros(opens))) == opens
    assert text(found.ceil(micros(opens) + 1)) == ends
    assert text(found.floor(micros(ends) - 1)) == opens
    assert text(found.floor(micros(ends))) == ends


def test_lengths_that_are_no_whole_days_need_the_default() -> None:
    with pytest.raises(
        SpecError, match="bars of 36h are no whole days, so they cannot be counted from 09:15 Asia/Kolkata"
    ):
        grid("36h", KOLKATA)


ORIGINS = st.sampled_from(
    [
        "00:00 UTC",
        "22:00 UTC",
        KOLKATA,
        NEW_YORK,
        "00:00 America/Sao_Paulo",
        "02:30 Europe/Berlin",
        "00:00 Australia/Lord_Howe",
    ]
)
LENGTHS = st.sampled_from(["1m", "7m", "1h", "4h", "7h", "1d", "3d", "1w", "2w", "1mo", "3mo", "1y"])


@given(ORIGINS, LENGTHS, st.integers(-(10**15), 4 * 10**15))
def test_every_moment_lies_in_one_bar(origin: str, timeframe: str, moment: int) -> None:
    found = grid(timeframe, origin)
    opens, ceil = found.floor(moment), found.ceil(moment)
    (ends,) = found.ends_of(np.array([opens])).tolist()
    assert opens <= moment < ends
    assert ceil == (moment if opens == moment else ends)
    assert found.floor(opens) == opens == found.floor(ends - 1)
    assert found.floor(ends) == ends
    hour = 3_600_000_000
    assert ends - opens <= Timeframe.parse(timeframe).longest_microseconds + hour


def test_what_lies_beyond_the_table_of_days_counts_to_its_ends() -> None:
    found = grid("1d", KOLKATA)
    assert text(found.floor(micros("0001-01-01"))) == "1900-01-01T03:53"
    assert text(found.floor(micros("9999-01-01"))) == "2199-12-31T03:45"
