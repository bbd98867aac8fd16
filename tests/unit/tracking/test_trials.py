"""What a tracker is told of the trials of a study."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from tracking_runs import Sweep, finished_sweep

from backtune.results.log.segments import read_log
from backtune.results.log.summary import StudySummary
from backtune.spec import Objective
from backtune.tracking.trials import CurvePoint, TrialRecord, build_curve_points, build_trial_records


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return finished_sweep(tmp_path_factory.mktemp("runs"), n_studies=1, budget=60)


@pytest.fixture(scope="module")
def log(sweep: Sweep) -> pl.DataFrame:
    found = read_log(sweep.run.study_folder(sweep.run.studies[0].id))
    assert found is not None
    return found


def told(sweep: Sweep, log: pl.DataFrame, top_k: int) -> list[TrialRecord]:
    study = sweep.run.studies[0]
    summary = sweep.run.read_summary(study)
    assert summary is not None
    return build_trial_records(sweep.run, study, summary, log, top_k)


@pytest.mark.parametrize(
    ("objective", "stairs"),
    [
        ("sharpe_ratio", [(1, 2.0, 3.0), (3, 2.0, 10.0), (4, 5.0, 15.0), (6, 5.0, 28.0)]),
        ("-max_drawdown", [(1, 2.0, 3.0), (3, 1.0, 10.0), (6, 1.0, 28.0)]),
    ],
)
def test_every_complete_trial_is_a_point_and_the_best_so_far_is_stairs(
    objective: str, stairs: list[tuple[int, float, float]]
) -> None:
    trials = pl.DataFrame(
        {
            "number": range(7),
            "state": ["infeasible", "complete", "failed", "complete", "complete", "complete", "complete"],
            "values_0": [9.0, 2.0, None, 1.0, 5.0, 5.0, 4.0],
            "duration_seconds": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        }
    )
    curve = f"trial_{objective.removeprefix('-')}"
    assert build_curve_points(trials, [Objective.parse(objective)]) == [
        CurvePoint(curve, 1, 2.0, 3.0), CurvePoint(curve, 3, 1.0, 10.0), CurvePoint(curve, 4, 5.0, 15.0), CurvePoint(curve, 5, 5.0, 21.0),
        CurvePoint(curve, 6, 4.0, 28.0), *(CurvePoint("best_so_far", *step) for step in stairs),
    ]  # fmt: skip


def test_each_objective_has_a_curve() -> None:
    trials = pl.DataFrame(
        {
            "number": [0],
            "state": ["complete"],
            "values_0": [1.5],
            "values_1": [0.2],
            "duration_seconds": [1.0],
        }
    )
    objectives = [Objective.parse("sharpe_ratio"), Objective.parse("-max_drawdown")]
    assert build_curve_points(trials, objectives) == [
        CurvePoint("trial_sharpe_ratio", 0, 1.5, 1.0),
        CurvePoint("trial_max_drawdown", 0, 0.2, 1.0),
        CurvePoint("best_so_far", 0, 1.5, 1.0),
    ]


def test_without_a_complete_trial_there_is_no_point(log: pl.DataFrame) -> None:
    assert (
        build_curve_points(log.with_columns(state=pl.lit("infeasible")), [Objective.parse("sharpe_ratio")])
        == []
    )


def test_the_best_trials_are_told_with_what_they_did(sweep: Sweep, log: pl.DataFrame) -> None:
    records = told(sweep, log, top_k=4)
    best = log.filter(pl.col("state") == "complete").sort("values_0", "number", descending=[True, False])
    assert [record.number for record in records] == best["number"][:4].to_list()
    first, second = (record.record for record in records[:2])
    assert first.name == f"best 1: trial {best['number'][0]}"
    assert first.params == {name: str(best[f"params_{name}"][0]) for name in ("fast_period", "slow_period")}
    assert first.metrics["is_sharpe_ratio"] == first.metrics["trial_sharpe_ratio"] == best["values_0"][0]
    assert (first.tags["is_winner"], second.tags["is_winner"]) == ("true", "false")
    assert "oos_sharpe_ratio" in first.metrics
    assert "oos_sharpe_ratio" not in second.metrics
    assert {record.record.status for record in records} == {"FINISHED"}


def test_equal_parameters_are_told_once(sweep: Sweep, log: pl.DataFrame) -> None:
    doubled = pl.concat([log, log.with_columns(pl.col("number") + len(log))])
    assert [trial.number for trial in told(sweep, doubled, top_k=5)] == [
        trial.number for trial in told(sweep, log, top_k=5)
    ]


def test_a_trial_was_evaluated_when_it_was(sweep: Sweep, log: pl.DataFrame) -> None:
    trial = told(sweep, log, top_k=1)[0]
    seconds = log["duration_seconds"]
    assert trial.seconds[1] - trial.seconds[0] == pytest.approx(seconds[trial.number])
    assert trial.seconds[1] == pytest.approx(seconds[: trial.number + 1].sum())


def test_failed_trials_are_told_once_for_each_reason_the_most_frequent_first(
    sweep: Sweep, log: pl.DataFrame
) -> None:
    reasons = ["ValueError: no", "ValueError: no (3 bars)", "KeyError: 'x'", *["RuntimeError: odd"] * 3]
    failing = log.with_columns(
        state=pl.when(pl.col("number") < 6).then(pl.lit("failed")).otherwise("state"),
        reason=pl.Series([*reasons, *log["reason"][6:]]),
    )
    failed = [trial.record for trial in told(sweep, failing, top_k=0)]
    assert [(record.name, record.metrics["n_alike"], record.tags["reason"]) for record in failed] == [
        ("failed: trial 3", 3, "RuntimeError: odd"),
        ("failed: trial 0", 2, "ValueError: no"),
        ("failed: trial 2", 1, "KeyError: 'x'"),
    ]
    assert {record.status for record in failed} == {"FAILED"}


def test_a_sweep_of_many_studies_tells_of_fewer_trials(sweep: Sweep, log: pl.DataFrame) -> None:
    study = sweep.run.studies[0]
    counts = {}
    for n_studies in (100, 250, 1_000, 1_001):
        run = replace(sweep.run, studies=(study,) * n_studies)
        counts[n_studies] = len(build_trial_records(run, study, StudySummary(state="complete"), log, 10))
    assert counts == {100: 10, 250: 4, 1_000: 1, 1_001: 0}
