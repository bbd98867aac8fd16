"""The overnight grid as a job of a cluster whose data and results are in S3, submitted by somebody who has neither."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from buckets import SECRET, empty_bucket, files_below, s3_server, s3_variables
from heads import PATH, RAY, ray_head
from sweeps import INLINE, assert_same_rows, rows_of

from backtune.data.synthetic import make_market
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import SweepSpec
from backtune.storage.files import read_bytes
from backtune.storage.location import parse_location
from backtune.sweep import run_sweep

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
JOBS = Path(__file__).parents[2] / "jobs"
HOME = "s3://cluster/backtune"
TOKEN = "0f" * 32


@pytest.fixture
def cluster(monkeypatch):
    """A cluster as the launcher files start one: with a token, with places in S3, and with the keys of its own role."""
    with s3_server() as server:
        variables = s3_variables(server)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        empty_bucket(server, "cluster")
        market(f"{HOME}/data/market")
        own = {"BACKTUNE_HOME": HOME, "BACKTUNE_RUNS": f"{HOME}/runs", "RAY_JOB_STOP_WAIT_TIME_S": "60"}
        with ray_head(2, **variables, **own, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as address:
            yield address


def market(root):
    """The assets of the spec, two months of quarter hours."""
    make_market(
        root,
        assets=["BTCUSD", "ETHUSD", "LTCUSD"],
        timeframe="15m",
        start="2021-01-01",
        end="2021-03-01",
        seed=5,
    )


def submitted(address, tmp_path, script, spec):
    """From a folder of another user's, who has the token of the cluster and nothing else."""
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text(TOKEN)
    shutil.copytree(JOBS, home / "checkout" / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    command = [
        *RAY,
        "job",
        "submit",
        "--address",
        address,
        "--working-dir",
        str(home / "checkout"),
        "--",
        "python",
        script,
        spec,
    ]
    bare = {"HOME": str(home), "PATH": PATH, "RAY_AUTH_MODE": "token", "LANG": "C.UTF-8"}
    return subprocess.run(
        command, env=bare, cwd=elsewhere, capture_output=True, text=True, timeout=500, check=False
    )


def test_the_overnight_grid(cluster, tmp_path):
    done = submitted(cluster, tmp_path, "jobs/sweep.py", "jobs/overnight.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a bucket holds no tracking database" in done.stdout
    spec = SweepSpec.load(JOBS / "overnight.yaml")
    run = StoredSweep.open(f"{HOME}/runs/{spec.id}")
    rows = rows_of(run)
    assert len(rows) == len(run.studies) == 48
    assert {len(frame) for frame in rows.values()} == {2000}
    # One of its cells, run by itself on a disk, has the same id and the same rows.
    document = yaml.safe_load((JOBS / "overnight.yaml").read_text())
    market(str(tmp_path / "market"))
    document["data"]["root"] = str(tmp_path / "market")
    document["grid"] = {"strategies": ["RSIStrategy"], "assets": ["ETHUSD"], "timeframes": ["1h"]}
    alone = rows_of(run_sweep(SweepSpec.parse(document), tmp_path / "runs", INLINE).run)
    assert_same_rows(alone, {name: rows[name] for name in alone})
    for secret in (SECRET, TOKEN):
        for file in files_below(parse_location(HOME)):
            assert secret.encode() not in read_bytes(file), file
        assert secret not in done.stdout + done.stderr
    assert list((tmp_path / "home" / "elsewhere").iterdir()) == []
