"""``backtune cluster`` as a user meets it."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from sweeps import backtune

REPOSITORY = Path(__file__).parents[2]


def test_good_files_pass_and_blanks_are_named(tmp_path):
    files = [REPOSITORY / "cluster" / name for name in ("aws.yaml", "rayjob.yaml")]
    result = backtune("cluster", "check", *files, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    aws, job = json.loads(result.stdout)
    assert (aws["kinds"], job["kinds"]) == (["launcher file (aws)"], ["RayJob"])
    assert aws["to_fill_in"] == ["docker.run_options[1]", "docker.run_options[2]"]
    assert "spec.rayClusterSpec.gcsFaultToleranceOptions.redisAddress" in job["to_fill_in"]


def test_a_misspelt_key_is_one_line_and_status_2(tmp_path):
    text = (REPOSITORY / "cluster" / "gcp.yaml").read_text().replace("diskSizeGb", "diskSizeGB")
    (tmp_path / "gcp.yaml").write_text(text)
    result = backtune("cluster", "check", "gcp.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        "error: gcp.yaml: available_node_types.head.node_config.disks[0].initializeParams.diskSizeGB: unknown key "
        "(did you mean 'diskSizeGb'?); allowed: diskSizeGb, sourceImage, diskType\n"
    )


@pytest.fixture
def checkout(tmp_path):
    """What the commands need of a repository: the files, filled in, and what Ray copies to the machines."""
    for name in ("aws.yaml", "gcp.yaml"):
        text = (REPOSITORY / "cluster" / name).read_text()
        (tmp_path / name).write_text(text.replace("CHANGE-ME", "filled-in"))
    (tmp_path / "dist").mkdir()
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0f" * 32)
    (tmp_path / ".ray" / "auth_token").chmod(0o600)
    return tmp_path


COMMANDS = ["up", "status", "down"]


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_asked_of_a_cloud_for_a_file_with_blanks(command, tmp_path):
    result = backtune("cluster", command, REPOSITORY / "cluster" / "aws.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.endswith(
        "aws.yaml: is still to be filled in: docker.run_options[1], docker.run_options[2]\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_manifest_is_for_kubectl(command, tmp_path):
    file = REPOSITORY / "cluster" / "raycluster.yaml"
    result = backtune("cluster", command, file, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == f"error: {file}: is a RayCluster, for Kubernetes: kubectl apply -f {file}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_wrong_goes_no_further(command, checkout):
    (checkout / "aws.yaml").write_text((checkout / "aws.yaml").read_text().replace("region:", "regoin:"))
    result = backtune("cluster", command, "aws.yaml", cwd=checkout)
    assert result.returncode == 2
    assert result.stderr.startswith("error: aws.yaml: provider.regoin: unknown key (did you mean 'region'?)")


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("dist", "file_mounts./home/ray/backtune/dist: dist is not there; make it with `make wheel`, or"),
        (
            ".ray/auth_token",
            "~/.ray/auth_token is not there; make it with `backtune cluster token`, or",
        ),
        ("requirements.lock", "requirements.lock is not there; correct the path, or"),
    ],
)
def test_what_is_to_be_copied_has_to_be_there(checkout, absent, message):
    (checkout / absent).rename(checkout / "away")
    result = backtune("cluster", "up", "aws.yaml", "--yes", cwd=checkout, HOME=str(checkout))
    assert result.returncode == 2
    assert message in result.stderr


def test_a_token_that_others_can_read_is_refused(checkout):
    (checkout / ".ray" / "auth_token").chmod(0o640)
    result = backtune("cluster", "up", "aws.yaml", "--yes", cwd=checkout, HOME=str(checkout))
    assert result.returncode == 2
    assert result.stderr == (
        "error: file_mounts./home/ray/auth/token: ~/.ray/auth_token is open to other users of this machine; "
        "chmod 600 ~/.ray/auth_token\n"
    )


def test_the_token_is_made_once(tmp_path):
    said = {backtune("cluster", "token", cwd=tmp_path, HOME=str(tmp_path)).stdout for _ in range(2)}
    assert said == {f"{tmp_path / '.ray' / 'auth_token'}\n"}
    assert (tmp_path / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("program", ["ssh", "rsync"])
def test_the_programs_that_ray_takes_have_to_be_there(checkout, program):
    programs = checkout / "programs"
    programs.mkdir()
    for name in {"ssh", "rsync"} - {program}:
        (programs / name).symlink_to("/bin/true")
    result = backtune(
        "cluster", "up", "aws.yaml", "--yes", cwd=checkout, HOME=str(checkout), PATH=str(programs)
    )
    assert result.returncode == 1
    assert result.stderr == f"error: {program} is not installed here; Ray reaches the machines with it\n"


@pytest.mark.skipif(find_spec("googleapiclient") is not None, reason="Google's library is installed here")
def test_the_library_of_the_cloud_has_to_be_there(checkout):
    result = backtune("cluster", "down", "gcp.yaml", "--yes", cwd=checkout)
    assert result.returncode == 1
    assert result.stderr == (
        "error: Ray's launcher for gcp takes googleapiclient, which is not installed: pip install google-api-python-client\n"
    )
