"""Inputs that a market or a file will sooner or later bring."""

import math

import numpy as np
import pytest
from oracles import DAY, FREE, make_bars

import backtune
from backtune.errors import SpecError
from backtune.simulation.metrics import METRICS
from backtune.strategy.registry import BUILT_IN

RNG = np.random.default_rng(11)


def walk(n: int) -> np.ndarray:
    return 100 * np.exp(np.cumsum(RNG.normal(0, 0.01, n)))


ODD = {
    "one bar": make_bars([5.0], [5.1]),
    "two bars": make_bars([5.0, 5.1], [5.1, 5.0]),
    "constant price": make_bars(np.full(600, 0.1), np.full(600, 0.1)),
    "gap of days": make_bars(
        walk(600), walk(600), np.concatenate([np.arange(300), 400 + np.arange(300)]) * DAY
    ),
    "fall of 99.99 %": make_bars(np.geomspace(1.0, 1e-4, 600), np.geomspace(1.0, 1e-4, 600)),
    "rise to ten thousand times": make_bars(np.geomspace(1e-4, 1.0, 600), np.geomspace(1e-4, 1.0, 600)),
    "tiny prices": make_bars(walk(600) * 1e-12, walk(600) * 1e-12),
    "huge prices": make_bars(walk(600) * 1e12, walk(600) * 1e12),
    "one spike": make_bars(np.where(np.arange(600) == 300, 1e4, 1.0), np.ones(600)),
}


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"period": 14.9}, "params.period: 14.9 is not a whole number"),
        ({"period": True}, "params.period: True is not a number"),
        ({"period": "14"}, "params.period: '14' is not a number"),
        ({"period": math.nan}, "params.period: nan is not a finite number"),
        ({"oversold": "low"}, "params.oversold: 'low' is not a number"),
        ({"overbought": False}, "params.overbought: False is not a number"),
        ({"stop_loss": "0.05"}, "execution.stop_loss: '0.05' is not a number between 0 and 1"),
        ({"stop_loss": True}, "execution.stop_loss: True is not a number between 0 and 1"),
    ],
)
def test_parameters_of_another_type_are_refused(params, problem):
    with pytest.raises(SpecError) as caught:
        backtune.backtest("RSIStrategy", params, ODD["constant price"])
    assert str(caught.value) == problem


def test_a_whole_number_is_one_however_it_is_written():
    market = make_bars(walk(300), walk(300))
    results = [
        backtune.backtest("RSIStrategy", {"period": n}, market, FREE) for n in (14, 14.0, np.int64(14))
    ]
    assert results[0].metrics == results[1].metrics == results[2].metrics


@pytest.mark.parametrize("strategy", BUILT_IN)
@pytest.mark.parametrize("bars", ODD.values(), ids=ODD)
@pytest.mark.parametrize("execution", [{}, {"stop_loss": 0.02, "take_profit": 0.05, "trailing_stop": 0.03}])
def test_every_metric_is_a_finite_number_or_none(strategy, bars, execution):
    result = backtune.backtest(strategy, {}, bars, execution)
    assert result.metrics.keys() == METRICS.keys()
    assert all(value is None or math.isfinite(value) for value in result.metrics.values())
    assert result.equity.shape == (len(bars),)
    assert (result.equity >= 0.0).all()
    assert result.trades.height == result.metrics["total_trades"]


@pytest.mark.parametrize("strategy", BUILT_IN)
def test_a_constant_price_brings_no_trade_and_costs_nothing(strategy):
    result = backtune.backtest(strategy, {}, ODD["constant price"])
    assert result.metrics["total_trades"] == 0
    assert result.metrics["total_return"] == 0.0
    assert result.metrics["sharpe_ratio"] is None
    assert (result.equity == 10_000.0).all()


def test_a_million_bars():
    closes = walk(1_000_000)
    opens = np.concatenate([[100.0], closes[:-1]])
    bars = make_bars(opens, closes, np.arange(1_000_000) * 60_000_000, timeframe="1m", bars_per_year=525_960)
    result = backtune.backtest("MovingAverageCrossover", {}, bars, FREE)
    returns = np.diff(result.equity, prepend=10_000.0) / np.concatenate([[10_000.0], result.equity[:-1]])
    sharpe = returns.mean() / returns.std(ddof=1) * math.sqrt(525_960)
    assert result.metrics["sharpe_ratio"] == pytest.approx(sharpe, rel=1e-9)
    peaks = np.maximum.accumulate(np.maximum(result.equity, 10_000.0))
    assert result.metrics["max_drawdown"] == pytest.approx((1 - result.equity / peaks).max(), rel=1e-12)
    assert result.trades["pnl"].sum() == pytest.approx(
        result.equity[-1] - 10_000.0 - result.quantity * (closes[-1] - result.entry_price), rel=1e-6
    )
