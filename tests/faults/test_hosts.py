"""A cluster of three hosts with networks of their own, on one machine."""

import time

import pytest

from faults.hosts import cluster, why_not
from faults.small import paced_document
from faults.unharmed import assert_unharmed
from sweeps import wait_for

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "permitted"),
]


@pytest.fixture
def sweep(disturbed, market):
    return disturbed(
        document=paced_document(market, max_failures=20), pace=0.03, variables={"RAY_AUTH_MODE": "disabled"}
    )


@pytest.fixture
def hosts(sweep):
    """A head, on which the driver runs too, and two hosts for its units."""
    with cluster(sweep.environment) as hosts:
        sweep.before = hosts[0].inside
        sweep.arguments = ("--address", f"{hosts[0].address}:6379")
        yield hosts


def test_a_host_is_cut_off_and_comes_back(sweep, hosts, expected):
    """While it is cut off its worker goes on with a study that another host has taken over."""
    head, first, second = hosts
    rays = [host.start_ray(sweep.environment, head=head) for host in (first, second)]
    with sweep.running() as driver:
        assert wait_for(lambda: len(sweep.nodes()) == 2, 150), first.log() + second.log()
        assert wait_for(sweep.n_trials, 120)
        sweep.note()
        first.cut_off()
        assert not first.reaches(head)
        time.sleep(5.0)
        assert driver.poll() is None, "the sweep did not wait for the host"
        assert rays[0].poll() is None, "the host was ended, and not cut off"
        first.connect()
        assert wait_for(lambda: first.reaches(head), 30)
        # Ray has given it up meanwhile, so it joins anew.
        before = sweep.nodes()
        first.start_ray(sweep.environment, head=head)
        assert wait_for(lambda: sweep.nodes() - before or driver.poll() is not None, 150)
        assert sweep.nodes() - before, "the host that came back is not used"
        _, errors = driver.communicate(timeout=200)
    assert driver.returncode == 0, errors
    assert wait_for(lambda: rays[0].poll() is not None, 150), (
        "its first Ray does not hear that it was given up"
    )
    # The head last: what reports to it would wait for it.
    for host in reversed(hosts):
        host.end()
    assert_unharmed(sweep, expected)


def test_a_host_that_does_not_see_the_data_is_named_before_anything_runs(sweep, hosts, market):
    head, first, second = hosts
    first.start_ray(sweep.environment, head=head)
    second.start_ray(sweep.environment, head=head, without=market)
    for host in (first, second):
        assert wait_for(lambda h=host: "Ray runtime started" in h.log(), 120), host.log()
    done = sweep.finish()
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == (
        f"error: 1 of 2 nodes cannot run this sweep: node {second.address}: data root {market}: no manifest.json there; "
        "mount the same folders on every node, or keep data and runs in s3://bucket/prefix"
    )
    assert sweep.n_evaluated() == 0
