"""The gateway, its head and drivers are killed while jobs run: none is lost, none runs twice, the rows are the same."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from gateway_process import Gateway, gateway_in
from postgres_server import postgres_server
from sweeps import INLINE, assert_same_rows, build_market, rows_of, wait_for

from backtune.gateway.local_head import LocalHead
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from faults.traces import KEEPS_ENVIRONMENT, MARK, Traces

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
RIGHT_SECONDS = 10


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    return build_market(tmp_path_factory.mktemp("bars"))


@pytest.fixture
def traces():
    """Of all that a test starts; in the end nothing may be there: no process, port, shared memory or folder."""
    left = Traces(uuid4().hex)
    yield left
    assert wait_for(lambda: not left.left_behind(), 20), left.left_behind()


@pytest.fixture
def gateway(tmp_path, bars, traces):
    with gateway_in(tmp_path, bars, **{MARK: traces.mark}, **KEEPS_ENVIRONMENT) as made:
        made.start()
        yield made
        traces.look()


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


def is_told_lost(gateway: Gateway, job_id: str, until: float) -> bool:
    """Whether it is told by then that the first attempt no longer runs: it waits for a head, or is at its second."""

    def told() -> bool:
        job = gateway.job(job_id)
        return (job["status"], job["attempt"]) == ("queued", 1) or job["attempt"] == 2

    return wait_for(told, until - time.monotonic())


def assert_unharmed(gateway: Gateway, job_id: str, runs: Path) -> None:
    """Complete, with the rows of an undisturbed run."""
    job = gateway.completed(job_id, seconds=400)
    spec = SweepSpec.load(gateway.runs / ".gateway" / "specs" / f"{job_id}.yaml")
    undisturbed = run_sweep(spec, runs, INLINE)
    assert_same_rows(rows_of(StoredSweep.open(gateway.runs / job["sweep_id"])), rows_of(undisturbed.run))


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
    run = gateway.runs / StoredSweep.open(next(gateway.runs.glob("*/sweep.json")).parent).sweep_id
    assert wait_for(lambda: list((run / "starts").glob("*.json")), 240)
    gateway.start()
    assert gateway.reaches(job_id, "completed", seconds=RIGHT_SECONDS)


def test_kill_of_the_head_and_a_new_one(gateway, tmp_path):
    ids = begun(gateway, job_body("RSIStrategy", 4), job_body("MACDStrategy", 5))
    os.killpg(gateway.head()["pid"], signal.SIGKILL)
    killed_at = time.monotonic()
    for job_id in ids:
        assert is_told_lost(gateway, job_id, killed_at + RIGHT_SECONDS), gateway.job(job_id)
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
    other = Gateway(tmp_path, bars, variables=gateway.variables)
    other.start()
    try:
        assert other.head() == gateway.head()
        (job_id,) = asked_fifty_times([gateway, other], job_body("RSIStrategy", 9))
        assert wait_for(lambda: other.job(job_id)["n_trials"] > 0, 240), other.job(job_id)
        assert gateway.job(job_id)["status"] == "running"
        gateway.kill()
        assert wait_for(lambda: other.get("/ready")["reconciler"] == "working", RIGHT_SECONDS)
        assert_unharmed(other, job_id, tmp_path / "again")
        assert other.submissions().keys() == {f"{job_id}-1"}
    finally:
        other.stop()


@pytest.fixture
def cluster(tmp_path, traces, monkeypatch):
    """A cluster that is not the gateway's own."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    for name, value in {MARK: traces.mark, **KEEPS_ENVIRONMENT}.items():
        monkeypatch.setenv(name, value)
    head = LocalHead(tmp_path / "cluster")
    head.start()
    yield head
    head.stop()


def test_kill_of_a_cluster_s_head_and_a_new_one_at_its_address(cluster, tmp_path, bars, traces):
    variables = {MARK: traces.mark, **KEEPS_ENVIRONMENT}
    token = {name: os.environ[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    with gateway_in(tmp_path, bars, **variables, **token) as gateway:
        gateway.start("--address", cluster.address)
        (job_id,) = begun(gateway, job_body("RSIStrategy", 10))
        os.killpg(cluster._running.pid, signal.SIGKILL)
        # Its driver may outlive the head for minutes, and is waited for.
        assert wait_for(
            lambda: gateway.job(job_id)["message"] == "the cluster does not answer", RIGHT_SECONDS
        )
        assert gateway.job(job_id)["n_trials"] > 0
        waiting = gateway.post("/optimize/single", job_body("MACDStrategy", 11, trials=50))["job_id"]
        cluster.ensure_alive()
        assert_unharmed(gateway, job_id, tmp_path / "again")
        assert gateway.completed(waiting)["attempt"] == 1
        assert gateway.job(job_id)["attempt"] == 2
        traces.look()


@pytest.fixture(scope="module")
def postgres():
    with postgres_server() as database:
        yield database


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_fifty_identical_posts_at_two_gateways_are_one_job(tmp_path, bars, kind, request):
    """On a cluster that does not answer: what counts is what is recorded."""
    url = request.getfixturevalue("postgres")() if kind == "postgresql" else f"sqlite:///{tmp_path}/shared.db"
    options = ("--address", "http://127.0.0.1:9", "--database", url)
    with gateway_in(tmp_path, bars) as one, gateway_in(tmp_path, bars) as two:
        one.start(*options)
        two.start(*options)
        (job_id,) = asked_fifty_times([one, two], job_body("RSIStrategy", 12))
        for gateway in (one, two):
            assert [job["job_id"] for job in gateway.get("/jobs")["jobs"]] == [job_id]
            other = gateway.request(
                "POST", "/optimize/single", job_body("RSIStrategy", 13), {"Idempotency-Key": "once"}
            )
            assert (other[0], other[1]["where"]) == (409, "Idempotency-Key")


def asked_fifty_times(gateways: list[Gateway], body: dict) -> set[str]:
    """The jobs of fifty equal requests with one key, at once and in turn at each gateway."""
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(
            lambda i: gateways[i % len(gateways)].post("/optimize/single", body, Idempotency_Key="once"),
            range(50),
        )
        return {answer["job_id"] for answer in answers}


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
