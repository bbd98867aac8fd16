"""The batched form of every built-in strategy decides, bar by bar, exactly what its definition does."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from oracles import EXAMPLES, make_bars

from backtune.data.bars import Bars
from backtune.data.synthetic import synthetic_bars
from backtune.simulation.accelerated.forms import BATCHED_FORMS
from backtune.simulation.accelerated.moving_average_crossover import compare_averages
from backtune.simulation.accelerated.shared_columns import SharedColumns
from backtune.space import Float
from backtune.strategy.base import BaseStrategy
from backtune.strategy.indicators import prefix_sums
from backtune.strategy.registry import BUILT_IN

examples = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
accelerated = pytest.mark.parametrize("strategy", BATCHED_FORMS, ids=lambda strategy: strategy.name)
LENGTHS = (1, 2, 3, 7, 8, 9, 60, 130, 251, 1_100, 3_000)
# Levels on which prices in whole units put an index, and widths on which they put a band.
ROUND_LEVELS = (0.0, 10.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 100.0)
ROUND_WIDTHS = (0.0, 1.0, 1.5, 2.0, 3.0)


def price_paths(random: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Return closes of every kind on which rounding could decide: constant, in whole ticks, at rest for long, crashing."""
    rests = random.normal(0, 0.02, n) * (random.random(n) < 0.1)
    return {
        "constant": np.full(n, random.choice([0.1, 1.0, 3.3333, 1e-6, 12_345.678])),
        "random walk": 100 * np.exp(np.cumsum(random.normal(0, random.choice([1e-4, 0.02, 0.3]), n))),
        "whole units": np.maximum(1, 50 + np.cumsum(random.integers(-1, 2, n))).astype(float),
        "cents": np.maximum(1, 500 + np.cumsum(random.integers(-3, 4, n))) / 100,
        "three prices": random.choice([1.0, 2.0, 3.0], n),
        "crashes": random.choice([1e6, 1.0, 1e-6, 0.1, 0.3], n, p=[0.05, 0.8, 0.05, 0.05, 0.05]),
        "rests": random.choice([1e-6, 1.0, 5e4]) * np.exp(np.cumsum(rests)),
    }


def random_candidate(random: np.random.Generator, strategy: type[BaseStrategy]) -> BaseStrategy:
    """Build a strategy with periods from 1 to twice the ranges of its space, and levels inside and outside of them."""
    params = {}
    for name, parameter in strategy.space().items():
        if isinstance(parameter, Float):
            rounded = ROUND_WIDTHS if name == "num_std" else ROUND_LEVELS
            params[name] = float(random.choice([random.choice(rounded), random.uniform(0, max(rounded))]))
        else:
            (_, longest) = parameter.ends()
            params[name] = int(
                random.choice([random.integers(1, 6), random.integers(1, 2 * int(longest) + 1)])
            )
    return strategy(**params)


def bars_of(close: np.ndarray) -> Bars:
    return make_bars(np.concatenate([close[:1], close[:-1]]), close)


def check_form(strategy: type[BaseStrategy], candidates: list[BaseStrategy], bars: Bars) -> None:
    sides = BATCHED_FORMS[strategy](candidates, SharedColumns(bars))
    for candidate, decided in zip(candidates, sides, strict=True):
        assert decided.dtype == np.int8
        assert np.array_equal(decided, candidate.positions(bars)), candidate


def test_every_built_in_strategy_has_a_batched_form():
    assert set(BATCHED_FORMS) == set(BUILT_IN.values())


@accelerated
@pytest.mark.parametrize("n_bars", LENGTHS)
@pytest.mark.parametrize("kind", price_paths(np.random.default_rng(0), 1))
def test_a_form_decides_what_its_definition_does(strategy, n_bars, kind):
    random = np.random.default_rng([n_bars, *kind.encode()])
    for _ in range(4):
        close = price_paths(random, n_bars)[kind]
        # A batch that fills lanes and leaves some over.
        check_form(strategy, [random_candidate(random, strategy) for _ in range(6)], bars_of(close))


@accelerated
@examples
@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(1, 400))
def test_a_form_decides_what_its_definition_does_anywhere(strategy, seed, n_bars):
    random = np.random.default_rng(seed)
    close = random.choice(list(price_paths(random, n_bars).values()))
    check_form(strategy, [random_candidate(random, strategy)], bars_of(close))


@accelerated
def test_a_form_decides_what_its_definition_does_on_a_year_of_bars(strategy):
    random = np.random.default_rng(3)
    bars = synthetic_bars("A", "1h", "2021-01-01", "2022-01-01", seed=5)
    check_form(strategy, [random_candidate(random, strategy) for _ in range(40)], bars)


@examples
@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(1, 400))
def test_the_high_parts_of_sums_decide_what_all_digits_do(seed, n_bars):
    random = np.random.default_rng(seed)
    close = random.choice(list(price_paths(random, n_bars).values()))
    fast, slow = (int(period) for period in random.integers(1, 60, 2))
    sums = prefix_sums(close)
    in_doubt, decided = np.empty((2, len(close)), np.int8)
    # With an infinite highest close, every bar is in doubt.
    any_equal = compare_averages(sums, close, np.inf, fast, slow, in_doubt)
    assert compare_averages(sums, close, close.max(), fast, slow, decided) == any_equal
    assert decided.tolist() == in_doubt.tolist()
