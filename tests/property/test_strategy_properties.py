"""Laws of the built-in strategies: what they may return, and that no position depends on a later bar."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from oracles import EXAMPLES, make_bars

from backtune.checks.lookahead import check_lookahead
from backtune.data.bars import Bars
from backtune.space import Choice, Float, Parameter
from backtune.strategy.base import BaseStrategy, check_positions
from backtune.strategy.registry import BUILT_IN

examples = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
# Longer than the longest average of the search spaces.
MOST_BARS = 400
built_in = pytest.mark.parametrize("strategy", BUILT_IN.values(), ids=BUILT_IN)


def one_of(parameter: Parameter) -> st.SearchStrategy[object]:
    if isinstance(parameter, Choice):
        return st.sampled_from(parameter.choices)
    if isinstance(parameter, Float):
        return st.floats(parameter.low, parameter.high)
    # Also shorter than the ranges, so that short series have positions too.
    return st.integers(1, parameter.high)


def built(data: st.DataObject, strategy: type[BaseStrategy]) -> BaseStrategy:
    return strategy(
        **{name: data.draw(one_of(parameter), label=name) for name, parameter in strategy.space().items()}
    )


@st.composite
def paths(draw: st.DrawFn, least: int = 1) -> np.ndarray:
    """Closes: a random walk with stretches of constant price."""
    n = draw(st.integers(least, MOST_BARS))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = random.normal(0, draw(st.sampled_from([1e-4, 0.02, 0.3])), n)
    if draw(st.booleans()):
        steps[random.random(n) < 0.7] = 0.0
    return draw(st.sampled_from([1e-6, 1.0, 5e4])) * np.exp(np.cumsum(steps))


def bars_of(close: np.ndarray) -> Bars:
    return make_bars(np.concatenate([close[:1], close[:-1]]), close)


@built_in
@examples
@given(data=st.data(), close=paths())
def test_positions_are_usable(strategy: type[BaseStrategy], data: st.DataObject, close: np.ndarray) -> None:
    candidate = built(data, strategy)
    ours = check_positions(candidate.positions(bars_of(close)), len(close), candidate.name)
    assert ours[0] == 0
    assert set(ours) <= {-1.0, 0.0, 1.0}


@built_in
@examples
@given(data=st.data(), close=paths(least=2))
def test_no_position_depends_on_a_later_bar(
    strategy: type[BaseStrategy], data: st.DataObject, close: np.ndarray
) -> None:
    params = vars(built(data, strategy))
    seed = data.draw(st.integers(0, 2**32 - 1), label="seed")
    report = check_lookahead(strategy, [params], bars_of(close), n_cuts=2, seed=seed)
    assert report.violations == ()
    assert report.is_clean


@built_in
@examples
@given(data=st.data(), close=paths())
def test_positions_keep_no_state(
    strategy: type[BaseStrategy], data: st.DataObject, close: np.ndarray
) -> None:
    candidate = built(data, strategy)
    bars = bars_of(close)
    first = candidate.positions(bars).tolist()
    candidate.positions(bars_of(close[::-1].copy()))
    assert candidate.positions(bars).tolist() == first
    assert bars.close.tolist() == close.tolist()


@built_in
@examples
@given(data=st.data(), close=paths())
def test_the_unit_of_the_price_does_not_matter(
    strategy: type[BaseStrategy], data: st.DataObject, close: np.ndarray
) -> None:
    candidate = built(data, strategy)
    # A power of two changes no digit.
    assert candidate.positions(bars_of(close * 1024)).tolist() == candidate.positions(bars_of(close)).tolist()


@built_in
@examples
@given(data=st.data(), price=st.floats(1e-9, 1e9), n=st.integers(1, MOST_BARS))
def test_a_constant_price_is_not_traded(
    strategy: type[BaseStrategy], data: st.DataObject, price: float, n: int
) -> None:
    assert not built(data, strategy).positions(bars_of(np.full(n, price))).any()
