"""Market data, and results, on an S3 that answers 503 to a tenth of the requests."""

import urllib.error
import urllib.request
from itertools import chain, repeat

import boto3
import pytest
from buckets import empty_bucket, s3_server, s3_variables

from backtune.storage.storage import open_storage
from faults.s3_faults import BusyS3, a_share
from faults.small import make_bars, paced_document
from faults.unharmed import assert_unharmed

CASES = [
    pytest.param(("--executor", "inline"), 3, id="inline"),
    pytest.param(("--workers", "2"), 3, id="ray", marks=[pytest.mark.slow, pytest.mark.ray]),
]


@pytest.fixture(scope="module")
def server():
    with s3_server() as address:
        yield address.removeprefix("http://")


@pytest.fixture
def root(server, monkeypatch) -> str:
    """The market, in a bucket. It is written past the proxy."""
    for name, value in s3_variables(f"http://{server}").items():
        monkeypatch.setenv(name, value)
    empty_bucket(f"http://{server}", "market-data")
    make_bars("s3://market-data/faults")
    return "s3://market-data/faults"


def test_the_proxy_refuses_its_share(server, root):
    s3 = BusyS3(server, a_share(0.1, seed=1))
    answers = []
    with s3.serving() as address:
        place = {"Bucket": "market-data", "Key": "faults/manifest.json"}
        signed = boto3.client("s3", endpoint_url=address).generate_presigned_url("get_object", Params=place)
        for _ in range(200):
            try:
                with urllib.request.urlopen(signed) as answer:  # noqa: S310
                    answers.append((answer.status, answer.read()[:1]))
            except urllib.error.HTTPError as error:
                answers.append((error.code, b""))
                error.close()
    assert set(answers) == {(200, b"{"), (503, b"")}
    assert s3.n_refused == answers.count((503, b"")) == 200 - s3.n_passed
    assert 10 <= s3.n_refused <= 30


def test_a_file_that_is_shorter_than_the_refusals_is_written_and_read(server, root, monkeypatch):
    s3 = BusyS3(server, chain([True, False, True, True], repeat(False)))
    with s3.serving() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        storage = open_storage(root)
        storage.write("short.txt", b"short")
        assert storage.read("short.txt") == b"short"
    assert s3.n_refused == 3


@pytest.mark.slow
def test_a_read_outlasts_four_refusals_in_a_row(server, root, monkeypatch):
    s3 = BusyS3(server, chain(repeat(True, 4), repeat(False)))
    with s3.serving() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        assert open_storage(root).read("manifest.json")
    assert (s3.n_refused, s3.n_passed) == (4, 2)


@pytest.mark.parametrize(("arguments", "at_least"), CASES)
def test_503_for_a_tenth_of_the_requests(disturbed, expected, server, root, arguments, at_least):
    s3 = BusyS3(server, a_share(0.1, seed=2))
    with s3.serving() as address:
        sweep = disturbed(*arguments, document=paced_document(root), variables=s3_variables(address))
        done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert s3.n_refused >= at_least, (
        f"only {s3.n_refused} of {s3.n_refused + s3.n_passed} requests were refused"
    )
    assert_unharmed(sweep, expected)


@pytest.mark.slow
@pytest.mark.ray
def test_503_for_a_tenth_of_the_requests_with_results_there_too(disturbed, expected, server, root):
    s3 = BusyS3(server, a_share(0.1, seed=3))
    with s3.serving() as address:
        sweep = disturbed(
            "--workers",
            "2",
            document=paced_document(root),
            variables=s3_variables(address),
            runs="s3://market-data/runs",
        )
        done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert s3.n_refused >= 30, f"only {s3.n_refused} of {s3.n_refused + s3.n_passed} requests were refused"
    assert_unharmed(sweep, expected)
