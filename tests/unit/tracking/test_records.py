"""What a tracker is told, without a tracker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tracking_runs import finished_sweep, make_sweep

from backtune.results.leaderboard.ranking import build_leaderboard, build_search_rows
from backtune.results.log.summary import StudySummary
from backtune.tracking.descriptions import describe_study, describe_sweep_leaderboard
from backtune.tracking.records import build_study_record, build_sweep_record


def test_a_study_is_told_with_its_cell_parameters_and_results(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path, n_studies=1)
    study = sweep.run.studies[0]
    summary = sweep.run.read_summary(study)
    assert summary is not None
    record = build_study_record(sweep.run, study, summary)
    winner = summary.winners[0]
    assert record.status == "FINISHED"
    assert record.params == {
        "strategy": "MovingAverageCrossover", "asset": "ASSET0", "timeframe": "1d", "fold": "all",
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
    summary = sweep.run.read_summary(study)
    assert summary is not None
    winner = replace(summary.winners[0], oos_metrics=None)
    winner.is_metrics["profit_factor"] = None
    names = build_study_record(sweep.run, study, replace(summary, winners=(winner,))).metrics
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
    assert build_sweep_record(run, summaries).status == status


def test_a_budget_is_no_parameter_of_a_sweep(tmp_path: Path) -> None:
    params = build_sweep_record(make_sweep(tmp_path).run, []).params
    assert params["search.sampler"] == "tpe"
    assert params["search.objectives"] == "sharpe_ratio"
    assert "search.trials" not in params


def test_a_study_is_told_with_what_it_belongs_to_and_its_evidence(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path, n_studies=1)
    study = sweep.run.studies[0]
    study = replace(study, fold=replace(study.fold, name="walk-2"))
    summary = sweep.run.read_summary(study)
    row = build_search_rows(sweep.run, [study])[0]
    assert summary is not None
    record = build_study_record(sweep.run, study, summary, row)
    about = {name: record.tags[name] for name in ("kind", "strategy", "asset", "timeframe", "fold")}
    assert about == {
        "kind": "study", "strategy": "MovingAverageCrossover", "asset": "ASSET0", "timeframe": "1d", "fold": "walk-2",
    }  # fmt: skip
    assert (record.tags["data_fingerprint"], record.tags["results_version"]) == ("f" * 64, "c" * 12)
    assert record.metrics["pbo_loss"] == row.evidence.pbo_loss
    assert record.metrics["n_independent"] == row.evidence.n_independent
    assert record.tags["warnings"] == "; ".join(row.warnings)
    assert record.bars is not None
    assert (record.bars.name, record.bars.fingerprint) == ("ASSET0 1d", "f" * 64)


def test_the_notes_show_in_and_out_of_sample_with_the_number_of_trials(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path, n_studies=3)
    row = build_leaderboard(sweep.run)[0]
    inside, outside = (f"{metrics['sharpe_ratio']:.2f}" for metrics in (row.is_metrics, row.oos_metrics))
    text = describe_study(sweep.run.studies[0], row)
    assert "The best of 25 trials: fast\\_period " in text
    assert f"Sharpe ratio {inside} in sample, {outside} out of sample" in text
    lines = describe_sweep_leaderboard(sweep.run, build_leaderboard(sweep.run), 75).splitlines()
    assert lines[0].startswith("The best of 75 trials in 3 studies")
    assert f"| 25 | {inside} | {outside} |" in lines[4]
    assert len(lines) == 4 + 3


def test_a_note_is_no_longer_than_a_tag_may_be(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path, n_studies=1)
    rows = [replace(row, warnings=("w" * 900,)) for row in build_leaderboard(sweep.run)] * 9
    text = describe_sweep_leaderboard(sweep.run, rows, 25)
    assert len(text) < 5_000
    assert len(text.splitlines()) == 4 + 4
