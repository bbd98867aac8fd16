"""The files under cluster/ are what they mean to be, and no misspelt key of theirs gets through."""

import copy
import json
import sys
from pathlib import Path

import pytest
import yaml
from misspelt_keys import find_keys, get_value, rename_key

from backtune.cluster import ec2, kubernetes
from backtune.cluster.check import check_document, check_file
from backtune.cluster.schemas import format_key
from backtune.errors import MissingPackageError, SpecError

REPOSITORY = Path(__file__).parents[3]
FILES = sorted((REPOSITORY / "cluster").glob("*.yaml"))
LAUNCHERS = [path for path in FILES if path.stem in ("aws", "gcp", "machines")]
BY_NAME = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def _document(name):
    return yaml.safe_load((REPOSITORY / "cluster" / name).read_text())


def _written(folder, document):
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _misspellings(key):
    middle = len(key) // 2
    return {key + key[-1], key[:middle] + "x" + key[middle:], key[:-1] or "y", key.swapcase()}


def test_there_are_files_for_every_kind_of_cluster():
    names = ["aws.yaml", "gcp.yaml", "machines.yaml", "network-policy.yaml", "raycluster.yaml", "rayjob.yaml"]
    assert [path.name for path in FILES] == names


@BY_NAME
def test_every_file_is_good(path):
    kinds = {
        "aws": "launcher file (aws)", "gcp": "launcher file (gcp)", "machines": "launcher file (local)",
        "network-policy": "NetworkPolicy", "raycluster": "RayCluster", "rayjob": "RayJob",
    }  # fmt: skip
    assert check_file(path).kinds == (kinds[path.stem],)


@BY_NAME
def test_every_misspelt_key_at_any_depth_is_refused(path):
    document = _document(path.name)
    # The cluster of rayjob.yaml is that of raycluster.yaml, as a test below says.
    places = [place for place in find_keys(document) if "rayClusterSpec" not in place[:-1]]
    assert len(places) > (10 if path.name == "rayjob.yaml" else 20)
    missed = []
    for place in places:
        for name in sorted(_misspellings(place[-1])):
            try:
                check_document(rename_key(document, place, name))
            except SpecError as error:
                if format_key((*place[:-1], name)) in str(error) or place[-1] in str(error):
                    continue
                missed.append((place, name, str(error)))
            else:
                missed.append((place, name, "not found"))
    assert missed == []


@BY_NAME
def test_every_value_that_is_an_impossible_number_is_refused(path):
    document = _document(path.name)
    for place in find_keys(document):
        if "rayClusterSpec" in place[:-1]:
            continue
        changed = copy.deepcopy(document)
        get_value(changed, place[:-1])[place[-1]] = -1.5
        with pytest.raises(SpecError) as caught:
            check_document(changed)
        assert place[-1] in str(caught.value)


# In place of a value: the key is taken away.
REMOVED = object()
PLANTED = [
    ("aws.yaml", ("provider", "regoin"), "eu-west-1", "provider.regoin: unknown key (did you mean 'region'?); allowed: type, region"),
    ("aws.yaml", ("provider", "type"), "awss", "provider.type: 'awss' is not known (did you mean 'aws'?); allowed: aws, gcp, local"),
    ("aws.yaml", ("available_node_types", "head", "resources", "CPU"), 2, "available_node_types.head: the head takes no work"),
    ("aws.yaml", ("available_node_types", "worker_c7i.4xlarge", "min_workers"), 1, "min_workers: must be 0, or it costs while idle (given: 1)"),
    ("aws.yaml", ("available_node_types", "worker_c7i.4xlarge", "node_config", "InstanceMarketOptions"), REMOVED, "workers are on spot"),
    ("aws.yaml", ("available_node_types", "worker_c7i.4xlarge", "node_config", "BlockDeviceMappings", 0, "Ebs", "VolumSize"), 9,
     "node_config.BlockDeviceMappings[0].Ebs.VolumSize: unknown key (did you mean 'VolumeSize'?)"),
    ("aws.yaml", ("available_node_types", "worker_c7i.4xlarge", "node_config", "InstanceType"), "c7i.8xlarge", "(did you mean 'worker_c7i.8xlarge'?)"),
    ("aws.yaml", ("available_node_types", "worker_c7i.4xlarge", "node_config", "MetadataOptions", "HttpTokens"), "optional",
     "MetadataOptions.HttpTokens: must be 'required' (given: 'optional')"),
    ("aws.yaml", ("available_node_types", "head", "node_config", "InstanceTyp"), "m7i.large", "available_node_types.head.node_config.InstanceTyp: unknown key (did you mean 'InstanceType'?)"),
    ("aws.yaml", ("available_node_types", "head", "node_config", "MetadataOptions"), {"HttpToken": "required"},
     "node_config.MetadataOptions.HttpToken: unknown key (did you mean 'HttpTokens'?)"),
    ("aws.yaml", ("available_node_types", "head", "node_config", "KeyName"), 1, "available_node_types.head.node_config: EC2 refuses it: Invalid type for parameter KeyName"),
    ("aws.yaml", ("docker", "run_options", 4), "--env=RAY_AUTH_MODE=disabled", "RAY_AUTH_MODE is 'disabled'; whoever reaches Ray may run anything"),
    ("aws.yaml", ("docker", "run_options", 1), "--env=BACKTUNE_HOMME=s3://x/y", "(did you mean 'BACKTUNE_HOME'?)"),
    ("aws.yaml", ("docker", "run_options", 0), "--evn=A=b", "docker.run_options[0]: '--evn=A=b' is not known (did you mean 'env'?)"),
    ("aws.yaml", ("docker", "run_options", 0), "--env=AWS_SECRET_ACCESS_KEY=x", "AWS_SECRET_ACCESS_KEY is not a variable"),
    ("aws.yaml", ("docker", "run_options", 0), "--env=MY_PASSWORD=x", "MY_PASSWORD is a secret"),
    ("aws.yaml", ("docker", "run_options", 6), "--env=RAY_JOB_STOP_WAIT_TIME_S=3", "must be 10 seconds or more"),
    ("aws.yaml", ("docker", "image"), "rayproject/ray:latest", "both ends must be of one version"),
    ("aws.yaml", ("docker", "image"), "rayproject/ray:2.9.0-py311", "'2.9.0-py311' is not Ray"),
    ("aws.yaml", ("head_start_ray_commands", 1), "ray start --head --num-cpus=0 --dashboard-host=0.0.0.0", "--dashboard-host=0.0.0.0 is there; it must be --dashboard-host=127.0.0.1"),
    ("aws.yaml", ("head_start_ray_commands", 1), "ray start --head --num-cpu=0", "'--num-cpu=0' is not known (did you mean 'num-cpus'?)"),
    ("aws.yaml", ("worker_start_ray_commands", 1), "ray start --address=$RAY_HEAD_IP:6380", "it must be $RAY_HEAD_IP:6379"),
    ("aws.yaml", ("idle_timeout_minutes",), "5", "idle_timeout_minutes: must be a number (given: '5')"),
    ("gcp.yaml", ("available_node_types", "worker_c3-standard-8", "node_config", "scheduling", "provisioningModel"), "SPOTT",
     "scheduling.provisioningModel: must be 'SPOT' (given: 'SPOTT')"),
    ("gcp.yaml", ("head_node_type",), "haed", "head_node_type: 'haed' is not in available_node_types (did you mean 'head'?)"),
    ("machines.yaml", ("max_workers",), 3, "max_workers: must lie between min_workers and the 2 of provider.worker_ips (given: 3)"),
    ("machines.yaml", ("provider", "worker_ip"), [], "(did you mean 'worker_ips'?)"),
    ("raycluster.yaml", ("kind",), "RayClutser", "kind: 'RayClutser' is not known (did you mean 'RayCluster'?)"),
    ("raycluster.yaml", ("spec", "rayVersion"), "2.9.0", "spec.rayVersion: '2.9.0' is not Ray"),
    ("raycluster.yaml", ("spec", "authOptions", "mode"), "disabled", "authOptions.mode: must be 'token', as whoever reaches Ray may run anything (given: 'disabled')"),
    ("raycluster.yaml", ("spec", "workerGroupSpecs", 0, "minReplicas"), 2, "workerGroupSpecs[0].minReplicas: must be 0, as a worker that is always there costs while it is idle (given: 2)"),
    ("raycluster.yaml", ("spec", "headGroupSpec", "rayStartParams", "num-cpus"), "4", "rayStartParams.num-cpus: must be '0', as a head that is short of memory ends everything (given: '4')"),
    ("raycluster.yaml", ("spec", "headGroupSpec", "template", "spec", "containers", 0, "env", 0, "name"), "BACKTUNE_HOEM",
     "env: BACKTUNE_HOEM is not a variable that anything reads (did you mean 'BACKTUNE_HOME'?)"),
    ("raycluster.yaml", ("spec", "headGroupSpec", "template", "spec", "containers", 0, "volumeMounts", 0, "name"), "shn", "(did you mean 'shm'?)"),
    ("raycluster.yaml", ("spec", "headGroupSpec", "template", "metadata", "labels", "app.kubernetes.io/component"), "worker", "component head, or network-policy.yaml misses it"),
    ("raycluster.yaml", ("spec", "workerGroupSpecs", 0, "template", "spec", "containers", 0, "image"), "a/b:1", "head and workers must have one image"),
    ("raycluster.yaml", ("spec", "headGroupSpec", "template", "spec", "containers", 0, "imagePullPolicyy"), "Always", "containers[0].imagePullPolicyy: unknown key (did you mean 'imagePullPolicy'?)"),
    ("raycluster.yaml", ("spec", "headGroupSpec", "template", "spec", "containers", 0, "resources", "limits", "memory"), "-1Gi", "limits.memory: must match"),
    ("raycluster.yaml", ("spec", "headGroupSpec", "template", "spec", "priorityClassName"), 3, "template.spec.priorityClassName: must be text (given: 3)"),
    ("rayjob.yaml", ("spec", "activeDeadlineSeconds"), 0, "spec.activeDeadlineSeconds: must be greater than 0 (given: 0)"),
    ("rayjob.yaml", ("spec", "runtimeEnvYAML"), "env_var: {}", "spec.runtimeEnvYAML: env_var: unknown key (did you mean 'env_vars'?)"),
    ("rayjob.yaml", ("spec", "runtimeEnvYAML"), "env_vars: {RAY_JOB_STOP_WAIT_TIME: '60'}", "(did you mean 'RAY_JOB_STOP_WAIT_TIME_S'?)"),
    ("network-policy.yaml", ("spec", "ingress", 0), {"ports": []}, "spec.ingress[0].from: is missing"),
    ("network-policy.yaml", ("spec", "policyTypes", 1), "Egres", "spec.policyTypes[1]: 'Egres' is not known (did you mean 'Egress'?)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "place", "value", "message"), PLANTED)
def test_what_is_wrong_is_named_with_its_value_and_the_way_out(name, place, value, message, tmp_path):
    document = _document(name)
    parent = get_value(document, place[:-1])
    if value is REMOVED:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    with pytest.raises(SpecError) as caught:
        check_file(_written(tmp_path, document))
    assert str(caught.value).startswith(f"{tmp_path / 'file.yaml'}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: RayJob\nkind: RayCluster\n", "file.yaml: kind: stands twice, on lines 1 and 2; keep one"),
        ("a: [", "is not YAML or JSON: while parsing a flow node"),
        ("- a\n", "file: must be a mapping of keys"),
        ("# nothing\n", "is empty"),
        ("apiVersion: v1\n", "kind: None is not known; allowed: RayCluster, RayJob, NetworkPolicy"),
    ],
)
def test_a_file_that_is_no_document(text, message, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        check_file(path)
    assert message in str(caught.value)


def test_rays_own_reading_is_asked_too():
    """What only Ray knows: relax our rules, and it still refuses."""
    from backtune.cluster.ray_launcher import check_with_ray

    for path in LAUNCHERS:
        check_with_ray(_document(path.name))
    with pytest.raises(SpecError, match=r"Ray refuses it: .*max_workerss"):
        check_with_ray({**_document("aws.yaml"), "max_workerss": 1})
    document = _document("aws.yaml")
    document["available_node_types"]["head"]["resources"]["CPU"] = "0"
    with pytest.raises(SpecError, match=r"available_node_types\.head.*: Ray refuses it"):
        check_with_ray(document)


def test_keys_that_our_files_do_not_use_are_known_too():
    document = _document("aws.yaml")
    for node_type in document["available_node_types"].values():
        node_type["node_config"] |= {"SubnetIds": ["subnet-1"], "Placement": {"Tenancy": "default"}}
    check_document(document)
    document = _document("raycluster.yaml")
    head = document["spec"]["headGroupSpec"]["template"]["spec"]
    head["priorityClassName"] = "high"
    head["volumes"].append({"name": "market", "persistentVolumeClaim": {"claimName": "market"}})
    check_document(document)


@pytest.mark.parametrize(
    ("name", "absent", "cached", "package"),
    [
        ("rayjob.yaml", "kubernetes_validate.utils", kubernetes._load_registry, "kubernetes-validate"),
        ("aws.yaml", "botocore.session", ec2._run_instances, "boto3"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_the_way_out(
    name, absent, cached, package, monkeypatch
):
    monkeypatch.setitem(sys.modules, absent, None)
    cached.cache_clear()
    with pytest.raises(MissingPackageError, match=rf"needs {package}, .*: pip install 'backtune\[cluster\]'"):
        check_file(REPOSITORY / "cluster" / name)


def test_the_job_and_the_cluster_are_alike():
    assert _document("rayjob.yaml")["spec"]["rayClusterSpec"] == _document("raycluster.yaml")["spec"]


def test_nothing_secret_stands_in_a_file():
    for path in FILES:
        text = json.dumps(_document(path.name)).lower()
        assert "akia" not in text
        assert "begin private key" not in text
