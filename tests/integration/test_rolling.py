"""A gateway is replaced under constant requests: none is lost, and no job."""

import http.client
import threading
import time

import pytest
from constant_requests import constant_requests
from gateway_process import Gateway, alive, gateway_in
from sweeps import backtune_process, build_market, wait_for

from backtune.client import RealTimeMonitor

pytestmark = pytest.mark.timeout(300)
# No cluster answers there: jobs wait in the queue, and a gateway is up within seconds.
NOWHERE = "http://127.0.0.1:9"
OPTIONS = ("--no-auth", "--rate", "1000000/second", "--work-rate", "1000000/second")


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    return build_market(tmp_path_factory.mktemp("bars"))


@pytest.fixture
def begin(tmp_path, bars):
    """Starts a gateway; all that still run are stopped at the end."""
    begun = []

    def start(*options, port=0):
        gateway = Gateway(tmp_path, bars, port=port)
        begun.append(gateway)
        gateway.start(*OPTIONS, "--address", NOWHERE, *options)
        return gateway

    yield start
    for gateway in begun:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.stop()


@pytest.fixture
def replace(begin):
    """Starts a successor, which serves alone when the one before has ended."""

    def start(gateway):
        following = begin("--replace", port=gateway.port)
        assert gateway.died() == 0, gateway.log
        return following

    return start


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_replaced_under_constant_requests_and_none_is_lost(begin, replace, times):
    first = begin()
    with constant_requests(first.port) as told:
        gateway = first
        for _ in range(times):
            before = told.n_answers
            assert wait_for(lambda before=before: told.n_answers > before + 100, 30)
            gateway = replace(gateway)
        before = told.n_answers
        assert wait_for(lambda: told.n_answers > before + 100, 30)
    assert told.failures == []
    recorded = set()
    cursor = ""
    while cursor is not None:
        page = gateway.get(f"/jobs?limit=200{cursor and '&cursor=' + cursor}")
        recorded |= {job["job_id"] for job in page["jobs"]}
        cursor = page["next_cursor"]
    assert len(told.job_ids) > 10
    assert recorded == set(told.job_ids)


@pytest.mark.slow
def test_a_plain_restart_loses_some_which_the_test_above_would_see(begin):
    gateway = begin()
    with constant_requests(gateway.port, submits=False) as told:
        assert wait_for(lambda: told.n_answers > 100, 30)
        gateway.stop()
        begin(port=gateway.port)
    assert told.failures


@pytest.mark.slow
def test_a_successor_that_cannot_start_changes_nothing(begin, replace, tmp_path, bars):
    gateway = begin()
    arguments = (
        "serve", "--port", str(gateway.port), "--data-root", bars, "--runs", gateway.runs, "--address", NOWHERE, *OPTIONS,
    )  # fmt: skip
    with constant_requests(gateway.port) as told:
        done = backtune_process(*arguments, "--replace", "--alerts", "missing.yaml", cwd=tmp_path)
        assert done.returncode == 2
        assert "missing.yaml" in done.stderr
        taken = backtune_process(*arguments, cwd=tmp_path)
        assert taken.returncode == 2
        assert "--replace takes it over" in taken.stderr
        before = told.n_answers
        assert wait_for(lambda: told.n_answers > before + 100, 30)
        assert gateway.process.poll() is None
        # It can still be replaced.
        replace(gateway)
    assert told.failures == []


def test_there_need_be_nobody_to_replace(begin):
    gateway = begin("--replace")
    assert gateway.get("/health")["status"] == "ok"
    assert gateway.stop() == 0
    assert not list((gateway.runs / ".gateway").glob("*.sock"))


def test_told_to_stop_it_drains_first(begin):
    gateway = begin("--drain", "5")
    kept = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    kept.request("GET", "/health")
    assert kept.getresponse().read()
    gateway.process.terminate()
    assert wait_for(lambda: gateway.request("GET", "/ready")[1]["gateway"] == "draining", 4)
    assert gateway.request("GET", "/ready")[0] == 503
    # The connection from before is good for one request more, and says that it is the last one.
    kept.request("GET", "/health")
    answer = kept.getresponse()
    assert (answer.status, answer.getheader("connection")) == (200, "close")
    began = time.monotonic()
    assert gateway.died() == 0
    assert time.monotonic() - began < 60


def test_the_second_signal_ends_the_draining(begin):
    gateway = begin("--drain", "600")
    gateway.process.terminate()
    assert wait_for(lambda: gateway.request("GET", "/ready")[1]["gateway"] == "draining", 5)
    gateway.process.terminate()
    assert gateway.died() == 0


@pytest.mark.slow
@pytest.mark.ray
def test_head_and_jobs_go_over_to_the_successor(tmp_path, bars):
    body = {
        "strategy_name": "RSIStrategy",
        "asset": "AAA",
        "timeframe": "15m",
        "optimization_config": {"trials": 4000},
    }
    with gateway_in(tmp_path, bars) as first:
        first.start()
        job_id = first.post("/optimize/single", body)["job_id"]
        assert wait_for(lambda: first.job(job_id)["n_trials"] > 0, 120), first.job(job_id)
        head = first.head()
        url, updates = f"http://127.0.0.1:{first.port}", []
        watching = threading.Thread(
            target=RealTimeMonitor(url, "any").follow,
            args=(job_id,),
            kwargs={"on_update": updates.append},
            daemon=True,
        )
        watching.start()
        with constant_requests(first.port, 1, 1, submits=False) as told:
            following = Gateway(tmp_path, bars, port=first.port)
            following.start("--no-auth", "--replace", "--rate", "1000000/second")
            try:
                assert first.died() == 0, first.log
                assert wait_for(lambda: following.get("/ready")["keeper"] == "working", 20)
                job = following.completed(job_id, seconds=200)
                assert job["attempt"] == 1
                # Whoever watched over a socket was told by both.
                watching.join(30)
                assert updates[0]["status"] == "running"
                assert updates[-1]["status"] == "completed"
                n_trials = [update["n_trials"] for update in updates]
                assert n_trials == sorted(n_trials)
                assert following.head() == head
                assert [one for one in told.failures if not one.startswith("429")] == []
            finally:
                assert following.stop() == 0
        assert not alive(head["pid"])
