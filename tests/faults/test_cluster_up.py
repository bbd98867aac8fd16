"""``backtune cluster up | status | down`` with cluster/aws.yaml against moto's EC2, in a network that leads nowhere else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from buckets import s3_variables
from sweeps import command, environment, wait_for

from faults.hosts import switched, why_not

REPOSITORY = Path(__file__).parents[2]
SERVER = "http://127.0.0.1:5000"
ABSENT = [name for name in ("ssh", "rsync") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "permitted"),
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]
# Run beside the server, as nothing leads into its network.
ROLES = """
import boto3
iam = boto3.client("iam")
for name in ("backtune-head", "backtune-worker"):
    iam.create_instance_profile(InstanceProfileName=name)
"""
STATES = """
import boto3, json
pages = boto3.client("ec2").describe_instances()["Reservations"]
found = [one for page in pages for one in page["Instances"]]
print(json.dumps([[one["State"]["Name"], one["InstanceType"], one.get("InstanceLifecycle", "on demand")] for one in found]))
"""


@pytest.fixture
def run(tmp_path):
    """Runs a program in the network of an EC2 server; its home and working folder hold what the commands need."""
    text = (REPOSITORY / "cluster" / "aws.yaml").read_text()
    (tmp_path / "aws.yaml").write_text(text.replace("CHANGE-ME", "filled-in"))
    (tmp_path / "dist").mkdir()
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0f" * 32)
    (tmp_path / ".ray" / "auth_token").chmod(0o600)
    variables = environment(
        **{
            **s3_variables(SERVER), "HOME": str(tmp_path), "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1",
            "AUTOSCALER_NODE_START_WAIT_S": "5", "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        }
    )  # fmt: skip
    with switched(1) as (host,):
        serve = [*host.inside, sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "5000"]
        server = subprocess.Popen(serve, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def run(*program: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*host.inside, *program],
                env=variables,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )

        try:
            assert wait_for(lambda: run(sys.executable, "-c", ROLES).returncode == 0, 60)
            yield run
        finally:
            server.kill()
            server.wait()


def test_up_starts_the_head_and_down_ends_it(run):
    def instances() -> list[list[str]]:
        return json.loads(run(sys.executable, "-c", STATES).stdout)

    up = run(*command("cluster", "up", "aws.yaml", "--yes"))
    # No machine of moto's can be reached; that is as far as it goes here.
    assert up.returncode == 1
    assert up.stderr.endswith("error: `ray up aws.yaml` ended with status 1; it says above why\n")
    assert instances() == [["running", "m7i.large", "on demand"]]
    status = run(*command("cluster", "status", "aws.yaml"))
    assert status.returncode == 1
    assert "`ray exec aws.yaml` ended with status 1" in status.stderr
    down = run(*command("cluster", "down", "aws.yaml", "--yes"))
    assert down.returncode == 0, down.stdout + down.stderr
    assert instances() == [["terminated", "m7i.large", "on demand"]]
