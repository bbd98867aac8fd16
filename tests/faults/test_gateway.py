"""The gateway, its head and drivers are killed while jobs run: none is lost, none runs twice, the rows are the same."""

import os
import signal
import time
from pathlib import Path

import pytest

from backtune.results.runs import Run
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from gateway_process import Gateway, gateway_in
from sweeps import INLINE, assert_same_rows, build_market, rows_of, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
RIGHT_SECONDS = 10


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    return build_market(tmp_path_factory.mktemp("bars"))


@pytest.fixture
def gateway(tmp_path, bars):
    with gateway_in(tmp_path, bars) as made:
        made.start()
        yield made


def job_body(strategy: str, seed: int, trials: int = 3_000) -> dict:
    """Long enough to be met while it runs."""
    return {
        "strategy_name": strategy, "asset": "AAA", "timeframe": "15m",
        "optimization_config": {"trials": trials, "seed": seed},
    }  # fmt: skip


def begun(gateway: Gateway, *bodies: dict) -> list[str]:
    """Jobs that have got on by some trials."""
    ids = [gateway.post("/optimize/single", body)["job_id"] for body in bodies]
    for job_id in ids:
        assert wait_for(lambda job_id=job_id: gateway.job(job_id)["n_trials"] > 0, 240), gateway.job(job_id)
    return ids


def assert_unharmed(gateway: Gateway, job_id: str, runs: Path) -> None:
    """Complete, with the rows of an undisturbed run."""
    job = gateway.completed(job_id, seconds=400)
    spec = SweepSpec.load(gateway.runs / ".gateway" / "specs" / f"{job_id}.yaml")
    undisturbed = run_sweep(spec, runs, INLINE)
    assert_same_rows(rows_of(Run.open(gateway.runs / job["sweep_id"])), rows_of(undisturbed.run))


def test_kill_9_of_the_gateway_while_jobs_run(gateway, tmp_path):
    ids = begun(gateway, job_body("RSIStrategy", 1), job_body("MACDStrategy", 2))
    for _ in range(3):
        gateway.kill()
        time.sleep(1.0)
        gateway.start()
        for job_id in ids:
            assert gateway.reaches(job_id, "running", "completed", seconds=RIGHT_SECONDS)
    for job_id in ids:
        assert_unharmed(gateway, job_id, tmp_path / "again")
        assert gateway.job(job_id)["attempt"] == 1
    assert gateway.submissions().keys() == {f"{job_id}-1" for job_id in ids}


def test_a_job_that_ends_while_no_gateway_lives_is_told_right(gateway):
    (job_id,) = begun(gateway, job_body("RSIStrategy", 3, trials=2_000))
    gateway.kill()
    run = gateway.runs / Run.open(next(gateway.runs.glob("*/sweep.json")).parent).sweep_id
    assert wait_for(lambda: list((run / "starts").glob("*.json")), 240)
    gateway.start()
    assert gateway.reaches(job_id, "completed", seconds=RIGHT_SECONDS)


def test_kill_of_the_head_and_a_new_one(gateway, tmp_path):
    ids = begun(gateway, job_body("RSIStrategy", 4), job_body("MACDStrategy", 5))
    os.killpg(gateway.head()["pid"], signal.SIGKILL)
    for job_id in ids:
        assert wait_for(lambda job_id=job_id: gateway.job(job_id)["attempt"] == 2, 60), gateway.job(job_id)
        assert_unharmed(gateway, job_id, tmp_path / "again")
        assert gateway.job(job_id)["attempt"] == 2
    assert gateway.submissions().keys() == {f"{job_id}-2" for job_id in ids}


def test_kill_9_of_the_gateway_and_its_head_together(gateway, tmp_path):
    (job_id,) = begun(gateway, job_body("RSIStrategy", 6))
    pid = gateway.head()["pid"]
    gateway.kill()
    os.killpg(pid, signal.SIGKILL)
    gateway.start()
    assert_unharmed(gateway, job_id, tmp_path / "again")
    assert gateway.job(job_id)["attempt"] == 2


def test_a_killed_driver_is_started_again(gateway, tmp_path):
    (job_id,) = begun(gateway, job_body("RSIStrategy", 7))
    _kill_driver(gateway, job_id)
    assert wait_for(lambda: gateway.job(job_id)["attempt"] == 2, RIGHT_SECONDS), gateway.job(job_id)
    assert_unharmed(gateway, job_id, tmp_path / "again")


def test_the_end_of_the_gateway_sets_jobs_aside_and_the_next_goes_on(gateway, tmp_path):
    (job_id,) = begun(gateway, job_body("RSIStrategy", 8))
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.reaches(job_id, "running", "completed", seconds=60)
    assert_unharmed(gateway, job_id, tmp_path / "again")
    assert gateway.job(job_id)["attempt"] == 2


def test_of_two_gateways_one_keeps_the_jobs_and_the_other_takes_over(gateway, tmp_path, bars):
    other = Gateway(tmp_path, bars)
    other.start()
    try:
        assert other.head() == gateway.head()
        (job_id,) = begun(other, job_body("RSIStrategy", 9))
        assert gateway.job(job_id)["status"] == "running"
        gateway.kill()
        assert wait_for(lambda: other.get("/ready")["keeper"] == "working", RIGHT_SECONDS)
        assert_unharmed(other, job_id, tmp_path / "again")
        assert other.submissions().keys() == {f"{job_id}-1"}
    finally:
        other.stop()


def _kill_driver(gateway: Gateway, job_id: str) -> None:
    """Of a job, with all that the shell started for it."""
    wanted = f".gateway/specs/{job_id}.yaml".encode()
    pids = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    drivers = [int(pid) for pid in pids if wanted in _command(pid)]
    assert drivers, gateway.job(job_id)
    for pid in drivers:
        os.kill(pid, signal.SIGKILL)


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
