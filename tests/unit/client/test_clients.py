"""Both clients, on a server that answers as it is told: what they send, how they try again, what they raise."""

import asyncio
import json
import secrets
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest
from scripted import scripted

from backtune.client import AsyncHyperOptClient, HyperOptClient, OptimizationConfig, RetryLimits
from backtune.errors import AccessError, BusyError, RefusedError, SpecError, UnreachableError
from backtune.wire.api_key import ApiKey
from backtune.wire.signature import SignedContent

JOB = "job-0123456789abcdef01234567"
QUICK = RetryLimits(tries=4, first_seconds=0.01, longest_seconds=0.02, total_seconds=3.0)
SIGNING = ApiKey("0123456789abcdef", secrets.token_bytes(32), secrets.token_bytes(32))
PLAIN = ApiKey("0123456789abcdef", secrets.token_bytes(32))
CONFIG = OptimizationConfig("RSIStrategy", "AAA", "1h")
STARTED = (202, {}, {"job_id": JOB})
HEALTHY = (200, {}, {"status": "ok", "version": "1"})
PROBLEM = {
    "detail": "trials: must be positive",
    "error_id": "e1",
    "where": "trials",
    "value": -1,
    "allowed": ["1"],
}


def sync_call(url, key, method, *arguments, **options):
    with HyperOptClient(url, key, retries=QUICK, timeout_seconds=2) as client:
        return getattr(client, method)(*arguments, **options)


def async_call(url, key, method, *arguments, **options):
    async def called():
        async with AsyncHyperOptClient(url, key, retries=QUICK, timeout_seconds=2) as client:
            return await getattr(client, method)(*arguments, **options)

    return asyncio.run(called())


@pytest.fixture(params=[sync_call, async_call], ids=["sync", "async"])
def call(request):
    return request.param


@pytest.mark.parametrize(
    ("method", "arguments", "answer", "asked", "read"),
    [
        ("health", (), {"status": "ok"}, "GET /health", {"status": "ok"}),
        ("get_strategies", (), {"strategies": [1]}, "GET /strategies", [1]),
        ("get_assets", (), {"assets": [2]}, "GET /assets", [2]),
        ("start_optimization", (CONFIG,), {"job_id": JOB}, "POST /optimize/single", JOB),
        ("start_batch", ({"name": "x"},), {"job_id": JOB}, "POST /optimize/batch", JOB),
        ("get_optimization_status", (JOB,), {"status": "running"}, f"GET /jobs/{JOB}", {"status": "running"}),
        ("get_optimization_status", ("../a b",), {}, "GET /jobs/..%2Fa%20b", {}),
        ("wait_for_completion", (JOB,), {"status": "failed"}, f"GET /jobs/{JOB}", {"status": "failed"}),
        ("list_optimizations", (["failed", "partial"], 3), {"jobs": [1, 2], "next_cursor": None},
         "GET /jobs?status=failed&status=partial&limit=3", [1, 2]),
        ("cancel_optimization", (JOB,), {"status": "running"}, f"POST /jobs/{JOB}/cancel", {"status": "running"}),
        ("resume_optimization", (JOB,), {"status": "queued"}, f"POST /jobs/{JOB}/resume", {"status": "queued"}),
        ("get_optimization_logs", (JOB,), {"logs": "x"}, f"GET /jobs/{JOB}/logs", {"logs": "x"}),
        ("get_optimization_logs", (JOB, 2), {"logs": "x"}, f"GET /jobs/{JOB}/logs?attempt=2", {"logs": "x"}),
        ("generate_pine_script", (JOB,), {"pine_script": "//@version=6"}, f"POST /export/pine-script/{JOB}", "//@version=6"),
        ("get_performance_report", (JOB,), {"board": []}, f"GET /reports/{JOB}?format=json", {"board": []}),
        ("get_performance_report", (JOB, "html"), b"<html>", f"GET /reports/{JOB}?format=html", "<html>"),
        ("get_performance_report", (JOB, "pdf"), b"%PDF\xff", f"GET /reports/{JOB}?format=pdf", b"%PDF\xff"),
        ("get_performance_report", (JOB, "xlsx"), b"PK\xff", f"GET /reports/{JOB}?format=xlsx", b"PK\xff"),
    ],
)  # fmt: skip
def test_every_call_asks_for_its_route_and_reads_the_answer(call, method, arguments, answer, asked, read):
    with scripted((200, {}, answer)) as script:
        assert call(script.url, PLAIN.full_text, method, *arguments) == read
    (one,) = script.asked
    verb, _, target = asked.partition(" ")
    assert (one.method, one.target) == (verb, f"/api/v1{target}")
    assert one.headers["x-api-key"] == PLAIN.header_value
    assert "x-signature" not in one.headers


@pytest.mark.parametrize("base", ["", "/", "/api/v1", "/api/v1/"])
def test_the_address_may_have_the_path_of_the_api(base):
    with scripted(HEALTHY) as script:
        sync_call(script.url + base, None, "health")
    assert script.asked[0].target == "/api/v1/health"
    assert "x-api-key" not in script.asked[0].headers


@pytest.mark.parametrize(
    ("base", "key", "where"),
    [
        ("gateway:8080", None, "api_base"),
        ("ftp://gateway", None, "api_base"),
        ("http://", None, "api_base"),
        ("http://gateway?x=1", None, "api_base"),
        ("http://gateway", "bt_0123456789abcdef_00", "api_key"),
        ("http://gateway", PLAIN.header_value + "." + "0" * 63, "api_key"),
        ("http://gateway", "a\r\nX-Other: b", "api_key"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_is_refused_without_telling_the_key(base, key, where):
    with pytest.raises(SpecError) as refused:
        HyperOptClient(base, key)
    assert refused.value.key == where
    assert key is None or key not in str(refused.value)


def test_the_body_of_a_start_has_what_was_given_and_nothing_else(call):
    config = OptimizationConfig(
        "RSIStrategy", "AAA", "1h", start_date=date(2021, 1, 1), end_date="2022-01-01", trials=40,
        timeout_hours=0.5, optimization_metric=["sharpe_ratio", "-max_drawdown"], parameters={"period": [5, 9]},
    )  # fmt: skip
    with scripted(STARTED) as script:
        call(script.url, None, "start_optimization", config)
    assert json.loads(script.asked[0].body) == {
        "strategy_name": "RSIStrategy", "asset": "AAA", "timeframe": "1h", "start_date": "2021-01-01",
        "end_date": "2022-01-01",
        "optimization_config": {
            "trials": 40, "timeout_hours": 0.5, "optimization_metric": ["sharpe_ratio", "-max_drawdown"],
            "parameters": {"period": [5, 9]},
        },
    }  # fmt: skip
    assert script.asked[0].headers["content-type"] == "application/json"


def test_each_try_of_a_start_has_the_same_idempotency_key_and_a_signature_of_its_own(call):
    with scripted((503, {}, {}), (0, {}, b""), STARTED) as script:
        assert call(script.url, SIGNING.full_text, "start_optimization", CONFIG) == JOB
    tries = script.asked
    assert len(tries) == 3
    assert len({one.headers["idempotency-key"] for one in tries}) == 1
    assert len({one.headers["x-nonce"] for one in tries}) == 3
    for one in tries:
        path, _, query = one.target.partition("?")
        parts = SignedContent(
            one.headers["x-timestamp"], one.headers["x-nonce"], one.method, path, query, one.body
        )
        assert parts.is_signature(SIGNING.signing_secret, one.headers["x-signature"])
        assert one.headers["x-api-key"] == SIGNING.header_value
        assert SIGNING.signing_secret.hex() not in str(one)


def test_two_starts_are_two_jobs_and_a_key_of_ones_own_is_kept(call):
    with scripted(STARTED) as script:
        for _ in range(2):
            call(script.url, None, "start_optimization", CONFIG)
        call(script.url, None, "start_batch", {}, idempotency_key="mine")
    keys = [one.headers["idempotency-key"] for one in script.asked]
    assert keys[2] == "mine"
    assert len(set(keys)) == 3


def test_a_signature_covers_the_query_as_it_is_sent(call):
    with scripted((200, {}, {"jobs": [], "next_cursor": None})) as script:
        call(script.url, SIGNING.full_text, "list_optimizations", ["failed"], 7)
    one = script.asked[0]
    path, _, query = one.target.partition("?")
    parts = SignedContent(one.headers["x-timestamp"], one.headers["x-nonce"], "GET", path, query)
    assert query == "status=failed&limit=7"
    assert parts.is_signature(SIGNING.signing_secret, one.headers["x-signature"])


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for(call, status):
    with scripted((status, {"Retry-After": "1"}, {}), HEALTHY) as script:
        started = time.monotonic()
        assert call(script.url, None, "health")["status"] == "ok"
        assert 1.0 <= time.monotonic() - started < 30
    assert len(script.asked) == 2


def test_retry_after_may_be_a_date(call):
    moment = datetime.now(UTC) + timedelta(seconds=2)
    with scripted((503, {"Retry-After": format_datetime(moment, usegmt=True)}, {}), HEALTHY) as script:
        started = time.monotonic()
        call(script.url, None, "health")
        assert 0.9 <= time.monotonic() - started < 30


def test_a_longer_wait_than_the_clients_patience_is_told_at_once(call):
    with scripted((429, {"Retry-After": "60"}, {"detail": "too many requests"})) as script:
        started = time.monotonic()
        with pytest.raises(BusyError, match="too many requests") as busy:
            call(script.url, None, "health")
        assert time.monotonic() - started < 30
    assert (busy.value.retry_after, busy.value.status, len(script.asked)) == (60.0, 429, 1)


@pytest.mark.parametrize(
    ("method", "arguments", "answer", "n_tries", "error"),
    [
        ("health", (), (503, {}, {}), 4, BusyError),
        ("health", (), (429, {}, b"not json"), 4, BusyError),
        ("health", (), (502, {}, b"<html>"), 4, UnreachableError),
        ("health", (), (504, {}, b""), 4, UnreachableError),
        ("health", (), (0, {}, b""), 4, UnreachableError),
        ("start_optimization", (CONFIG,), (0, {}, b""), 4, UnreachableError),
        ("cancel_optimization", (JOB,), (0, {}, b""), 4, UnreachableError),
        ("resume_optimization", (JOB,), (0, {}, b""), 1, UnreachableError),
        ("resume_optimization", (JOB,), (502, {}, b""), 1, UnreachableError),
        ("resume_optimization", (JOB,), (503, {}, b""), 4, BusyError),
        ("health", (), (500, {}, PROBLEM), 1, UnreachableError),
        ("health", (), (401, {}, PROBLEM), 1, AccessError),
        ("health", (), (403, {}, PROBLEM), 1, AccessError),
        ("health", (), (404, {}, PROBLEM), 1, RefusedError),
        ("health", (), (409, {}, PROBLEM), 1, RefusedError),
        ("health", (), (422, {}, PROBLEM), 1, RefusedError),
        ("health", (), (307, {"Location": "http://127.0.0.1:9/"}, b""), 1, UnreachableError),
        ("health", (), (200, {}, b"<html>a login page</html>"), 1, UnreachableError),
    ],
)  # fmt: skip
def test_what_is_tried_again_and_what_it_is_in_the_end(call, method, arguments, answer, n_tries, error):
    with scripted(answer) as script:
        with pytest.raises(error):
            call(script.url, None, method, *arguments)
        assert len(script.asked) == n_tries


def test_an_error_has_what_the_gateway_told(call):
    with scripted((422, {}, PROBLEM)) as script, pytest.raises(RefusedError) as refused:
        call(script.url, None, "start_optimization", CONFIG)
    error = refused.value
    assert (error.status, error.where, error.value, error.allowed, error.error_id) == (
        422, "trials", -1, ("1",), "e1",
    )  # fmt: skip
    assert str(error) == "trials: must be positive (error e1 in the gateway's log)"


def test_nothing_that_listens_is_tried_again_even_for_what_may_not_be_repeated(call):
    with scripted(HEALTHY) as script:
        pass
    with pytest.raises(UnreachableError, match=script.url):
        call(script.url, None, "resume_optimization", JOB)


def test_a_list_goes_over_pages_until_there_are_enough(call):
    pages = [
        (200, {}, {"jobs": list(range(200)), "next_cursor": "7"}),
        (200, {}, {"jobs": list(range(50)), "next_cursor": "3"}),
    ]
    with scripted(*pages) as script:
        assert len(call(script.url, None, "list_optimizations", limit=250)) == 250
    assert [one.target for one in script.asked] == [
        "/api/v1/jobs?limit=200",
        "/api/v1/jobs?limit=50&cursor=7",
    ]


def test_waiting_ends_with_the_job_or_with_the_time(call):
    running, done = (200, {}, {"status": "running"}), (200, {}, {"status": "partial"})
    with scripted(running, running, done) as script:
        assert call(script.url, None, "wait_for_completion", JOB, 0.01) == {"status": "partial"}
    assert len(script.asked) == 3
    with scripted(running) as script:
        assert call(script.url, None, "wait_for_completion", JOB, 0.05, timeout_seconds=0.12) == {
            "status": "running"
        }
    assert 3 <= len(script.asked) <= 4


def test_importing_the_client_loads_nothing_heavy():
    code = (
        "import sys, backtune.client\n"
        "heavy = {'ray', 'fastapi', 'pydantic', 'polars', 'numpy', 'numba', 'sqlalchemy', 'optuna', 'mlflow', 'starlette'}\n"
        "print(sorted((heavy | {'cryptography'}) & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
