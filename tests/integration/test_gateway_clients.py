"""A gateway with a Ray of its own, as its clients see it: a program written from its page, and ours."""

import asyncio
import base64
import json
import re
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from gateway_process import gateway_in
from sweeps import backtune, environment, spec_document, written

from backtune.client import AsyncHyperOptClient, HyperOptClient, OptimizationConfig, RealTimeMonitor
from backtune.errors import RefusedError

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
DOCS = Path(__file__).parents[2] / "docs" / "client.md"
PROGRAM = Path(__file__).parents[1] / "programs" / "from_the_page.py"
CONFIG = OptimizationConfig("RSIStrategy", "AAA", "1h", trials=40, validation={"method": "holdout"})
ALL = {"MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, market):
    with gateway_in(tmp_path_factory.mktemp("gateway"), market) as started:
        started.key = started.make_key("trader")
        started.start()
        yield started


@pytest.fixture(scope="module")
def url(gateway):
    return gateway.url


@pytest.fixture(scope="module")
def signing_key(gateway):
    """A key whose requests must be signed."""
    return gateway.make_key("trader", "--signed")


@pytest.fixture
def client(url, signing_key):
    with HyperOptClient(url, signing_key) as opened:
        yield opened


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def found(request, url, gateway):
    """What the program that knows nothing but the page found, of so many strategies at once."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), url, gateway.key, str(request.param)], env=environment(), capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_program_written_from_the_page_runs_optimisations_at_once(found):
    assert found["health"]["status"] == "ok"
    assert {one["name"] for one in found["strategies"]} >= ALL
    assert all(one["parameters"] for one in found["strategies"])
    for job in found["jobs"]:
        assert (job["status"], job["progress"], job["error"]) == ("completed", 100.0, None)
        result = job["result"]
        assert result["asset"] == "AAA"
        assert result["sample"] == "out_of_sample"
        assert 0 <= result["max_drawdown"] <= 1
        assert result["total_return"] > -1
        assert result["best_parameters"]
        assert result["detailed_metrics"]["oos_sharpe_ratio"] == result["sharpe_ratio"]
    strategies = {job["result"]["strategy_name"] for job in found["jobs"]}
    assert len(strategies) == len(found["jobs"]) >= 2
    assert strategies <= ALL
    begun, over = (
        [datetime.fromisoformat(job[name]) for job in found["jobs"]] for name in ("started_at", "ended_at")
    )
    assert max(begun) < min(over), "they ran one after the other"


def test_its_socket_told_how_every_job_went_on(found):
    for job in found["jobs"]:
        mine = [update for update in found["updates"] if update["job_id"] == job["job_id"]]
        assert all(a["progress"] <= b["progress"] for a, b in pairwise(mine))
        assert (mine[-1]["status"], mine[-1]["progress"]) == ("completed", 100.0)
        assert mine[-1]["best_params"] == job["result"]["best_parameters"]


def test_it_has_the_report_as_json_and_pdf_and_the_script(found):
    best = next(job for job in found["jobs"] if job["job_id"] == found["best"])["result"]
    assert found["report"]["best_parameters"] == best["best_parameters"]
    assert len(found["report"]["optimization_history"]) == 60
    pdf = base64.b64decode(found["pdf"])
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 20_000
    assert found["pine"].startswith("//@version=6")
    assert best["strategy_name"] in found["pine"]


@pytest.mark.slow
def test_the_client_starts_watches_and_fetches(url, client, signing_key):
    assert client.health()["status"] == "ok"
    assert {one["name"] for one in client.get_strategies()} >= ALL
    assert [one["asset"] for one in client.get_assets()] == ["AAA", "BBB"]
    job_id = client.start_optimization(CONFIG)
    updates = list(RealTimeMonitor(url, signing_key).updates(job_id))
    job = client.wait_for_completion(job_id, poll_interval=0.2)
    assert job["status"] == updates[-1]["status"] == "completed"
    assert updates[-1]["best_params"] == job["result"]["best_parameters"]
    report = client.get_performance_report(job_id)
    assert report["best_parameters"] == job["result"]["best_parameters"]
    assert client.get_performance_report(job_id, "html").startswith("<!DOCTYPE html>")
    assert client.get_performance_report(job_id, "xlsx")[:2] == b"PK"
    assert client.generate_pine_script(job_id).startswith("//@version=6")
    assert "40 trials in the log" in client.get_optimization_logs(job_id)["logs"]
    assert job_id in [one["job_id"] for one in client.list_optimizations(["completed"])]
    with pytest.raises(RefusedError, match="only a job that is open can be cancelled"):
        client.cancel_optimization(job_id)


@pytest.mark.slow
def test_the_asynchronous_client_cancels_and_resumes(url, signing_key):
    async def used():
        long = OptimizationConfig("RSIStrategy", "BBB", "15m", trials=200_000, method="random")
        async with AsyncHyperOptClient(url, signing_key) as client:
            first, again = await asyncio.gather(
                *(client.start_optimization(long, idempotency_key="one") for _ in range(2))
            )
            assert first == again
            async for update in RealTimeMonitor(url, signing_key).updates_async(first):
                if update["status"] == "running" and update["n_trials"]:
                    await client.cancel_optimization(first)
            stopped = await client.get_optimization_status(first)
            resumed = await client.resume_optimization(first)
            await client.cancel_optimization(first)
            return stopped, resumed, await client.wait_for_completion(first, 0.2, timeout_seconds=120)

    stopped, resumed, ended = asyncio.run(used())
    assert (stopped["status"], stopped["attempt"]) == ("cancelled", 1)
    assert 0 < stopped["n_trials"] < 200_000
    assert (resumed["status"], resumed["attempt"]) == ("queued", 2)
    assert ended["status"] == "cancelled"


def test_a_wrong_request_names_what_is_wrong(client):
    with pytest.raises(RefusedError, match="did you mean 'RSIStrategy'") as refused:
        client.start_optimization(OptimizationConfig("RSIStrateg", "AAA", "1h"))
    assert (refused.value.status, refused.value.where, refused.value.value) == (
        422, "strategy_name", "RSIStrateg",
    )  # fmt: skip
    assert set(refused.value.allowed) >= ALL


@pytest.mark.slow
def test_submit_goes_through_a_gateway(url, gateway, market, tmp_path):
    spec = written(tmp_path / "spec.yaml", spec_document(market, search={"trials": 20}))
    result = backtune(
        "submit", spec, "--gateway", url, "--wait", "--json", cwd=tmp_path, BACKTUNE_API_KEY=gateway.key
    )
    assert result.returncode == 0, result.stderr
    job = json.loads(result.stdout)
    assert (job["status"], job["n_trials"]) == ("completed", 80)
    assert "completed 100.0 %" in result.stderr
    assert (gateway.runs / job["sweep_id"] / "sweep.json").exists()


@pytest.mark.slow
def test_the_documented_programs_run(url, gateway):
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    code = "".join(blocks).replace("http://127.0.0.1:8080", url)
    done = subprocess.run(
        [sys.executable, "-c", code + "\nprint({job['status'] for job in jobs})"],
        env=environment(BACKTUNE_API_KEY=gateway.key), capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "completed 100.0" in done.stdout
    assert done.stdout.splitlines()[-1] == "{'completed'}"


@pytest.mark.parametrize(
    ("options", "changes", "status", "message"),
    [
        ((), {}, 2, "error: --address, --gateway: exactly one of the two is needed\n"),
        (("--gateway", "URL", "--address", "http://127.0.0.1:9"), {}, 2, "error: --address, --gateway: exactly one of the two is needed\n"),
        (("--gateway", "URL", "--runs", "x"), {}, 2, "error: --runs: is the gateway's own; leave it out with --gateway\n"),
        (("--gateway", "nowhere"), {}, 2, "error: api_base: must be a URL"),
        (("--gateway", "URL"), {"tracking": {"uri": "http://mlflow"}}, 2, "error: tracking.uri: is the gateway's; leave it out"),
        (("--gateway", "URL"), {"grid": {"strategies": [{"file": "my.py", "class": "Mine"}]}}, 2,
         "error: grid.strategies: a gateway runs no strategy files; name a strategy that is installed there\n"),
    ],
)  # fmt: skip
def test_a_wrong_submit_is_told_in_a_line(gateway, market, tmp_path, options, changes, status, message):
    spec = written(tmp_path / "spec.yaml", spec_document(market, **changes))
    given = [gateway.url if option == "URL" else option for option in options]
    result = backtune("submit", spec, *given, cwd=tmp_path, BACKTUNE_API_KEY=gateway.key)
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
