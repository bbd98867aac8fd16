"""A walk-forward in MLflow: a run for each cell, so that what is compared there is what the leaderboard compares."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from stored_sweeps import with_data_root
from sweeps import INLINE, spec_document

from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.spec import SweepSpec
from backtune.sweep import SweepResult, run_sweep
from backtune.tracking.address import resolve_tracking_uri
from backtune.tracking.sync import sync_sweep

N_FOLDS, N_CELLS = 3, 2


@pytest.fixture(scope="module")
def walked(market, tmp_path_factory) -> SweepResult:
    document = spec_document(market, search={"trials": 12}, grid={"strategies": ["MovingAverageCrossover"]})
    document |= {"validation": {"method": "walk_forward", "folds": N_FOLDS}, "tracking": {"top_k": 1}}
    result = run_sweep(SweepSpec.parse(document), tmp_path_factory.mktemp("walk") / "runs", INLINE)
    assert sync_sweep(result.run).problems == ()
    return result


def told(result: SweepResult) -> dict[str, list[Any]]:
    """MLflow's runs by what they are."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=resolve_tracking_uri(result.run))
    experiment = client.get_experiment_by_name(result.run.name)
    found: dict[str, list[Any]] = {"experiment": [experiment], "client": [client]}
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        found.setdefault(run.data.tags["kind"], []).append(run)
    return found


def test_every_row_of_the_leaderboard_is_a_run(walked):
    found = told(walked)
    (sweep,) = found["sweep"]
    cells = {run.data.tags["study"]: run for run in found["cell"]}
    assert (len(cells), len(found["study"])) == (N_CELLS, N_CELLS * N_FOLDS)
    for row in build_leaderboard(walked.run):
        cell = cells["-".join(row.cell)]
        assert cell.info.run_name == f"{row.asset} 1h MovingAverageCrossover"
        assert cell.info.status == "FINISHED"
        assert cell.data.tags["mlflow.parentRunId"] == sweep.info.run_id
        assert cell.data.tags.get("warnings", "") == "; ".join(row.warnings)
        assert cell.data.metrics["oos_sharpe_ratio"] == row.oos_metrics["sharpe_ratio"]
        assert cell.data.metrics["is_sharpe_ratio"] == row.is_metrics["sharpe_ratio"]
        assert (cell.data.metrics["n_trials"], cell.data.metrics["n_folds"]) == (36, N_FOLDS)
        assert cell.data.metrics["dsr"] == row.evidence.dsr
        assert {name: int(cell.data.params[name]) for name in row.params} == row.params
        files = found["client"][0].list_artifacts(cell.info.run_id)
        assert sorted(file.path for file in files) == ["best.yaml", "strategy.pine"]
        note = cell.data.tags["mlflow.note.content"]
        assert note.startswith("The tests of 3 folds as one backtest, after 36 trials in all;")
        assert all(f"- {text}" in note.replace("\\", "") for text in row.warnings)


def test_the_shared_view_compares_cells(walked):
    (experiment,) = told(walked)["experiment"]
    view = json.loads(experiment.tags["mlflow.sharedViewState.leaderboard"])
    assert view["searchFilter"] == "tags.kind = 'cell'"
    assert view["orderByKey"] == "metrics.`leaderboard_place`"


def test_again_writes_nothing(walked):
    before = sorted(run.info.run_id for run in told(walked)["cell"])
    report = sync_sweep(walked.run)
    assert (report.n_written, report.problems) == (0, ())
    assert sorted(run.info.run_id for run in told(walked)["cell"]) == before


def test_without_the_bars_the_cells_are_told_as_far_as_they_are_known(walked, tmp_path):
    for kept in walked.run.folder.glob("studies/*/walk_forward.json"):
        kept.unlink()
    run = replace(walked.run, spec=with_data_root(walked.run, tmp_path / "gone"))
    report = sync_sweep(run, f"sqlite:///{tmp_path}/other.db")
    assert report.n_written == N_CELLS * N_FOLDS
