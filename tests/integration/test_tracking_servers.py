"""The projection on real MLflow servers and a real PostgreSQL, which are killed while it goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import postgres_server
from sweeps import command, environment, spec_document, written
from tracking_runs import Sweep, finished_sweep
from tracking_store import content_of, experiments_at, server, wait_until, whole_runs

from backtune.tracking.address import resolve_tracking_uri
from backtune.tracking.sync import sync_sweep


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Callable[[], str]]:
    """A function that gives the address of an empty database at each call."""
    with postgres_server() as new_database:
        yield new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, empty_database: Path, tmp_path: Path) -> str:
    """The address of a database for a server."""
    if request.param == "postgresql":
        address: str = request.getfixturevalue("postgresql")()
        return address
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return finished_sweep(tmp_path / "runs", n_studies=6, top_k=1)


@pytest.mark.slow
def test_a_killed_server_loses_and_doubles_nothing(sweep: Sweep, database: str, tmp_path: Path) -> None:
    home = tmp_path / "server"
    home.mkdir()
    syncing = [*command("sync", sweep.run.folder, "--uri")]
    with (
        server(home, database=database) as (uri, process),
        subprocess.Popen([*syncing, uri], stderr=subprocess.PIPE, text=True, env=environment()) as cut_off,
    ):
        wait_until(lambda: len(whole_runs(database)) >= 3)
        os.killpg(process.pid, signal.SIGKILL)
        _, told = cut_off.communicate(timeout=60)
    assert cut_off.returncode == 1
    assert f"`backtune sync {sweep.run.folder}` makes up for it" in told
    before = whole_runs(database)
    assert 3 <= len(before) < 7
    with server(home, port=int(uri.rpartition(":")[2]), database=database) as (uri, _):
        sync_sweep(sweep.run, uri)
        assert before.items() <= whole_runs(database).items()
        assert sync_sweep(sweep.run, uri).n_written == 0
        assert experiments_at(uri) == {"Default", "tracked sweep"}
        disturbed = content_of(uri, database)
    sync_sweep(sweep.run)
    assert disturbed == content_of(resolve_tracking_uri(sweep.run))
    assert not (home / "mlruns").exists()


@pytest.mark.slow
def test_postgresql_without_a_server_holds_what_sqlite_holds(
    sweep: Sweep, postgresql: Callable[[], str]
) -> None:
    own = postgresql()
    assert sync_sweep(sweep.run, own).n_written == 6
    assert sync_sweep(sweep.run, own).n_written == 0
    sync_sweep(sweep.run)
    assert content_of(own) == content_of(resolve_tracking_uri(sweep.run))


@pytest.mark.slow
def test_a_server_that_dies_during_a_run_is_made_up_for(
    market: Path, empty_database: Path, tmp_path: Path
) -> None:
    from backtune.results.runs_folder import list_sweeps

    home = tmp_path / "server"
    home.mkdir()
    database = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"
    runs = tmp_path / "runs"
    with server(home, database=database) as (uri, process):
        document = spec_document(market, name="tracked sweep", tracking={"uri": uri})
        spec = written(tmp_path / "spec.yaml", document)
        arguments = command("run", spec, "--executor", "inline", "--runs", runs)
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment()) as running:
            wait_until(lambda: len(whole_runs(database)) >= 2)
            os.killpg(process.pid, signal.SIGKILL)
            _, told = running.communicate(timeout=120)
    (run,) = list_sweeps(runs)
    assert running.returncode == 0
    assert told.count(f"`backtune sync {run.folder}` makes up for it") == 1
    with server(home, port=int(uri.rpartition(":")[2]), database=database) as (uri, _):
        sync_sweep(run, uri)
        disturbed = content_of(uri, database)
    own = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'own.db')}"
    sync_sweep(run, own)
    assert disturbed == content_of(own)
    assert len(disturbed) == 1 + 4 + 4 * 5
