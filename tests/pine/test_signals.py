"""The built-in strategies' templates where it is easy to differ: ties, warm-up, constant prices, short periods."""

import numpy as np
import polars as pl
import pytest
from pine_runs import PineRun, run_scripts, script_of

from backtune.data.bars import Bars
from backtune.spec import Execution
from backtune.strategy.registry import BUILT_IN


def bars_of(closes) -> Bars:
    times = pl.Series(np.arange(len(closes)) * 3_600_000_000).cast(pl.Datetime("us", "UTC"))
    prices = dict.fromkeys(("open", "high", "low", "close"), np.asarray(closes, dtype=float))
    return Bars.from_frame(pl.DataFrame({"timestamp": times, **prices, "volume": 1.0}), timeframe="1h")


RANDOM = np.random.default_rng(4)
STEPS = np.cumsum(RANDOM.integers(-1, 2, 400))
CLOSES = {
    "constant": np.full(60, 0.1),
    "constant after a move": np.r_[np.full(20, 100.1), np.full(60, 103.7)],
    "few prices": 100 + STEPS % 3,
    "cents of a low price": np.round(0.5 + 0.01 * (STEPS % 9), 2),
    "a saw": np.tile([10.1, 10.2, 10.3, 10.2], 40),
    "a rise": np.linspace(100, 200, 80),
    "shorter than a period": np.linspace(100, 101, 7),
    "one bar": np.array([5.0]),
}
PARAMS = [
    ("MovingAverageCrossover", {"fast_period": 3, "slow_period": 8}),
    ("MovingAverageCrossover", {"fast_period": 4, "slow_period": 4}),
    ("MovingAverageCrossover", {"fast_period": 9, "slow_period": 1}),
    ("RSIStrategy", {"period": 5, "oversold": 30.0, "overbought": 70.0}),
    ("RSIStrategy", {"period": 1, "oversold": 50.0, "overbought": 50.0}),
    ("RSIStrategy", {"period": 3, "oversold": 51.0, "overbought": 60.0}),
    ("RSIStrategy", {"period": 3, "oversold": 40.0, "overbought": 49.0}),
    ("MACDStrategy", {"fast_period": 3, "slow_period": 8, "signal_period": 4}),
    ("MACDStrategy", {"fast_period": 6, "slow_period": 2, "signal_period": 1}),
    ("MACDStrategy", {"fast_period": 1, "slow_period": 5, "signal_period": 3}),
    ("BollingerBandsStrategy", {"period": 4, "num_std": 1.1}),
    ("BollingerBandsStrategy", {"period": 10, "num_std": 1.7}),
    ("BollingerBandsStrategy", {"period": 1, "num_std": 2.0}),
]
CASES = [(name, params, label) for name, params in PARAMS for label in CLOSES]


@pytest.fixture(scope="module")
def runs() -> list[PineRun]:
    bars = {label: bars_of(closes) for label, closes in CLOSES.items()}
    return run_scripts([(bars[label], script_of(name, Execution(), params)) for name, params, label in CASES])


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: f"{CASES[i][0]}-{CASES[i][2]}-{i}")
def test_targets_are_the_positions(runs, case):
    name, params, label = CASES[case]
    assert runs[case].targets.tolist() == BUILT_IN[name](**params).positions(bars_of(CLOSES[label])).tolist()


def test_the_cases_reach_every_side():
    sides = {
        (name, side) for name, params, label in CASES
        for side in np.unique(BUILT_IN[name](**params).positions(bars_of(CLOSES[label])))
    }  # fmt: skip
    assert sides == {(name, side) for name in BUILT_IN for side in (-1.0, 0.0, 1.0)}
