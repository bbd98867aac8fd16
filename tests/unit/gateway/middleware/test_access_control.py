"""Before any route: sizes, hosts, pages of others; and the headers of every answer."""

import asyncio
import logging
import time

import pytest
from secured import API, NOWHERE, SINGLE
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from backtune.gateway.app import create_app
from backtune.gateway.middleware.body_limit import BodyLimit
from backtune.gateway.settings import Settings

JOBS = f"{API}/jobs"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (JOBS, {"X-Much": "x" * 17_000}, 431),
        (JOBS, {f"X-{i}": "x" for i in range(101)}, 431),
        (JOBS, {f"X-{i}": "x" * 200 for i in range(90)}, 431),
        (f"{JOBS}?cursor={'1' * 9000}", {}, 414),
        (f"/{'x' * 9000}", {}, 414),
        ("/health", {"X-Much": "x" * 17_000}, 431),
        (f"/health?{'x' * 9000}", {}, 414),
        (f"{JOBS}?cursor={'1' * 8000}", {}, 401),
        (JOBS, {"X-Much": "x" * 15_000}, 401),
    ],
    ids=lambda value: str(value)[:30],
)
def test_sizes_before_keys(gateway, path, headers, status):
    answer = gateway.client.get(path, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("signed", [False, True])
def test_a_body_too_large_is_refused_whether_or_not_it_says_so(gateway, signed):
    key = gateway.key("trader", **({"signing": "required"} if signed else {}))
    large = b" " * 30_000
    answer = gateway.ask(key, "POST", f"{API}/optimize/batch", content=large)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    headers = {"X-API-Key": key.header_value}
    if signed:
        # What was signed does not matter: it is not read to its end.
        headers |= {"X-Timestamp": str(int(time.time())), "X-Nonce": "n" * 32, "X-Signature": "0" * 64}
    chunks = (large[:1000] for _ in range(100))
    answer = gateway.client.post(f"{API}/optimize/batch", content=chunks, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert "20,000 bytes" in answer.json()["detail"]


def test_nothing_is_read_of_whom_nobody_knows(gateway):
    async def receive():
        raise AssertionError("read")

    async def asked():
        sent = []

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": f"{API}/optimize/batch", "raw_path": b"", "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")], "scheme": "http", "client": ("10.0.0.9", 1), "state": {},
        }  # fmt: skip
        await gateway.client.app(scope, receive, send)
        return sent

    assert gateway.client.portal.call(asked)[0]["status"] == 401


def test_a_body_that_does_not_come_is_not_waited_for():
    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass

    async def drip():
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def asked():
        scope = {"type": "http", "headers": []}
        await BodyLimit(app, n_bytes=1000, seconds=0.2)(scope, drip, None)

    with pytest.raises(HTTPException, match=r"within 0\.2 seconds") as caught:
        asyncio.run(asked())
    assert caught.value.status_code == 408


def test_after_the_body_a_request_may_take_its_time():
    told = [{"type": "http.request", "body": b"x", "more_body": False}]

    async def receive():
        if told:
            return told.pop()
        await asyncio.sleep(0.3)
        return {"type": "http.disconnect"}

    async def app(scope, receive, send):
        assert (await receive())["body"] == b"x"
        assert (await receive())["type"] == "http.disconnect"

    asyncio.run(BodyLimit(app, n_bytes=1000, seconds=0.1)({"type": "http", "headers": []}, receive, None))


ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize(
    ("path", "status", "policy"),
    [
        ("/health", 200, "default-src 'none'; frame-ancestors 'none'"),
        (JOBS, 401, "default-src 'none'; frame-ancestors 'none'"),
        (f"{API}/openapi.json", 200, "default-src 'none'; frame-ancestors 'none'"),
        (f"{API}/docs", 200, "cdn.jsdelivr.net"),
        (f"/{'x' * 9000}", 414, "default-src 'none'; frame-ancestors 'none'"),
    ],
)
def test_headers_of_every_answer(gateway, path, status, policy):
    answer = gateway.client.get(path)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert policy in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


def test_over_tls_browsers_are_told_to_stay_there(gateway):
    answer = gateway.client.get("https://127.0.0.1/health")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_an_unexpected_error_has_these_headers_and_tells_nothing(gateway, keys, monkeypatch):
    def broken():
        raise ValueError("secret in /etc/passwd")

    monkeypatch.setattr(gateway.client.app.state.services.catalog, "list_assets", broken)
    answer = gateway.ask(keys["viewer"], "GET", f"{API}/assets", headers={"X-Request-ID": "mine-1"})
    assert (answer.status_code, answer.json()["detail"]) == (500, "an internal error")
    assert answer.headers["x-request-id"] == "mine-1"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-API-Key": "{key}"}, 200),
        ({"Authorization": "Bearer {key}"}, 200),
        ({"Authorization": "bearer {key}"}, 200),
        ({"Authorization": "Basic {key}"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "{key}"}, 401),
        ({"X-API-Key": "wrong", "Authorization": "Bearer {key}"}, 401),
        ({"X-API-Key": "{key}", "Authorization": "Bearer wrong"}, 200),
        ({"X-API-Key": "{key}0"}, 401),
        ({"X-API-Key": "{key},{key}"}, 401),
        ({"Cookie": "X-API-Key={key}"}, 401),
    ],
    ids=str,
)
def test_where_a_key_is_looked_for(gateway, keys, headers, status):
    sent = {name: value.format(key=keys["viewer"].header_value) for name, value in headers.items()}
    assert gateway.client.get(JOBS, headers=sent).status_code == status


def test_a_key_in_the_url_is_none(gateway, keys):
    assert (
        gateway.client.get(
            f"{JOBS}?api_key={keys['viewer'].header_value}&X-API-Key={keys['viewer'].header_value}"
        ).status_code
        == 401
    )


@pytest.mark.parametrize(
    ("end", "told"), [("revoke", "the API key is revoked"), ("expire", "the API key is expired")]
)
def test_a_key_that_holds_no_more(gateway, end, told):
    key = gateway.key("admin", expires_seconds=0.0 if end == "expire" else None)
    if end == "revoke":
        assert gateway.ask(key, "GET", JOBS).status_code == 200
        gateway.keys.revoke(key.key_id)
        gateway.forget_keys()
    answer = gateway.ask(key, "GET", JOBS)
    assert (answer.status_code, answer.json()["detail"]) == (401, told)
    assert answer.headers["www-authenticate"] == "ApiKey"


def test_a_revoked_key_is_refused_within_a_second_by_itself(gateway):
    key = gateway.key("admin")
    assert gateway.ask(key, "GET", JOBS).status_code == 200
    gateway.keys.revoke(key.key_id)
    time.sleep(1.05)
    assert gateway.ask(key, "GET", JOBS).status_code == 401


def test_when_a_key_was_last_used_is_kept(gateway):
    key = gateway.key("viewer")
    gateway.ask(key, "GET", JOBS)
    gateway.forget_keys()
    gateway.ask(key, "GET", JOBS)
    record = next(record for record in gateway.keys.list_all() if record.id == key.key_id)
    assert 0 <= record.last_used_at - record.created_at < 60


def test_the_log_has_no_secret(gateway, caplog):
    key = gateway.key("trader", signing="optional")
    with caplog.at_level(logging.DEBUG):
        gateway.ask(key, "POST", f"{API}/optimize/single", json=SINGLE)
        gateway.client.get(f"{JOBS}?key={key.full_text}", headers={"X-API-Key": key.full_text})
        gateway.client.get(JOBS, headers={"X-API-Key": key.header_value + "0"})
    # The client here has a log too, with what it asked for.
    records = [record for record in caplog.records if not record.name.startswith("httpx")]
    assert records
    for record in records:
        for secret in (key.secret, key.signing_secret):
            assert secret.hex() not in record.getMessage()


@pytest.fixture(scope="module")
def open_gateway(aaa_market, tmp_path_factory):
    """Without keys, as on a laptop."""
    settings = Settings(
        runs=tmp_path_factory.mktemp("open"), data_root=aaa_market, address=NOWHERE, role_without_key="trader"
    )
    with TestClient(create_app(settings, NOWHERE), base_url="http://127.0.0.1:8080") as client:
        yield client


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8080", None, 200),
        ("localhost:8080", None, 200),
        ("localhost", None, 200),
        ("[::1]:8080", None, 200),
        ("localhost:8080", "http://localhost:8080", 200),
        ("evil.example", None, 403),
        ("evil.example:8080", "http://evil.example:8080", 403),
        ("127.0.0.1.evil.example", None, 403),
        ("localhost:8080", "http://evil.example", 403),
        ("localhost:8080", "null", 403),
        ("localhost:8080", "http://localhost:3000", 403),
        ("127.0.0.1:8080", "http://localhost:8080", 403),
    ],
)
def test_without_keys_pages_of_others_get_nothing(open_gateway, host, origin, status):
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert open_gateway.get(JOBS, headers=headers).status_code == status
    assert open_gateway.post(f"{API}/optimize/single", json=SINGLE, headers=headers).status_code == (
        202 if status == 200 else 403
    )


def test_without_keys_a_role_is_still_a_role(open_gateway):
    assert open_gateway.get(f"{API}/nothing").status_code == 404
    settings = open_gateway.app.state.services.settings
    assert settings.role_without_key == "trader"
    job_id = open_gateway.post(f"{API}/optimize/single", json=SINGLE).json()["job_id"]
    assert open_gateway.post(f"{JOBS}/{job_id}/cancel").status_code == 202
