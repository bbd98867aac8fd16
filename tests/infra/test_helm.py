"""The Helm chart: its values against its schema, and the manifests that Helm makes of it against Kubernetes' schemas."""

import copy
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from misspelt_keys import find_keys, rename_key

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "infra" / "helm" / "backtune"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
FILLED = yaml.safe_load(Path(__file__).with_name("chart_values.yaml").read_text())


def _merge(base, over):
    merged = copy.deepcopy(base)
    for key, value in over.items():
        merged[key] = _merge(merged[key], value) if isinstance(value, dict) and key in merged else value
    return merged


def _find_problems(values):
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(values)]


def test_what_has_to_be_filled_in_is_asked_for():
    assert len(_find_problems(DEFAULTS)) >= 3
    assert _find_problems(_merge(DEFAULTS, FILLED)) == []


def test_every_misspelt_value_is_refused():
    good = _merge(DEFAULTS, FILLED)
    free = ("annotations",)
    for place in find_keys(good):
        if any(part in free for part in place[:-1]):
            continue
        assert _find_problems(rename_key(good, place, f"{place[-1]}x")), place


@pytest.mark.parametrize(
    "change",
    [
        {"image": {"tag": "latest"}},
        {"gateway": {"replicas": 0}},
        {"gateway": {"resources": {"limits": {"memory": "1.5G"}}}},
        {"ray": {"address": "backtune:8265"}},
        {"mlflow": {"artifacts": ""}},
        {"storage": {"claim": ""}},
        {"storage": {"runs": "s3://bucket/runs"}},
        {"networkPolicy": {"egressPorts": []}},
        {"ingress": {"host": ""}},
    ],
)
def test_an_impossible_value_is_refused(change):
    assert _find_problems(_merge(_merge(DEFAULTS, FILLED), change))


def test_templates_read_every_value_and_no_other():
    read = {
        match
        for path in (CHART / "templates").iterdir()
        for match in re.findall(r"\.Values\.([A-Za-z0-9.]+)", path.read_text())
    }
    there = {".".join(place) for place in find_keys(DEFAULTS)}
    assert read <= there
    unread = {
        one
        for one in there
        if not any(one == r or one.startswith(f"{r}.") or r.startswith(f"{one}.") for r in read)
    }
    assert unread == set()


def test_secrets_are_referred_to_and_never_written():
    for path in (CHART / "templates").iterdir():
        assert "kind: Secret" not in path.read_text()


def _render_chart(folder, values, chart=CHART):
    if find_spec("helm_python") is None:
        pytest.skip("Helm's library is not installed: pip install helm-python-sdk")
    given = folder / "values.yaml"
    given.write_text(yaml.safe_dump(values))
    # In a process of its own: the library brings the runtime of Go with it.
    command = [sys.executable, str(Path(__file__).with_name("render_chart.py")), str(chart), str(given)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    return _render_chart(tmp_path_factory.mktemp("chart"), FILLED)


def _find_manifest(manifests, kind, component):
    (found,) = [
        one for one in manifests if one["kind"] == kind and one["metadata"]["name"].endswith(component)
    ]
    return found


def test_kubernetes_takes_every_manifest(manifests):
    kinds = sorted(one["kind"] for one in manifests)
    assert kinds == [
        "Deployment", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "NetworkPolicy",
        "PodDisruptionBudget", "Service", "Service", "ServiceAccount",
    ]  # fmt: skip
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_every_misspelt_member_of_a_manifest_is_caught(manifests):
    free = {"labels", "annotations", "matchLabels", "limits", "requests", "selector"}
    planted = set()
    for manifest in manifests:
        for place in find_keys(manifest):
            # The same member of two pods is one.
            name = (manifest["kind"], *(part for part in place if isinstance(part, str)))
            if not free.isdisjoint(place[:-1]) or place[0] in ("apiVersion", "kind") or name in planted:
                continue
            changed = rename_key(manifest, place, f"{place[-1]}x")
            with pytest.raises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(changed, "1.34", strict=True)
            planted.add(name)
    assert len(planted) > 100


def test_less_is_rendered_where_less_is_asked_for(tmp_path):
    values = _merge(
        {**FILLED, "networkPolicy": {"enabled": False}, "ingress": {"enabled": False}},
        {"mlflow": {"enabled": False}, "gateway": {"autoscaling": {"enabled": False}}, "serviceAccount": {"create": False}},
    )  # fmt: skip
    manifests = _render_chart(tmp_path, values)
    assert sorted(one["kind"] for one in manifests) == ["Deployment", "PodDisruptionBudget", "Service"]
    assert _find_manifest(manifests, "Deployment", "gateway")["spec"]["replicas"] == 2
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_a_planted_typo_in_a_template_is_caught(tmp_path):
    chart = tmp_path / "backtune"
    shutil.copytree(CHART, chart)
    template = chart / "templates" / "gateway.yaml"
    template.write_text(template.read_text().replace("failureThreshold: 40", "failureTreshold: 40"))
    gateway = _find_manifest(_render_chart(tmp_path, FILLED, chart), "Deployment", "gateway")
    with pytest.raises(kubernetes_validate.ValidationError, match="failureTreshold"):
        kubernetes_validate.validate(gateway, "1.34", strict=True)


def test_selectors_find_their_pods(manifests):
    for component in ("gateway", "mlflow"):
        deployment = _find_manifest(manifests, "Deployment", component)
        labels = deployment["spec"]["template"]["metadata"]["labels"].items()
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
        assert _find_manifest(manifests, "Service", component)["spec"]["selector"].items() <= labels
        assert (
            _find_manifest(manifests, "NetworkPolicy", component)["spec"]["podSelector"][
                "matchLabels"
            ].items()
            <= labels
        )
    gateway = _find_manifest(manifests, "Deployment", "gateway")["metadata"]["name"]
    assert (
        _find_manifest(manifests, "HorizontalPodAutoscaler", "gateway")["spec"]["scaleTargetRef"]["name"]
        == gateway
    )


@pytest.mark.parametrize("component", ["gateway", "mlflow"])
def test_pods_are_restrained_and_probed(manifests, component):
    pod = _find_manifest(manifests, "Deployment", component)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {"startupProbe", "livenessProbe", "readinessProbe", "resources"} <= set(container)
    for variable in container["env"]:
        if re.search("DATABASE|SECRET|TOKEN|STORE_URI|REDIS", variable["name"]):
            assert "secretKeyRef" in variable["valueFrom"], variable["name"]
