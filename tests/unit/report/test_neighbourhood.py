"""The trials around a best, and the map of two parameters."""

import numpy as np
import polars as pl
import pytest

from backtune.report.neighbourhood import measure_neighbourhood
from backtune.report.plots.robustness import compute_cell_edges, compute_cell_medians
from backtune.space import Choice, Float, Int, Space
from backtune.spec import Objective
from backtune.validation.plateau import measure_plateau

SHARPE, DRAWDOWN = Objective.parse("sharpe_ratio"), Objective.parse("-max_drawdown")


def log_of(states, values, **params) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "number": range(len(values)),
            "state": states,
            **{f"params_{name}": column for name, column in params.items()},
            "values_0": values,
        }
    )


def test_the_trials_by_their_distance_from_the_best():
    space = Space(a=Float(0.0, 10.0), b=Float(1.0, 100.0, log=True), kind=Choice(("x", "y")))
    log = log_of(
        ["complete", "complete", "complete", "infeasible", "failed", "complete"],
        [3.0, 2.0, 1.0, 0.0, None, 2.5],
        a=[5.0, 5.5, 9.0, 4.5, 5.0, 5.0],
        b=[10.0, 10.0, 10.0, 10.0, 10.0**0.8, 10.0],
        kind=["x", "x", "x", "x", "x", "y"],
    )
    around = measure_neighbourhood(log, space, SHARPE)
    assert around.best == {"a": 5.0, "b": 10.0, "kind": "x"}
    np.testing.assert_allclose(around.distances, [0.0, 0.05, 0.4, 0.05, 0.1, np.nan], atol=1e-12)
    assert around.is_near.tolist() == [False, True, False, True, True, False]
    assert (around.n_near, around.n_near_without_value) == (3, 2)
    np.testing.assert_array_equal(around.values, [3.0, 2.0, 1.0, np.nan, np.nan, 2.5])
    assert around.box == {"a": pytest.approx((4.0, 6.0)), "b": pytest.approx((10.0**0.8, 10.0**1.2))}
    # Too few neighbours for a plateau.
    assert (around.neighbourhood, around.stability) == (None, None)


@pytest.mark.parametrize(("objective", "sign"), [(SHARPE, 1.0), (DRAWDOWN, -1.0)])
def test_the_medians_are_those_of_the_plateau(objective, sign):
    random = np.random.default_rng(3)
    space = Space(a=Int(0, 50), b=Float(-1.0, 1.0))
    a, b = random.integers(0, 51, 600), random.uniform(-1, 1, 600)
    gains = 2.0 - np.abs(a - 30) / 25 - np.abs(b) + 0.1 * random.normal(size=600)
    complete = random.random(600) < 0.9
    states = np.where(complete, "complete", "infeasible").tolist()
    around = measure_neighbourhood(log_of(states, sign * gains, a=a, b=b), space, objective)
    stand = measure_plateau(space, {"a": a, "b": b}, np.where(complete, gains, np.nan))
    assert around.stability == stand.stability
    assert around.neighbourhood == pytest.approx(sign * stand.neighbourhood)
    assert around.elsewhere == pytest.approx(sign * stand.elsewhere)
    assert around.best_value == sign * gains[complete].max()
    near = np.unique(np.column_stack([a, b])[around.is_near], axis=0)
    assert len(near) == stand.n_neighbours
    assert around.distances[around.is_near].max() <= 0.1 + 1e-9


@pytest.mark.parametrize(
    ("space", "states", "params"),
    [
        (Space(a=Float(0.0, 1.0)), ["infeasible", "failed"], {"a": [0.1, 0.2]}),
        (Space(kind=Choice(("x", "y"))), ["complete", "complete"], {"kind": ["x", "y"]}),
    ],
)
def test_where_there_is_nothing_to_see_there_is_none(space, states, params):
    assert measure_neighbourhood(log_of(states, [1.0, 2.0], **params), space, SHARPE) is None


@pytest.mark.parametrize(
    ("parameter", "edges"),
    [
        (Int(2, 6, step=2), [2, 3, 5, 6]),
        (Float(0.0, 1.0, step=0.5), [0, 0.25, 0.75, 1]),
        (Int(0, 120), list(range(0, 121, 10))),
        (Float(1.0, 2.0**12, log=True), [2.0**k for k in range(13)]),
    ],
)
def test_cells_share_a_range(parameter, edges):
    np.testing.assert_allclose(compute_cell_edges(parameter.scale), edges, rtol=1e-12)


def test_a_cell_has_the_median_of_its_own_trials_and_an_empty_one_has_none():
    edges = [np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 20.0])]
    columns = [
        np.array([0.2, 0.4, 0.9, 2.0, 2.1, np.nan, 0.5]),
        np.array([1.0, 2.0, 3.0, 20.0, 5.0, 5.0, 5.0]),
    ]
    values = np.array([1.0, 7.0, 2.0, 4.0, 9.0, 9.0, 100.0])
    kept = np.array([True, True, True, True, True, True, False])
    medians = compute_cell_medians(columns, values, kept, edges)
    np.testing.assert_array_equal(medians, [[2.0, np.nan], [np.nan, 4.0]])
