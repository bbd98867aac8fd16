"""Objectives over the parts of a search's window: against backtests of each part by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import DAY, make_bars

from backtune.data.bars import Bars
from backtune.errors import CatalogError
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.trial import Trial
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.simulate import simulate_positions
from backtune.space import Params
from backtune.spec import Execution, Objective
from backtune.strategy.base import BaseStrategy
from backtune.strategy.moving_average_crossover import MovingAverageCrossover
from backtune.strategy.registry import StrategyRef, resolve_strategy
from backtune.validation.folds import TimeWindow
from backtune.validation.windows import search_window

CLOSE = 100 * np.exp(np.cumsum(np.random.default_rng(4).standard_normal(900) * 0.01))
BARS = make_bars(np.concatenate([[100.0], CLOSE[:-1]]), CLOSE)
TRAIN = TimeWindow(0, 700 * DAY)
PARTS = (TimeWindow(0, 200 * DAY), TimeWindow(250 * DAY, 450 * DAY), TimeWindow(500 * DAY, 700 * DAY))
ROWS = [(0, 200), (250, 450), (500, 700)]
COSTS = Execution(fee_bps=10, slippage_bps=2)
SHARPE = (Objective.parse("sharpe_ratio"),)
PARAMS: Params = {"fast_period": 5, "slow_period": 50}
STRATEGY = MovingAverageCrossover(fast_period=5, slow_period=50)


class Slow(BaseStrategy):
    """The same without a batched form."""

    @classmethod
    def space(cls) -> Any:
        return MovingAverageCrossover.space()

    def positions(self, bars: Bars) -> np.ndarray:
        return MovingAverageCrossover(**vars(self)).positions(bars)


REFS = {
    "batched": resolve_strategy("MovingAverageCrossover"),
    "alone": StrategyRef("Slow", cls=Slow),
}


def metric_of_parts(metric: str, rows: list[tuple[int, int]] = ROWS) -> list[float | None]:
    """Of backtests of each part, the bars before it as warm-up."""
    positions = STRATEGY.positions(BARS)
    found = []
    for start, end in rows:
        window = BarWindow.of(BARS[:end], start)
        found.append(simulate_positions(positions[:end], window, COSTS).metrics[metric])
    return found


def evaluate(
    ref: StrategyRef, window: BarWindow, objectives: tuple[Objective, ...] = SHARPE, deviation: float = 0.0
) -> Trial:
    evaluator = WindowEvaluator(CandidateScorer(ref, COSTS), window, objectives, (), deviation)
    (trial,) = evaluator.evaluate([(0, PARAMS)])
    return trial


@pytest.mark.parametrize("form", REFS)
@pytest.mark.parametrize("deviation", [0.0, 0.5, 2.0])
def test_mean_worsened_by_deviations(form: str, deviation: float) -> None:
    objectives = (Objective.parse("sharpe_ratio"), Objective.parse("-max_drawdown"))
    trial = evaluate(REFS[form], search_window(BARS, TRAIN, PARTS), objectives, deviation)
    sharpes, drawdowns = (
        np.array(metric_of_parts(objective.metric), dtype=float) for objective in objectives
    )
    assert trial.state == "complete"
    assert trial.values == pytest.approx(
        (
            sharpes.mean() - deviation * sharpes.std(ddof=1),
            drawdowns.mean() + deviation * drawdowns.std(ddof=1),
        ),
        rel=1e-12,
    )


@pytest.mark.parametrize("form", REFS)
def test_all_else_is_of_the_whole_window(form: str) -> None:
    split = evaluate(REFS[form], search_window(BARS, TRAIN, PARTS))
    whole = evaluate(REFS[form], search_window(BARS, TRAIN))
    assert split.metrics == whole.metrics
    assert np.array_equal(split.blocks, whole.blocks)
    assert whole.values == (whole.metrics["sharpe_ratio"],)
    assert split.values != whole.values


def test_a_part_without_a_trade_counts_as_nothing_earned() -> None:
    # The first part ends within the warm-up.
    parts = (TimeWindow(0, 40 * DAY), PARTS[1])
    trial = evaluate(REFS["batched"], search_window(BARS, TRAIN, parts), deviation=1.0)
    idle, traded = metric_of_parts("sharpe_ratio", [(0, 40), (250, 450)])
    assert idle is None
    assert traded is not None
    assert trial.values == pytest.approx((traded / 2 - abs(traded) / np.sqrt(2),))


def test_nothing_after_the_window_reaches_the_search() -> None:
    other = make_bars(
        np.where(np.arange(900) < 700, BARS.open, 7.0), np.where(np.arange(900) < 700, CLOSE, 9.0)
    )
    one, again = (
        evaluate(REFS["batched"], search_window(bars, TRAIN, PARTS), deviation=0.5) for bars in (BARS, other)
    )
    assert one.values == again.values
    assert one.metrics == again.metrics


def test_a_part_without_a_bar_is_refused() -> None:
    with pytest.raises(CatalogError, match="the fold window has no bar"):
        search_window(BARS, TRAIN, (TimeWindow(0, DAY), TimeWindow(DAY + 1, DAY + 2)))
