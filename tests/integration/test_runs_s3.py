"""A runs folder in S3 is a runs folder: the same rows, and every command reads it."""

import io
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import polars as pl
import pytest
from buckets import SECRET, empty_bucket, files_below, s3_server, s3_variables
from stored_sweeps import minimal_spec
from sweeps import INLINE, assert_same_rows, backtune, parsed, rows_of, spec_document, wait_for, written

from backtune.errors import ResultsError
from backtune.report.content import ReportContent
from backtune.report.export.parameters import CellParameters
from backtune.report.export.tables import export_tables
from backtune.report.writer import write_report
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.progress import ProgressReader
from backtune.results.runs_folder import list_sweeps
from backtune.results.stored_sweep import StoredSweep, is_driven
from backtune.search.export import export_study
from backtune.storage import lease
from backtune.storage.files import is_file, list_names, read_bytes, read_json
from backtune.storage.location import parse_location
from backtune.sweep import run_sweep
from backtune.tracking.sync import sync_sweep

BUCKET = "s3://results"
RUNS = f"{BUCKET}/some/runs"


@pytest.fixture(scope="module")
def s3():
    """The environment of a server with a bucket."""
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        variables = s3_variables(address)
        for name, value in variables.items():
            patch.setenv(name, value)
        empty_bucket(address, "results")
        yield variables


@pytest.fixture(scope="module")
def result(s3, market):
    """The small sweep, with half of the budget first, and then with all of it."""
    half = run_sweep(parsed(market, search={"trials": 20}), RUNS, INLINE)
    assert {len(rows) for rows in rows_of(half.run).values()} == {20}
    return run_sweep(parsed(market), RUNS, INLINE)


@pytest.fixture(scope="module")
def run(result) -> StoredSweep:
    return StoredSweep.open(result.run.folder)


def test_rows_and_leaderboard_are_those_of_a_local_run(result, run, undisturbed, undisturbed_rows):
    assert result.exit_status == 0
    assert str(run.folder) == f"{RUNS}/{run.sweep_id}"
    assert_same_rows(rows_of(run), undisturbed_rows)
    assert build_leaderboard(run) == build_leaderboard(undisturbed.run)


def test_the_folder_holds_what_a_local_one_holds(run, undisturbed):
    names = {str(file).removeprefix(f"{run.folder}/") for file in files_below(run.folder)}
    local = {str(file.relative_to(undisturbed.run.folder)) for file in files_below(undisturbed.run.folder)}
    # A lock on a disk is a file for ever; a lease is gone with its driver.
    assert names == local - {".lock"}


def test_progress_is_read_there(run):
    reader = ProgressReader(run)
    progress = reader.read()
    assert (progress.n_studies, progress.n_studies_done, progress.n_trials) == (4, 4, 160)
    assert progress == reader.read()
    assert [entry.sweep_id for entry in list_sweeps(parse_location(RUNS))] == [run.sweep_id]


@pytest.mark.parametrize("report_format", ["json", "html", "xlsx"])
def test_reports_are_written_there(run, report_format):
    path = run.folder / f"report.{report_format}"
    write_report(ReportContent(run), report_format, path)
    content = read_bytes(path)
    starts = {"json": b"{", "html": b"<!DOCTYPE html>", "xlsx": b"PK"}
    assert content.lower().startswith(starts[report_format].lower())


def test_tables_are_written_there(run):
    exported = export_tables(ReportContent(run), "parquet", run.folder / "export")
    assert exported.gaps == {}
    board = pl.read_parquet(io.BytesIO(read_bytes(exported.files[0])))
    assert len(board) == 4
    assert len(exported.files) == 1 + 4 * 3


def test_the_best_parameters_are_those_of_a_local_run(run, undisturbed):
    found = [CellParameters.of(one, build_leaderboard(one)[0]).to_json() for one in (run, undisturbed.run)]
    assert found[0]["params"] == found[1]["params"]


def test_trials_are_exported_to_optuna(run, tmp_path):
    storage = f"sqlite:///{tmp_path / 'trials.db'}"
    assert export_study(run, run.studies[0], storage) == 40
    assert export_study(run, run.studies[0], storage) == 0


def test_an_earlier_sweep_there_can_be_started_from(s3, run, market):
    document = spec_document(market, name="warm", search={"trials": 5, "warm_start": run.sweep_id})
    warm = run_sweep(parsed(market, **{k: document[k] for k in ("name", "search")}), RUNS, INLINE)
    best = {(row.strategy, row.asset): row.params for row in build_leaderboard(run)}
    for row in warm.run.studies:
        first = rows_of(warm.run)[row.id].row(0, named=True)
        assert {name: first[f"params_{name}"] for name in best[row.strategy, row.asset]} == best[
            row.strategy, row.asset
        ]


def test_repeats_of_another_sweep_there_are_not_run_again(s3, run, market):
    renamed = run_sweep(parsed(market, name="renamed"), RUNS, INLINE)
    assert renamed.exit_status == 0
    assert_same_rows(rows_of(renamed.run), rows_of(run))
    durations = [
        pl.read_parquet(read_bytes(file))["duration_seconds"].to_list()
        for folder in (run.folder, renamed.run.folder)
        for file in [
            one
            for one in files_below(folder / "studies" / run.studies[0].id)
            if one.name.endswith(".parquet")
        ]
    ]
    assert durations[0] == durations[1], "the rows are not those that were there"


def test_results_in_s3_and_a_database_elsewhere(run, tmp_path):
    """Artifacts of a store without a server go where the results are."""
    report = sync_sweep(run, f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert (report.n_written, report.problems) == (4, ())
    artifacts = [str(file) for file in files_below(parse_location(f"{RUNS}/mlartifacts"))]
    assert sum(name.endswith("trials.parquet") for name in artifacts) == 4
    assert sum(name.endswith("report.html") for name in artifacts) == 1
    assert SECRET.encode() not in (tmp_path / "mlflow.db").read_bytes()
    assert sync_sweep(run, f"sqlite:///{tmp_path / 'mlflow.db'}").n_unchanged == 4


def test_without_a_tracker_that_is_said_and_the_sweep_runs(s3, market):
    result = run_sweep(
        parsed(market, search={"trials": 5}, name="untracked"), RUNS, replace(INLINE, tracking=True)
    )
    assert result.exit_status == 0
    (problem,) = result.problems
    assert problem.startswith(f"{RUNS}: a bucket holds no tracking database; name an MLflow server")


def test_no_secret_is_in_the_bucket(run):
    files = files_below(parse_location(BUCKET))
    assert len(files) > 20
    for file in files:
        assert SECRET.encode() not in read_bytes(file), file


def test_the_command_line_takes_the_address(s3, run, market, tmp_path):
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    again = backtune("run", spec, "--executor", "inline", "--no-tracking", "--runs", RUNS, cwd=tmp_path, **s3)
    assert again.returncode == 0, again.stderr
    assert f"results  {run.folder}" in again.stdout
    assert "160 trials in the log" in again.stdout


def test_a_bucket_that_is_not_there_is_named(s3, market, tmp_path):
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    done = backtune(
        "run", spec, "--executor", "inline", "--no-tracking", "--runs", "s3://absent/runs", cwd=tmp_path, **s3
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "absent" in done.stderr
    assert "NoSuchBucket" in done.stderr or "no bucket" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_gateway_asks_for_a_folder(s3, tmp_path):
    done = backtune("keys", "list", "--runs", RUNS, cwd=tmp_path, **s3)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --runs: {RUNS}: a gateway keeps its records in this folder")


class TestLease:
    """Of the folder of a sweep, by one driver at a time."""

    @pytest.fixture(autouse=True)
    def short(self, s3, monkeypatch):
        monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)
        monkeypatch.setattr(lease, "_RENEWAL_SECONDS", 0.2)
        monkeypatch.setattr(lease, "_POLL_SECONDS", 0.1)

    @pytest.fixture
    def held(self, run, request):
        return StoredSweep(
            parse_location(f"{RUNS}/{request.node.name}"), "id", "name", minimal_spec(), (), "0"
        )

    def test_it_is_held_and_let_go(self, held, monkeypatch):
        # S3 tells whole seconds of when a file was written.
        monkeypatch.setattr(lease, "LEASE_SECONDS", 15.0)
        with held.lock():
            assert is_driven(held.folder)
            assert read_json(held.folder / ".lock").keys() == {"host", "pid", "token"}
        assert not is_driven(held.folder)
        assert list_names(held.folder) == []
        with held.lock():
            pass

    def test_another_driver_is_refused_as_long_as_it_is_renewed(self, held):
        with held.lock():
            for _ in range(2):
                with pytest.raises(ResultsError, match="another backtune is running this sweep"), held.lock():
                    pass
            time.sleep(1.5)
            with pytest.raises(ResultsError, match="another backtune is running this sweep"), held.lock():
                pass

    def test_it_is_seen_to_be_held_as_long_as_it_is_renewed(self, held, monkeypatch):
        monkeypatch.setattr(lease, "LEASE_SECONDS", 3.0)
        with held.lock():
            time.sleep(4.5)
            assert wait_for(lambda: is_driven(held.folder), 20)

    def test_that_of_a_driver_that_is_gone_is_taken_over(self, held):
        gone = lease._FileLease(held.folder / ".lock", ResultsError)
        gone.take()
        started = time.monotonic()
        with held.lock():
            assert time.monotonic() - started > 0.9
            assert not gone.renew(), "the one before can still renew it"
            gone.release()
            assert is_file(held.folder / ".lock"), "the one before has removed what is not its own"

    def test_a_renewal_whose_answer_was_lost_holds(self, held, monkeypatch):
        mine = lease._FileLease(held.folder / ".lock", ResultsError)
        mine.take()
        put = mine._client.put_object

        def retried(**arguments):
            put(**arguments)
            return put(**arguments)

        with monkeypatch.context() as patched:
            patched.setattr(mine._client, "put_object", retried)
            assert mine.renew()
        assert mine.renew(), "it does not know what it has written"
        mine.release()
        assert not is_file(held.folder / ".lock")

    def test_of_many_drivers_one_has_it(self, held, monkeypatch):
        # On a busy machine a renewal may come late by more than the second of the other tests.
        monkeypatch.setattr(lease, "LEASE_SECONDS", 4.0)
        gone = lease._FileLease(held.folder / ".lock", ResultsError)
        gone.take()
        over, taken, refused = threading.Event(), [], []

        def drive(k: int) -> None:
            try:
                with held.lock():
                    taken.append(k)
                    over.wait(60)
            except ResultsError:
                refused.append(k)

        with ExitStack() as ended:
            ended.callback(over.set)
            threads = [threading.Thread(target=drive, args=[k]) for k in range(5)]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 60
            while len(refused) < 4 and time.monotonic() < until:
                time.sleep(0.05)
        for thread in threads:
            thread.join()
        assert (len(taken), len(refused)) == (1, 4)


def test_trials_of_other_sweeps_there_count(s3, market):
    runs = f"{BUCKET}/others"
    grid = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}
    first, second = (
        run_sweep(parsed(market, grid=grid, search={"trials": 12 + seed, "seed": seed}), runs, INLINE)
        for seed in (1, 2)
    )
    found = [row.evidence.trials.n_elsewhere for result in (first, second) for row in result.rows()]
    assert found == [14, 13]
