"""Alert rules and dashboards name only metrics that the gateway and Ray really have."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import promql_parser
import pytest
import ray
import yaml
from misspelt_keys import find_keys, rename_key
from prometheus_client.parser import text_string_to_metric_families

from backtune.gateway.monitoring.metrics import Metrics

REPOSITORY = Path(__file__).parents[2]
INFRA = REPOSITORY / "infra"
RULES = INFRA / "prometheus" / "rules.yml"
DASHBOARDS = sorted((INFRA / "grafana" / "dashboards").glob("*.json"))


def _rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def _panels():
    return [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]


def _expressions():
    yield from (rule["expr"] for rule in _rules())
    yield from (target["expr"] for panel in _panels() for target in panel["targets"])


def _selectors(expression):
    """Every metric that an expression names, with the labels that it asks for."""
    found = []

    def look(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, {matcher.name for matcher in node.matchers.matchers}))

    promql_parser.walk(promql_parser.parse(expression), look)
    return found


@pytest.fixture(scope="module")
def of_the_gateway():
    """The gateway's metrics with their labels, from its real registry."""
    metrics = Metrics(lambda: {"queued": 1})
    metrics.requests.labels("GET", "/", "200").inc()
    metrics.request_seconds.labels("/").observe(0.1)
    metrics.ended_jobs.labels("failed").inc()
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [sample for family in families for sample in family.samples]
    labels = {}
    for sample in samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@pytest.fixture(scope="module")
def of_ray():
    """Those that Ray's own agent and dashboards name."""
    root = Path(ray.__file__).parent / "dashboard" / "modules"
    agent = (root / "reporter" / "reporter_agent.py").read_text()
    return {f"ray_{name}" for name in re.findall(r'^    "(\w+)": Gauge\(', agent, re.MULTILINE)}


def _unknown(expression, gateway, of_ray):
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    for name, labels in _selectors(expression):
        if name in gateway:
            yield from (f"{name}{{{label}}}" for label in labels - gateway[name] - {"job", "instance"})
        elif name not in of_ray | recorded | {"up"}:
            yield name


def test_every_metric_exists(of_the_gateway, of_ray):
    assert "ray_node_cpu_count" in of_ray
    for expression in _expressions():
        assert list(_unknown(expression, of_the_gateway, of_ray)) == [], expression


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("rate(backtune_request_total[5m])", ["backtune_request_total"]),
        ('backtune_jobs{state="failed"}', ["backtune_jobs{state}"]),
        ("sum(ray_node_cpus)", ["ray_node_cpus"]),
        ('up{job="x"} == 0', []),
    ],
)
def test_a_planted_name_is_caught(expression, unknown, of_the_gateway, of_ray):
    assert list(_unknown(expression, of_the_gateway, of_ray)) == unknown


def test_every_expression_is_promql():
    for expression in _expressions():
        promql_parser.parse(expression)
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql_parser.parse("sum(rate(backtune_requests_total[5m])")


def test_the_rules_have_the_members_that_prometheus_knows():
    alert = {"alert", "expr", "for", "labels", "annotations"}
    for rule in _rules():
        if "record" in rule:
            assert set(rule) <= {"record", "expr", "labels"}
            continue
        assert set(rule) <= alert
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.fixture
def promtool():
    """A call of it in a folder; whether it was content."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")

    def run(*arguments, folder=RULES.parent):
        return (
            subprocess.run([program, *arguments], cwd=folder, capture_output=True, check=False).returncode
            == 0
        )

    return run


def test_promtool_takes_the_rules_and_they_fire_when_they_should(promtool, tmp_path):
    assert promtool("check", "rules", "rules.yml")
    assert promtool("test", "rules", "rules_test.yml")
    shutil.copytree(RULES.parent, tmp_path / "planted")
    rules = tmp_path / "planted" / "rules.yml"
    rules.write_text(rules.read_text().replace("for: 2m", "for: 20m"))
    assert promtool("check", "rules", "rules.yml", folder=rules.parent)
    assert not promtool("test", "rules", "rules_test.yml", folder=rules.parent)


def test_promtool_takes_the_configuration(promtool, tmp_path):
    assert promtool("check", "config", "--syntax-only", "prometheus.yml")
    shutil.copytree(RULES.parent, tmp_path / "planted")
    config = tmp_path / "planted" / "prometheus.yml"
    config.write_text(config.read_text().replace("credentials_file", "credential_file"))
    assert not promtool("check", "config", "--syntax-only", "prometheus.yml", folder=config.parent)


def test_prometheus_scrapes_what_compose_starts():
    services = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]
    config = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text())
    targets = [t for job in config["scrape_configs"] for one in job["static_configs"] for t in one["targets"]]
    assert targets == ["gateway:8080", "head:8090", "worker:8090"]
    assert {target.split(":")[0] for target in targets} <= set(services)
    assert {job["job_name"] for job in config["scrape_configs"]} == {"backtune-gateway", "ray"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_what_grafana_knows_and_every_misspelt_member_is_caught(path):
    schema = json.loads((Path(__file__).parent / "dashboard.schema.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    board = json.loads(path.read_text())
    assert [error.message for error in validator.iter_errors(board)] == []
    for place in find_keys(board):
        assert not validator.is_valid(rename_key(board, place, f"{place[-1]}x")), place


def test_dashboards_are_provisioned_from_where_compose_puts_them():
    (provider,) = yaml.safe_load((INFRA / "grafana/provisioning/dashboards/backtune.yml").read_text())[
        "providers"
    ]
    assert set(provider) <= {"name", "type", "disableDeletion", "options"}
    volumes = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in volumes
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in volumes
    source = yaml.safe_load((INFRA / "grafana/provisioning/datasources/prometheus.yml").read_text())
    assert set(source["datasources"][0]) == {"name", "uid", "type", "access", "url", "isDefault", "editable"}


def test_dashboards_ask_the_source_that_is_provisioned():
    (source,) = yaml.safe_load((INFRA / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    for panel in _panels():
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
    for path in DASHBOARDS:
        board = json.loads(path.read_text())
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        cells = [
            (x, y)
            for panel in board["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells)), f"{path.name}: panels overlap"
        assert max(x for x, _ in cells) < 24
    assert len({json.loads(path.read_text())["uid"] for path in DASHBOARDS}) == len(DASHBOARDS) == 2
