"""The built-in strategies decide what the public indicators and a plain loop say."""

import numpy as np
import pytest
from oracles import shared

from backtune.data.bars import Bars
from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars
from backtune.data.synthetic import synthetic_bars
from backtune.strategy.indicators import EQUAL, bollinger_bands, macd, rsi, sma
from backtune.strategy.registry import BUILT_IN


def by_sign(difference: np.ndarray, close: np.ndarray) -> list[float]:
    """The side of a difference; a tie, or no value yet, keeps the side before."""
    held, out = 0.0, []
    for value, price in zip(difference, close, strict=True):
        if abs(value) > EQUAL * price:
            held = float(np.sign(value))
        out.append(held)
    return out


def crossover(close, fast_period, slow_period):
    return by_sign(sma(close, fast_period) - sma(close, slow_period), close)


def momentum(close, fast_period, slow_period, signal_period):
    line, signal = macd(close, fast_period, slow_period, signal_period)
    return by_sign(line - signal, close)


def weakness(close, period, oversold, overbought):
    held, out = 0.0, []
    for strength in rsi(close, period):
        held = 1.0 if strength < oversold else -1.0 if strength > overbought else held
        out.append(held)
    return out


def fading(close, period, num_std):
    lower, middle, upper = bollinger_bands(close, period, num_std)
    held, out = 0.0, []
    for i, price in enumerate(close):
        slack = EQUAL * price
        if price < lower[i] - slack:
            held = 1.0
        elif price > upper[i] + slack:
            held = -1.0
        elif held * (price - middle[i]) >= -slack:
            held = 0.0
        out.append(held)
    return out


CASES = [
    ("MovingAverageCrossover", crossover, {"fast_period": 10, "slow_period": 50}),
    ("MovingAverageCrossover", crossover, {"fast_period": 3, "slow_period": 250}),
    ("MovingAverageCrossover", crossover, {"fast_period": 40, "slow_period": 41}),
    ("MACDStrategy", momentum, {"fast_period": 12, "slow_period": 26, "signal_period": 9}),
    ("MACDStrategy", momentum, {"fast_period": 5, "slow_period": 100, "signal_period": 30}),
    ("RSIStrategy", weakness, {"period": 14, "oversold": 30.0, "overbought": 70.0}),
    ("RSIStrategy", weakness, {"period": 5, "oversold": 45.0, "overbought": 55.0}),
    ("BollingerBandsStrategy", fading, {"period": 20, "num_std": 2.0}),
    ("BollingerBandsStrategy", fading, {"period": 150, "num_std": 1.3}),
]


@pytest.fixture(scope="module")
def synthetic() -> Bars:
    return synthetic_bars("A", "1h", "2021-01-01", "2022-06-01", seed=9)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Bars:
    """The asset with the fewest digits, where closes meet averages."""
    root = str(tmp_path_factory.mktemp("litecoin"))
    import_bars([str(shared("market/bars_1m/LTCUSD_1m_2018_2019.parquet"))], root)
    return load_bars(root, "LTCUSD", "15m")


@pytest.mark.parametrize("source", ["synthetic", "real"])
@pytest.mark.parametrize(("name", "definition", "params"), CASES)
def test_positions_are_those_of_the_definition(name, definition, params, source, request):
    bars: Bars = request.getfixturevalue(source)
    expected = definition(bars.close, **params)
    assert np.array_equal(BUILT_IN[name](**params).positions(bars), expected)
    assert len(set(expected)) >= 2
