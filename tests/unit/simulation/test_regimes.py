"""Market regimes against a table reckoned by hand, and what a backtest did in each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from oracles import make_bars
from polars.testing import assert_frame_equal

from backtune.errors import BarsError, SpecError
from backtune.simulation.regimes import (
    REGIMES,
    classify_regimes,
    default_lookback_bars,
    measure_performance_by_regime,
)

UNKNOWN, BULL_LOW, BULL_HIGH, BEAR_LOW, BEAR_HIGH = range(5)

# With a lookback of 2. The columns tell what the close of the bar before makes of it: its mean of two closes, the
# root mean square of its last two log returns in units of log 2, and the median of those so far.
TABLE = [
    # close, regime    bar before: mean, volatility, median
    (1, UNKNOWN),
    (2, UNKNOWN),
    (1, UNKNOWN),  # 1.5, -, -
    (2, UNKNOWN),  # 1.5, 1, 1
    (4, BULL_LOW),  # 1.5, 1, 1: above its mean, as volatile as ever
    (16, BULL_LOW),  # 3, 1, 1
    (4, BULL_HIGH),  # 10, 1.58, 1
    (4, BEAR_HIGH),  # 10, 2, 1
    (4, BULL_HIGH),  # 4, 1.41, 1.21: at its mean
    (2, BULL_LOW),  # 4, 0, 1
    (1, BEAR_LOW),  # 3, 0.71, 1
]


def of_closes(*closes: float) -> Any:
    return make_bars(closes, closes)


def test_regimes_of_the_table() -> None:
    bars = of_closes(*(close for close, _ in TABLE))
    assert classify_regimes(bars, 2).tolist() == [regime for _, regime in TABLE]
    assert classify_regimes(bars, 2).dtype == np.int8


def test_names_go_with_the_numbers() -> None:
    assert [REGIMES[code] for code in (UNKNOWN, BULL_LOW, BULL_HIGH, BEAR_LOW, BEAR_HIGH)] == [
        "unknown",
        "bull_low_volatility",
        "bull_high_volatility",
        "bear_low_volatility",
        "bear_high_volatility",
    ]


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_short_data_is_unknown(n: int) -> None:
    assert classify_regimes(of_closes(*range(1, n + 1)), 2).tolist() == [UNKNOWN] * n


@pytest.mark.parametrize("price", [1e-9, 0.1, 7.3, 1e9])
def test_a_constant_price_is_a_calm_bull_market(price: float) -> None:
    found = classify_regimes(of_closes(*[price] * 50), 7)
    assert found.tolist() == [UNKNOWN] * 14 + [BULL_LOW] * 36


@pytest.mark.parametrize(
    ("bars_per_year", "expected"),
    [(365.25, 30), (8766.0, 720), (525_960.0, 43_200), (252.0, 21), (52.18, 10), (12.0, 10)],
)
def test_the_default_lookback_is_thirty_days(bars_per_year: float, expected: int) -> None:
    bars = make_bars([1.0], [1.0], bars_per_year=bars_per_year)
    assert default_lookback_bars(bars) == expected


def test_performance_of_each_regime() -> None:
    bars = of_closes(*(close for close, _ in TABLE))
    # Returns of the last five bars: 0.1, -0.5, 0, 1, 0.25.
    frame = measure_performance_by_regime(np.array([110.0, 55.0, 55.0, 110.0, 137.5]), bars, 100.0, 2)
    deviation = 0.1 / math.sqrt(2)
    year = math.sqrt(365.25)
    expected = {
        "regime": REGIMES,
        "n_bars": (0, 1, 2, 1, 1),
        "share": (0.0, 0.2, 0.4, 0.2, 0.2),
        "mean_return": (None, 1.0, 0.05, 0.25, -0.5),
        "total_return": (0.0, 1.0, 0.1, 0.25, -0.5),
        "volatility": (None, None, deviation * year, None, None),
        "sharpe_ratio": (None, None, 0.05 / deviation * year, None, None),
    }
    assert_frame_equal(frame, pl.DataFrame(expected), rel_tol=1e-12)


def test_equal_returns_have_no_sharpe_ratio() -> None:
    bars = of_closes(*[5.0] * 10)
    row = measure_performance_by_regime(100 * 1.01 ** np.arange(1, 11), bars, 100.0, 2).row(1, named=True)
    assert (row["n_bars"], row["volatility"], row["sharpe_ratio"]) == (6, 0.0, None)
    assert row["mean_return"] == pytest.approx(0.01)


def test_ruin_loses_everything_once() -> None:
    frame = measure_performance_by_regime(np.array([50.0, 0.0, 0.0, 0.0]), of_closes(1, 1, 1, 1), 100.0, 2)
    assert frame.row(0, named=True)["total_return"] == -1.0
    assert frame.row(0, named=True)["mean_return"] == pytest.approx((-0.5 - 1) / 4)


@pytest.mark.parametrize(
    ("equity", "problem"),
    [
        ([], r"has shape \(0,\)"),
        ([1.0] * 4, r"has shape \(4,\), expected one value for each of 3 bars or of the last ones"),
        ([[1.0]], r"has shape \(1, 1\)"),
        ([1.0, math.nan], "row 1: nan is not finite, or negative"),
        ([-1.0], "row 0: -1.0 is not finite, or negative"),
    ],
)
def test_equity_that_cannot_be(equity: Any, problem: str) -> None:
    with pytest.raises(BarsError, match=problem):
        measure_performance_by_regime(np.array(equity), of_closes(1, 2, 3), 1.0, 2)


def test_a_lookback_needs_two_bars() -> None:
    with pytest.raises(SpecError, match="lookback_bars: 1 must be 2 or more"):
        classify_regimes(of_closes(1, 2, 3), 1)
