"""Workers that are killed, or do not move for a while."""

import signal
import time

import pytest
from sweeps import wait_for

from faults.disturbed import until_done
from faults.small import paced_document
from faults.unharmed import assert_unharmed

pytestmark = pytest.mark.ray

SLOW = [pytest.mark.slow, pytest.mark.timeout(700)]
# A worker writes what it has about once a second, so that one that lives for less would never get anywhere.
_LIFE_SECONDS = 1.2

KILLS = [
    pytest.param(2.0, 0.003, 2, id="twice"),
    pytest.param(3.0, 0.03, 1000, id="every-few-seconds", marks=SLOW),
    pytest.param(1.0, 0.012, 1000, id="every-second", marks=SLOW),
]
STOPS = [
    pytest.param(4.0, id="seconds"),
    pytest.param(60.0, id="a-minute", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("every", "pace", "at_most"), KILLS)
def test_kill_9_of_a_worker(disturbed, market, expected, every, pace, at_most):
    document = paced_document(market, max_failures=1000)
    sweep = disturbed("--workers", "2", document=document, pace=pace)

    def kill() -> None:
        workers = sweep.workers(busy_for=_LIFE_SECONDS)
        if workers and len(sweep.logged) < at_most:
            sweep.strike(workers[0].pid)

    with sweep.running() as driver:
        errors = until_done(driver, kill, every=every, seconds=600)
    assert len(sweep.logged) >= min(at_most, 8), "too few kills to tell"
    assert driver.returncode == 0, errors
    assert_unharmed(sweep, expected)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", STOPS)
def test_a_worker_that_stops_for_a_while(disturbed, expected, seconds):
    sweep = disturbed("--workers", "2")
    with sweep.running() as driver:
        assert wait_for(sweep.n_trials, 60)
        stopped = sweep.workers()[0].pid
        sweep.strike(stopped, signal.SIGSTOP)
        time.sleep(seconds)
        assert driver.poll() is None, "the sweep ended without the worker's studies"
        sweep.resume(stopped)
        _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert_unharmed(sweep, expected)
