"""What an MLflow store holds, and real servers on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from ports import free_port
from tracking_runs import make_sweep

from backtune.tracking.address import build_ui_command
from backtune.tracking.sync import sync_sweep

_TABLES = (
    "experiment_tags", "input_tags", "inputs", "datasets", "tags", "params", "metrics", "latest_metrics", "runs",
)  # fmt: skip


def make_empty(path: Path, runs: Path) -> None:
    """A SQLite file with MLflow's tables and nothing in them, which takes MLflow a second or two."""
    sync_sweep(make_sweep(runs, n_studies=0).run, f"sqlite:///{path}")
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        for table in _TABLES:
            connection.execute(sqlalchemy.text(f"DELETE FROM {table}"))  # noqa: S608
        connection.execute(sqlalchemy.text("DELETE FROM experiments WHERE name != 'Default'"))


def content_of(uri: str, database: str | None = None) -> dict[str, Any]:
    """All that MLflow shows of a sweep, by study and trial; ids and addresses left out. Fails where one is there twice.

    Args:
        database: address of the one behind a server's address.
    """
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tracked sweep")
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    names = {run.info.run_id: name_of(run) for run in found}
    assert len(set(names.values())) == len(found)
    histories = histories_in(database or uri)
    return {names[run.info.run_id]: shown(client, run, names, histories) for run in found}


def name_of(run: Any) -> str:
    """The id of a study, with the number of a trial."""
    tags = run.data.tags
    study = tags.get("study", "the sweep")
    return f"{study}/{tags['trial']}" if "trial" in tags else study


def studies_in(content: dict[str, Any]) -> dict[str, Any]:
    return {name: told for name, told in content.items() if told["tags"]["kind"] == "study"}


def shown(client: Any, run: Any, names: dict[str, str], histories: list[tuple[Any, ...]]) -> dict[str, Any]:
    parent = run.data.tags.get("mlflow.parentRunId")
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "params": run.data.params,
        "tags": {**run.data.tags, "mlflow.parentRunId": names.get(parent, parent)},
        "metrics": run.data.metrics,
        "history": [rest for run_id, *rest in histories if run_id == run.info.run_id],
        "artifacts": [artifact.path for artifact in client.list_artifacts(run.info.run_id)],
        "datasets": [
            {**given.dataset.to_dictionary(), **{tag.key: tag.value for tag in given.tags}}
            for given in run.inputs.dataset_inputs
        ],
    }


def histories_in(database: str) -> list[tuple[Any, ...]]:
    """Every value of every metric: run, name, step, time, value."""
    return sorted(rows_of(database, "SELECT run_uuid, key, step, timestamp, value FROM metrics"))


def rows_of(database: str, query: str) -> list[tuple[Any, ...]]:
    engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(query))]


def values_of(told: dict[str, Any], metric: str) -> list[tuple[int, float]]:
    """Steps and values of a metric."""
    return [(step, value) for key, step, _, value in told["history"] if key == metric]


@contextmanager
def server(
    home: Path, port: int = 0, database: str | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real MLflow server on a database, by default the SQLite file in a folder, in a process group of its own."""
    port = port or free_port()
    command = build_ui_command(home, database, port=port)
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=home, start_new_session=True)
    try:
        uri = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{uri}/health"))
        yield uri, process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def experiments_at(uri: str) -> set[str]:
    request = urllib.request.Request(  # noqa: S310
        f"{uri}/api/2.0/mlflow/experiments/search",
        data=b'{"max_results": 10}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return {experiment["name"] for experiment in json.load(answer)["experiments"]}


def whole_runs(database: str) -> dict[str, str]:
    """Ids of the active runs that are marked as whole, by study."""
    return dict(
        rows_of(
            database,
            "SELECT coalesce(study.value, 'the sweep'), runs.run_uuid FROM runs JOIN tags AS whole USING (run_uuid) "
            "LEFT JOIN (SELECT * FROM tags WHERE key = 'study') AS study USING (run_uuid) "
            "WHERE whole.key = 'backtune.whole' AND lifecycle_stage = 'active'",
        )
    )


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
