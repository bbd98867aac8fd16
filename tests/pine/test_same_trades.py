"""Exported scripts, run in an independent runtime, make the trades of the backtest."""

import numpy as np
import pytest
from oracles import shared
from pine_runs import (
    CASH,
    PineRun,
    Trade,
    gapless,
    pine_equity,
    pinets,
    run_scripts,
    script_of,
    trades_of,
    with_first_bar_levels,
)

from backtune.data.bars import Bars
from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars
from backtune.data.synthetic import synthetic_bars
from backtune.simulation.backtest import backtest
from backtune.spec import Execution
from backtune.strategy.registry import BUILT_IN

FREE = {"fee_bps": 0, "slippage_bps": 0}
EXECUTIONS = {
    "defaults": {},
    "fee": {"slippage_bps": 0},
    "slippage, half of equity": {"fee_bps": 0, "size": 0.5},
    "long only": {"slippage_bps": 0, "allow_short": False},
    "stop loss": {"fee_bps": 0, "stop_loss": 0.015},
    "stop loss, long only": {"slippage_bps": 0, "stop_loss": 0.015, "allow_short": False},
    "take profit": {"slippage_bps": 0, "take_profit": 0.02},
    "trailing stop, leverage": {"fee_bps": 0, "trailing_stop": 0.03, "size": 1.5, "leverage": 2},
    "all stops": {"slippage_bps": 0, "stop_loss": 0.03, "take_profit": 0.08, "trailing_stop": 0.05},
}
# Beside the defaults.
PARAMS = {
    "MovingAverageCrossover": {"fast_period": 3, "slow_period": 250},
    "RSIStrategy": {"period": 5, "oversold": 21.5, "overbought": 77.25},
    "MACDStrategy": {"fast_period": 5, "slow_period": 71, "signal_period": 30},
    "BollingerBandsStrategy": {"period": 47, "num_std": 1.234},
}
CASES = [(name, label, {}) for name in BUILT_IN for label in EXECUTIONS] + [
    (name, label, params) for name, params in PARAMS.items() for label in ("fee", "stop loss")
]


def rules_of(label: str) -> Execution:
    return Execution(initial_cash=CASH, **EXECUTIONS[label])


@pytest.fixture(scope="module")
def bitcoin(tmp_path_factory) -> str:
    """A catalog of real minutes."""
    root = str(tmp_path_factory.mktemp("bitcoin"))
    import_bars([str(shared("market/bars_1m/BTCUSD_1m_2018_2019.parquet"))], root)
    return root


@pytest.fixture(scope="module")
def market(request) -> Bars:
    """Hourly bars, synthetic or built from real minutes; as they come, or each opening at the close before."""
    pinets()
    origin, _, shape = request.param.partition(", ")
    if origin == "real":
        bars = load_bars(request.getfixturevalue("bitcoin"), "BTCUSD", "1h", "2018-01-01", "2018-05-01")
    else:
        bars = synthetic_bars("A", "1h", "2021-01-01", "2021-03-01", seed=9)
    return gapless(bars) if shape else bars


@pytest.fixture(scope="module")
def runs(market) -> list[PineRun]:
    return run_scripts([(market, script_of(name, rules_of(label), params)) for name, label, params in CASES])


AS_THEY_COME = pytest.mark.parametrize("market", ["synthetic", "real"], indirect=True)
GAPLESS = pytest.mark.parametrize("market", ["synthetic, gapless", "real, gapless"], indirect=True)


def expected(market: Bars, case: int) -> tuple[np.ndarray, list[Trade], float]:
    name, label, params = CASES[case]
    rules = rules_of(label)
    result = backtest(name, params, market, rules)
    sides = BUILT_IN[name](**params).positions(market)
    targets = sides if rules.allow_short else np.maximum(sides, 0)
    return targets, trades_of(result, targets, market, rules), float(result.equity[-1])


def assert_same_trades(got: list[Trade], trades: list[Trade]) -> None:
    assert [trade[:3] for trade in got] == [trade[:3] for trade in trades]
    for column, digits in ((3, 1e-12), (4, 1e-11)):
        prices = (
            [np.nan if trade[column] is None else trade[column] for trade in some] for some in (got, trades)
        )
        np.testing.assert_allclose(*prices, rtol=digits)


@pytest.mark.parametrize(
    "case", range(len(CASES)), ids=lambda case: f"{CASES[case][0]}-{CASES[case][1]}-{case}"
)
@AS_THEY_COME
def test_every_target_and_trade_is_the_backtests(market, runs, case):
    """Bars, sides and prices are; money is, but for the two differences that the script states."""
    targets, trades, equity = expected(market, case)
    run, rules = runs[case], rules_of(CASES[case][1])
    assert np.array_equal(run.targets, targets)
    assert len(trades) > 5
    assert_same_trades(run.trades, with_first_bar_levels(trades, market))
    assert run.equity == pytest.approx(pine_equity(run.trades, market, rules), rel=1e-9)
    assert run.equity == pytest.approx(equity, rel=2e-3)


@pytest.mark.parametrize(
    "case", range(len(CASES)), ids=lambda case: f"{CASES[case][0]}-{CASES[case][1]}-{case}"
)
@GAPLESS
def test_where_bars_open_at_the_close_before_the_money_is_the_backtests_too(market, runs, case):
    _, trades, equity = expected(market, case)
    rules = rules_of(CASES[case][1])
    assert_same_trades(runs[case].trades, trades)
    # The fee on the slippage is left out, which a gain and a loss have the opposite sign of.
    tolerance = 1e-9 if not rules.fee_bps * rules.slippage_bps else 1e-6
    assert runs[case].equity == pytest.approx(equity, rel=tolerance)
