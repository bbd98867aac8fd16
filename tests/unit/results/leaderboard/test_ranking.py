"""The order of the leaderboard: what the search saw, few trades last; the test decides nothing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from stored_sweeps import minimal_spec, stored_study

from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.log.summary import StudySummary, Winner
from backtune.results.stored_sweep import StoredSweep
from backtune.simulation.metrics import METRICS
from backtune.space import Float, Space
from backtune.spec import Objective
from backtune.validation.deflated_sharpe import ReturnShape
from backtune.validation.folds import Fold, TimeWindow

LINE = Space(x=Float(0.0, 1.0))
DAY = 86_400_000_000
TEST = TimeWindow(400 * DAY, 500 * DAY)


def entry(name, train_days=400):
    fold = Fold("holdout", TimeWindow((400 - train_days) * DAY, 400 * DAY), TEST)
    return stored_study(name, asset=name, fold=fold, budget=9, space=LINE.to_json())


def metrics(trades, sharpe=0.0):
    return {**dict.fromkeys(METRICS), "total_trades": trades, "sharpe_ratio": sharpe, "total_return": 0.1}


def winner(value, outside, trades=(40.0, 40.0)):
    return Winner(
        1,
        {"x": 0.5},
        (value,),
        metrics(trades[0], value),
        metrics(trades[1], outside),
        oos_shape=ReturnShape(2400, 0.01, 0.0, 3.0),
    )


def run_of(tmp_path, studies, winners, objective="sharpe_ratio"):
    spec = minimal_spec(search={"objectives": [objective]})
    run = StoredSweep(
        tmp_path / "sweep",
        "sweep",
        "name",
        spec,
        tuple(replace(study, objectives=(Objective.parse(objective),)) for study in studies),
        "1",
    )
    for study, own in zip(studies, winners, strict=True):
        StudySummary("complete", n_trials=9, winners=own).write(run.study_folder(study.id))
    return run


@pytest.mark.parametrize(
    ("winners", "expected"),
    [
        # The best test is the luckiest one, and does not come first for it.
        ({"A": winner(1.0, 9.0), "B": winner(2.0, -1.0), "C": winner(1.5, 0.0)}, "BCA"),
        ({"A": winner(9.0, 9.0, (40.0, 1.0)), "B": winner(0.1, 0.0), "C": winner(8.0, 1.0, (29.0, 99.0))}, "BAC"),
        ({"A": winner(9.0, 9.0, (40.0, 30.0)), "B": winner(0.1, 0.0), "C": None}, "ABC"),
    ],
)  # fmt: skip
def test_order(tmp_path, winners, expected):
    run = run_of(
        tmp_path, [entry(name) for name in winners], [(own,) if own else () for own in winners.values()]
    )
    assert "".join(row.asset for row in build_leaderboard(run)) == expected
    assert [row.asset for row in build_leaderboard(run, top=1)] == list(expected)


def test_the_test_never_changes_the_order(tmp_path):
    chance = random.Random(3)  # noqa: S311
    studies = [entry(f"A{k}") for k in range(8)]
    values = [chance.gauss(0, 1) for _ in studies]
    orders = set()
    for k in range(5):
        winners = [(winner(value, chance.gauss(0, 3)),) for value in values]
        run = run_of(tmp_path / f"{k}", studies, winners)
        orders.add(tuple(row.asset for row in build_leaderboard(run)))
    assert len(orders) == 1


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        # 2 over 400 days are 2.09 standard errors, 3 over 100 days are 1.57.
        ("sharpe_ratio", ["LONG", "SHORT"]),
        ("calmar_ratio", ["SHORT", "LONG"]),
    ],
)
def test_sharpe_ratios_of_unequal_windows_are_compared_in_standard_errors(tmp_path, objective, expected):
    studies = [entry("SHORT", 100), entry("LONG", 400)]
    run = run_of(tmp_path, studies, [(winner(3.0, 0.0),), (winner(2.0, 0.0),)], objective)
    assert [row.asset for row in build_leaderboard(run)] == expected


def test_a_minimized_objective_comes_first_where_it_is_least(tmp_path):
    run = run_of(
        tmp_path, [entry("A"), entry("B")], [(winner(0.3, 0.0),), (winner(0.2, 0.0),)], "-max_drawdown"
    )
    assert [row.asset for row in build_leaderboard(run)] == ["B", "A"]
