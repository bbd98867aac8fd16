"""The application with a real database, on a cluster that does not answer: jobs wait in the queue."""

import json

import pytest
from secured import API, NOWHERE, SINGLE
from starlette.testclient import TestClient

from backtune.gateway.app import create_app
from backtune.gateway.jobs.job_record import JobEnd
from backtune.gateway.settings import Limits, Settings

UNKNOWN = "job-0123456789abcdef01234567"


@pytest.fixture(scope="module")
def app(aaa_market, tmp_path_factory):
    settings = Settings(
        runs=tmp_path_factory.mktemp("runs"), data_root=aaa_market, address=NOWHERE, role_without_key="admin",
        limits=Limits(body_bytes=20_000),
    )  # fmt: skip
    return create_app(settings, NOWHERE)


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def records(app):
    return app.state.services.job_records


def submitted(client, **changes):
    answer = client.post(f"{API}/optimize/single", json={**SINGLE, **changes})
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


def test_health_needs_nothing_and_ready_tells_what_is_missing(client):
    for prefix in ("", API):
        assert client.get(f"{prefix}/health").json()["status"] == "ok"
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["cluster"] == "does not answer"
    assert answer.json()["database"] == answer.json()["runs"] == "ok"


def test_strategies_with_their_spaces_and_assets_with_their_bars(client):
    found = {one["name"]: one for one in client.get(f"{API}/strategies").json()["strategies"]}
    assert {"MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy"} <= found.keys()
    assert found["RSIStrategy"]["parameters"]["period"]["type"] == "int"
    assert client.get(f"{API}/assets").json() == {
        "assets": [
            {
                "asset": "AAA", "timeframes": ["15m"], "has_funding": False,
                "start": "2021-01-01T00:00:00Z", "end": "2021-07-01T00:00:00Z",
            }
        ]
    }  # fmt: skip


def test_a_job_is_recorded_and_waits_for_the_cluster(client):
    job_id = submitted(client)
    job = client.get(f"{API}/jobs/{job_id}").json()
    assert (job["job_id"], job["status"], job["progress"], job["attempt"]) == (job_id, "queued", 0.0, 1)
    assert (job["result"], job["error"], job["best_so_far"], job["ended_at"]) == (None, None, None, None)


def test_a_whole_spec_is_taken_too(client):
    spec = {
        "name": "batch",
        "grid": {
            "strategies": ["RSIStrategy", "MACDStrategy"],
            "assets": ["AAA"],
            "timeframes": ["1h", "4h"],
        },
    }
    answer = client.post(f"{API}/optimize/batch", json=spec)
    assert answer.status_code == 202
    assert answer.json()["sweep_id"].startswith("batch-")


def test_an_idempotency_key_of_another_request_is_refused(client):
    headers = {"Idempotency-Key": "mine"}
    assert client.post(f"{API}/optimize/single", json=SINGLE, headers=headers).status_code == 202
    other = client.post(f"{API}/optimize/single", json={**SINGLE, "timeframe": "4h"}, headers=headers)
    assert (other.status_code, other.json()["where"]) == (409, "Idempotency-Key")


def test_jobs_are_paged_and_filtered(client):
    ids = [submitted(client, optimization_config={"seed": seed}) for seed in range(100, 105)]
    seen, cursor = [], None
    while True:
        page = client.get(
            f"{API}/jobs", params={"limit": 2, "status": "queued", **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [job["job_id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[:5] == ids[::-1]
    assert len(seen) == len(set(seen))
    assert client.get(f"{API}/jobs", params={"status": "failed"}).json() == {"jobs": [], "next_cursor": None}


def test_a_waiting_job_is_cancelled_at_once_and_can_be_resumed(client):
    job_id = submitted(client, optimization_config={"seed": 200})
    cancelled = client.post(f"{API}/jobs/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    # Asked twice it is the same.
    assert client.post(f"{API}/jobs/{job_id}/cancel").json()["status"] == "cancelled"
    resumed = client.post(f"{API}/jobs/{job_id}/resume")
    assert (resumed.status_code, resumed.json()["status"], resumed.json()["attempt"]) == (202, "queued", 2)
    assert client.post(f"{API}/jobs/{job_id}/resume").status_code == 409


def test_what_is_completed_cannot_be_cancelled_or_resumed(client, records):
    record = records.get(submitted(client, optimization_config={"seed": 201}))
    assert records.claim(record)
    assert records.record_end(record, "completed", JobEnd(n_trials=9, n_trials_planned=9))
    for verb in ("cancel", "resume"):
        answer = client.post(f"{API}/jobs/{record.id}/{verb}")
        assert answer.status_code == 409
        assert "the job is completed" in answer.json()["detail"]
    client.app.state.services.jobs.forget(record.id)
    job = client.get(f"{API}/jobs/{record.id}").json()
    assert (job["status"], job["progress"], job["n_trials"]) == ("completed", 100.0, 9)


def test_a_job_without_results_has_no_report_yet(client):
    job_id = submitted(client, optimization_config={"seed": 202})
    for answer in (
        client.get(f"{API}/reports/{job_id}"),
        client.post(f"{API}/export/pine-script/{job_id}"),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    logs = client.get(f"{API}/jobs/{job_id}/logs")
    assert (logs.status_code, logs.json()["logs"]) == (200, "")


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "told"),
    [
        ("GET", f"/jobs/{UNKNOWN}", None, 404, "there is no job"),
        ("GET", "/jobs/..%2f..%2fetc%2fpasswd", None, 404, ""),
        ("GET", "/jobs/job-1", None, 422, "job_id"),
        ("GET", "/jobs?status=luck", None, 422, "status"),
        ("GET", "/jobs?cursor=x", None, 422, "cursor"),
        ("GET", "/jobs?limit=0", None, 422, "limit"),
        ("GET", f"/reports/{UNKNOWN}?format=exe", None, 422, "format"),
        ("GET", "/nothing", None, 404, ""),
        ("DELETE", "/jobs", None, 405, ""),
        ("POST", "/optimize/single", b"{", 422, "JSON"),
        ("POST", "/optimize/single", b'{"strategy_name": "RSIStrategy"}', 422, "asset"),
        ("POST", "/optimize/single", json.dumps({**SINGLE, "asset": "NOPE"}).encode(), 422, "allowed: AAA"),
        ("POST", "/optimize/batch", b"[]", 422, ""),
        ("POST", "/optimize/batch", b"[" * 9_000, 400, ""),
        ("POST", "/optimize/batch", b'{"name": "\\ud800"}', 422, "no text"),
        ("POST", "/optimize/batch", b'{"name": NaN}', 422, "finite"),
    ],
)  # fmt: skip
def test_every_refusal_is_a_problem(client, method, path, content, status, told):
    answer = client.request(
        method, f"{API}{path}", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert told in problem["detail"]
    assert len(problem["error_id"]) == 16
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("single", '{"strategy_name": "RSIStrategy", "asset": "AAA", "timeframe": "1h", "asset": "BBB"}', "asset"),
        ("single", '{"strategy_name": "S", "optimization_config": {"trials": 1,\n"trials": 2}}', "optimization_config.trials"),
        ("batch", '{"name": "x", "execution": {"fee_bps": 50}, "execution": {"size": 1}}', "execution"),
        ("batch", '{"space": {"S": {"p": [{"low": 1}, {"low": 1, "low": 2}]}}}', "space.S.p.1.low"),
    ],
)  # fmt: skip
def test_a_key_that_stands_twice_in_a_body_is_refused(client, path, body, where):
    answer = client.post(f"{API}/optimize/{path}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["where"]) == (422, where)
    assert answer.json()["detail"].startswith(f"{where}: stands twice, on line")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"period": 14.9}, "takes whole numbers: 14.9 is not a whole number"),
        ({"period": True}, "takes whole numbers: True is not a number"),
        ({"period": "fast"}, "takes whole numbers: 'fast' is not a number"),
        ({"period": {"type": "int", "low": 5.5, "high": 9}}, "5.5 is not a whole number"),
        ({"oversold": "low"}, "takes numbers: 'low' is not a number"),
    ],
)
def test_parameters_of_another_type_are_refused(client, parameters, told):
    answer = client.post(
        f"{API}/optimize/single", json={**SINGLE, "optimization_config": {"parameters": parameters}}
    )
    assert answer.status_code == 422
    assert answer.json()["where"].startswith("optimization_config.parameters.")
    assert told in answer.json()["detail"]


def test_a_request_id_that_could_break_a_log_is_replaced(client):
    answer = client.get("/health", headers={"X-Request-ID": 'x"} {"event": "forged'})
    assert len(answer.headers["x-request-id"]) == 24


def test_metrics_are_prometheus(client):
    submitted(client, optimization_config={"seed": 300})
    text = client.get("/metrics").text
    assert 'backtune_jobs{status="queued"}' in text
    assert 'route="/api/v1/jobs/{job_id}"' in text or 'route="/jobs/{job_id}"' in text
