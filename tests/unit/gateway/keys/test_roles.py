"""Who may what: every role at every route, written out; whose jobs; and that no route is left out."""

import pytest
from fastapi.routing import APIRoute
from secured import API, ROLES, SINGLE

from backtune.gateway.catalog import routes as catalog_routes
from backtune.gateway.jobs import routes as job_routes
from backtune.gateway.jobs import submission_routes
from backtune.gateway.keys.principal import Principal
from backtune.gateway.keys.roles import ROUTES, is_allowed
from backtune.gateway.monitoring import routes as monitoring_routes
from backtune.gateway.reports import routes as report_routes

UNKNOWN = "job-0123456789abcdef01234567"
NOT_LET_IN = (401, 403)

# In the order: without a key, viewer, trader, risk_manager, admin. Those let in get what the route says of their request.
MATRIX = [
    ("GET", "/health", 200, 200, 200, 200, 200),
    ("GET", "/ready", 503, 503, 503, 503, 503),
    ("GET", "/metrics", 401, 200, 200, 200, 200),
    ("GET", f"{API}/openapi.json", 200, 200, 200, 200, 200),
    ("GET", f"{API}/docs", 200, 200, 200, 200, 200),
    ("GET", f"{API}/health", 200, 200, 200, 200, 200),
    ("GET", f"{API}/ready", 503, 503, 503, 503, 503),
    ("GET", f"{API}/metrics", 401, 200, 200, 200, 200),
    ("GET", f"{API}/strategies", 401, 200, 200, 200, 200),
    ("GET", f"{API}/assets", 401, 200, 200, 200, 200),
    ("POST", f"{API}/optimize/single", 401, 403, 202, 403, 202),
    ("POST", f"{API}/optimize/batch", 401, 403, 202, 403, 202),
    ("GET", f"{API}/jobs", 401, 200, 200, 200, 200),
    ("GET", f"{API}/jobs/{{job_id}}", 401, 404, 404, 404, 404),
    ("GET", f"{API}/jobs/{{job_id}}/logs", 401, 404, 404, 404, 404),
    ("POST", f"{API}/jobs/{{job_id}}/cancel", 401, 403, 404, 404, 404),
    ("POST", f"{API}/jobs/{{job_id}}/resume", 401, 403, 404, 403, 404),
    ("GET", f"{API}/reports/{{job_id}}", 401, 404, 404, 404, 404),
    ("POST", f"{API}/export/pine-script/{{job_id}}", 401, 403, 404, 404, 404),
    # What there is not, and what there is under other methods.
    ("GET", f"{API}/nothing", 401, 404, 404, 404, 404),
    ("GET", "/", 401, 404, 404, 404, 404),
    ("GET", f"{API}/jobs/", 401, 404, 404, 404, 404),
    ("GET", "/jobs", 401, 404, 404, 404, 404),
    ("GET", f"{API}/docs/oauth2-redirect", 401, 404, 404, 404, 404),
    ("GET", "/redoc", 401, 404, 404, 404, 404),
    ("GET", "/openapi.json", 401, 404, 404, 404, 404),
    ("GET", f"{API}//strategies", 401, 404, 404, 404, 404),
    ("GET", f"{API}/STRATEGIES", 401, 404, 404, 404, 404),
    ("GET", f"{API}/health/../strategies%00", 401, 404, 404, 404, 404),
    ("HEAD", f"{API}/strategies", 401, 405, 405, 405, 405),
    ("HEAD", "/health", 401, 405, 405, 405, 405),
    ("OPTIONS", f"{API}/jobs", 401, 405, 405, 405, 405),
    ("DELETE", f"{API}/jobs/{{job_id}}", 401, 405, 405, 405, 405),
    ("PUT", f"{API}/optimize/single", 401, 405, 405, 405, 405),
    ("GET", f"{API}/optimize/single", 401, 405, 405, 405, 405),
    ("TRACE", f"{API}/jobs", 401, 405, 405, 405, 405),
]  # fmt: skip


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row[0]} {row[1]}")
def test_every_role_at_every_route(gateway, keys, row):
    method, path, *expected = row
    url = path.format(job_id=UNKNOWN)
    body = {"json": SINGLE} if method == "POST" else {}
    askers = [None, *(keys[role] for role in ROLES)]
    answers = [gateway.ask(key, method, url, **body) for key in askers]
    assert [answer.status_code for answer in answers] == expected
    for answer in answers:
        if answer.status_code >= 400 and answer.status_code != 503 and method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json"
        if answer.status_code == 405:
            assert method not in answer.headers["allow"]


def test_the_matrix_has_every_rule_and_the_rules_have_every_route(gateway):
    rules = {(rule.method, rule.path) for rule in ROUTES if rule.method != "SOCKET"}
    assert rules <= {(method, path) for method, path, *_ in MATRIX}
    assert len({(rule.method, rule.path) for rule in ROUTES}) == len(ROUTES)
    app = gateway.client.app
    served = {
        (method, f"{prefix}{route.path}")
        for prefix, modules in {
            API: (monitoring_routes, catalog_routes, submission_routes, job_routes, report_routes),
            "": (monitoring_routes,),
        }.items()
        for module in modules
        for route in module.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert served | {("GET", app.openapi_url), ("GET", app.docs_url)} == rules
    schema = gateway.client.get(f"{API}/openapi.json").json()
    described = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
    undescribed = {("GET", app.openapi_url), ("GET", app.docs_url)}
    assert described == {rule for rule in rules if rule[1].startswith(API)} - undescribed
    assert "error_id" in schema["components"]["schemas"]["Problem"]["properties"]


def test_openapi_says_where_a_key_is_asked_for(gateway):
    paths = gateway.client.get(f"{API}/openapi.json").json()["paths"]
    for rule in ROUTES:
        operation = paths.get(rule.path, {}).get(rule.method.lower())
        if operation is not None:
            assert operation.get("security") == (None if rule.roles is None else [{"ApiKey": []}])


# A job of one trader, as others find it: looked at, listed, its log, cancelled, resumed, its report, its script.
OWNERSHIP = [
    ("the trader's own", "trader", (200, True, 200, 202, 202, 409, 409)),
    ("another trader", "trader", (404, False, 404, 404, 404, 404, 404)),
    ("a viewer", "viewer", (200, True, 200, 403, 403, 409, 403)),
    ("a risk manager", "risk_manager", (200, True, 200, 202, 403, 409, 409)),
    ("an admin", "admin", (200, True, 200, 202, 202, 409, 409)),
]


@pytest.mark.parametrize(("who", "role", "expected"), OWNERSHIP, ids=[who for who, *_ in OWNERSHIP])
def test_whose_jobs(gateway, who, role, expected):
    owner = gateway.key("trader")
    asker = owner if who == "the trader's own" else gateway.key(role)
    job_id = gateway.ask(owner, "POST", f"{API}/optimize/single", json=SINGLE).json()["job_id"]
    job = f"{API}/jobs/{job_id}"
    listed = [one["job_id"] for one in gateway.ask(asker, "GET", f"{API}/jobs?limit=200").json()["jobs"]]
    # Who may not cancel it finds it cancelled by its owner when resuming.
    found = (
        gateway.ask(asker, "GET", job).status_code,
        job_id in listed,
        gateway.ask(asker, "GET", f"{job}/logs").status_code,
        gateway.ask(asker, "POST", f"{job}/cancel").status_code,
        (gateway.ask(owner, "POST", f"{job}/cancel"), gateway.ask(asker, "POST", f"{job}/resume"))[
            1
        ].status_code,
        gateway.ask(asker, "GET", f"{API}/reports/{job_id}").status_code,
        gateway.ask(asker, "POST", f"{API}/export/pine-script/{job_id}").status_code,
    )
    assert found == expected


def test_a_job_of_another_is_told_like_one_that_is_not(gateway):
    owner, other = gateway.key("trader"), gateway.key("trader")
    job_id = gateway.ask(owner, "POST", f"{API}/optimize/single", json=SINGLE).json()["job_id"]

    def told(asked):
        answer = gateway.ask(other, "GET", f"{API}/jobs/{asked}").json()
        return {name: value for name, value in answer.items() if name != "error_id"}

    assert told(job_id) == {**told(UNKNOWN), "detail": f"there is no job {job_id}"}


def test_an_idempotency_key_is_its_owner_s(gateway):
    one, two = gateway.key("trader"), gateway.key("trader")
    ids = {
        gateway.ask(
            key, "POST", f"{API}/optimize/single", json=SINGLE, headers={"Idempotency-Key": "same"}
        ).json()["job_id"]
        for key in (one, two, one)
    }
    assert len(ids) == 2


@pytest.mark.parametrize("action", ["read", "control"])
@pytest.mark.parametrize("role", ROLES)
def test_everyone_owns_what_is_theirs(role, action):
    assert is_allowed(Principal("mine", "", role), "mine", action)
    assert is_allowed(Principal("mine", "", role), "theirs", action) is (
        (role, action)
        in {
            ("viewer", "read"),
            ("risk_manager", "read"),
            ("risk_manager", "control"),
            ("admin", "read"),
            ("admin", "control"),
        }
    )
