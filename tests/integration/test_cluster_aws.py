"""The machines that cluster/aws.yaml asks for, created and ended by Ray's own provider in moto's EC2."""

import copy
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    NODE_KIND_WORKER,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_USER_NODE_TYPE,
)

LAUNCHER = Path(__file__).parents[2] / "cluster" / "aws.yaml"
REGION = "eu-central-1"
WORKERS = ["c6i.4xlarge", "c7a.4xlarge", "c7i.4xlarge", "m7i.4xlarge"]


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """An account with the two roles that the page asks for; Ray puts an ssh key into the home folder."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        iam = boto3.client("iam")
        for name in ("backtune-head", "backtune-worker"):
            iam.create_instance_profile(InstanceProfileName=name)
        yield boto3.client("ec2", region_name=REGION)


@pytest.fixture(scope="module")
def config(account):
    """Our file as Ray has completed it, with subnets, security group and key."""
    document = yaml.safe_load(LAUNCHER.read_text())
    document["docker"]["run_options"] = [
        option.replace("CHANGE-ME", "bucket") for option in document["docker"]["run_options"]
    ]
    completed = prepare_config(copy.deepcopy(document))
    validate_config(completed)
    return bootstrap_aws(completed)


@pytest.fixture
def provider(account, config):
    """Ray's, in an account without an instance."""
    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    yield provider
    left = [one["InstanceId"] for one in described(account, "pending", "running")]
    if left:
        account.terminate_instances(InstanceIds=left)


def created(provider, config, name, count=1):
    kind = NODE_KIND_HEAD if name == config["head_node_type"] else NODE_KIND_WORKER
    tags = {TAG_RAY_NODE_KIND: kind, TAG_RAY_USER_NODE_TYPE: name, TAG_RAY_NODE_NAME: f"ray-backtune-{kind}"}
    node_config = copy.deepcopy(config["available_node_types"][name]["node_config"])
    # EC2 may give fewer than it is asked for, and moto gives one.
    return [next(iter(provider.create_node(node_config, tags, 1))) for _ in range(count)]


def described(ec2, *states):
    pages = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": list(states)}])
    return [instance for page in pages["Reservations"] for instance in page["Instances"]]


def tags_of(instance):
    return {tag["Key"]: tag["Value"] for tag in instance["Tags"]}


def test_the_head_is_on_demand_and_workers_are_on_spot(account, provider, config):
    for name in config["available_node_types"]:
        created(provider, config, name)
    instances = {
        tags_of(one)[TAG_RAY_USER_NODE_TYPE]: one for one in described(account, "pending", "running")
    }
    assert sorted(instances) == ["head", *(f"worker_{machine}" for machine in WORKERS)]
    for name, instance in instances.items():
        is_head = name == "head"
        assert instance["InstanceType"] == ("m7i.large" if is_head else name.removeprefix("worker_"))
        assert instance.get("InstanceLifecycle") == (None if is_head else "spot")
        role = "backtune-head" if is_head else "backtune-worker"
        assert instance["IamInstanceProfile"]["Arn"].endswith(f":instance-profile/{role}")
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["Placement"]["AvailabilityZone"] in {f"{REGION}{zone}" for zone in "abc"}
        assert tags_of(instance)["ray-cluster-name"] == "backtune"


def test_disks_are_encrypted_and_go_with_the_machine(account, provider, config):
    created(provider, config, "worker_c7i.4xlarge")
    (instance,) = described(account, "running")
    volumes = [one["Ebs"]["VolumeId"] for one in instance["BlockDeviceMappings"]]
    (disk,) = account.describe_volumes(VolumeIds=volumes)["Volumes"]
    assert (disk["Encrypted"], disk["Size"], disk["VolumeType"]) == (True, 50, "gp3")
    assert [one["Ebs"]["DeleteOnTermination"] for one in instance["BlockDeviceMappings"]] == [True]


def test_nothing_but_ssh_is_open_to_others(account, config):
    groups = {
        group
        for one in config["available_node_types"].values()
        for group in one["node_config"]["SecurityGroupIds"]
    }
    found = account.describe_security_groups(GroupIds=sorted(groups))["SecurityGroups"]
    rules = [rule for group in found for rule in group["IpPermissions"]]
    assert {rule.get("FromPort") for rule in rules if rule["IpRanges"]} == {22}
    assert all(pair["GroupId"] in groups for rule in rules for pair in rule["UserIdGroupPairs"])


def test_machines_come_and_go(account, provider, config):
    (head,) = created(provider, config, "head")
    workers = created(provider, config, "worker_c7i.4xlarge", 3)
    assert set(provider.non_terminated_nodes({})) == {head, *workers}
    assert provider.non_terminated_nodes({TAG_RAY_NODE_KIND: NODE_KIND_HEAD}) == [head]
    provider.terminate_node(workers[0])
    assert set(provider.non_terminated_nodes({TAG_RAY_NODE_KIND: NODE_KIND_WORKER})) == set(workers[1:])
    provider.terminate_nodes([head, *workers[1:]])
    assert provider.non_terminated_nodes({}) == []
    # Ended, and not stopped, where their disks would go on costing.
    states = {
        one["InstanceId"]: one["State"]["Name"]
        for one in described(account, "terminated", "stopped", "running")
    }
    assert {states[one] for one in (head, *workers)} == {"terminated"}
