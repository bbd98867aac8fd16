"""``backtune export``: everything as CSV or Parquet, read back."""

import csv
import io
import json
import shutil
from dataclasses import replace

import polars as pl
import pytest
from stored_sweeps import with_data_root
from sweeps import backtune

from backtune.report.content import ReportContent
from backtune.report.export.tables import TABLE_FORMATS, export_tables
from backtune.results.log.segments import read_log
from backtune.results.stored_sweep import StoredSweep

READ = {"csv": pl.read_csv, "parquet": pl.read_parquet}


@pytest.fixture(scope="module", params=["csv", "parquet"])
def exported(request, undisturbed, tmp_path_factory):
    """The form, and the folder."""
    folder = tmp_path_factory.mktemp("export") / "a" / "b"
    done = backtune(
        "export", undisturbed.run.folder, "--format", request.param, "--output", folder, cwd=folder.parents[1]
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{folder}: 13 files\n", "")
    return request.param, folder


def test_the_leaderboard_has_the_numbers_to_the_last_digit(exported, undisturbed):
    form, folder = exported
    frame = READ[form](folder / f"leaderboard.{form}")
    assert frame["study"].to_list() == [row.study for row in undisturbed.rows()]
    assert frame["fold"].unique().to_list() == ["holdout"]
    for line, row in zip(frame.iter_rows(named=True), undisturbed.rows(), strict=True):
        flat = row.to_json()
        for name in (
            "is_sharpe_ratio",
            "oos_sharpe_ratio",
            "oos_max_drawdown",
            "dsr",
            "pbo",
            "oos_sharpe_low",
        ):
            assert line[name] == flat[name], name
        assert json.loads(line["params"]) == row.params
        assert json.loads(line["warnings"]) == list(row.warnings)


def test_the_trials_are_the_log(exported, undisturbed):
    form, folder = exported
    for study in undisturbed.run.studies:
        frame = READ[form](folder / study.id / f"trials.{form}")
        log = read_log(undisturbed.run.study_folder(study.id))
        assert frame["study"].unique().to_list() == [study.id]
        names = [name for name in log.columns if form == "parquet" or not name.startswith("block_")]
        assert frame.columns == ["study", *names]
        for name in names:
            assert frame[name].to_list() == log[name].to_list(), name


def test_equity_and_trades_are_those_of_the_metrics(exported, undisturbed):
    form, folder = exported
    for row in undisturbed.rows():
        equity = READ[form](folder / row.study / f"equity.{form}")
        assert equity["sample"].unique(maintain_order=True).to_list() == ["in", "out"]
        growth = (1 + row.is_metrics["total_return"]) * (1 + row.oos_metrics["total_return"])
        assert equity["equity"][-1] == pytest.approx(10_000 * growth, rel=1e-12)
        deepest = dict(equity.group_by("sample").agg(pl.col("drawdown").max()).iter_rows())
        assert deepest["out"] == pytest.approx(row.oos_metrics["max_drawdown"], rel=1e-9)
        first = str(equity["timestamp"][0])
        assert (
            first == "2021-01-01T00:00:00Z" if form == "csv" else first.startswith("2021-01-01 00:00:00+00")
        )
        assert equity["buy_and_hold"][0] == 10_000
        trades = READ[form](folder / row.study / f"trades.{form}")
        for sample, metrics in (("in", row.is_metrics), ("out", row.oos_metrics)):
            own = trades.filter(pl.col("sample") == sample)
            assert len(own) == metrics["total_trades"]
            assert (own["pnl"] > 0).mean() == pytest.approx(metrics["win_rate"])


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    '=cmd|"/c calc"!A1',
    "plain",
    "a=1",
    "",
    None,
]


def test_no_text_of_a_csv_is_a_formula():
    frame = pl.DataFrame(
        {"text": HOSTILE, "number": [-1.5] * len(HOSTILE), "array": [[1.0, 2.0]] * len(HOSTILE)}
    )
    file = io.BytesIO()
    TABLE_FORMATS["csv"](frame, file)
    head, *lines = csv.reader(io.StringIO(file.getvalue().decode(), newline=""))
    assert head == ["text", "number"]
    expected = [text if text in ("plain", "a=1", "", None) else f"'{text}" for text in HOSTILE]
    assert [line[0] for line in lines] == [text or "" for text in expected]
    assert {line[1] for line in lines} == {"-1.5"}
    file = io.BytesIO()
    TABLE_FORMATS["parquet"](frame, file)
    file.seek(0)
    assert pl.read_parquet(file).equals(frame)


def test_one_study_alone_and_an_unknown_one(undisturbed, tmp_path):
    study = undisturbed.run.studies[1].id
    exported = export_tables(ReportContent(undisturbed.run, study), "csv", tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in exported.files]
    assert names == ["leaderboard.csv", *(f"{study}/{name}.csv" for name in ("trials", "equity", "trades"))]
    assert len(pl.read_csv(tmp_path / "leaderboard.csv")) == 1
    wrong = backtune("export", undisturbed.run.folder, "--study", "none", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_what_cannot_be_had_is_said_and_the_rest_is_written(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed.run.folder, folder)
    run = StoredSweep.open(folder)
    replace(run, spec=with_data_root(run, tmp_path / "gone")).write()
    (run.study_folder(run.studies[0].id) / "summary.json").unlink()
    shutil.rmtree(run.study_folder(run.studies[1].id))
    done = backtune("export", folder, "--json", cwd=tmp_path)
    assert done.returncode == 3
    printed = json.loads(done.stdout)
    assert set(printed["missing"]) == {study.id for study in run.studies[2:]}
    names = {path.removeprefix(f"{folder}/export/") for path in printed["files"]}
    assert names == {"leaderboard.parquet", *(f"{run.studies[k].id}/trials.parquet" for k in (0, 2, 3))}
    assert done.stderr.count("no equity and trades: ") == 2
