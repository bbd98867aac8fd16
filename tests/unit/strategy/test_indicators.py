"""Indicators against published series, naive definitions and edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from oracles import make_bars, stock_closes, stock_series

from backtune.errors import StrategyError
from backtune.simulation.backtest import backtest
from backtune.strategy.bollinger_bands import BollingerBandsStrategy
from backtune.strategy.indicators import (
    average_gain_loss,
    bollinger_bands,
    ema,
    hold_side,
    macd,
    rolling_squares,
    rolling_std,
    rolling_sum,
    rsi,
    sma,
)
from backtune.strategy.macd import MACDStrategy
from backtune.strategy.moving_average_crossover import MovingAverageCrossover
from backtune.strategy.rsi import RSIStrategy

CLOSES = np.array(
    [
        float(number)
        for number in [
            "212.80",
            "214.06",
            "213.89",
            "214.66",
            "213.95",
            "213.95",
            "214.55",
            "214.02",
            "214.51",
            "213.75",
            "214.22",
            "213.43",
            "214.21",
            "213.66",
            "215.03",
            "216.89",
            "216.66",
            "216.32",
            "214.98",
            "214.96",
            "215.05",
            "215.19",
            "216.67",
            "216.28",
            "216.29",
            "216.58",
            "217.86",
            "218.72",
            "219.91",
            "220.79",
            "221.94",
            "221.75",
            "222.10",
            "223.43",
            "223.23",
            "223.38",
            "223.66",
            "224.01",
            "223.41",
            "226.53",
            "225.11",
            "225.25",
            "224.58",
            "223.91",
            "223.49",
            "223.78",
            "224.56",
            "224.67",
            "223.81",
            "225.75",
            "225.31",
            "224.91",
            "224.66",
            "221.78",
            "222.30",
            "222.06",
            "221.90",
            "221.67",
            "223.29",
            "223.50",
        ]
    ]
)
RISING = np.arange(1.0, 31.0)
CONSTANT = np.full(60, 3.3)


def computed(values: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    line, signal = macd(values, 12, 26, 9)
    lower, middle, upper = bollinger_bands(values, 20, 2.0)
    return {
        ("sma", "sma"): sma(values, 20),
        ("ema", "ema"): ema(values, 20),
        ("rsi", "rsi"): rsi(values, 14),
        ("macd", "fastEma"): ema(values, 12),
        ("macd", "slowEma"): ema(values, 26),
        ("macd", "macd"): line,
        ("macd", "signal"): signal,
        ("macd", "histogram"): line - signal,
        ("bb", "lowerBand"): lower,
        ("bb", "sma"): middle,
        ("bb", "upperBand"): upper,
    }


PUBLISHED = {
    ("sma", "sma"): {18: None, 19: 214.525, 20: 214.6375, 25: 215.1625, 33: 217.87, 40: 220.842, 59: 223.8145},
    ("ema", "ema"): {
        18: None, 19: 214.525, 20: 214.575, 25: 215.23367661695926, 33: 218.51787554426656,
        50: 223.4396566546199, 59: 223.06594546757094,
    },
    ("rsi", "rsi"): {
        13: None, 14: 62.054054054053964, 19: 56.20776786843646, 20: 56.64956897038861, 33: 81.73952582292978,
        50: 64.36258462011693, 59: 54.39289319278106,
    },
    ("macd", "macd"): {
        24: None, 25: 0.880896365451747, 33: 2.202501461364193, 40: 2.5846872844063, 50: 1.682684905484365,
        59: 0.38449341739644183,
    },
    ("macd", "signal"): {
        32: None, 33: 1.521700603479164, 34: 1.6777334748267916, 40: 2.280112564529887, 50: 1.910566275044845,
        59: 0.8008667943511982,
    },
    ("bb", "lowerBand"): {
        18: None, 19: 212.46125098425216, 20: 212.72218409916275, 25: 212.94305074399082, 33: 212.4512805940887,
        50: 221.8181252239156, 59: 221.29357576472438,
    },
    ("bb", "upperBand"): {
        18: None, 19: 216.58874901574774, 20: 216.55281590083723, 25: 217.38194925600928, 33: 223.28871940591137,
        50: 226.35387477608444, 59: 226.33542423527564,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("series", "expected"), PUBLISHED.items(), ids=lambda v: v[1] if isinstance(v, tuple) else ""
)
def test_published_rows(series: tuple[str, str], expected: dict[int, float | None]) -> None:
    ours = computed(CLOSES)[series]
    for row, number in expected.items():
        assert ours[row] == pytest.approx(math.nan if number is None else number, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("series", list(computed(CLOSES)), ids="-".join)
def test_published_series_in_full(series: tuple[str, str]) -> None:
    theirs = stock_series(*series)
    assert len(theirs) == 502
    np.testing.assert_allclose(computed(stock_closes())[series], theirs, rtol=1e-11, atol=1e-11)


def walk(n: int, seed: int) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, n)))


def naive_windows(values: np.ndarray, period: int, statistic: object) -> np.ndarray:
    out = np.full(len(values), np.nan)
    for i in range(period - 1, len(values)):
        out[i] = statistic(values[i - period + 1 : i + 1])  # type: ignore[operator]
    return out


def naive_ema(values: np.ndarray, period: int) -> np.ndarray:
    """The weights written out: the seed decays, every later value enters with 2 / (period + 1)."""
    out = np.full(len(values), np.nan)
    weight = 2 / (period + 1)
    for i in range(period - 1, len(values)):
        later = values[period : i + 1]
        ages = np.arange(len(later))[::-1]
        out[i] = (
            values[:period].mean() * (1 - weight) ** len(later)
            + (weight * (1 - weight) ** ages * later).sum()
        )
    return out


def naive_rsi(values: np.ndarray, period: int) -> np.ndarray:
    changes = np.diff(values)
    out = np.full(len(values), np.nan)

    def smoothed(moves: np.ndarray) -> float:
        level = moves[:period].mean()
        for move in moves[period:]:
            level = (level * (period - 1) + move) / period
        return float(level)

    for i in range(period, len(values)):
        gain, loss = smoothed(np.maximum(changes[:i], 0)), smoothed(np.maximum(-changes[:i], 0))
        out[i] = 100 * gain / (gain + loss)
    return out


@pytest.mark.parametrize("period", [1, 2, 3, 7, 50, 149])
@pytest.mark.parametrize("seed", [0, 1])
def test_naive_definitions(period: int, seed: int) -> None:
    values = walk(150, seed)
    mean = sma(values, period)
    np.testing.assert_allclose(mean, naive_windows(values, period, np.mean), rtol=1e-12)
    np.testing.assert_allclose(
        rolling_std(values, mean, period), naive_windows(values, period, np.std), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(ema(values, period), naive_ema(values, period), rtol=1e-12)
    np.testing.assert_allclose(rsi(values, period), naive_rsi(values, period), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("period", [1, 3, 7, 20])
def test_sums_are_those_of_each_window(period: int) -> None:
    values = np.random.default_rng(2).normal(50, 3, 200)
    np.testing.assert_allclose(
        rolling_sum(values, period), naive_windows(values, period, math.fsum), rtol=1e-15, atol=0
    )
    mean = rolling_sum(values, period) / period
    np.testing.assert_allclose(
        rolling_squares(values, mean, period), period * rolling_std(values, mean, period) ** 2, atol=1e-9
    )


def test_a_sum_forgets_what_left_its_window() -> None:
    values = np.array([1e16, 0.25, 0.25, 0.25, 0.25])
    assert rolling_sum(values, 2)[2:].tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("period", [2, 5, 14])
def test_average_gain_and_loss_make_up_the_strength(period: int) -> None:
    gain, loss = average_gain_loss(CLOSES, period)
    np.testing.assert_allclose(100 * gain / (gain + loss), rsi(CLOSES, period), rtol=1e-12)


@pytest.mark.parametrize(
    ("exits", "expected"),
    [((), [0, 1, 1, 1, -1, -1, 1, 1]), (("exits",), [0, 1, 1, 0, -1, 0, 1, 1])],
)
def test_a_side_is_held_until_it_is_left(exits: tuple[str, ...], expected: list[int]) -> None:
    long = np.array([0, 1, 0, 0, 0, 0, 1, 0], bool)
    # The long entry at bar 6 goes before the short one, and an entry before an exit.
    short = np.array([0, 0, 0, 0, 1, 0, 1, 0], bool)
    leave = np.array([1, 1, 0, 1, 1, 1, 1, 0], bool)
    assert hold_side(long, short, *[leave, leave][: 2 * len(exits)]).tolist() == expected


def test_rounding_does_not_grow_with_length() -> None:
    values = np.tile(walk(1000, 3), 50)
    np.testing.assert_allclose(sma(values, 20)[19 + 1000 :: 1000], sma(values, 20)[19 + 1000], rtol=1e-13)


def test_a_jump_leaves_the_window_with_its_rounding() -> None:
    values = walk(400, 4)
    values[100] *= 1e6
    mean = sma(values, 20)
    np.testing.assert_allclose(mean[140:], naive_windows(values, 20, np.mean)[140:], rtol=1e-12)
    np.testing.assert_allclose(
        rolling_std(values, mean, 20)[140:], naive_windows(values, 20, np.std)[140:], rtol=1e-9
    )


@pytest.mark.parametrize("n", [0, 1, 5])
def test_shorter_than_the_period(n: int) -> None:
    values = walk(n, 0) if n else np.empty(0)
    for series in computed(values).values():
        assert len(series) == n
        assert np.isnan(series).all()


def test_first_value_where_the_period_is_reached() -> None:
    assert np.isfinite(sma(RISING, 30)).tolist() == [False] * 29 + [True]
    assert np.isfinite(ema(RISING, 30)).tolist() == [False] * 29 + [True]
    assert np.isfinite(rsi(RISING, 29)).tolist() == [False] * 29 + [True]
    assert np.isnan(rsi(RISING, 30)).all()


def test_period_one() -> None:
    np.testing.assert_array_equal(sma(CLOSES, 1), CLOSES)
    np.testing.assert_allclose(ema(CLOSES, 1), CLOSES, rtol=1e-15)
    np.testing.assert_array_equal(rolling_std(CLOSES, sma(CLOSES, 1), 1), np.zeros(60))
    assert rsi(np.array([1.0, 2.0, 2.0, 1.0, 3.0]), 1)[1:].tolist() == [100.0, 50.0, 0.0, 100.0]


def test_strength_without_loss_without_gain_and_without_change() -> None:
    assert rsi(RISING, 14)[14:].tolist() == [100.0] * 16
    assert rsi(RISING[::-1].copy(), 14)[14:].tolist() == [0.0] * 16
    assert rsi(CONSTANT, 14)[14:].tolist() == [50.0] * 46


@pytest.mark.parametrize("price", [3.3, 0.1, 1 / 3, 6_543.21, 1e-8, 1e9])
@pytest.mark.parametrize(
    "strategy",
    [
        MovingAverageCrossover(3, 7),
        RSIStrategy(5),
        MACDStrategy(5, 11, 3),
        BollingerBandsStrategy(10, 1.0),
        BollingerBandsStrategy(1, 0.0),
    ],
    ids=lambda s: f"{s.name}",
)
def test_constant_price_is_a_tie(strategy: object, price: float) -> None:
    constant = np.full(200, price)
    assert not strategy.positions(make_bars(constant, constant)).any()  # type: ignore[attr-defined]


def test_constant_price_averages_agree_to_rounding() -> None:
    np.testing.assert_allclose(sma(CONSTANT, 7)[6:], 3.3, rtol=1e-15)
    np.testing.assert_allclose(ema(CONSTANT, 7)[6:], 3.3, rtol=1e-15)


@pytest.mark.parametrize("period", [0, -5])
@pytest.mark.parametrize("indicator", [sma, ema, rsi], ids=lambda f: f.__name__)
def test_impossible_period(indicator: object, period: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        indicator(CLOSES, period)  # type: ignore[operator]


@pytest.mark.parametrize("params", [{"fast_period": 0}, {"fast_period": -5}, {"slow_period": 0}])
def test_impossible_period_of_a_strategy(params: dict[str, int]) -> None:
    with pytest.raises(StrategyError, match=r"MovingAverageCrossover: .*1 or more"):
        backtest("MovingAverageCrossover", params, make_bars(CLOSES, CLOSES))
