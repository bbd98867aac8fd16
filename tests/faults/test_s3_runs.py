"""A sweep of which nothing is on the disk: market data and results are in S3."""

import pytest
from buckets import SECRET, empty_bucket, files_below, s3_server, s3_variables
from sweeps import backtune_process, wait_for

from backtune.results.stored_sweep import is_driven
from backtune.storage.files import read_bytes
from faults.small import make_bars, paced_document
from faults.unharmed import assert_unharmed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
BUCKET = "s3://market-data"


@pytest.fixture
def s3(monkeypatch) -> dict[str, str]:
    """The environment of a server with the market in its bucket."""
    with s3_server() as address:
        variables = s3_variables(address)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        empty_bucket(address, "market-data")
        make_bars(f"{BUCKET}/market")
        yield variables


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--executor", "inline"), id="inline"),
        pytest.param(("--workers", "2"), id="ray", marks=pytest.mark.ray),
    ],
)
def test_kill_9_of_the_driver_of_a_sweep_in_s3(disturbed, expected, s3, arguments):
    sweep = disturbed(
        *arguments,
        document=paced_document(f"{BUCKET}/market"),
        variables=s3,
        runs=f"{BUCKET}/runs",
        pace=0.01,
    )
    with sweep.running() as driver:
        assert wait_for(sweep.n_trials, 90), "it does not begin"
        sweep.strike(driver.pid)
    assert is_driven(sweep.run.folder), "the lease ended with the driver"
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)
    assert not is_driven(sweep.run.folder), "the lease outlives its driver"
    for file in files_below(sweep.runs):
        assert SECRET.encode() not in read_bytes(file), f"{file} holds the secret"


def test_a_second_driver_is_told_to_wait(disturbed, s3, tmp_path):
    sweep = disturbed(
        "--executor",
        "inline",
        document=paced_document(f"{BUCKET}/market"),
        variables=s3,
        runs=f"{BUCKET}/runs",
        pace=0.02,
    )
    with sweep.running():
        assert wait_for(sweep.n_trials, 60)
        second = backtune_process(
            "run",
            sweep.spec,
            "--executor",
            "inline",
            "--no-tracking",
            "--runs",
            sweep.runs,
            cwd=tmp_path,
            **s3,
        )
    assert second.returncode == 2
    assert "another backtune is running this sweep" in second.stderr
