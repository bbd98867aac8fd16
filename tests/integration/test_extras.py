"""The core without extras: what it does, and the line with which it names an extra that is missing."""

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from backtune.gateway.error_answers import ErrorAnswer
from backtune.gateway.jobs.job_record import JobRecord
from backtune.gateway.reports.service import ReportService
from backtune.gateway.settings import Settings

REPOSITORY = Path(__file__).parents[2]
# The packages that come with extras alone, by the names under which they are imported.
PACKAGES_OF_EXTRAS = (
    "aiohttp_cors",
    "apprise",
    "ccxt",
    "cryptography",
    "fastapi",
    "httpx2",
    "kubernetes_validate",
    "limits",
    "mlflow",
    "prometheus_client",
    "skfolio",
    "starlette",
    "structlog",
    "typst",
    "uvicorn",
    "websockets",
    "xlsxwriter",
)
PROGRAM = f"""
import sys
sys.modules.update(dict.fromkeys({PACKAGES_OF_EXTRAS!r}))
from backtune.cli import main
main()
"""
SPEC = {
    "name": "bare",
    "data": {"root": "market"},
    "grid": {"strategies": ["RSIStrategy"], "assets": ["ALPHA"], "timeframes": ["1h"]},
    "search": {"trials": 5, "seed": 1},
}


def _make_sweep(folder, run):
    run("data", "make", "--root", "market", "--assets", "ALPHA", "--timeframe", "1h", "--end", "2018-06-01")
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    done = run("run", "spec.yaml", "--executor", "inline", "--json")
    assert done.returncode == 0, done.stderr
    assert "tracking is off, because MLflow is not installed" in done.stderr
    assert "pip install 'backtune[tracking]'" in done.stderr
    content = json.loads(done.stdout)
    assert content["leaderboard"][0]["n_trials"] == 5
    report = run("report", content["folder"])
    assert report.returncode == 0, report.stderr
    assert (folder / content["folder"] / "report.html").stat().st_size > 10_000
    return content["folder"]


@pytest.fixture(scope="module")
def without_extras(tmp_path_factory):
    """A function that runs a command in an environment without the packages of extras, and the folder of a sweep there."""
    folder = tmp_path_factory.mktemp("bare")

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    return run, folder / _make_sweep(folder, run)


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        (["serve"], "uvicorn", "server"),
        (["keys", "list"], "cryptography", "server"),
        (["audit", "list"], "cryptography", "server"),
        (["cluster", "head"], "ray[default]", "cluster"),
        (["cluster", "check", str(REPOSITORY / "cluster/rayjob.yaml")], "kubernetes-validate", "cluster"),
        (["submit", "spec.yaml", "--gateway", "http://127.0.0.1:1"], "websockets", "client"),
        (["report", "RUN", "--format", "pdf"], "typst", "report"),
        (["report", "RUN", "--format", "xlsx"], "xlsxwriter", "report"),
        (["ui"], "MLflow", "tracking"),
        (["sync", "RUN"], "MLflow", "tracking"),
        (
            ["data", "download", "binance", "BTC/USDT", "--timeframe", "1h", "--start", "2024-01-01"],
            "ccxt",
            "download",
        ),
    ],
)
def test_a_command_names_the_extra_that_it_needs_in_one_line(without_extras, command, package, extra):
    run, folder = without_extras
    done = run(*(str(folder) if word == "RUN" else word for word in command))
    assert done.returncode in (1, 2), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert package in line
    assert f"pip install 'backtune[{extra}]'" in line


@pytest.mark.parametrize(("report_format", "package"), [("pdf", "typst"), ("xlsx", "xlsxwriter")])
def test_a_gateway_without_the_package_of_a_report_answers_501_with_the_command(
    without_extras, tmp_path, monkeypatch, report_format, package
):
    _, folder = without_extras
    (tmp_path / f"{package}.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setitem(sys.modules, package, None)
    runs = Path(folder).parent
    record = JobRecord(
        number=1,
        id="job-0123456789abcdef01234567",
        owner="k",
        request_id="r",
        name="bare",
        sweep_id=Path(folder).name,
        state="completed",
        attempt=1,
        submission_id="x",
        is_cancel_requested=False,
        n_lost=0,
        created_at=1.0,
        not_before=0.0,
        started_at=2.0,
        ended_at=3.0,
        message=None,
        error=None,
        end=None,
    )
    service = ReportService(Settings(runs=runs, data_root=str(runs / "market")))
    with pytest.raises(ErrorAnswer, match=package) as found:
        asyncio.run(service.make_report(record, report_format))
    assert found.value.status == 501
    assert "pip install 'backtune[report]'" in found.value.detail


def test_the_extra_all_has_every_extra_but_gp():
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    names = everything.removeprefix("backtune[").removesuffix("]").split(",")
    assert sorted(names) == sorted(set(extras) - {"all", "dev", "gp"})
    assert "backtune[all]" in extras["dev"]


def test_the_lock_file_holds_no_address():
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if "/" in line or "@" in line or line.startswith("-")] == []


@pytest.mark.slow
def test_the_bare_wheel_runs_a_sweep_in_an_empty_environment(tmp_path):
    """Installs from the package index that pip is set up for."""
    environment = {**os.environ, "PYTHONPATH": "", "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, REPOSITORY]
    subprocess.run(build, check=True, capture_output=True, env=environment)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv/bin"
    lock = REPOSITORY / "requirements.lock"
    install = [programs / "pip", "install", "--quiet", "--constraint", lock, wheel]
    subprocess.run(install, check=True, env=environment)
    listed = subprocess.check_output([programs / "pip", "list", "--format", "json"], text=True)
    installed = {package["name"].lower() for package in json.loads(listed)}
    # Optuna itself brings SQLAlchemy and Alembic.
    absent = {
        "fastapi",
        "uvicorn",
        "mlflow",
        "limits",
        "cryptography",
        "structlog",
        "prometheus_client",
        "httpx2",
        "websockets",
    }
    assert installed & absent == set()
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*arguments):
        command = [programs / "backtune", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    _make_sweep(folder, run)
    program = (
        "import sys, backtune; print(sorted({'ray', 'optuna', 'sqlalchemy', 'pandas'} & set(sys.modules)))"
    )
    loaded = subprocess.check_output([programs / "python", "-c", program], text=True, env=environment)
    assert loaded == "[]\n"
