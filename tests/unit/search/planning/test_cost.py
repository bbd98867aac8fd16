"""The estimated cost of a study."""

from dataclasses import replace

import pytest
from sweeps import parsed

from backtune.data.synthetic import make_market
from backtune.search.planning.cost import (
    ComputeCost,
    ComputePrices,
    LinearTime,
    count_candidates,
    count_combinations,
)
from backtune.search.planning.plan import plan_studies
from backtune.space import Choice, Float, Int, Space
from backtune.spec import Search

NUMBERS = Space({"a": Int(1, 4), "b": Int(0, 10, step=5)})
REAL = Space({"a": Int(1, 4), "x": Float(0.0, 1.0)})
FIXED = Space({"a": Int(3, 3), "way": Choice(("up",))})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("cost")
    make_market(
        str(root), assets=["AAA", "BBB"], timeframe="1h", start="2021-01-01", end="2021-03-02", seed=1
    )
    return plan_studies(parsed(root))[0]


def test_a_line_sums_what_it_says_of_every_point():
    line = LinearTime(base=2.0, slope=0.5)
    assert line.at(3) == 3.5
    assert line.total(4) == 2.0 + 2.5 + 3.0 + 3.5
    assert line.total(0) == 0.0


@pytest.mark.parametrize(
    ("sampler", "space", "candidates"),
    [
        ("tpe", NUMBERS, 500),
        ("tpe", FIXED, 1),
        ("grid", NUMBERS, 12),
        ("grid", REAL, 40),
        ("grid", FIXED, 1),
    ],
)
def test_budgets_end_where_the_space_is_exhausted(sampler, space, candidates):
    assert count_candidates(Search(sampler=sampler, trials=500), space) == candidates
    assert count_candidates(Search(sampler=sampler, trials=1), space) == 1


@pytest.mark.parametrize(("space", "combinations"), [(NUMBERS, 12), (REAL, None), (FIXED, 1)])
def test_only_finite_spaces_have_a_number_of_combinations(space, combinations):
    assert count_combinations(space) == combinations


def test_logged_trials_are_asked_again_but_not_evaluated_again(study):
    prices = ComputePrices(
        {study.strategy.name: LinearTime(0.1, 0.001)}, {study.strategy.name: LinearTime(0.01, 0.002)}
    )
    study = replace(study, n_bars=400)
    assert study.search.trials == 40
    fresh, half, done = (prices.estimate_cost(study, n) for n in (0, 20, 45))
    assert [cost.n_left for cost in (fresh, half, done)] == [40, 20, 0]
    assert [cost.evaluation_seconds for cost in (fresh, half, done)] == pytest.approx([20.0, 10.0, 0.0])
    assert [cost.sampler_seconds for cost in (fresh, half, done)] == pytest.approx([0.4 + 0.002 * 780] * 3)
    assert fresh.seconds > half.seconds > done.seconds


def test_repeats_in_a_finite_space_are_not_evaluated(study):
    prices = ComputePrices({study.strategy.name: LinearTime(1.0, 0.0)})
    assert prices.estimate_cost(replace(study, space=NUMBERS)).evaluation_seconds == 12.0
    assert prices.estimate_cost(replace(study, space=REAL)).evaluation_seconds == 40.0


def test_what_was_not_measured_costs_more_with_more_bars_and_a_slower_backend(study):
    small, large = (
        ComputePrices().estimate_cost(replace(study, n_bars=n)).seconds for n in (1_000, 1_000_000)
    )
    assert 0 < small < large
    slow = replace(study, search=study.search.model_copy(update={"backend": "optuna"}))
    assert (
        ComputePrices().estimate_cost(slow).sampler_seconds
        > 5 * ComputePrices().estimate_cost(study).sampler_seconds
    )


def test_costs_add_up():
    assert ComputeCost(1, 2.0, 3.0, 4.0) + ComputeCost(10, 20.0, 30.0, 40.0) == ComputeCost(
        11, 22.0, 33.0, 44.0
    )
    assert ComputeCost(1, 2.0, 3.0, 4.0).seconds == 9.0
