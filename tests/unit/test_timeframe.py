"""Durations as traders write them."""

from __future__ import annotations

import pytest

from backtune.errors import SpecError
from backtune.timeframe import Timeframe


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
    texts = ["1d", "15m", "1w", "1h"]
    assert sorted(texts, key=Timeframe.parse) == ["15m", "1h", "1d", "1w"]
    assert Timeframe.parse("60m") == Timeframe.parse("1h")
