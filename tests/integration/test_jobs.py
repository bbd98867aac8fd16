"""Sweeps as jobs of a real Ray head on this machine, and MLflow's pages on their results."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from heads import PATH, RAY, ray_head
from ports import free_port
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
from tracking_store import answers

from backtune.results.stored_sweep import StoredSweep

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Where the head takes relative paths from: as if it had been started there."""
    return tmp_path_factory.mktemp("base")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Of the user whose head it is: with the token, which the head makes."""
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def head(base, home):
    """The address of the dashboard of a head of our own."""
    with ray_head(2, BACKTUNE_HOME=str(base), HOME=home) as address:
        yield address


@pytest.fixture(scope="module")
def submitted(head, base, home, market):
    """The small sweep, submitted with `backtune submit --wait`."""
    spec = written(base / "spec.yaml", spec_document(market))
    result = backtune_process("submit", spec, "--address", head, "--wait", cwd=base, HOME=home, PATH=PATH)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "160 trials in the log" in result.stdout
    return StoredSweep.open(base / "runs" / parsed(market).id)


def test_backtune_submit_gives_the_rows_of_an_inline_run(submitted, undisturbed_rows):
    assert_same_rows(rows_of(submitted), undisturbed_rows)


SLOPE = """
from .trend import slope

class Slope:
    def get_parameters(self):
        return {"n": {"type": "int", "low": 5, "high": 50, "default": 20}}

    def generate_signals(self, data):
        from helper_of_slope import sign
        data["signal"] = sign(slope(data["close"], self.n))
        return data
"""


@pytest.mark.slow
def test_modules_beside_a_strategy_go_with_the_job(head, base, home, market):
    """They are in a package, and gone here when the job runs them: the job's own are what it has."""
    folder = base / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "slope.py").write_text(SLOPE)
    (folder / "trend.py").write_text("def slope(x, n):\n    return (x - x.shift(n)).fillna(0)\n")
    (folder / "helper_of_slope.py").write_text("def sign(x):\n    return (x > 0).astype(int)\n")
    grid = {
        "strategies": [{"file": "mine/slope.py", "class": "Slope"}],
        "assets": ["AAA"],
        "timeframes": ["1h"],
    }
    changes = {"name": "modules", "grid": grid, "space": {}, "search": {"trials": 6}}
    spec = written(base / "modules.yaml", spec_document(market, **changes))
    here = backtune_process(
        "run", spec, "--executor", "inline", "--no-tracking", "--runs", "inline", cwd=base
    )
    assert here.returncode == 0, here.stderr
    result = backtune_process("submit", spec, "--address", head, "--wait", cwd=base, HOME=home, PATH=PATH)
    assert result.returncode == 0, result.stdout + result.stderr
    (inline,) = (base / "inline").iterdir()
    assert_same_rows(
        rows_of(StoredSweep.open(base / "runs" / inline.name)), rows_of(StoredSweep.open(inline))
    )


@pytest.mark.slow
def test_ray_job_submit_of_the_entry_script(head, base, home, market, undisturbed_rows):
    folder = base / "checkout"
    (folder / "jobs").mkdir(parents=True)
    shutil.copy(REPOSITORY / "jobs" / "sweep.py", folder / "jobs")
    written(folder / "jobs" / "other.yaml", spec_document(market, name="other"))
    job = [*RAY, "job", "submit", "--address", head, "--working-dir", str(folder)]
    job += ["--", "python", "jobs/sweep.py", "jobs/other.yaml"]
    done = subprocess.run(
        job,
        env=environment(RAY_AUTH_MODE="token", HOME=home, PATH=PATH),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = StoredSweep.open(base / "runs" / parsed(market, name="other").id)
    assert_same_rows(rows_of(run), undisturbed_rows)


def test_a_job_whose_sweep_is_refused_says_why(head, base, home, market):
    spec = written(base / "bad.yaml", spec_document(market, grid={"assets": ["NOPE"]}))
    result = backtune_process("submit", spec, "--address", head, "--wait", cwd=base, HOME=home, PATH=PATH)
    assert result.returncode == 1
    assert "grid.assets: 'NOPE' is not in" in result.stdout


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "there is none in"),
        ("0f" * 32, "it was shown the one in"),
    ],
)
def test_somebody_else_is_told_what_is_missing(head, base, market, tmp_path, token, said):
    spec = written(base / "spec.yaml", spec_document(market))
    if token is not None:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text(token)
    result = backtune_process("submit", spec, "--address", head, cwd=base, HOME=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {head}: Ray asks for a token: {said}")
    assert result.stderr.count("\n") == 1
    assert str(tmp_path / ".ray" / "auth_token") in result.stderr


def test_an_address_where_nothing_answers(base, market):
    spec = written(base / "spec.yaml", spec_document(market))
    result = backtune_process("submit", spec, "--address", "http://127.0.0.1:9", cwd=base)
    assert result.returncode == 1
    assert result.stderr.startswith("error: http://127.0.0.1:9: ")
    assert result.stderr.count("\n") == 1


def test_the_ui_shows_a_run_for_the_sweep_and_one_for_every_study(submitted):
    from mlflow import MlflowClient

    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    arguments = command("ui", submitted.folder, "--port", str(port))
    with subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            assert wait_for(lambda: answers(f"{uri}/health"), 60)
            client = MlflowClient(tracking_uri=uri)
            runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
        finally:
            server.terminate()
            server.communicate(timeout=30)
    assert Counter(run.data.tags["kind"] for run in runs) == {"sweep": 1, "study": 4, "trial": 20}
    for run in (run for run in runs if run.data.tags["kind"] == "study"):
        assert run.data.metrics["n_trials"] == 40
        assert {"is_sharpe_ratio", "oos_sharpe_ratio", "best_so_far"} <= run.data.metrics.keys()
