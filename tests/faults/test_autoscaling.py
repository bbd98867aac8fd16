"""Nodes come with a sweep's demand, may be taken away at any time, and go when there is nothing left to do."""

import pytest
from sweeps import TOKEN, wait_for

from faults.autoscaled import autoscaled
from faults.small import paced_document
from faults.traces import processes
from faults.unharmed import assert_unharmed

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


def test_from_no_worker_to_two_and_back_while_one_is_taken_away(disturbed, market, expected):
    sweep = disturbed(document=paced_document(market, max_failures=20), pace=0.05, variables=TOKEN)

    def raylets() -> set[int]:
        return {process.pid for process in processes(sweep.mark) if process.is_raylet}

    with autoscaled(sweep.environment, most=2, idle_seconds=5) as address:
        (head,) = raylets()
        sweep.arguments = ("--address", address)
        with sweep.running() as driver:
            assert wait_for(lambda: len(sweep.nodes()) == 2 or driver.poll() is not None, 150)
            assert len(sweep.nodes()) == 2, "the demand brings no nodes"
            assert wait_for(sweep.n_trials, 120)
            # In the middle of a unit: its worker has evaluated candidates for a while.
            assert wait_for(lambda: sweep.workers(busy_for=1.2), 60)
            worker = sweep.workers(busy_for=1.2)[0]
            sweep.strike(worker.parent)
            assert wait_for(lambda: len(sweep.nodes()) >= 3 or driver.poll() is not None, 180)
            assert len(sweep.nodes()) >= 3, "no node came for the one that was taken away"
            assert len(raylets() - {head, worker.parent}) <= 2, "more nodes than there may be"
            sweep.hurry()
            _, errors = driver.communicate(timeout=200)
        assert driver.returncode == 0, errors
        assert wait_for(lambda: raylets() <= {head}, 120), "idle nodes stay"
    assert_unharmed(sweep, expected)
