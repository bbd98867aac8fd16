"""The projection into MLflow, on real SQLite files."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sweeps import parsed
from tracking_runs import Sweep, finished_sweep, make_sweep, regrown
from tracking_store import content_of, studies_in, values_of, wait_until, whole_runs

from backtune.errors import TrackingError
from backtune.results.log.segments import read_log
from backtune.sweep import Options, run_sweep
from backtune.tracking.address import resolve_tracking_uri
from backtune.tracking.live_sync_process import LiveSyncProcess
from backtune.tracking.sync import SweepTracker, sync_sweep


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A finished sweep, projected once: its database is the undisturbed one."""
    sweep = finished_sweep(tmp_path_factory.mktemp("finished") / "runs", n_studies=3)
    assert sync_sweep(sweep.run).n_written == 3
    return sweep


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> str:
    """The address of a fresh store."""
    shutil.copy(empty_database, tmp_path / "store.db")
    return f"sqlite:///{tmp_path}/store.db"


def test_a_sweep_has_studies_below_it_and_those_their_best_trials(finished: Sweep) -> None:
    run = finished.run
    content = content_of(resolve_tracking_uri(run))
    assert set(studies_in(content)) == {study.id for study in run.studies}
    assert len(content) == 1 + 3 + 3 * 5
    above = content["the sweep"]
    assert (above["status"], above["tags"]["kind"], above["metrics"]["n_trials"]) == ("FINISHED", "sweep", 75)
    assert above["artifacts"] == ["report.html", "spec.yaml"]
    for name, told in studies_in(content).items():
        assert told["tags"]["mlflow.parentRunId"] == "the sweep"
        assert told["status"] == "FINISHED"
        assert told["artifacts"] == ["best.yaml", "strategy.pine", "trials.parquet"]
        best = values_of(told, "best_so_far")
        assert best == sorted(best)
        assert best[-1][1] == told["metrics"]["is_sharpe_ratio"]
        below = [trial for key, trial in content.items() if key.startswith(f"{name}/")]
        ranked = sorted(below, key=lambda trial: int(trial["tags"]["rank"]))
        assert [trial["tags"]["mlflow.parentRunId"] for trial in ranked] == [name] * 5
        values = [trial["metrics"]["trial_sharpe_ratio"] for trial in ranked]
        assert values == sorted(values, reverse=True)
        assert values[0] == told["metrics"]["is_sharpe_ratio"]


def test_the_curve_of_a_study_has_every_complete_trial(finished: Sweep) -> None:
    content = content_of(resolve_tracking_uri(finished.run))
    for study in finished.run.studies:
        log = read_log(finished.run.study_folder(study.id))
        assert log is not None
        complete = log.filter(state="complete")
        expected = list(zip(complete["number"], complete["values_0"], strict=True))
        assert values_of(content[study.id], "trial_sharpe_ratio") == expected


def test_the_bars_of_a_study_are_its_dataset(finished: Sweep) -> None:
    told = content_of(resolve_tracking_uri(finished.run))[finished.run.studies[0].id]
    assert told["datasets"] == [
        {
            "name": "ASSET0 1d", "digest": "f" * 36, "source_type": "local", "source": '{"uri": "data/market"}',
            "schema": None, "profile": '{"start": "1970-01-01T00:00:00Z", "end": "1971-02-05T00:00:00Z"}', "mlflow.data.context": "search",
        }
    ]  # fmt: skip


def test_the_experiment_names_what_to_compare_by(finished: Sweep) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=resolve_tracking_uri(finished.run))
    tags = client.get_experiment_by_name("tracked sweep").tags
    assert tags["mlflow.experiment.primaryMetric.name"] == "is_sharpe_ratio"
    assert tags["mlflow.experiment.primaryMetric.greaterIsBetter"] == "True"


def test_a_repeat_changes_nothing(finished: Sweep) -> None:
    run = finished.run
    before = content_of(resolve_tracking_uri(run))
    report = sync_sweep(run)
    assert (report.n_written, report.n_unchanged, report.problems) == (0, 3, ())
    assert content_of(resolve_tracking_uri(run)) == before


def test_a_lost_store_is_filled_again(finished: Sweep, store: str) -> None:
    assert sync_sweep(finished.run, store).n_written == 3
    assert content_of(store) == content_of(resolve_tracking_uri(finished.run))


def test_nothing_is_left_beside_the_results(finished: Sweep) -> None:
    names = {path.name for path in finished.run.folder.parent.iterdir()}
    assert names == {".tracking.lock", "mlflow.db", "mlartifacts", finished.run.folder.name}
    assert {path.name for path in finished.run.folder.iterdir()} == {"sweep.json", "studies"}


def test_a_study_that_has_grown_replaces_what_was_told(tmp_path: Path, store: str) -> None:
    sweep = finished_sweep(tmp_path / "runs", n_studies=2, budget=10)
    sync_sweep(sweep.run, store)
    sweep = regrown(sweep, 40)
    sweep.finish(sweep.run.studies[0], 40)
    before = whole_runs(store)
    sync_sweep(sweep.run, store)
    content = content_of(store)
    assert before.items() & whole_runs(store).items() == {("the sweep", before["the sweep"])}
    assert len(content) == 1 + 2 + 2 * 5
    assert content[sweep.run.studies[0].id]["metrics"]["n_trials"] == 40
    assert len(values_of(content[sweep.run.studies[0].id], "is_sharpe_ratio")) == 1
    assert content["the sweep"]["metrics"]["n_trials"] == 50


def test_a_partial_study_runs_on_and_a_study_without_results_is_unfinished(
    tmp_path: Path, store: str
) -> None:
    sweep = make_sweep(tmp_path / "runs", n_studies=2, budget=20)
    sweep.finish(sweep.run.studies[0], 5)
    report = sync_sweep(sweep.run, store)
    assert (report.n_written, report.n_unfinished) == (1, 1)
    content = content_of(store)
    assert content[sweep.run.studies[0].id]["status"] == "RUNNING"
    assert content["the sweep"]["status"] == "RUNNING"


def test_an_unreadable_study_is_reported_and_the_others_are_projected(tmp_path: Path, store: str) -> None:
    sweep = finished_sweep(tmp_path / "runs", n_studies=2)
    broken = sweep.run.studies[0]
    next(sweep.run.study_folder(broken.id).glob("*.parquet")).write_bytes(b"no parquet")
    report = sync_sweep(sweep.run, store)
    assert report.n_written == 1
    assert len(report.problems) == 1
    assert broken.id in report.problems[0]


# The experiment; the sweep before and after, which is there then; a study; each of its two trials, and that they are there;
# the report, and that it is there.
N_CALLS = 2 + 4 + 3 + 5 + 2 * 3 + 1 + 2
# One call of each kind; `make test-slow` loses each of them.
IN_CI = range(0, N_CALLS, 4)


@pytest.fixture(scope="module")
def one_study(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep that takes few calls, projected once."""
    sweep = finished_sweep(tmp_path_factory.mktemp("one") / "runs", n_studies=1, top_k=2)
    assert sync_sweep(sweep.run).n_written == 1
    return sweep


@pytest.mark.parametrize(
    "n_calls", [pytest.param(n, marks=() if n in IN_CI else pytest.mark.slow) for n in range(N_CALLS)]
)
def test_a_call_that_is_lost_doubles_nothing(
    one_study: Sweep, store: str, n_calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nth writing call is carried out, but its answer never comes."""
    import backtune.tracking.mlflow as door

    with monkeypatch.context() as patch:
        patch.setattr(door, "MlflowClient", lossy(door.MlflowClient, n_calls))
        with pytest.raises(TrackingError, match="the line is dead"):
            sync_sweep(one_study.run, store)
    sync_sweep(one_study.run, store)
    assert content_of(store) == content_of(resolve_tracking_uri(one_study.run))


def test_so_many_calls_are_made(one_study: Sweep, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import backtune.tracking.mlflow as door

    monkeypatch.setattr(door, "MlflowClient", lossy(door.MlflowClient, N_CALLS))
    assert sync_sweep(one_study.run, store).n_written == 1


def lossy(client: type, n_calls: int) -> type:
    """A client whose line dies after ``n_calls`` writing calls."""
    made = 0

    def dying(name: str) -> Callable[..., Any]:
        call = getattr(client, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            answer = call(*args, **kwargs)
            made += 1
            if made > n_calls:
                raise ConnectionResetError(104, "the line is dead")
            return answer

        return wrapped

    names = (
        "create_experiment", "create_run", "log_artifacts", "log_inputs", "log_batch", "set_terminated", "update_run", "set_tag",
    )  # fmt: skip
    return type("Lossy", (client,), {name: dying(name) for name in names})


def test_doubles_of_two_projections_at_once_are_removed(finished: Sweep, store: str) -> None:
    from backtune.tracking.mlflow import MlflowStore
    from backtune.tracking.sweep_writer import SweepWriter

    run = finished.run
    blind = MlflowStore(run, store, run.folder.parent / "mlartifacts")
    sync_sweep(run, store)
    writer = SweepWriter(run, blind)
    writer.put_sweep(finished=True)
    assert writer.put_study(run.studies[0])
    assert writer.put_trials(run.studies[0])
    sync_sweep(run, store)
    assert content_of(store) == content_of(resolve_tracking_uri(run))


def test_a_killed_projection_is_finished_by_the_next(finished: Sweep, tmp_path: Path, store: str) -> None:
    sweep = finished_sweep(tmp_path / "runs", n_studies=12)
    code = "import sys; from backtune.results.stored_sweep import StoredSweep; from backtune.tracking.sync import sync_sweep; sync_sweep(StoredSweep.open(sys.argv[1]), sys.argv[2])"
    with subprocess.Popen([sys.executable, "-c", code, str(sweep.run.folder), store]) as syncing:
        wait_until(lambda: len(whole_runs(store)) >= 3)
        syncing.kill()
    before = whole_runs(store)
    assert 2 <= len(before) < 13
    report = sync_sweep(sweep.run, store)
    assert report.n_written + report.n_unchanged == 12
    assert before.items() <= whole_runs(store).items()
    sync_sweep(sweep.run)
    assert content_of(store) == content_of(resolve_tracking_uri(sweep.run))


def test_studies_are_projected_as_they_finish(tmp_path: Path, store: str) -> None:
    sweep = make_sweep(tmp_path / "runs", n_studies=2, uri=store)
    projection = LiveSyncProcess(sweep.run, share=1.0)
    projection.start()
    sweep.finish(sweep.run.studies[0], 25)
    wait_until(lambda: sweep.run.studies[0].id in whole_runs(store))
    sweep.finish(sweep.run.studies[1], 25)
    projection.close()
    assert projection.problem is None
    assert sync_sweep(sweep.run).n_unchanged == 2
    assert content_of(store)["the sweep"]["status"] == "FINISHED"


@contextmanager
def refusing(_: Path) -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def never_answering(_: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@contextmanager
def locked(folder: Path) -> Iterator[str]:
    with closing(sqlite3.connect(folder / "locked.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield f"sqlite:///{folder}/locked.db"


@contextmanager
def unknown(_: Path) -> Iterator[str]:
    yield "carrier-pigeon://coop"


@pytest.mark.parametrize(
    ("outage", "reason"),
    [
        (refusing, "Connection refused"),
        (never_answering, "timed out"),
        (locked, "database is locked"),
        (unknown, "carrier-pigeon"),
    ],
)
def test_a_tracker_that_is_down_is_a_problem_and_no_error(
    outage: Callable[[Path], AbstractContextManager[str]], reason: str, market: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The results are there before tracking is waited for, and what is missing is told in one line."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    seen: list[tuple[float, int]] = []
    with outage(tmp_path) as uri:
        spec = parsed(market, search={"trials": 5}, tracking={"uri": uri})
        options = Options(
            "inline", on_results=lambda result: seen.append((time.monotonic(), result.exit_status))
        )
        result = run_sweep(spec, tmp_path / "runs", options)
        waited = time.monotonic() - seen[0][0]
    assert [status for _, status in seen] == [result.exit_status] == [0]
    assert waited < 60
    (problem,) = result.problems
    assert reason in problem
    assert f"`backtune sync {result.run.folder}` makes up for it" in problem
    assert "\n" not in problem


def test_a_tracker_that_fails_is_known_while_the_search_runs(tmp_path: Path) -> None:
    with refusing(tmp_path) as uri:
        sweep = finished_sweep(tmp_path / "runs", n_studies=1, uri=uri)
        projection = LiveSyncProcess(sweep.run, share=1.0)
        projection.start()
        wait_until(lambda: projection.problem is not None)
        started = time.monotonic()
        projection.close()
        assert time.monotonic() - started < 30
    assert projection.problem is not None
    assert "Connection refused" in projection.problem


def test_closing_is_bounded(tmp_path: Path) -> None:
    sweep = finished_sweep(tmp_path / "runs", n_studies=1)
    projection = LiveSyncProcess(sweep.run)
    projection.start()
    started = time.monotonic()
    projection.close(patience=0.1)
    assert time.monotonic() - started < 30
    assert projection.problem is not None
    assert "no answer within 0.1 s" in projection.problem
    projection.close()


def test_a_projection_that_cannot_work_says_why(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs")
    (sweep.run.folder / "sweep.json").unlink()
    projection = LiveSyncProcess(sweep.run)
    projection.start()
    projection.close()
    assert projection.problem is not None
    assert "no sweep here" in projection.problem


def test_the_process_ends_with_its_driver(tmp_path: Path, store: str) -> None:
    sweep = make_sweep(tmp_path / "runs", uri=store)
    code = (
        "import sys; from backtune.results.stored_sweep import StoredSweep; from backtune.tracking.live_sync_process import LiveSyncProcess\n"
        "projection = LiveSyncProcess(StoredSweep.open(sys.argv[1])); projection.start()\n"
        "print(projection._process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(sweep.run.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as driver:
        assert driver.stdout is not None
        follower = int(driver.stdout.readline())
        driver.kill()
    wait_until(lambda: not is_running(follower))


def test_one_tracker_keeps_its_place(finished: Sweep, store: str) -> None:
    tracker = SweepTracker(finished.run, store)
    studies = finished.run.studies
    assert tracker.project(studies[:1], finish=False).n_written == 1
    assert tracker.project(studies, finish=True).n_written == 2
    assert content_of(store) == content_of(resolve_tracking_uri(finished.run))


def is_running(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
