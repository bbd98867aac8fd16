"""What luck alone will show in a sweep that is planned."""

from __future__ import annotations

import math

import pytest
from sweeps import parsed, spec_document

from backtune.search.planning.luck import PlannedLuck
from backtune.search.planning.plan import plan_studies
from backtune.spec import SweepSpec
from backtune.validation.multiple_tests import BestByLuck


@pytest.mark.parametrize(
    ("changes", "n_trials", "n_tests"),
    [
        ({}, 30, 2),
        ({"search": {"islands": 3}}, 30, 2),
        ({"validation": {"method": "none"}}, 30, None),
        ({"validation": {"method": "walk_forward", "folds": 3}}, 90, 2),
    ],
)
def test_tests_are_those_of_cells(market, changes, n_trials, n_tests):
    document = spec_document(
        market,
        grid={"assets": ["AAA", "BBB"], "strategies": ["RSIStrategy"]},
        search={"trials": 15, **changes.get("search", {})},
    )
    document["validation"] = changes.get("validation", document["validation"])
    studies = plan_studies(SweepSpec.parse(document))
    found = PlannedLuck.of(studies)
    assert found.n_trials == n_trials
    assert (found.best_test.n_tests if found.best_test else None) == n_tests
    lines = found.describe()
    assert len(lines) == (1 if n_tests is None else 2)
    assert f"the best of {n_trials} trials" in lines[0]


def test_numbers_by_hand(market):
    studies = plan_studies(
        parsed(market, grid={"assets": ["AAA", "BBB"], "strategies": ["RSIStrategy"]}, search={"trials": 50})
    )
    found = PlannedLuck.of(studies)
    years = studies[0].fold.test.length / (365.25 * 86_400e6)
    assert found.best_test == BestByLuck.of([1 / math.sqrt(years)] * 2)
    # Of 100 independent trials the best shows 2.53 standard errors on average.
    assert found.min_backtest_years == pytest.approx(2.53**2, rel=0.01)
