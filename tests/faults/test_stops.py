"""Sweeps that end early on purpose, go on, and grow; studies that fail alone."""

import signal
import time

import pytest
from sweeps import assert_same_rows, rows_of, wait_for, written

from faults.small import ASSETS, make_bars, paced_document
from faults.traces import processes
from faults.unharmed import assert_unharmed

INLINE = ("--executor", "inline")
RAY = ("--workers", "2")
EXECUTORS = [
    pytest.param(INLINE, id="inline"),
    pytest.param(RAY, id="ray", marks=[pytest.mark.slow, pytest.mark.ray]),
]
STUCK = [
    pytest.param(False, id="all-well"),
    pytest.param(True, id="a-worker-is-stopped"),
]
_DRAIN_SECONDS = 10.0


@pytest.mark.parametrize(
    ("arguments", "budget"),
    [
        pytest.param(INLINE, 5.0, id="inline"),
        pytest.param(RAY, 12.0, id="ray", marks=[pytest.mark.slow, pytest.mark.ray]),
    ],
)
def test_a_time_budget(disturbed, market, expected, arguments, budget):
    sweep = disturbed(*arguments, document=paced_document(market, time_budget=f"{budget:.0f}s"), pace=0.02)
    for start in range(2):
        started, before = time.time(), sweep.n_trials()
        ended = sweep.finish()
        assert ended.returncode == 3, ended.stderr
        assert "not finished: the same command continues the sweep" in ended.stderr
        assert time.time() - started < budget + 2.5 * _DRAIN_SECONDS
        assert sweep.n_trials() > before, f"start {start} got nothing done"
        assert sweep.n_trials() == sweep.n_evaluated(), "evaluated trials were not written"
        # The budget runs from when the driver has loaded its libraries.
        assert sweep.last_evaluation() < started + budget + _DRAIN_SECONDS, "it went on asking"
        sweep.note()
    sweep.pace = 0.0
    written(sweep.spec, paced_document(market))
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stuck", STUCK)
def test_a_signal(disturbed, expected, number, stuck):
    sweep = disturbed(*RAY, pace=0.01)
    with sweep.running() as driver:
        assert wait_for(sweep.n_trials, 60)
        if stuck:
            sweep.strike(sweep.workers()[0].pid, signal.SIGSTOP)
        sweep.strike(driver.pid, number)
        signalled = time.monotonic()
        _, errors = driver.communicate(timeout=60)
        seconds = time.monotonic() - signalled
    assert driver.returncode == 3, errors
    assert seconds < _DRAIN_SECONDS
    assert stuck or sweep.n_trials() == sweep.n_evaluated(), "evaluated trials were not written"
    assert wait_for(lambda: not sweep.traces.left_behind(), 20), sweep.traces.left_behind()
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("seconds", [0.5, 1.5, 3.0, 5.0, None], ids=lambda it: f"{it}s" if it else "in-ray")
def test_a_signal_while_it_starts(disturbed, expected, seconds):
    """It ends in time, not as if it were complete, and can go on. Until it has read its spec, it just ends."""
    sweep = disturbed(*RAY)
    with sweep.running() as driver:
        if seconds is not None:
            time.sleep(seconds)
        else:
            assert wait_for(lambda: any("gcs_server" in one.command for one in processes(sweep.mark)), 60)
        sweep.strike(driver.pid, signal.SIGTERM)
        signalled = time.monotonic()
        _, errors = driver.communicate(timeout=60)
        assert time.monotonic() - signalled < _DRAIN_SECONDS
    assert driver.returncode == 3 or (driver.returncode == -signal.SIGTERM and not sweep.has_begun), errors
    assert wait_for(lambda: not sweep.traces.left_behind(), 20), sweep.traces.left_behind()
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [INLINE, pytest.param(RAY, marks=pytest.mark.ray)], ids=["inline", "ray"]
)
def test_more_trials_extend_what_is_there(disturbed, market, expected, arguments):
    document = paced_document(market)
    fewer = {**document, "search": {**document["search"], "trials": 70}}
    sweep = disturbed(*arguments, document=fewer, pace=0.0)
    assert sweep.finish().returncode == 0
    assert_same_rows(rows_of(sweep.run), {name: rows.head(70) for name, rows in expected.items()})
    sweep.note()
    written(sweep.spec, document)
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", EXECUTORS)
def test_a_study_that_fails_costs_the_others_nothing(disturbed, tmp_path, expected, arguments):
    root = tmp_path / "damaged"
    make_bars(str(root))
    file = next((root / f"asset={ASSETS[1]}").rglob("*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    sweep = disturbed(*arguments, document=paced_document(root), pace=0.0)
    partly = sweep.finish()
    assert partly.returncode == 1
    (failed,) = [line for line in partly.stderr.splitlines() if line.startswith("failed: ")]
    damaged = sorted(name for name in expected if f"-{ASSETS[1]}-" in name)
    _, studies, reason = failed.split(": ", 2)
    assert sorted(studies.split(", ")) == damaged
    assert "FingerprintError" in reason
    assert file.name in reason
    assert_same_rows(rows_of(sweep.run), {name: expected[name] for name in expected.keys() - set(damaged)})

    sweep.note()
    file.write_bytes(content)
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    assert_unharmed(sweep, expected)
