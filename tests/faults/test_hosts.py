"""A cluster of three hosts with networks of their own, on one machine."""

import pytest
from sweeps import TOKEN, wait_for

from faults.hosts import cluster, end, why_not
from faults.small import paced_document
from faults.unharmed import assert_unharmed

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "permitted"),
]


def test_a_host_without_the_data_is_named_and_one_that_is_cut_off_comes_back(disturbed, market, expected):
    document = paced_document(market, max_failures=20)
    sweep = disturbed(document=document, pace=0.05, variables=TOKEN)
    # The driver runs on the head, which has no cpu for units.
    with cluster(sweep.environment) as (head, first, second):
        sweep.before, sweep.arguments = head.inside, ("--address", f"{head.address}:6379")
        for host in (first, second):
            host.start_ray(sweep.environment, head=head)
        for host in (first, second):
            assert wait_for(lambda host=host: "Ray runtime started" in host.log(), 120), host.log()
        with second.without(market):
            refused = sweep.finish()
        assert_named(refused, second, market)
        assert sweep.n_evaluated() == 0
        cut_off_and_come_back(sweep, head, first)
        # The head last: what reports to it would wait for it.
        end(first, second)
        end(head)
    assert_unharmed(sweep, expected)


def assert_named(refused, host, market):
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.splitlines()[-1] == (
        f"error: 1 of 2 nodes cannot run this sweep: node {host.address}: data root {market}: no manifest.json there; "
        "mount the same folders on every node, or keep data and runs in s3://bucket/prefix"
    )


def cut_off_and_come_back(sweep, head, host):
    """In the middle of the sweep: the host's worker goes on with a study that it does not have any longer."""
    (ray,) = host.rays
    with sweep.running() as driver:
        assert wait_for(lambda: len(sweep.nodes()) == 2 or driver.poll() is not None, 150)
        assert len(sweep.nodes()) == 2, "not all hosts are used"
        assert wait_for(sweep.n_trials, 120)
        sweep.note()
        host.cut_off()
        assert not host.reaches(head)
        assert wait_for(lambda: head.gave_up(host), 120)
        assert driver.poll() is None, "the sweep did not wait for the host"
        assert ray.poll() is None, "the host was ended, and not cut off"
        host.connect()
        assert wait_for(lambda: host.reaches(head), 30)
        # It was given up, so it joins anew.
        before = sweep.nodes()
        host.start_ray(sweep.environment, head=head)
        assert wait_for(lambda: sweep.nodes() - before or driver.poll() is not None, 150)
        assert sweep.nodes() - before, "the host that came back is not used"
        sweep.hurry()
        _, errors = driver.communicate(timeout=200)
    assert driver.returncode == 0, errors
    assert wait_for(lambda: ray.poll() is not None, 150), "its first Ray does not hear that it was given up"
