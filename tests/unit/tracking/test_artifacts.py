"""The files that a tracker keeps."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import yaml
from tracking_runs import finished_sweep, make_sweep

from backtune.results.leaderboard.ranking import build_search_rows
from backtune.results.log.segments import read_log
from backtune.spec import SweepSpec
from backtune.tracking.artifacts import write_spec, write_study_files


def test_the_spec_is_the_sweeps_without_the_password_of_its_tracker(tmp_path: Path) -> None:
    run = make_sweep(tmp_path / "runs", uri="http://me:secret@tracker").run
    write_spec(run, tmp_path)
    text = (tmp_path / "spec.yaml").read_text(encoding="utf-8")
    assert "secret" not in text
    assert SweepSpec.parse(yaml.safe_load(text)).id == run.sweep_id


def test_a_study_has_its_log_its_best_and_a_script(tmp_path: Path) -> None:
    run = finished_sweep(tmp_path / "runs", n_studies=1).run
    study = run.studies[0]
    (row,) = build_search_rows(run, [study])
    log = read_log(run.study_folder(study.id))
    write_study_files(run, row, log, tmp_path)
    assert log is not None
    assert pl.read_parquet(tmp_path / "trials.parquet").equals(log)
    best = yaml.safe_load((tmp_path / "best.yaml").read_text(encoding="utf-8"))
    assert (best["study"], best["trial"], best["params"]) == (study.id, row.trial, dict(row.params))
    script = (tmp_path / "strategy.pine").read_text(encoding="utf-8")
    assert script.splitlines()[0].startswith("//@version=6")
    assert str(row.params["fast_period"]) in script


def test_a_study_without_a_winner_has_its_log_alone(tmp_path: Path) -> None:
    run = finished_sweep(tmp_path / "runs", n_studies=1).run
    write_study_files(run, None, read_log(run.study_folder(run.studies[0].id)), tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["trials.parquet"]
