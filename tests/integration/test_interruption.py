"""Killed, signalled and started again: the rows are those of an undisturbed run."""

import random
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest
from sweeps import (
    assert_same_rows,
    backtune_process,
    command,
    environment,
    parsed,
    rows_of,
    spec_document,
    wait_for,
    written,
)

from backtune.results.stored_sweep import StoredSweep
from backtune.sweep import Options, run_sweep
from faults.traces import Traces

SEARCH = {"trials": 400}
EXECUTORS = {
    "inline": ("--executor", "inline"),
    "ray-1": ("--workers", "1"),
    "ray-2": ("--workers", "2"),
}


@pytest.fixture(scope="module")
def long_rows(market, tmp_path_factory):
    """An undisturbed run that is long enough to be hit in the middle."""
    result = run_sweep(
        parsed(market, search=SEARCH),
        tmp_path_factory.mktemp("long"),
        Options(executor="inline", tracking=False),
    )
    return rows_of(result.run)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("executor", "kills"),
    [
        ("inline", 2),
        ("ray-2", 1),
        pytest.param("ray-1", 2, marks=pytest.mark.slow),
        pytest.param("ray-2", 2, marks=pytest.mark.slow),
    ],
)
def test_kill_9_of_the_driver(market, tmp_path, long_rows, executor, kills):
    spec = written(tmp_path / "spec.yaml", spec_document(market, search=SEARCH))
    arguments = ("run", spec, *EXECUTORS[executor], "--no-tracking", "--json", "--runs", tmp_path / "runs")
    pause = random.Random(executor)  # noqa: S311
    traces = Traces(uuid4().hex)
    for _ in range(kills):
        driver = _start(arguments, tmp_path, **traces.environment)
        if wait_for(lambda: _segments(tmp_path), 120):
            time.sleep(pause.uniform(0.0, 0.5))
        driver.kill()
        driver.communicate()
    assert _segments(tmp_path), "the driver was killed before it had done anything"
    assert wait_for(lambda: not traces.left_behind(), 60), traces.left_behind()
    done = backtune_process(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_rows(rows_of(_run(tmp_path)), long_rows)
    assert not list((tmp_path / "runs").rglob(".*.part"))


@pytest.mark.ray
@pytest.mark.parametrize(
    ("executor", "number"),
    [
        ("inline", signal.SIGTERM),
        pytest.param("inline", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("ray-2", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("ray-2", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_signal_drains_and_exits_3(market, tmp_path, long_rows, executor, number):
    spec = written(tmp_path / "spec.yaml", spec_document(market, search=SEARCH))
    arguments = ("run", spec, *EXECUTORS[executor], "--no-tracking", "--json", "--runs", tmp_path / "runs")
    driver = _start(arguments, tmp_path)
    assert wait_for(lambda: _segments(tmp_path), 60)
    driver.send_signal(number)
    signalled = time.monotonic()
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 3, errors
    assert time.monotonic() - signalled < 30
    assert "the same command continues the sweep" in errors
    assert backtune_process(*arguments, cwd=tmp_path).returncode == 0
    assert_same_rows(rows_of(_run(tmp_path)), long_rows)


def _start(arguments, cwd: Path, **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(**variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _segments(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "runs").rglob("*.parquet"))


def _run(tmp_path: Path) -> StoredSweep:
    return StoredSweep.open(next(path.parent for path in (tmp_path / "runs").glob("*/sweep.json")))
