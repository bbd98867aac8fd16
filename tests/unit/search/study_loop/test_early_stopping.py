"""Early stopping: the rule on small tables made by hand, and the feedback about stopped trials."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtune.results.trial import Trial
from backtune.search.study_loop.early_stopping import Yardstick
from backtune.search.study_loop.trial_feedback import make_feedback
from backtune.simulation.metrics import METRICS
from backtune.spec import EarlyStopping, Objective

SHARPE, DRAWDOWN = Objective(metric="sharpe_ratio"), Objective(metric="max_drawdown", minimize=True)


def trial(state, values, *rungs):
    return Trial(0, {}, state, "", values, dict.fromkeys(METRICS), np.zeros((16, 3)), 0.0, rungs)


def yardstick(objectives, trials, **setting):
    made = Yardstick(EarlyStopping(**{"startup_trials": 1, **setting}), objectives)
    for one in trials:
        made.add(one)
    return made


# Values on the whole window and on the rung: the two best had 0.3 and 0.9 on the rung; the best on the rung is bad.
FIVE = [
    trial("complete", (whole,), (rung,))
    for whole, rung in [(1.0, 0.3), (0.9, 0.9), (0.5, 0.8), (0.1, 2.0), (0.0, 0.1)]
]


@pytest.mark.parametrize(
    ("top", "value", "hopeless"),
    [
        # The best one alone.
        (0.2, 0.29, True),
        (0.2, 0.3, False),
        (0.2, 0.31, False),
        # The two best: the worse of them on the rung decides.
        (0.4, 0.29, True),
        (0.4, 0.3, False),
        (0.21, 0.29, True),
        # All five.
        (0.99, 0.09, True),
        (0.99, 0.1, False),
    ],
)
def test_the_rule(top, value, hopeless):
    assert yardstick([SHARPE], FIVE, top=top).is_hopeless(0, (value,)) is hopeless


@pytest.mark.parametrize(("startup", "hopeless"), [(5, True), (6, False)])
def test_nothing_is_stopped_at_the_start(startup, hopeless):
    assert yardstick([SHARPE], FIVE, startup_trials=startup).is_hopeless(0, (-9.0,)) is hopeless


def test_a_minimized_objective():
    made = yardstick([DRAWDOWN], [trial("complete", (0.1,), (0.05,)), trial("complete", (0.3,), (0.01,))])
    assert not made.is_hopeless(0, (0.05,))
    assert made.is_hopeless(0, (0.06,))


def test_every_rung_has_its_own_yardstick():
    made = yardstick([SHARPE], [trial("complete", (1.0,), (0.1,), (0.7,))], rungs=[0.1, 0.5])
    assert [made.is_hopeless(k, (0.4,)) for k in (0, 1)] == [False, True]


@pytest.mark.parametrize(
    "other",
    [
        trial("infeasible", (9.0,), (9.0,)),
        trial("infeasible", None, (9.0,)),
        trial("failed", None, (9.0,)),
        # The best by far, of which nothing is known on the rung.
        trial("complete", (9.0,), None),
    ],
    ids=["infeasible", "stopped", "failed", "unknown"],
)
def test_trials_that_are_no_yardstick(other):
    made = yardstick([SHARPE], [*FIVE, other], top=0.5)
    assert not made.is_hopeless(0, (0.3,))
    # Where the top is the unknown one alone, there is nothing to compare with.
    assert yardstick([SHARPE], [*FIVE, other], top=0.1).is_hopeless(0, (0.2,)) is (other.state != "complete")


@pytest.mark.parametrize(
    ("values", "hopeless"),
    [
        ((0.9, 0.31), False),  # a lower drawdown than one of the front
        ((1.1, 0.9), False),  # a higher ratio than one of the front
        ((0.4, 0.5), True),
        ((0.5, 0.1), False),  # equal is not worse
    ],
)
def test_several_objectives_are_hopeless_only_against_the_whole_front(values, hopeless):
    front = [trial("complete", (2.0, 0.4), (1.5, 0.4)), trial("complete", (1.0, 0.2), (0.5, 0.1))]
    dominated = [trial("complete", (0.5, 0.9), (0.0, 0.9)), trial("complete", (0.4, 0.9), (0.0, 0.9))]
    made = yardstick([SHARPE, DRAWDOWN], [*front, *dominated], top=0.2)
    assert made.is_hopeless(0, values) is hopeless


@pytest.mark.parametrize(
    ("objectives", "rungs", "violation"),
    [
        ([SHARPE], [(0.0,)], 0.5),
        ([SHARPE], [(1.0,)], 0.25),
        ([SHARPE], [(-1.0,)], 0.75),
        ([DRAWDOWN], [(1.0,)], 0.75),
        ([SHARPE], [(0.0,), None], 0.75),
        ([SHARPE], [(0.0,), (1.0,)], 0.125),
        ([SHARPE], [None, (1.0,)], 0.125),
        ([SHARPE, DRAWDOWN], [(1.0, 0.0)], 0.375),
    ],
)
def test_the_feedback_about_a_stopped_trial(objectives, rungs, violation):
    told = make_feedback(trial("infeasible", None, *rungs), objectives, ())
    assert told.values == (0.0,) * len(objectives)
    assert told.violations == (pytest.approx(violation),)
    assert not told.is_feasible


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_the_better_on_a_rung_violates_less_and_a_further_rung_less_still(one, other):
    def violation(*rungs):
        return make_feedback(trial("infeasible", None, *rungs), [SHARPE], ()).total_violation

    low, high = sorted((one, other))
    assert 0 < violation((high,), None) <= violation((low,), None) < 1
    assert violation((low,), (low,)) < violation((high,), None)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=30), st.floats(0.01, 0.99))
def test_the_top_is_what_sorting_says(pairs, share):
    """With one objective the top is the first ceil(share * n) trials by value, with all that equal the last of them."""
    trials = [trial("complete", (float(whole),), (float(rung),)) for whole, rung in pairs]
    made = yardstick([SHARPE], trials, top=share)
    ranked = sorted((whole for whole, _ in pairs), reverse=True)
    # Trials with fewer than share * n better ones.
    top = [rung for whole, rung in pairs if ranked.index(whole) < share * len(pairs)]
    for value in np.arange(-3.5, 4, 0.5):
        assert made.is_hopeless(0, (value,)) == (bool(pairs) and value < min(top))


def test_a_trial_that_was_stopped_is_told_apart_from_an_infeasible_one():
    assert trial("infeasible", None, (1.0,)).is_stopped
    assert not trial("infeasible", (0.0,), (1.0,)).is_stopped
    assert not trial("failed", None, (1.0,)).is_stopped
    assert not trial("complete", (math.pi,), (1.0,)).is_stopped
