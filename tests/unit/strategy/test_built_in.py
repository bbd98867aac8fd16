"""The four built-in strategies on paths where the right position is obvious."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import make_bars

from backtune.strategy.base import BaseStrategy
from backtune.strategy.bollinger_bands import BollingerBandsStrategy
from backtune.strategy.macd import MACDStrategy
from backtune.strategy.moving_average_crossover import MovingAverageCrossover
from backtune.strategy.registry import BUILT_IN
from backtune.strategy.rsi import RSIStrategy

UP = 100 * 1.01 ** np.arange(120)
DOWN = UP[::-1].copy()
ACCELERATING = 100 + np.arange(120.0) ** 2


def positions(strategy: BaseStrategy, close: object) -> np.ndarray:
    return strategy.positions(make_bars(close, close))


@pytest.mark.parametrize(
    ("strategy", "close", "side"),
    [
        (MovingAverageCrossover(5, 20), UP, 1.0),
        (MovingAverageCrossover(5, 20), DOWN, -1.0),
        (MACDStrategy(5, 26, 9), ACCELERATING, 1.0),
        (MACDStrategy(5, 26, 9), 2e4 - ACCELERATING, -1.0),
        (RSIStrategy(14), UP, -1.0),
        (RSIStrategy(14), DOWN, 1.0),
    ],
)
def test_side_in_a_trend(strategy: BaseStrategy, close: np.ndarray, side: float) -> None:
    assert (positions(strategy, close)[40:] == side).all()


@pytest.mark.parametrize(
    ("strategy", "warm_up"),
    [
        (MovingAverageCrossover(5, 20), 19),
        (MACDStrategy(5, 26, 9), 33),
        (RSIStrategy(14), 14),
    ],
)
def test_flat_until_the_first_decision(strategy: BaseStrategy, warm_up: int) -> None:
    ours = positions(strategy, ACCELERATING)
    assert not ours[:warm_up].any()
    assert ours[warm_up] != 0


def test_cross_to_the_bar() -> None:
    # SMA(3) from the third bar on: 10, 10.67, 11, 10.33, 9, 8.33, 8.5; bars 2, 4 and 8 are ties.
    close = [10, 10, 10, 12, 11, 8, 8, 9, 8.5]
    assert positions(MovingAverageCrossover(1, 3), close).tolist() == [0, 0, 0, 1, 1, -1, -1, 1, 1]


def test_a_tie_holds_the_last_side() -> None:
    assert positions(MovingAverageCrossover(1, 2), [5, 6, 6, 6, 5, 5]).tolist() == [0, 1, 1, 1, -1, -1]


def test_strength_is_held_between_the_levels() -> None:
    # RSI(1) is 100 after a rise, 0 after a fall and 50 after no change.
    close = [5, 5, 6, 6, 5, 5, 6]
    assert positions(RSIStrategy(1), close).tolist() == [0, 0, -1, -1, 1, 1, -1]


def test_strength_on_a_level_is_not_beyond_it() -> None:
    assert not positions(RSIStrategy(1, oversold=50.0, overbought=100.0), [5, 5, 6, 6]).any()


def test_bands_fade_and_leave_at_the_middle() -> None:
    # Three closes of which the last jumps: mean 4/3, deviation 0.471; the band at 1 deviation is crossed.
    close = [1, 1, 1, 2, 2, 2, 1, 1, 1.5]
    # bar 3: above the upper band; bar 4: mean 5/3 <= 2, deviation 0.471, still short; bar 5: middle reached.
    assert positions(BollingerBandsStrategy(3, 1.0), close).tolist() == [0, 0, 0, -1, -1, 0, 1, 1, -1]


def test_bands_of_a_lone_spike() -> None:
    close = [100.0] * 20 + [80.0] + [100.0] * 10
    ours = positions(BollingerBandsStrategy(10, 2.0), close)
    assert np.flatnonzero(ours).tolist() == [20]
    assert ours[20] == 1.0


@pytest.mark.parametrize("name", BUILT_IN)
def test_defaults_are_those_of_the_space(name: str) -> None:
    strategy = BUILT_IN[name]
    built = strategy()
    assert {
        parameter: getattr(built, parameter) for parameter in strategy.space()
    } == strategy.space().defaults()
    assert strategy.name == name
