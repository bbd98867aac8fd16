"""Sweeps as jobs of a real Ray head on this machine, and MLflow's pages on their results."""

import json
import shutil
import subprocess
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from heads import PATH, RAY, ray_head
from ports import free_ports
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
    (port,) = free_ports(1)
    arguments = command("ui", submitted.folder, "--port", str(port))
    with subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            assert wait_for(lambda: _answers(f"http://127.0.0.1:{port}/health"), 60)
            api = f"http://127.0.0.1:{port}/api/2.0/mlflow"
            experiments = _post(f"{api}/experiments/search", {"max_results": 100})["experiments"]
            ids = [e["experiment_id"] for e in experiments if e["name"] == "small"]
            runs = _post(f"{api}/runs/search", {"experiment_ids": ids, "max_results": 100})["runs"]
        finally:
            server.terminate()
            server.communicate(timeout=30)
    kinds = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]}["kind"] for run in runs]
    assert Counter(kinds) == {"sweep": 1, "study": 4, "trial": 20}
    for run in (run for run, kind in zip(runs, kinds, strict=True) if kind == "study"):
        metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
        assert metrics["n_trials"] == 40
        assert {"is_sharpe_ratio", "oos_sharpe_ratio", "best_so_far"} <= metrics.keys()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return answer.status == 200
    except OSError:
        return False


def _post(url: str, content: dict) -> dict:
    request = urllib.request.Request(  # noqa: S310
        url, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)
