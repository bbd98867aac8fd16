"""``backtune cluster check`` as a user meets it."""

import json
from pathlib import Path

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
