"""What a tracker is told, without a tracker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from backtune.results.segments import read_log
from backtune.results.summary import StudySummary
from backtune.spec import Goal
from backtune.tracking.records import Step, best_so_far, study_record, sweep_record
from tracking_runs import finished_sweep, make_sweep


def test_a_study_is_told_with_its_cell_parameters_and_results(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path, n_studies=1)
    study = sweep.run.studies[0]
    summary = sweep.run.summary(study)
    assert summary is not None
    record = study_record(sweep.run, study, summary)
    winner = summary.winners[0]
    assert record.status == "FINISHED"
    assert record.params == {
        "strategy": "MovingAverageCrossover", "asset": "ASSET0", "timeframe": "1d",
        **{name: str(value) for name, value in winner.params.items()},
    }  # fmt: skip
    assert record.tags["sweep"] == sweep.run.sweep_id
    assert record.tags["study"] == study.id
    assert record.metrics["n_trials"] == 25
    assert record.metrics["best_trial"] == winner.number
    assert record.metrics["is_sharpe_ratio"] == winner.is_metrics["sharpe_ratio"]
    assert winner.oos_metrics is not None
    assert record.metrics["oos_sharpe_ratio"] == winner.oos_metrics["sharpe_ratio"]


def test_an_undefined_metric_is_left_out(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path, n_studies=1)
    study = sweep.run.studies[0]
    summary = sweep.run.summary(study)
    assert summary is not None
    winner = replace(summary.winners[0], oos_metrics=None)
    winner.is_metrics["profit_factor"] = None
    names = study_record(sweep.run, study, replace(summary, winners=(winner,))).metrics
    assert "is_profit_factor" not in names
    assert not [name for name in names if name.startswith("oos_")]


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["complete", "complete"], "FINISHED"),
        (["complete", "failed"], "FAILED"),
        (["failed", "partial"], "RUNNING"),
        (["complete", None], "RUNNING"),
    ],
)
def test_a_sweep_has_the_status_of_its_studies(tmp_path: Path, states: list[str | None], status: str) -> None:
    run = make_sweep(tmp_path, n_studies=2).run
    summaries = [StudySummary(state=state) if state else None for state in states]  # type: ignore[arg-type]
    assert sweep_record(run, summaries).status == status


def test_a_budget_is_no_parameter_of_a_sweep(tmp_path: Path) -> None:
    params = sweep_record(make_sweep(tmp_path).run, []).params
    assert params["search.sampler"] == "tpe"
    assert params["search.objectives"] == "sharpe_ratio"
    assert "search.trials" not in params


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("sharpe_ratio", [Step(1, 2.0, 3.0), Step(4, 5.0, 15.0), Step(5, 5.0, 21.0)]),
        ("-max_drawdown", [Step(1, 2.0, 3.0), Step(3, 1.0, 10.0), Step(5, 1.0, 21.0)]),
    ],
)
def test_the_best_so_far_is_told_where_it_changes_and_last(goal: str, expected: list[Step]) -> None:
    trials = pl.DataFrame(
        {
            "number": range(6),
            "state": ["infeasible", "complete", "failed", "complete", "complete", "complete"],
            "values_0": [9.0, 2.0, None, 1.0, 5.0, 5.0],
            "duration_seconds": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
    )
    assert best_so_far(trials, Goal.parse(goal)) == expected


def test_without_a_complete_trial_there_is_no_best(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path, n_studies=1)
    trials = read_log(sweep.run.study_folder(sweep.run.studies[0].id))
    assert trials is not None
    assert best_so_far(trials.with_columns(state=pl.lit("infeasible")), Goal.parse("sharpe_ratio")) == []
