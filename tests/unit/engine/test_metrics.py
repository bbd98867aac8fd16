"""Metrics of equity paths worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backtune.data.bars import Bars
from backtune.engine.backtest import Window, backtest_positions, result_of
from backtune.engine.metrics import METRICS
from oracles import FREE, assert_metrics, make_bars, metrics_of_path

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
    ours = result_of(np.ones(31), Window.of(bars, 1), FREE).metrics
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
