"""A batch of candidates gives exactly what each of them gives alone."""

import numpy as np
import pytest
from oracles import EXAMPLES, make_bars

from backtune.data.synthetic import synthetic_bars
from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.simulation.bar_window import BarWindow
from backtune.space import Choice, Int, Space
from backtune.spec import Execution, Objective
from backtune.strategy.registry import BUILT_IN, resolve_strategy

OBJECTIVES = (Objective(metric="sharpe_ratio"),)


def candidates(space: Space, n: int, seed: int = 3) -> list[dict]:
    """Random candidates, with the corners that a space has."""
    rng = np.random.default_rng(seed)

    def draw(parameter):
        if isinstance(parameter, Choice):
            return parameter.choices[int(rng.integers(len(parameter.choices)))]
        if isinstance(parameter, Int):
            return int(
                rng.choice([parameter.low, parameter.high, rng.integers(parameter.low, parameter.high + 1)])
            )
        return float(rng.choice([parameter.low, parameter.high, rng.uniform(parameter.low, parameter.high)]))

    return [{name: draw(parameter) for name, parameter in space.items()} for _ in range(n)]


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("start", [0, 1, 7, 500])
@pytest.mark.parametrize(
    "execution", [Execution(), Execution(allow_short=False, stop_loss=0.03, trailing_stop=0.05)]
)
def test_trials_of_a_batch_are_the_trials_of_each(name, start, execution):
    bars = synthetic_bars("A", "1h", "2021-01-01", "2021-04-01", seed=6)
    window = BarWindow.of(bars, start)
    evaluator = WindowEvaluator(CandidateScorer(resolve_strategy(name), execution), window, OBJECTIVES)
    numbered = list(enumerate(candidates(BUILT_IN[name].space(), 12)))
    for together, (number, params) in zip(evaluator.evaluate(numbered), numbered, strict=True):
        (alone,) = evaluator.evaluate([(number, params)])
        assert together.metrics == alone.metrics
        assert np.array_equal(together.blocks, alone.blocks)
        assert (together.state, together.params, together.number) == (alone.state, params, number)


def test_changes_of_sides_are_those_of_the_same_targets():
    rng = np.random.default_rng(0)
    for case in range(EXAMPLES):
        n = int(rng.integers(1, 70))
        sides = rng.choice([-1, 0, 1], n, p=[0.1, 0.8, 0.1] if case % 2 else None).astype(np.int8)
        window = BarWindow.of(make_bars(np.ones(n), np.ones(n)), int(rng.integers(0, n)))
        for allow_short in (True, False):
            ours = window.find_side_changes(sides, allow_short=allow_short)
            theirs = window.find_target_changes(sides.astype(float), allow_short=allow_short)
            assert np.array_equal(ours.bars, theirs.bars)
            assert np.array_equal(ours.targets, theirs.targets)


def test_a_candidate_that_cannot_be_built_fails_alone():
    scorer = CandidateScorer(resolve_strategy("MovingAverageCrossover"), Execution())
    window = BarWindow.of(synthetic_bars("A", "1h", "2021-01-01", "2021-04-01", seed=6))
    good = {"fast_period": 5, "slow_period": 50}
    batch = [(0, good), (1, {"fast_period": 0, "slow_period": 50}), (2, good)]
    trials = list(WindowEvaluator(scorer, window, OBJECTIVES).evaluate(batch))
    assert [trial.state for trial in trials] == ["complete", "failed", "complete"]
    assert trials[1].reason == "ValueError: a period must be 1 or more, not 0"
    assert trials[0].metrics == trials[2].metrics
