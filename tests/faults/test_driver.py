"""The driver is killed again and again; each start goes on where the log ends."""

import signal
import time

import pytest
from sweeps import wait_for

from faults.disturbed import chance
from faults.unharmed import assert_unharmed

INLINE = ("--executor", "inline")
RAY = ("--workers", "2")
CASES = [
    pytest.param(INLINE, 3, 0.002, id="inline-3", marks=pytest.mark.slow),
    pytest.param(INLINE, 20, 0.012, id="inline-20", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    pytest.param(
        RAY, 20, 0.012, id="ray-20", marks=[pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1500)]
    ),
]


@pytest.mark.parametrize(("arguments", "kills", "pace"), CASES)
def test_kill_9_of_the_driver_at_random_points(disturbed, expected, arguments, kills, pace):
    """Half of the kills come while it starts, the others after it has got on by some trials."""
    sweep = disturbed(*arguments, pace=pace)
    pick = chance("drivers")
    for i in range(kills):
        before = sweep.n_trials()
        with sweep.running() as driver:
            if i % 2:
                assert wait_for(lambda n=before: sweep.n_trials() > n, 150), "it does not go on"
                time.sleep(pick.uniform(0.0, 1.0))
            else:
                time.sleep(pick.uniform(0.0, 4.0))
            assert driver.poll() is None, "the sweep was done before all kills"
            sweep.strike(driver.pid)
        assert driver.returncode == -9
    assert sweep.n_trials() < sum(len(rows) for rows in expected.values()), "nothing is left to go on with"
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)


@pytest.mark.slow
@pytest.mark.ray
def test_kill_9_of_the_driver_while_a_worker_is_stopped(disturbed, expected):
    """A stopped process hears no request to end, and outlives who does not insist."""
    sweep = disturbed(*RAY)
    with sweep.running() as driver:
        assert wait_for(sweep.n_trials, 60)
        sweep.strike(sweep.workers()[0].pid, signal.SIGSTOP)
        sweep.strike(driver.pid)
    assert wait_for(lambda: not sweep.traces.left_behind(), 20), sweep.traces.left_behind()
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)
