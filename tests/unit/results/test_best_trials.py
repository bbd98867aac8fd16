"""The best trial, and the Pareto front."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.results.best_trials import select_best_trials
from backtune.results.trial import Trial
from backtune.spec import Objective

UP, DOWN = Objective(metric="sharpe_ratio"), Objective(metric="max_drawdown", minimize=True)


def trials(values, states=()):
    return [
        Trial(n, {}, state, "", v if state != "failed" else None, {}, np.zeros((16, 3)), 0.0)
        for n, (v, state) in enumerate(zip(values, states or ["complete"] * len(values), strict=True))
    ]


@pytest.mark.parametrize(
    ("values", "states", "objectives", "numbers"),
    [
        ([(1.0,), (3.0,), (2.0,)], (), [UP], [1]),
        ([(1.0,), (3.0,), (2.0,)], (), [DOWN], [0]),
        ([(1.0,), (2.0,), (2.0,)], (), [UP], [1]),
        ([(1.0,), (9.0,), (8.0,)], ("complete", "infeasible", "failed"), [UP], [0]),
        ([(1.0,)], ("infeasible",), [UP], []),
        ([(1.0, 0.1), (2.0, 0.2), (1.5, 0.3), (2.0, 0.2), (0.5, 0.05)], (), [UP, DOWN], [1, 0, 4]),
        ([], (), [UP, DOWN], []),
    ],
)
def test_tables(values, states, objectives, numbers):
    assert [t.number for t in select_best_trials(trials(values, states), objectives)] == numbers


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_front_is_the_set_of_points_that_no_other_beats(points):
    front = select_best_trials(trials([(float(a), float(b)) for a, b in points]), [UP, DOWN])
    found = {t.values for t in front}
    assert len(found) == len(front)
    beaten = {(a, b) for a, b in points if any(c >= a and d <= b and (c, d) != (a, b) for c, d in points)}
    assert found == {(float(a), float(b)) for a, b in set(points) - beaten}
