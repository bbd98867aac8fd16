"""The conditions of a winner's stress against forms in closed form, literals and the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import make_bars

from backtune.data.bars import Bars
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.stress.break_even import charge_fee_alone, find_break_even
from backtune.results.stress.conditions import (
    compute_median,
    compute_worst_tenth,
    scale_costs,
    score_conditions,
    score_noise,
    score_skipped,
)
from backtune.results.stress.winner_backtest import WinnerBacktest
from backtune.simulation.backtest import backtest_positions
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.metrics import METRICS
from backtune.space import Int, Space
from backtune.spec import Execution, Objective
from backtune.strategy.base import BaseStrategy
from backtune.strategy.registry import StrategyRef

OBJECTIVES = (Objective.parse("sharpe_ratio"),)
FREE_RULES: dict[str, Any] = {"fee_bps": 0, "slippage_bps": 0}


class HoldFor(BaseStrategy):
    """In the market from the first close on, for so many bars; short where they are negative."""

    @classmethod
    def space(cls) -> Space:
        return Space(bars=Int(-100, 100, default=1))

    def positions(self, bars: Bars) -> np.ndarray:
        targets = np.zeros(len(bars))
        n: int = self.bars  # type: ignore[attr-defined]
        targets[: abs(n)] = np.sign(n)
        return targets


class FollowMove(BaseStrategy):
    """Long after a rise, short after a fall."""

    @classmethod
    def space(cls) -> Space:
        return Space(lag=Int(1, 50, default=1))

    def positions(self, bars: Bars) -> np.ndarray:
        lag: int = self.lag  # type: ignore[attr-defined]
        targets = np.zeros(len(bars))
        targets[lag:] = np.sign(bars.close[lag:] - bars.close[:-lag])
        return targets


def held(closes: list[float], bars: int, start: int = 0, **rules: Any) -> WinnerBacktest:
    """A trade of so many bars on bars that open where the bar before closes."""
    opens = [closes[0], *closes[:-1]]
    ref = StrategyRef("HoldFor", cls=HoldFor)
    scorer = CandidateScorer(ref, Execution(**rules))
    return WinnerBacktest(scorer, (({"bars": bars}, BarWindow.of(make_bars(opens, closes), start)),))


def followed(seed: int = 4, n: int = 500, start: int = 60, **rules: Any) -> WinnerBacktest:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.standard_normal(n) * 0.01))
    bars = make_bars(np.concatenate([[100.0], close[:-1]]), close)
    scorer = CandidateScorer(StrategyRef("FollowMove", cls=FollowMove), Execution(**rules))
    middle = (start + n) // 2
    windows = (BarWindow.of(bars[:middle], start), BarWindow.of(bars, middle))
    params = ({"lag": 3}, {"lag": 7, "stop_loss": 0.05})
    return WinnerBacktest(scorer, tuple(zip(params, windows, strict=True)))


@pytest.mark.parametrize(
    ("closes", "bars", "rules", "expected"),
    [
        # Long from 100 to 110: the fee c is paid on 1 and on 1.1, so 0.1 - c - 1.1 c = 0.
        ([100, 100, 110, 110], 2, {}, 10_000 * 0.1 / 2.1),
        # With half of the equity all of it is half as much.
        ([100, 100, 110, 110], 2, {"size": 0.5}, 10_000 * 0.1 / 2.1),
        # Short from 100 to 80: 0.2 - c - 0.8 c = 0.
        ([100, 100, 80, 80], -2, {}, 10_000 * 0.2 / 1.8),
        # Open at the end, so one side alone: 0.1 - c = 0.
        ([100, 100, 110, 110], 4, {}, 1_000),
        ([100, 100, 90, 90], 2, {}, None),
        ([100, 100, 100, 100], 2, {}, None),
        ([100, 100, 110, 110], -2, {}, None),
    ],
)
def test_break_even_of_one_trade(
    closes: list[float], bars: int, rules: dict[str, Any], expected: float | None
) -> None:
    found = find_break_even(held(closes, bars, **rules))
    assert found.cost_bps == (expected and pytest.approx(expected, rel=1e-10))
    assert found.charged_bps == 12.0
    assert found.is_borne is (expected is not None)


def test_the_costs_of_the_spec_do_not_move_the_break_even() -> None:
    dear = held(
        [100, 100, 110, 110],
        2,
        fee_bps=700,
        slippage_bps=50,
        fee_per_order=20,
        minimum_fee=30,
        maker_fee_bps=1,
    )
    found = find_break_even(dear)
    assert found.cost_bps == pytest.approx(10_000 * 0.1 / 2.1, rel=1e-10)
    assert (found.charged_bps, found.has_fees_in_money, found.is_borne) == (750, True, False)


def test_a_gain_that_no_cost_takes_away_ends_the_bisection() -> None:
    # A hundredfold gain of one side pays any fee that a spec can charge.
    assert find_break_even(held([1, 1, 100, 100], 4, size=0.5)).cost_bps == 9_999


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_at_the_break_even_nothing_is_gained(seed: int) -> None:
    winner = followed(seed, **FREE_RULES)
    found = find_break_even(winner).cost_bps
    free = winner.score()["total_return"]
    assert free is not None
    if found is None:
        assert free <= 0
        return
    rest = winner.score_execution(charge_fee_alone(winner.scorer.execution, found))["total_return"]
    assert rest == pytest.approx(0, abs=1e-9)


def test_nothing_changed_gives_the_same_digits() -> None:
    winner = followed(fee_per_order=1.0, maker_fee_bps=3.0)
    as_is = winner.score()
    assert as_is == winner.scorer.backtest_chain(winner.pieces).metrics
    assert winner.score_execution(scale_costs(winner.scorer.execution, 1.0)) == as_is
    for condition in (
        score_skipped(winner, OBJECTIVES, 1, share=0.0),
        score_noise(winner, OBJECTIVES, 1, size=0.0),
    ):
        assert condition.metrics == as_is
        worst = condition.worst_tenth
        assert worst == {name: as_is[name] for name in ("total_return", "sharpe_ratio", "max_drawdown")}


def test_doubled_costs() -> None:
    rules = Execution(
        fee_bps=10, slippage_bps=2, maker_fee_bps=3, fee_per_order=1, fee_per_share=0.5, minimum_fee=2
    )
    twice = scale_costs(rules, 2.0)
    assert (twice.fee_bps, twice.slippage_bps, twice.maker_fee_bps) == (20, 4, 6)
    assert (twice.fee_per_order, twice.fee_per_share, twice.minimum_fee) == (2, 1, 4)
    assert scale_costs(Execution(), 2.0) == Execution(fee_bps=20, slippage_bps=4)
    winner = followed()
    (doubled, *_) = score_conditions(winner, OBJECTIVES, 0)
    assert doubled.metrics == followed(fee_bps=20, slippage_bps=4).score()


def test_one_bar_later_is_the_engine_on_shifted_targets() -> None:
    closes = [100.0, 101, 104, 103, 99, 98, 102]
    winner = held(closes, 3)
    (_, later, *_) = score_conditions(winner, OBJECTIVES, 0)
    bars = winner.pieces[0][1].bars
    assert later.metrics == backtest_positions([0, 1, 1, 1, 0, 0, 0], bars).metrics
    # A target from before the window comes later too: it is not filled at the window's first open.
    (_, later, *_) = score_conditions(held(closes, 1, start=1), OBJECTIVES, 0)
    assert later.metrics["total_trades"] == 1
    assert later.metrics == backtest_positions([1, 0, 0, 0, 0, 0], bars[1:]).metrics


def test_draws_are_the_seeds() -> None:
    winner = followed()
    one, same, other = (score_conditions(winner, OBJECTIVES, seed) for seed in (1, 1, 2))
    assert one == same
    assert one[:2] == other[:2]
    assert one[2:] != other[2:]


def test_an_objective_is_among_the_worst_tenth() -> None:
    worst = score_skipped(followed(), (Objective.parse("-volatility"),), 0).worst_tenth
    assert worst is not None
    assert list(worst) == ["total_return", "sharpe_ratio", "max_drawdown", "volatility"]
    assert set(worst) <= set(METRICS)


@pytest.mark.parametrize(
    ("values", "minimize", "expected"),
    [
        (list(range(20)), False, 1),
        (list(range(20)), True, 18),
        ([None, *range(19)], False, 0),
        ([None, None, *range(18)], False, None),
        ([None, None, *range(18)], True, None),
        ([5.0], False, 5.0),
    ],
)
def test_worst_tenth(values: list[float | None], minimize: bool, expected: float | None) -> None:
    assert compute_worst_tenth(values, minimize=minimize) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0, 1.0, 2.0], 2.0), ([1.0, 4.0], 2.5), ([None, 1.0, 4.0], 2.5), ([None, 1.0], None), ([None], None)],
)
def test_median(values: list[float | None], expected: float | None) -> None:
    assert compute_median(values) == expected
