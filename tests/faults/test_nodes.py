"""Nodes of a cluster that go, come, and seem to be gone."""

import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
from sweeps import TOKEN, wait_for

from faults.raylets import raylets
from faults.small import paced_document
from faults.unharmed import assert_unharmed

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def sweep(disturbed, market):
    document = paced_document(market, max_failures=10)
    return disturbed(document=document, pace=0.01, variables=TOKEN)


@pytest.fixture
def cluster(sweep):
    """A head without a cpu, that the sweep joins; its folder has a short name for the sake of Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="raylets-", dir="/tmp"))
    try:
        with raylets(folder, sweep.environment) as cluster:
            sweep.arguments = ("--address", cluster.address)
            yield cluster
    finally:
        shutil.rmtree(folder)


def test_a_raylet_is_killed_and_a_node_joins_later(cluster, sweep, expected):
    first, second = cluster.add(), cluster.add()
    with sweep.running() as driver:
        assert wait_for(lambda: {first, second} <= sweep.nodes(), 60), "not all nodes are used"
        assert wait_for(sweep.n_trials, 60)
        sweep.strike(first)
        time.sleep(2.0)
        later = cluster.add()
        assert wait_for(lambda: later in sweep.nodes(), 60), "the later node is not used"
        _, errors = driver.communicate(timeout=200)
    assert driver.returncode == 0, errors
    assert wait_for(lambda: not sweep.workers(), 20), f"workers are left: {sweep.workers()}"
    cluster.end()
    assert_unharmed(sweep, expected)


def test_all_nodes_are_killed_and_one_joins_later(cluster, sweep, expected):
    nodes = [cluster.add(), cluster.add()]
    with sweep.running() as driver:
        assert wait_for(sweep.n_trials, 60)
        for node in nodes:
            sweep.strike(node)
        time.sleep(5.0)
        assert driver.poll() is None, "the sweep did not wait for a node"
        cluster.add()
        _, errors = driver.communicate(timeout=300)
    assert driver.returncode == 0, errors
    cluster.end()
    assert_unharmed(sweep, expected)


def test_a_node_that_was_believed_dead_comes_back(cluster, sweep, expected):
    """Its worker goes on with a study that another worker has taken over in the meantime."""
    sweep.pace = 0.02
    first, second = cluster.add(), cluster.add()
    with sweep.running() as driver:
        assert wait_for(lambda: {first, second} <= sweep.nodes(), 60), "not all nodes are used"
        assert wait_for(sweep.n_trials, 60)
        (worker,) = [worker.pid for worker in sweep.workers() if worker.parent == first]
        sweep.strike(first, signal.SIGSTOP)
        sweep.strike(worker, signal.SIGSTOP)
        stopped, begun = time.time_ns(), sweep.evaluations_of(worker)
        study = begun[-1][:2]
        assert wait_for(lambda: sweep.n_evaluated_since(stopped, study), 150), "nobody took over"
        # The worker first, so that it has a while before its raylet learns that it was given up.
        sweep.resume(worker)
        assert wait_for(lambda: len(sweep.evaluations_of(worker)) > len(begun) + 20, 20)
        sweep.resume(first)
        _, errors = driver.communicate(timeout=200)
    assert driver.returncode == 0, errors
    cluster.end()
    assert_unharmed(sweep, expected)


def test_kill_9_of_the_driver_leaves_the_cluster_as_it_was(cluster, sweep, expected):
    cluster.add()
    with sweep.running() as driver:
        assert wait_for(sweep.n_trials, 60)
        sweep.strike(driver.pid)
    assert wait_for(lambda: not sweep.workers(), 30), f"workers are left: {sweep.workers()}"
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    cluster.end()
    assert_unharmed(sweep, expected)
