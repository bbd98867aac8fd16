"""The feedback about a candidate that never trades."""

import numpy as np
import pytest
from oracles import make_bars

from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.study_loop.trial_feedback import make_feedback
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.simulation.bar_window import BarWindow
from backtune.space import Int, Space
from backtune.spec import Constraint, Execution, Objective
from backtune.strategy.base import BaseStrategy
from backtune.strategy.registry import StrategyRef

BARS = make_bars(np.full(50, 100.0), np.full(50, 101.0))


class Idle(BaseStrategy):
    @classmethod
    def space(cls):
        return Space({"period": Int(1, 9)})

    def positions(self, bars):
        return np.zeros(len(bars))


@pytest.mark.parametrize(
    ("objectives", "constraints", "violations"),
    [
        (["sharpe_ratio"], {}, ()),
        (["sharpe_ratio", "total_return"], {}, ()),
        # Otherwise it would look as if it kept the constraints.
        (["sharpe_ratio"], {"max_drawdown": "<= 0.4"}, (1.0,)),
        (["sharpe_ratio"], {"total_trades": ">= 30"}, (1.0, 1.0)),
        # Losing nothing is the best value of these objectives.
        (["-max_drawdown"], {}, (1.0,)),
        (["sharpe_ratio", "-volatility"], {}, (1.0,)),
        (["largest_loss"], {}, (1.0,)),
        (["average_loss"], {"total_trades": ">= 30"}, (1.0, 1.0)),
    ],
)
def test_that_it_never_trades_is_reported_where_it_would_win(objectives, constraints, violations):
    constraints = tuple(Constraint.parse(*item) for item in constraints.items())
    parsed = tuple(map(Objective.parse, objectives))
    scorer = CandidateScorer(StrategyRef("Idle", cls=Idle), Execution())
    evaluator = WindowEvaluator(scorer, BarWindow.of(BARS, 0), parsed, constraints)
    (trial,) = evaluator.evaluate([(0, {"period": 3})])
    assert (trial.state, trial.values) == ("infeasible", (0.0,) * len(objectives))
    assert trial.reason.startswith("total_trades >= 1 does not hold")
    assert tuple(one for one in make_feedback(trial, parsed, constraints).violations if one > 0) == violations
