"""Signed requests at a real gateway: skew, tampering with each part, and replay, also at another worker and later."""

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from secured import API, secured

from backtune.wire.api_key import ApiKey
from backtune.wire.signature import SignedContent, make_auth_headers

JOBS = f"{API}/jobs"


@pytest.fixture(scope="module")
def key(gateway) -> ApiKey:
    return gateway.key("trader", signing="required")


@pytest.mark.parametrize(
    ("offset", "status"),
    [(0, 200), (-295, 200), (295, 200), (-305, 401), (305, 401), (-86_400, 401), (10**9, 401)],
)
def test_skew(gateway, key, offset, status):
    headers = make_auth_headers(key, "GET", JOBS, now=time.time() + offset)
    answer = gateway.client.get(JOBS, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["detail"] == "X-Timestamp is more than 300 seconds off this gateway's clock"


BODY = b'{"strategy_name": "RSIStrategy", "asset": "AAA", "timeframe": "1h", "optimization_config": {"trials": 5}}'
OTHER_BODY = BODY.replace(b": 5}", b": 50}")
PATH = f"{API}/optimize/single"


@pytest.mark.parametrize(
    ("method", "signed", "sent"),
    [
        ("GET", (JOBS, "limit=5", b""), (JOBS, "limit=5", b"")),
        ("GET", (JOBS, "status=queued&limit=5", b""), (JOBS, "status=queued&limit=5", b"")),
        ("GET", (JOBS, "status=%71ueued", b""), (JOBS, "status=%71ueued", b"")),
        ("POST", (PATH, "", BODY), (PATH, "", BODY)),
        ("POST", (PATH, "a=b", BODY), (PATH, "a=b", BODY)),
    ],
)
def test_what_was_signed_is_let_in(gateway, key, method, signed, sent):
    answer = _send(gateway, key, method, signed, sent)
    assert answer.status_code == (200 if method == "GET" else 202), answer.text


@pytest.mark.parametrize(
    ("signed_method", "signed", "method", "sent"),
    [
        ("POST", (JOBS, "limit=5", b""), "GET", (JOBS, "limit=5", b"")),
        ("GET", (JOBS, "limit=5", b""), "GET", (JOBS, "limit=6", b"")),
        ("GET", (JOBS, "limit=5", b""), "GET", (JOBS, "", b"")),
        ("GET", (JOBS, "", b""), "GET", (JOBS, "limit=5", b"")),
        ("GET", (JOBS, "limit=5&status=queued", b""), "GET", (JOBS, "status=queued&limit=5", b"")),
        ("GET", (JOBS, "status=queued", b""), "GET", (JOBS, "status=%71ueued", b"")),
        ("GET", (JOBS, "", b""), "GET", (f"{API}/assets", "", b"")),
        ("GET", (JOBS, "", b""), "GET", (f"{API}/jo%62s", "", b"")),
        ("POST", (PATH, "", BODY), "POST", (PATH, "", OTHER_BODY)),
        ("POST", (PATH, "", BODY), "POST", (PATH, "", BODY + b" ")),
        ("POST", (PATH, "", BODY), "POST", (PATH, "", b"")),
        ("POST", (f"{API}/optimize/batch", "", BODY), "POST", (PATH, "", BODY)),
    ],
)
def test_what_was_changed_on_the_way_is_not(gateway, key, signed_method, signed, method, sent):
    answer = _send(gateway, key, method, signed, sent, signed_method)
    assert (answer.status_code, answer.json()["detail"]) == (401, "the signature does not fit the request")


@pytest.mark.parametrize(
    ("header", "value", "told"),
    [
        ("X-Timestamp", None, "X-Timestamp is missing or malformed"),
        ("X-Timestamp", "", "X-Timestamp is missing or malformed"),
        ("X-Timestamp", "now", "X-Timestamp is missing or malformed"),
        ("X-Timestamp", "-1", "X-Timestamp is missing or malformed"),
        ("X-Timestamp", "1e9", "X-Timestamp is missing or malformed"),
        ("X-Timestamp", "9" * 400, "X-Timestamp is missing or malformed"),
        ("X-Nonce", None, "X-Nonce is missing or malformed"),
        ("X-Nonce", "short", "X-Nonce is missing or malformed"),
        ("X-Nonce", "n" * 65, "X-Nonce is missing or malformed"),
        ("X-Nonce", "n" * 15 + "'", "X-Nonce is missing or malformed"),
        ("X-Nonce", "n" * 32, "does not fit"),
        ("X-Signature", None, "X-Signature is missing or malformed"),
        ("X-Signature", "0" * 64, "does not fit"),
        ("X-Signature", "0" * 63, "X-Signature is missing or malformed"),
        ("X-Signature", "G" * 64, "X-Signature is missing or malformed"),
        ("X-API-Key", None, "no API key"),
        ("X-API-Key", "bt_" + "0" * 16 + "_" + "0" * 64, "the API key is not valid"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_headers_that_are_missing_malformed_or_another_request_s(gateway, key, header, value, told):
    headers = make_auth_headers(key, "GET", JOBS, now=time.time() - 5)
    del headers[header]
    if value is not None:
        headers[header] = value
    answer = gateway.client.get(JOBS, headers=headers)
    assert answer.status_code == 401
    assert told in answer.json()["detail"]


def test_another_second_s_signature_does_not_fit(gateway, key):
    headers = make_auth_headers(key, "GET", JOBS, now=time.time() - 5)
    answer = gateway.client.get(JOBS, headers=headers | {"X-Timestamp": str(int(time.time()))})
    assert (answer.status_code, answer.json()["detail"]) == (401, "the signature does not fit the request")


def test_another_key_s_signature_does_not_fit(gateway, key):
    other = gateway.key("trader", signing="required")
    mixed = ApiKey(key.key_id, key.secret, other.signing_secret)
    assert gateway.ask(mixed, "GET", JOBS).status_code == 401
    assert gateway.ask(key, "GET", JOBS).status_code == 200


def test_the_hash_that_is_stored_signs_nothing(gateway, key):
    stored = next(record for record in gateway.keys.list_all() if record.id == key.key_id).secret_hash
    assert gateway.ask(ApiKey(key.key_id, key.secret, stored), "GET", JOBS).status_code == 401


@pytest.mark.parametrize(
    ("signing", "is_signed", "status"),
    [("off", False, 200), ("off", True, 401), ("optional", False, 200), ("optional", True, 200),
     ("required", False, 401), ("required", True, 200)],
)  # fmt: skip
def test_keys_that_do_not_may_or_must_sign(gateway, signing, is_signed, status):
    key = gateway.key("viewer", signing=signing)
    secret = (key.signing_secret or bytes(32)) if is_signed else None
    assert gateway.ask(ApiKey(key.key_id, key.secret, secret), "GET", JOBS).status_code == status


def test_a_wrong_signature_is_not_let_in_because_it_is_optional(gateway):
    key = gateway.key("viewer", signing="optional")
    wrong = ApiKey(key.key_id, key.secret, bytes(32))
    assert gateway.ask(wrong, "GET", JOBS).status_code == 401


def test_the_part_for_signing_is_refused_when_it_is_sent(gateway, key):
    answer = gateway.client.get(JOBS, headers={"X-API-Key": key.full_text})
    assert answer.status_code == 401
    assert "must not be sent" in answer.json()["detail"]


def test_a_rotated_key_signs_with_either_secret_for_a_while(gateway):
    before = gateway.key("viewer", signing="required")
    after = gateway.keys.rotate(before.key_id, grace_seconds=100)[1]
    gateway.forget_keys()
    for key, status in (
        (before, 200),
        (after, 200),
        (ApiKey(after.key_id, after.secret, before.signing_secret), 401),
    ):
        assert gateway.ask(key, "GET", JOBS).status_code == status


def test_a_request_is_let_in_once(gateway, key):
    headers = make_auth_headers(key, "POST", PATH, body=BODY)
    answers = [gateway.client.post(PATH, content=BODY, headers=headers | JSON) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 401, 401]
    assert answers[1].json()["detail"] == "the nonce was used before"


def test_a_nonce_is_one_key_s_and_another_request_may_not_have_it(gateway, key):
    other = gateway.key("trader", signing="required")
    nonce = f"shared-{time.time_ns()}"
    statuses = [
        gateway.client.get(path, headers=_headers(who, nonce, path)).status_code
        for who, path in ((key, JOBS), (other, JOBS), (key, f"{API}/assets"))
    ]
    assert statuses == [200, 200, 401]


def test_a_wrong_signature_uses_up_no_nonce(gateway, key):
    nonce = f"spared-{time.time_ns()}"
    headers = _headers(key, nonce, JOBS)
    assert gateway.client.get(JOBS, headers=headers | {"X-Signature": "0" * 64}).status_code == 401
    assert gateway.client.get(JOBS, headers=headers).status_code == 200


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_database(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.db'}"
    return request.getfixturevalue("postgres")()


def test_replay_is_refused_at_another_worker_and_after_a_restart(aaa_market, tmp_path, shared_database):
    with secured(tmp_path, aaa_market, database=shared_database) as one:
        key = one.key("viewer", signing="required")
        headers = [make_auth_headers(key, "GET", JOBS) for _ in range(8)]
        with secured(tmp_path, aaa_market, database=shared_database) as two:
            # Both at once, again and again: of each pair one is let in.
            def both(sent):
                with ThreadPoolExecutor(2) as pool:
                    pair = pool.map(
                        lambda worker: worker.client.get(JOBS, headers=sent).status_code, (one, two)
                    )
                    return sorted(pair)

            assert [both(sent) for sent in headers] == [[200, 401]] * 8
    with secured(tmp_path, aaa_market, database=shared_database) as restarted:
        assert [restarted.client.get(JOBS, headers=sent).status_code for sent in headers] == [401] * 8
        assert restarted.ask(key, "GET", JOBS).status_code == 200


def test_without_its_database_nobody_is_let_in(aaa_market, tmp_path, monkeypatch):
    with secured(tmp_path, aaa_market) as gateway:
        key = gateway.key("viewer", signing="required")
        assert gateway.ask(key, "GET", f"{API}/strategies").status_code == 200
        # Keys are known for a second, nonces are not: a file that is no database any more.
        database = gateway.client.app.state.services.database
        database.close()
        for name in ("gateway.db", "gateway.db-wal", "gateway.db-shm"):
            (tmp_path / ".gateway" / name).unlink(missing_ok=True)
        (tmp_path / ".gateway" / "gateway.db").write_bytes(b"no database" * 1000)
        answer = gateway.ask(key, "GET", f"{API}/strategies")
        assert (answer.status_code, answer.json()["detail"]) == (503, "the database does not answer")
        gateway.forget_keys()
        plain = ApiKey(key.key_id, key.secret)
        assert gateway.ask(plain, "GET", f"{API}/strategies").status_code == 503
        gateway.client.app.state.services.reconciler_loop.stop()


JSON = {"content-type": "application/json"}


def _headers(key: ApiKey, nonce: str, path: str) -> dict[str, str]:
    timestamp = str(int(time.time()))
    signature = SignedContent(timestamp, nonce, "GET", path).sign(key.signing_secret)
    return {
        "X-API-Key": key.header_value,
        "X-Timestamp": timestamp,
        "X-Nonce": nonce,
        "X-Signature": signature,
    }


def _send(gateway, key, method, signed, sent, signed_method=None):
    headers = make_auth_headers(key, signed_method or method, *signed)
    path, query, body = sent
    url = f"{path}?{query}" if query else path
    answer = gateway.client.request(method, url, content=body, headers=headers | JSON)
    assert urlsplit(str(answer.request.url)).path == path
    return answer
