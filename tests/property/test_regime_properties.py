"""Laws of market regimes: their definition, bar by bar; no look-ahead; and the whole is the sum of its parts."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from oracles import EXAMPLES, make_bars

from backtune.checks.lookahead_perturbations import PERTURBATIONS
from backtune.data.bars import Bars
from backtune.simulation.regimes import REGIMES, classify_regimes, measure_performance_by_regime

examples = settings(max_examples=EXAMPLES)
seeds = st.integers(0, 2**32 - 1)
lookbacks = st.integers(2, 20)


@st.composite
def markets(draw: st.DrawFn, least: int = 1) -> Bars:
    n = draw(st.integers(least, 200))
    random = np.random.default_rng(draw(seeds))
    steps = random.normal(0, draw(st.sampled_from([1e-4, 0.02, 0.3])), n)
    if draw(st.booleans()):
        steps[random.random(n) < 0.7] = 0.0
    close = draw(st.sampled_from([1e-6, 1.0, 5e4])) * np.exp(np.cumsum(steps))
    return make_bars(np.concatenate([close[:1], close[:-1]]), close)


def regime_of(past: list[float], lookback: int) -> str:
    """By the definition, from the closes before the bar; the tolerance is for rounding alone."""
    if len(past) < 2 * lookback:
        return "unknown"
    squares = [math.log(after / before) ** 2 for before, after in pairwise(past)]
    volatilities = [
        math.sqrt(math.fsum(squares[j - lookback : j]) / lookback) for j in range(lookback, len(past))
    ]
    trend = "bear" if past[-1] < math.fsum(past[-lookback:]) / lookback * (1 - 1e-12) else "bull"
    level = "high" if volatilities[-1] > median(volatilities) * (1 + 1e-12) else "low"
    return f"{trend}_{level}_volatility"


@examples
@given(seed=seeds, n=st.integers(1, 120), lookback=lookbacks)
def test_regimes_follow_their_definition(seed: int, n: int, lookback: int) -> None:
    # Without ties, which rounding may decide.
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, n)))
    found = [REGIMES[code] for code in classify_regimes(make_bars(close, close), lookback)]
    assert found == [regime_of(close[:i].tolist(), lookback) for i in range(n)]


@examples
@given(bars=markets(least=2), lookback=lookbacks, cut=st.integers(1, 199), seed=seeds)
@pytest.mark.parametrize("perturb", PERTURBATIONS.values(), ids=PERTURBATIONS)
def test_a_regime_is_known_before_its_bar(
    perturb: object, bars: Bars, lookback: int, cut: int, seed: int
) -> None:
    cut = min(cut, len(bars) - 1)
    changed = classify_regimes(perturb(bars, cut, np.random.default_rng(seed)), lookback)  # type: ignore[operator]
    # The regime of the first changed bar is that of the past, too.
    assert changed[: cut + 1].tolist() == classify_regimes(bars, lookback)[: len(changed)][: cut + 1].tolist()


@examples
@given(data=st.data(), bars=markets(), lookback=lookbacks, seed=seeds)
def test_the_regimes_make_up_the_whole(data: st.DataObject, bars: Bars, lookback: int, seed: int) -> None:
    m = data.draw(st.integers(1, len(bars)))
    returns = np.random.default_rng(seed).normal(0, 0.05, m)
    equity = 1_000 * np.cumprod(1 + returns)
    if data.draw(st.booleans()):
        equity[data.draw(st.integers(0, m - 1)) :] = 0.0
    frame = measure_performance_by_regime(equity, bars, 1_000.0, lookback)
    assert frame["regime"].to_list() == list(REGIMES)
    assert frame["n_bars"].sum() == m
    assert frame["share"].sum() == pytest.approx(1)
    assert math.prod(1 + frame["total_return"]) == pytest.approx(equity[-1] / 1_000, rel=1e-9)
    alive = np.concatenate([[1_000], equity[:-1]]) > 0
    parts = (frame["n_bars"] * frame["mean_return"].fill_null(0)).sum()
    assert parts == pytest.approx(np.where(equity > 0, returns, -1.0)[alive].sum(), rel=1e-9, abs=1e-9)
