"""The whole OpenAPI document of a gateway with keys, asked by schemathesis: no server error, and no undeclared answer.

``make test-api`` asks more than ten thousand times, of a gateway with a Ray head of its own; otherwise a small share is
asked of one whose cluster does not answer.
"""

import json
import subprocess
import sys

import pytest
from finished_jobs import finished_job
from gateways import listening
from secured import FREE, NOWHERE
from sweeps import environment

from backtune.data.synthetic import make_market
from backtune.gateway.app import create_app
from backtune.gateway.jobs.job_record import NewJob
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.local_head import LocalHead
from backtune.gateway.settings import Limits, Settings

READY = "/api/v1/ready"
# Where, the phases of schemathesis, examples of every operation, and how many requests they are at least.
SHARES = [
    pytest.param("nowhere", "examples,fuzzing", 20, 150, id="a share"),
    pytest.param(
        "ray", "examples,coverage,fuzzing,stateful", 1_300, 10_000, id="all",
        marks=[pytest.mark.slow, pytest.mark.timeout(3600)],
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    root = tmp_path_factory.mktemp("market")
    make_market(str(root), assets=["AAA"], timeframe="15m", start="2021-01-01", end="2021-07-01", seed=3)
    return str(root)


@pytest.fixture
def address(request, tmp_path, monkeypatch):
    if request.param == "nowhere":
        yield NOWHERE
        return
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    head = LocalHead(tmp_path / "head")
    head.start()
    yield head.address
    head.stop()


@pytest.fixture
def gateway(address, market, tmp_path):
    """Its address, an admin's key, and the ids of a finished job, a cancelled one and one that waits in the queue."""
    # Nothing is run: what schemathesis asks for would be, for hours.
    settings = Settings(
        runs=tmp_path / "runs",
        data_root=market,
        address=address,
        request_limits=FREE,
        limits=Limits(active_jobs=0),
    )
    settings.own_folder.mkdir(parents=True)
    app = create_app(settings, address)
    record, text = KeyService(
        KeyRecords(app.state.services.database), GatewaySecret.open(settings.own_folder)
    ).create("admin")
    with listening(app, settings) as host:
        records = app.state.services.job_records
        jobs = [finished_job(app.state.services, record.id, tmp_path)]
        spec = records.read_spec(jobs[0])
        for number in range(2):
            jobs.append(records.add(_again(records.get(jobs[0]), spec, number))[0].id)
        records.request_cancel(jobs[1])
        yield f"http://{host}", text.header_value, jobs


def _again(record, spec, number):
    """Its like, never run."""
    return NewJob(record.owner, f"r{number}", spec, f"{record.sweep_id}-{number}", record.name, "0" * 64)


@pytest.mark.parametrize(("address", "phases", "n_examples", "n_cases"), SHARES, indirect=["address"])
def test_no_request_is_answered_by_an_error_or_in_an_undeclared_way(
    gateway, tmp_path, phases, n_examples, n_cases
):
    url, key, jobs = gateway
    config = tmp_path / "schemathesis.toml"
    config.write_text(_config(jobs))
    told = tmp_path / "told.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/api/v1/openapi.json",
            "--url", url, "--header", f"X-API-Key: {key}", "--max-examples", str(n_examples), "--seed", "6",
            "--phases", phases, "--request-timeout", "180", "--continue-on-failure", "--report-json-path", str(told), "--no-color",
        ],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=3500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(told.read_text())
    asked = report["test_cases"]["generated"]
    sys.stdout.write(f"{asked:,} requests to {report['operations']['tested']} operations\n")
    assert (report["failures"], report["errors"]) == ([], [])
    assert report["operations"]["tested"] == report["operations"]["total"] >= 14
    assert asked >= n_cases


def _config(jobs: list[str]) -> str:
    """In TOML. Half of what is sent is what there is, so that requests get further than the first check."""
    words = {
        "jobs": jobs,
        "strategies": ["RSIStrategy", "MACDStrategy", "NoSuchStrategy"],
        "assets": ["AAA", "BBB"],
        "timeframes": ["15m", "1h", "4h", "7m"],
        "dates": ["2021-01-01", "2021-02-01T00:00:00Z", "2021-06-01", "2031-01-01"],
        "metrics": ["sharpe_ratio", "-max_drawdown", "luck"],
    }
    places = {
        "path.job_id": "jobs", "body.strategy_name": "strategies", "body.asset": "assets", "body.timeframe": "timeframes",
        "body.start_date": "dates", "body.end_date": "dates", "body.optimization_config.optimization_metric": "metrics",
    }  # fmt: skip
    lines = [
        *(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in words.items()),
        "[parameters]",
        *(f'"{place}" = {{ dictionary = "{name}", probability = 0.5 }}' for place, name in places.items()),
        # What the document allows may still be no strategy, asset or date.
        "[checks.positive_data_acceptance]",
        'expected-statuses = ["2xx", "404", "409", "422"]',
        # The one answer of 503 that is right: it says that the cluster is away, or too busy to answer.
        "[[operations]]",
        f'include-path = "{READY}"',
        "checks.not_a_server_error.enabled = false",
        "checks.positive_data_acceptance.enabled = false",
    ]
    return "\n".join(lines) + "\n"
