"""Durations as traders write them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.errors import SpecError
from backtune.spec.timeframe import Timeframe


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("1s", 1, "1s"),
        ("90s", 90, "90s"),
        ("60s", 60, "1m"),
        ("1m", 60, "1m"),
        ("15m", 900, "15m"),
        ("60m", 3_600, "1h"),
        ("90m", 5_400, "90m"),
        ("4h", 14_400, "4h"),
        ("24h", 86_400, "1d"),
        ("1d", 86_400, "1d"),
        ("7d", 604_800, "1w"),
        ("1w", 604_800, "1w"),
        ("1mo", 2_629_800, "1mo"),  # 365.25 / 12 days
        ("1M", 2_629_800, "1mo"),
        ("3M", 7_889_400, "3mo"),
        ("12mo", 31_557_600, "1y"),
        ("1y", 31_557_600, "1y"),
        ("18mo", 47_336_400, "18mo"),
        ("24mo", 63_115_200, "2y"),
    ],
)
def test_read_and_written(text: str, seconds: int, written: str) -> None:
    timeframe = Timeframe.parse(text)
    assert timeframe.seconds == seconds
    assert timeframe.microseconds == seconds * 1_000_000
    assert str(timeframe) == written
    assert Timeframe.parse(written) == timeframe


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "15",
        "0m",
        "-1m",
        "1.5h",
        "1Mo",
        "1 h",
        " 1h",
        "1h\n",
        "1h30m",
        "01m",
        "1Y",
        "01mo",
        "1min",
        "\u0661m",
    ],
)
def test_not_a_timeframe(text: str) -> None:
    with pytest.raises(SpecError, match="is not a timeframe; write a whole number and a unit") as caught:
        Timeframe.parse(text, key="grid.timeframes")
    assert caught.value.key == "grid.timeframes"
    assert caught.value.value == text


def test_longer_is_greater() -> None:
    texts = ["1y", "1d", "1mo", "15m", "4w", "1w", "1h"]
    assert sorted(texts, key=Timeframe.parse) == ["15m", "1h", "1d", "1w", "4w", "1mo", "1y"]
    assert Timeframe.parse("60m") == Timeframe.parse("1h")
    assert Timeframe.parse("12mo") == Timeframe.parse("1y")
    assert Timeframe.parse("1mo") != Timeframe(2_629_800)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.sampled_from("smhdwy"), st.sampled_from("smhdwy"))
def test_no_two_lengths_are_written_alike_but_for_case(one, other, unit, another):
    frames = [Timeframe.parse(f"{one}{unit}"), Timeframe.parse(f"{other}{another}"), Timeframe.of_months(one)]
    assert len({str(frame).lower() for frame in frames}) == len(set(frames))
    assert [Timeframe.parse(str(frame)) for frame in frames] == frames


def micros(*moments: str) -> np.ndarray:
    return np.array(moments, "M8[us]").astype(np.int64)


@pytest.mark.parametrize(
    ("text", "opens", "end"),
    [
        ("1h", "2024-01-01T00:30", "2024-01-01T01:30"),
        ("1mo", "2024-01-01", "2024-02-01"),
        ("1mo", "2024-02-01", "2024-03-01"),
        ("1mo", "2023-12-01", "2024-01-01"),
        ("1mo", "1969-12-01", "1970-01-01"),
        ("3mo", "2024-01-01", "2024-04-01"),
        ("1y", "2024-01-01", "2025-01-01"),
        ("1mo", "2024-01-31T18:30", "2024-02-29T18:30"),  # midnight in India
        ("1mo", "2024-01-02", "2024-02-01"),  # the first day of trade
        ("1mo", "2024-01-01T05:00", "2024-02-01"),  # midnight in New York
    ],
)
def test_the_end_of_a_bar(text: str, opens: str, end: str) -> None:
    timeframe = Timeframe.parse(text)
    assert timeframe.ends(micros(opens)).tolist() == micros(end).tolist()
    assert timeframe.end_of(int(micros(opens)[0])) == micros(end)[0]


@given(
    st.sampled_from(["15m", "1d", "1w", "1mo", "3mo", "1y"]),
    st.integers(-(10**15), 4 * 10**15),
    st.integers(-20, 20),
)
def test_the_latest_open_is_the_latest(text: str, end: int, near: int) -> None:
    timeframe = Timeframe.parse(text)
    latest = timeframe.latest_open(end)
    assert timeframe.end_of(latest) <= end < timeframe.end_of(latest + 1)
    hour = 3_600_000_000
    assert (timeframe.end_of(latest + near * hour) <= end) == (near <= 0)


@pytest.mark.parametrize(
    ("text", "opens", "n_bars", "then"),
    [
        ("4h", "2024-01-01", 3, "2024-01-01T12:00"),
        ("1mo", "2024-01-01", 14, "2025-03-01"),
        ("1mo", "2024-01-31T18:30", 1, "2024-02-29T18:30"),
        ("3mo", "2024-01-02", -1, "2023-10-02"),
        ("1y", "2024-01-01", 2, "2026-01-01"),
    ],
)
def test_shifted_by_whole_bars(text: str, opens: str, n_bars: int, then: str) -> None:
    assert Timeframe.parse(text).shift(micros(opens), n_bars).tolist() == micros(then).tolist()


@pytest.mark.parametrize(
    ("text", "opens", "steps"),
    [
        ("1h", ["2024-01-01T00:00", "2024-01-01T01:00", "2024-01-01T01:30", "2024-01-01T04:30"], [1, 0.5, 3]),
        (
            "1d",
            ["2024-03-09T05:00", "2024-03-10T05:00", "2024-03-11T04:00", "2024-03-14T04:00"],
            [1, 1, 3],
        ),  # New York
        ("1mo", ["2024-01-01", "2024-02-01", "2024-03-01", "2024-06-01", "2024-06-02"], [1, 1, 3, 0]),
        ("1mo", ["2024-01-31T22:00", "2024-02-29T22:00", "2024-03-31T21:00"], [1, 1]),
        ("3mo", ["2024-01-01", "2024-04-01", "2024-10-01"], [1, 2]),
    ],
)
def test_steps_between_bars(text: str, opens: list[str], steps: list[float]) -> None:
    assert Timeframe.parse(text).steps(micros(*opens)).tolist() == steps


@pytest.mark.parametrize(
    ("shorter", "longer", "divides"),
    [
        ("1m", "1h", True), ("7m", "1h", False), ("1h", "1h", True), ("1d", "1w", True), ("1d", "1mo", True),
        ("4h", "1mo", True), ("7h", "1mo", False), ("2d", "1mo", False), ("1w", "1mo", False), ("1w", "1y", False),
        ("1mo", "1y", True), ("1mo", "3mo", True), ("2mo", "3mo", False), ("3mo", "1y", True), ("1mo", "52w", False),
        ("1mo", "1461d", False), ("1d", "1y", True),
    ],
)  # fmt: skip
def test_what_divides_what(shorter: str, longer: str, divides: bool) -> None:
    assert Timeframe.parse(shorter).divides(Timeframe.parse(longer)) == divides


def test_no_month_is_longer_than_the_bound_on_it() -> None:
    for text in ("1mo", "2mo", "3mo", "1y"):
        timeframe = Timeframe.parse(text)
        opens = timeframe.shift(np.full(100, micros("1999-01-01")[0]), np.arange(100))
        assert (np.diff(opens) <= timeframe.longest_microseconds).all()
    assert Timeframe(60).longest_microseconds == 60_000_000
