"""Metrics of equity paths worked out by hand, and of published examples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from oracles import FREE, assert_metrics, make_bars, metrics_of_path

from backtune.data.bars import Bars
from backtune.simulation.backtest import backtest_positions
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.metrics import METRICS
from backtune.simulation.simulate import simulate_positions

YEAR = 31_557_600_000_000


def path(closes: list[float], bars_per_year: float, step: int) -> Bars:
    """Bars bought at 100 with all cash on the second open, so that equity follows the close."""
    opens = [100.0, *closes[:-1]]
    times = np.arange(len(closes)) * step
    return make_bars(opens, closes, times, timeframe=f"{step // 1_000_000}s", bars_per_year=bars_per_year)


def metrics(bars: Bars) -> dict[str, float | None]:
    return backtest_positions(np.ones(len(bars)), bars, FREE).metrics


def test_every_metric_of_equity_by_hand() -> None:
    # Equity 1, 1.2, 0.9, 0.9, 1.08 in units of the cash, over one year in five bars: bpy 5.
    # Returns 0, 0.2, -0.25, 0, 0.2: mean 0.03; squared deviations 0.0009, 0.0289, 0.0784, 0.0009, 0.0289 sum to
    # 0.138, so the variance is 0.0345. Downside: 0.0625 / 5 = 0.0125. Drawdowns 0, 0, 0.25, 0.25, 0.1.
    ours = metrics(path([100, 120, 90, 90, 108], 5, YEAR // 5))
    assert {name: ours[name] for name in list(METRICS)[:9]} == pytest.approx(
        {
            "total_return": 0.08,
            "annual_return": 0.08,
            "volatility": math.sqrt(0.0345 * 5),
            "sharpe_ratio": 0.03 / math.sqrt(0.0345) * math.sqrt(5),
            "sortino_ratio": 0.6,
            "calmar_ratio": 0.32,
            "max_drawdown": 0.25,
            "ulcer_index": math.sqrt((625 + 625 + 100) / 5),
            "burke_ratio": 0.32,
        },
        rel=1e-12,
    )


def test_burke_sums_episodes_and_not_bars() -> None:
    # Down 10 and 20 percent, recovered; down 30 percent, open at the end: sqrt(0.04 + 0.09) over one year.
    ours = metrics(path([100, 90, 80, 100, 110, 77, 88], 7, YEAR // 7))
    assert ours["total_return"] == pytest.approx(-0.12)
    assert ours["burke_ratio"] == pytest.approx(-0.12 / math.sqrt(0.2**2 + 0.3**2))


def test_the_first_bar_can_be_a_loss_from_the_initial_cash() -> None:
    bars = make_bars([100, 100, 90], [100, 90, 95])
    ours = metrics(bars)
    assert ours["max_drawdown"] == pytest.approx(0.1)


def test_annualising_is_by_elapsed_time_and_deviations_by_bars() -> None:
    # 21 percent over two years is 10 percent a year, however many bars there are.
    ours = metrics(path([100, 100, 110, 121], 252, YEAR // 2))
    assert ours["annual_return"] == pytest.approx(0.1)
    assert ours["volatility"] == pytest.approx(np.std([0, 0, 0.1, 0.1], ddof=1) * math.sqrt(252))


def test_a_gap_counts_as_elapsed_time() -> None:
    day = 86_400_000_000
    times = np.array([0, 1, 364.25]) * day
    bars = make_bars([100, 100, 120], [100, 120, 150], times)
    ours = metrics(bars)
    assert ours["annual_return"] == pytest.approx(0.5)
    assert ours["trades_per_month"] == 0


def earned(returns: list[float], per_year: int) -> dict[str, float | None]:
    """Metrics of bars with these returns, ``per_year`` of them a year, all held with all cash."""
    return followed(np.cumprod([1 + r for r in returns]), per_year)


def followed(levels: Any, per_year: int) -> dict[str, float | None]:
    """Metrics of equity that closes at these multiples of the cash, on bars of which a year has ``per_year``."""
    seconds = YEAR // per_year // 1_000_000
    prices = 100 * np.array([1.0, 1.0, *levels])
    times = np.arange(len(levels) + 1) * seconds * 1_000_000
    bars = make_bars(prices[:-1], prices[1:], times, timeframe=f"{seconds}s", bars_per_year=per_year)
    return simulate_positions(np.ones(len(bars)), BarWindow.of(bars, 1), FREE).metrics


# The portfolio of Bacon, "Practical Portfolio Performance Measurement and Attribution", 2nd ed. (2008), p. 65: 24
# months, as in the data set portfolio_bacon of R's PerformanceAnalytics.
BACON = [
    0.003, 0.026, 0.011, -0.010, 0.015, 0.025, 0.016, 0.067, -0.014, 0.040, -0.005, 0.081,
    0.040, -0.037, -0.061, 0.017, -0.049, -0.022, 0.070, 0.058, -0.065, 0.024, -0.005, -0.009,
]  # fmt: skip
# The series of the tests of Quantopian's empyrical (tests/test_stats.py), as monthly_returns.
EMPYRICAL = [0, 0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10]


def test_published_sharpe_ratios() -> None:
    """Bacon's portfolio by month, annualised by 12, and empyrical's daily ``mixed_returns``, by 252.

    The first value is that of "Sharpe ratio #1" in the tests of github.com/lequant40/portfolio_analytics_js. Of
    Sharpe's own papers no example was found that gives returns and a ratio with ddof 1.
    """
    assert earned(BACON, 12)["sharpe_ratio"] == pytest.approx(0.22756845566238826 * math.sqrt(12), rel=1e-12)
    assert earned(EMPYRICAL[1:], 252)["sharpe_ratio"] == pytest.approx(1.7238613961706866, rel=1e-12)


def test_published_sortino_ratios() -> None:
    """Rollinger and Hoffman, "Sortino: A 'Sharper' Ratio" (Red Rock Capital): eight years with a target of 0.

    And empyrical's monthly series.
    """
    annual = [0.17, 0.15, 0.23, -0.05, 0.12, 0.09, 0.13, -0.04]
    ours = earned(annual, 1)["sortino_ratio"]
    assert ours == pytest.approx(4.417, abs=5e-4)
    assert ours == pytest.approx(0.1 / math.sqrt((0.05**2 + 0.04**2) / 8), rel=1e-12)
    assert earned(EMPYRICAL, 12)["sortino_ratio"] == pytest.approx(0.53605626741889756, rel=1e-12)


def test_published_calmar_ratio() -> None:
    """empyrical's monthly series: annual return, volatility, worst drawdown of a tenth, and Calmar ratio."""
    ours = earned(EMPYRICAL, 12)
    expected = {
        "annual_return": 0.052242061386048144,
        "volatility": 0.18663690238892558,
        "max_drawdown": 0.1,
        "calmar_ratio": 0.52242061386048144,
    }
    assert {name: ours[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_published_ulcer_indices() -> None:
    """The first example of portfolio_analytics_js (lequant40), and Bacon's Martin ratio (2008, p. 91).

    100, 110, 105, 102, 95 has drawdowns of 0, 0, 5, 8 and 15 in 110: the root of 314 / (5 x 110^2). The Martin ratio is
    the annual return over the index; the manual of PerformanceAnalytics gives Bacon's as 1.70. Martin's own
    spreadsheet (tangotools.com/ui) holds index closes that are not ours to copy.
    """
    steps = [0, 110 / 100 - 1, 105 / 110 - 1, 102 / 105 - 1, 95 / 102 - 1]
    assert earned(steps, 1)["ulcer_index"] == pytest.approx(100 * 0.07204222820421435, rel=1e-12)
    bacon = earned(BACON, 12)
    assert bacon["annual_return"] == pytest.approx(0.104, abs=5e-4)
    martin = (bacon["annual_return"] or 0) / (bacon["ulcer_index"] or 1) * 100
    assert martin == pytest.approx(1.70, abs=0.01)


def test_published_burke_ratio() -> None:
    """Bacon's Burke ratio (2008, p. 90), 0.74 by the manual of PerformanceAnalytics.

    That code (R/BurkeRatio.R) takes each run of losing months as a drawdown, also within a longer one, so its seven
    are put in a path where each is recovered. For the months themselves, with drawdowns from peak to recovery, no
    published value was found: three small ones and one that is deepest in month 18 are worked out by hand.
    """
    runs = [0.010, 0.014, 0.005, 0.037 + 0.061, 0.049 + 0.022, 0.065, 0.005 + 0.009]
    growth = float(np.prod([1 + r for r in BACON]))
    # Two years in 16 bars.
    path_of_runs = followed([1, *(level for run in runs for level in (1 - run, 1)), growth], 8)
    assert path_of_runs["annual_return"] == pytest.approx(0.1037, abs=5e-5)
    assert path_of_runs["burke_ratio"] == pytest.approx(0.74, abs=5e-3)

    deepest = 1 - (1 - 0.037) * (1 - 0.061) * (1 + 0.017) * (1 - 0.049) * (1 - 0.022)
    root = math.sqrt(0.010**2 + 0.014**2 + 0.005**2 + deepest**2)
    assert earned(BACON, 12)["burke_ratio"] == pytest.approx((math.sqrt(growth) - 1) / root, rel=1e-12)


PATHS = {
    "wave": [100, 103, 99, 104, 97, 97, 110, 120, 90],
    "up": [100, 101, 103, 110],
    "down": [100, 99, 80, 79.5],
    "crash": [100, 100, 0.01, 0.02],
    "flat": [100, 100, 100, 100],
    "flat after": [100, 130, 130, 130, 130],
}


@pytest.mark.parametrize("closes", PATHS.values(), ids=PATHS)
def test_plain_formulas(closes: list[float]) -> None:
    bars = path(closes, 365.25, 86_400_000_000)
    result = backtest_positions(np.ones(len(bars)), bars, FREE)
    expected = metrics_of_path(result.equity, bars, 10_000)
    assert_metrics(result.metrics, expected)


UNDEFINED = {
    "no trade": (
        [100, 100, 100, 100], [0, 0, 0, 0],
        {"sharpe_ratio", "sortino_ratio", "calmar_ratio", "burke_ratio", "win_rate", "profit_factor", "average_win",
         "average_loss", "largest_win", "largest_loss", "average_trade_hours"},
    ),
    "only gains, open at the end": (
        [100, 101, 103, 110], [1, 1, 1, 1],
        {"sortino_ratio", "calmar_ratio", "burke_ratio", "win_rate", "profit_factor", "average_win", "average_loss",
         "largest_win", "largest_loss", "average_trade_hours"},
    ),
    "one winning trade": (
        [100, 101, 103, 110], [1, 0, 0, 0],
        {"sortino_ratio", "calmar_ratio", "burke_ratio", "profit_factor", "average_loss", "largest_loss"},
    ),
    "one losing trade": ([100, 99, 80, 70], [1, 1, 0, 0], {"average_win", "largest_win"}),
}  # fmt: skip


@pytest.mark.parametrize(("closes", "targets", "undefined"), UNDEFINED.values(), ids=UNDEFINED)
def test_what_is_undefined_is_none(closes: list[float], targets: list[float], undefined: set[str]) -> None:
    ours = backtest_positions(targets, path(closes, 365.25, 86_400_000_000), FREE).metrics
    assert {name for name, value in ours.items() if value is None} == undefined
    assert all(math.isfinite(value) for value in ours.values() if value is not None)


def test_equal_returns_have_no_sharpe_ratio() -> None:
    # Bought at the first open of the window, 0.1 on every bar, up to rounding.
    bars = make_bars([100 * 1.1**i for i in range(31)], [100 * 1.1 ** (i + 1) for i in range(31)])
    ours = simulate_positions(np.ones(31), BarWindow.of(bars, 1), FREE).metrics
    assert ours["total_return"] == pytest.approx(1.1**30 - 1)
    assert ours["sharpe_ratio"] is None
    assert ours["volatility"] == 0


def test_a_growth_too_large_for_a_year_is_undefined() -> None:
    # 20 percent in two minutes, compounded over a year, is beyond a float.
    bars = make_bars([100, 100], [100, 120], [0, 60_000_000], timeframe="1m")
    ours = metrics(bars)
    assert ours["annual_return"] is None
    assert ours["total_return"] == pytest.approx(0.2)


def test_names_and_order() -> None:
    assert list(METRICS) == [
        "total_return", "annual_return", "volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio",
        "max_drawdown", "ulcer_index", "burke_ratio", "total_trades", "win_rate", "profit_factor", "average_win",
        "average_loss", "largest_win", "largest_loss", "average_trade_hours", "trades_per_month", "exposure",
        "turnover",
    ]  # fmt: skip
