"""Several backtests as one: against a backtest that was never cut, and by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import FREE, make_bars

from backtune.errors import StrategyError
from backtune.results.candidate_scorer import CandidateScorer
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.costs import build_costs
from backtune.simulation.metrics import METRICS
from backtune.simulation.simulate import simulate_in_sequence, simulate_positions
from backtune.simulation.types import Costs, TargetChanges
from backtune.spec import Execution
from backtune.strategy.registry import resolve_strategy

COSTS = Execution(fee_bps=10, slippage_bps=5)


def walk(seed: int, n: int, spread: float = 0.02) -> Any:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.standard_normal(n) * spread))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(random.standard_normal(n) * spread / 4)
    return make_bars(open_, close)


def piece(
    bars: Any, start: int, end: int, targets: Any, rules: Execution
) -> tuple[TargetChanges, BarWindow, Costs]:
    window = BarWindow.of(bars[:end], start)
    return (
        window.find_target_changes(np.asarray(targets, dtype=np.float64)[:end], allow_short=True),
        window,
        build_costs(rules),
    )


def assert_same(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one.equity, other.equity, rtol=1e-12)
    assert one.trades.height == other.trades.height
    assert one.trades["entry_time"].equals(other.trades["entry_time"])
    assert one.trades["exit_time"].equals(other.trades["exit_time"])
    np.testing.assert_allclose(one.trades["pnl"], other.trades["pnl"], rtol=1e-9, atol=1e-9)
    for name in METRICS:
        expected = other.metrics[name]
        assert one.metrics[name] == (expected and pytest.approx(expected, rel=1e-8, abs=1e-12)), name
    assert (one.ruined, one.quantity) == (other.ruined, pytest.approx(other.quantity))


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(2, 60), min_size=1, max_size=5),
    st.integers(0, 20),
    st.sampled_from(
        [COSTS, FREE, COSTS.model_copy(update={"stop_loss": 0.03, "leverage": 3.0, "size": 3.0})]
    ),
    st.sampled_from([0.02, 0.2]),
)
def test_cuts_without_a_position_change_nothing(
    seed: int, lengths: list[int], warm_up: int, rules: Execution, spread: float
) -> None:
    ends = (warm_up + np.cumsum([0, *lengths])).tolist()
    bars = walk(seed, ends[-1], spread)
    targets = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], ends[-1])
    targets = np.repeat(targets, 3)[: ends[-1]]
    for end in ends:
        # Flat at the last close before a cut, and nothing to be filled at the next open.
        targets[max(0, end - 2) : end] = 0.0
    whole = simulate_positions(targets, BarWindow.of(bars, warm_up), rules)
    pieces = [piece(bars, a, b, targets, rules) for a, b in pairwise(ends)]
    assert_same(simulate_in_sequence(pieces), whole)


def test_a_position_is_handed_over_at_the_close() -> None:
    bars = make_bars([100, 100, 110, 130, 120], [100, 110, 120, 130, 150])
    rules = FREE.model_copy(update={"initial_cash": 1000.0})
    # Ten units from bar 1 on. At the close of bar 2 they are worth 1200; the next piece buys at 130, not at 120.
    result = simulate_in_sequence(
        [piece(bars, 0, 3, [1, 1, 1], rules), piece(bars, 3, 5, [1, 1, 1, 1, 1], rules)]
    )
    assert result.equity.tolist() == pytest.approx([1000, 1100, 1200, 1200, 1200 / 130 * 150])
    assert result.metrics["total_trades"] == 0
    assert result.metrics["exposure"] == pytest.approx(4 / 5)
    assert result.quantity == pytest.approx(1200 / 130)
    assert result.entry_price == pytest.approx(130)


def test_ruin_ends_the_chain() -> None:
    bars = make_bars([100, 100, 250, 250, 100, 100], [100, 100, 250, 250, 100, 200])
    pieces = [piece(bars, 0, 3, [-1, -1, -1], FREE), piece(bars, 3, 6, [0, 0, 0, 1, 1, 1], FREE)]
    result = simulate_in_sequence(pieces)
    assert result.ruined
    assert result.equity.tolist() == pytest.approx([10_000, 10_000, 0, 0, 0, 0])
    assert result.metrics["total_return"] == -1.0
    assert (result.quantity, result.trades.height) == (0.0, 0)


def test_one_piece_is_its_simulation() -> None:
    bars = walk(3, 300)
    targets = np.random.default_rng(1).choice([-1.0, 0.5, 1.0], 300)
    one, same = (
        simulate_in_sequence([piece(bars, 20, 300, targets, COSTS)]),
        simulate_positions(targets, BarWindow.of(bars, 20), COSTS),
    )
    assert one.metrics == same.metrics
    assert one.trades.equals(same.trades)
    assert np.array_equal(one.equity, same.equity)


@pytest.mark.parametrize("cuts", [[], [(0, 50), (51, 100)], [(50, 100), (0, 50)], [(0, 60), (50, 100)]])
def test_windows_that_are_not_side_by_side_are_refused(cuts: list[tuple[int, int]]) -> None:
    bars = walk(1, 100)
    with pytest.raises(ValueError, match="do not follow each other"):
        simulate_in_sequence([piece(bars, a, b, np.zeros(100), FREE) for a, b in cuts])


def test_winners_of_folds() -> None:
    bars = walk(7, 600)
    scorer = CandidateScorer(resolve_strategy("MovingAverageCrossover"), COSTS)
    windows = [BarWindow.of(bars[:b], a) for a, b in ((200, 400), (400, 600))]
    params = [{"fast_period": 5, "slow_period": 45}, {"fast_period": 9, "slow_period": 60, "stop_loss": 0.05}]
    whole = scorer.backtest_chain(list(zip(params, windows, strict=True)))
    parts = [scorer.score(one, window) for one, window in zip(params, windows, strict=True)]
    growth = math.prod(1 + (part.metrics["total_return"] or 0.0) for part in parts)
    assert whole.metrics["total_return"] == pytest.approx(growth - 1)
    assert whole.metrics["total_trades"] == sum(part.metrics["total_trades"] or 0 for part in parts)
    assert len(whole.equity) == 400
    with pytest.raises(StrategyError, match="MovingAverageCrossover: ValueError: a period must be 1 or more"):
        scorer.backtest_chain([({"fast_period": 0, "slow_period": 45}, windows[0])])
