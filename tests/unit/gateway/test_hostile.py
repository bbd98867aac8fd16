"""Traversal, injection, oversized and malformed input on every parameter there is: refused as declared, and nothing else
happens. What there is comes from the OpenAPI document and from whole requests, so that what is added is tried too."""

import itertools
import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from io import BytesIO
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

import pytest
from finished_jobs import finished_job
from hostile import TEXTS, TOLD, VALUES
from secured import API, SINGLE, Secured
from sweeps import wait_for

from backtune.gateway.jobs.specs import build_batch_spec

JSON = {"content-type": "application/json"}
HEADERS = (
    "Idempotency-Key", "X-Request-ID", "X-API-Key", "Authorization", "X-Timestamp", "X-Nonce", "X-Signature", "Host", "Origin",
    "Content-Type", "Content-Length", "Content-Encoding", "Accept", "Cookie", "X-Forwarded-For", "X-HTTP-Method-Override", "Range",
)  # fmt: skip
WHOLE_SINGLE = {
    **SINGLE,
    "start_date": "2021-02-01",
    "end_date": "2021-06-01",
    "optimization_config": {
        "trials": 5, "timeout_hours": 0.5, "optimization_metric": "sharpe_ratio", "method": "random", "seed": 3,
        "constraints": {"total_trades": ">= 1"},
        "parameters": {"period": {"type": "int", "low": 5, "high": 9, "step": 2}},
        "execution": {"fee_bps": 1, "stop_loss": 0.1}, "validation": {"method": "holdout", "test_fraction": 0.3},
    },
}  # fmt: skip
A_BATCH = {
    "name": "batch",
    "grid": {"strategies": ["RSIStrategy"], "assets": ["AAA"], "timeframes": ["1h"]},
    "space": {"RSIStrategy": {"period": {"type": "int", "low": 5, "high": 9}}},
    "search": {"constraints": {"total_trades": ">= 1"}},
}


@pytest.fixture(scope="module")
def key(keys):
    return keys["admin"]


@pytest.fixture(scope="module")
def schema(gateway) -> dict[str, Any]:
    return gateway.client.get(f"{API}/openapi.json").json()


@pytest.fixture(scope="module")
def job_id(gateway, key, tmp_path_factory) -> str:
    return finished_job(gateway.client.app.state.services, key.key_id, tmp_path_factory.mktemp("spec"))


@pytest.fixture(scope="module", autouse=True)
def untouched(gateway, job_id):
    """Whatever is sent: the records, the finished job, the audit log and all files but the gateway's own are as before."""
    services = gateway.client.app.state.services
    folder = services.settings.runs

    def files() -> dict[str, int]:
        found = (path for path in folder.rglob("*") if ".gateway" not in path.parts and path.is_file())
        return {str(path): path.stat().st_mtime_ns for path in found}

    before, end = files(), services.job_records.get(job_id).end
    yield
    assert files() == before
    assert services.job_records.get(job_id).end == end
    assert gateway.audit.verify().fault is None
    assert not list(folder.parent.rglob("*pwned*"))


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def assert_refused_as_declared(answer, operation: dict[str, Any], settings, sent: object) -> None:
    shown = (repr(sent)[:200], answer.status_code, answer.text[:500])
    # Ready is 503, as there is no cluster here.
    assert answer.status_code < 500 or operation["operationId"].startswith("read_readiness"), shown
    assert str(answer.status_code) in operation["responses"], shown
    if answer.status_code >= 400 and answer.status_code != 503:
        assert answer.headers["content-type"] == "application/problem+json", shown
    for told in (*TOLD, str(settings.runs), str(settings.data_root)):
        assert told not in answer.text or told in str(sent), (told, shown)
    assert "x-injected" not in answer.headers


def asked(gateway: Secured, key, method: str, path: str, **how: Any):
    return gateway.client.request(
        method,
        path,
        headers={**how.pop("headers", {}), "X-API-Key": key.header_value},
        follow_redirects=False,
        **how,
    )


SHARES = [
    pytest.param(23, id="a share"),
    pytest.param(1, id="all", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
]
_numbers = itertools.count()


def some(values: Iterable[Any], share: int) -> list[Any]:
    """One of so many values, other ones each time."""
    return [value for value in values if next(_numbers) % share == 0]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("encoded", [True, False], ids=["encoded", "as it is"])
def test_paths(gateway, key, schema, encoded, share):
    settings = gateway.client.app.state.services.settings
    nowhere = {"operationId": "nowhere", "responses": {"401": {}, "404": {}, "405": {}, "414": {}}}
    texts = [text for text in TEXTS if encoded or (text.isprintable() and not set("?#") & set(text))]
    for method, path, operation in operations(schema):
        for text in some(texts, share) if "{job_id}" in path else ():
            url = path.replace("{job_id}", quote(text, safe="") if encoded else text)
            answer = asked(gateway, key, method, url)
            declare_errors = operation if answer.status_code == 422 else nowhere
            # Without a name it is the path of all jobs, with another method.
            if answer.status_code != 200 or text.strip("/.%"):
                assert_refused_as_declared(answer, declare_errors, settings, text)


@pytest.mark.parametrize("share", SHARES)
def test_query_parameters(gateway, key, schema, job_id, share):
    settings = gateway.client.app.state.services.settings
    tried = 0
    for method, path, operation in operations(schema):
        names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        for name in (*names, "unknown"):
            for text in some(TEXTS, share):
                url = path.replace("{job_id}", job_id)
                answer = asked(gateway, key, method, f"{url}?{name}={quote(text, safe='')}")
                assert_refused_as_declared(answer, operation, settings, text)
                tried += 1
    assert (tried + 20) * share > 15 * len(TEXTS)


@pytest.mark.parametrize("share", SHARES)
def test_headers(gateway, key, schema, share):
    settings = gateway.client.app.state.services.settings
    for name in HEADERS:
        is_of_bodies = name.startswith(("Idempotency", "Content"))
        method, path = ("POST", f"{API}/optimize/single") if is_of_bodies else ("GET", f"{API}/jobs")
        operation = schema["paths"][path][method.lower()]
        for text in some(TEXTS, share):
            headers = {"X-API-Key": key.header_value, **JSON, name: text.encode()}
            content = json.dumps(SINGLE) if is_of_bodies else None
            answer = gateway.client.request(method, path, content=content, headers=headers)
            assert_refused_as_declared(answer, operation, settings, text)


def leaves(document: Any, at: tuple = ()) -> Iterator[tuple]:
    """Where every value and every collection is, the whole among them."""
    yield at
    pairs = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for name, part in pairs:
        yield from leaves(part, (*at, name))


def changed(document: Any, at: tuple, value: Any, *, is_name: bool) -> Any:
    """With another value there, or with another name for what is there."""
    if not at:
        return value
    copy = deepcopy(document)
    holder = copy
    for name in at[:-1]:
        holder = holder[name]
    if is_name:
        holder[value] = holder.pop(at[-1])
    else:
        holder[at[-1]] = value
    return copy


def bodies(document: dict[str, Any], share: int) -> Iterator[tuple[Any, Any]]:
    """Every place with a share of all values, not the same at each; and under a share of all other names."""
    for at in leaves(document):
        for value in some((*TEXTS, *VALUES), share):
            yield changed(document, at, value, is_name=False), value
        for name in some(TEXTS, share) if at and isinstance(at[-1], str) else ():
            yield changed(document, at, name, is_name=True), name


BODY_SHARES = [pytest.param(67, id="a share"), SHARES[1]]


@pytest.mark.parametrize("share", BODY_SHARES)
@pytest.mark.parametrize("kind", ["single", "batch"])
def test_bodies(gateway, key, schema, kind, share):
    services = gateway.client.app.state.services
    path = f"{API}/optimize/{kind}"
    whole = WHOLE_SINGLE
    if kind == "batch":
        spec = build_batch_spec(A_BATCH, services.settings.data_root, services.settings.limits)
        whole = spec.model_dump(mode="json", by_alias=True)
        # The whole of it is taken, so that what is refused is refused for what was changed.
    assert gateway.ask(key, "POST", path, json=whole).status_code == 202
    tried = 0
    for body, value in bodies(whole, share):
        answer = asked(gateway, key, "POST", path, content=json.dumps(body).encode(), headers=JSON)
        assert_refused_as_declared(answer, schema["paths"][path]["post"], services.settings, value)
        tried += 1
    assert (tried + 1) * share > 1_500


FIRST = {"type": "auth", "api_key": "k", "timestamp": "1", "nonce": "n" * 16, "signature": "0" * 64}


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", FIRST)
def test_the_first_message_of_a_socket(gateway, name, share):
    for value in some((*TEXTS, *VALUES), share):
        with gateway.client.websocket_connect("/ws") as socket:
            socket.send_text(json.dumps({**FIRST, name: value}))
            refused = socket.receive_json()
            assert refused["type"] == "error", value
            assert refused["status"] in (400, 401), (value, refused)
            assert not [told for told in TOLD if told in refused["detail"] and told not in str(value)]


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_later_messages_of_a_socket(gateway, key, kind):
    sent = [{"type": kind, "job_id": value} for value in (*TEXTS, *VALUES)]
    sent += [{"type": value, "job_id": "job-" + "0" * 24} for value in (*TEXTS, *VALUES)]
    for some in (sent[:90], sent[90:]):
        with gateway.client.websocket_connect("/ws") as socket:
            socket.send_json({"type": "auth", "api_key": key.header_value})
            assert socket.receive_json()["type"] == "authenticated"
            for message in some:
                socket.send_text(json.dumps(message))
                refused = socket.receive_json()
                assert (refused["type"], refused["status"]) == ("error", 400), message
            socket.send_json({"type": "ping"})
            assert socket.receive_json() == {"type": "pong"}


def test_what_is_no_json_at_all(gateway, key, schema):
    """Of bodies; what is no HTTP at all is in test_malformed."""
    settings = gateway.client.app.state.services.settings
    path = f"{API}/optimize/batch"
    for body in (
        b"",
        b"\xff\xfe",
        b"{",
        b'{"a": 1',
        b"[1,2",
        b"nul",
        b'{"a":1}{"b":2}',
        b"\x00" * 100,
        "{é}".encode("utf-16"),
        b'"x"',
        b"3",
    ):
        for content_type in (
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "x",
        ):
            answer = asked(gateway, key, "POST", path, content=body, headers={"content-type": content_type})
            assert answer.status_code in (400, 422), (body, content_type, answer.status_code)
            assert_refused_as_declared(answer, schema["paths"][path]["post"], settings, body)


@pytest.mark.parametrize(
    "kind",
    ["json", "pine", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("html", "pdf", "xlsx"))],
)
def test_no_report_tells_where_things_are(gateway, key, job_id, kind):
    settings = gateway.client.app.state.services.settings
    if kind == "pine":
        answer = gateway.ask(key, "POST", f"{API}/export/pine-script/{job_id}")
    else:
        answer = gateway.ask(key, "GET", f"{API}/reports/{job_id}?format={kind}")
    assert answer.status_code == 200
    content = answer.content
    if kind == "xlsx":
        with ZipFile(BytesIO(content)) as packed:
            content = b"".join(packed.read(name) for name in packed.namelist())
    for place in (settings.runs, settings.data_root):
        assert str(place).encode() not in content
    if kind == "json":
        assert "root" not in answer.json()["metadata"]["spec"]["data"]


def test_it_lives(gateway, key):
    """After all that."""
    assert wait_for(lambda: gateway.ask(key, "GET", f"{API}/jobs").status_code == 200, 60)
    assert gateway.ask(None, "GET", "/health").status_code == 200
