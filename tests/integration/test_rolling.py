"""Gateways behind a proxy are restarted one after the other under constant requests: no request is lost, and no job."""

import http.client
import os
import socket
import threading
import time

import pytest
from constant_requests import constant_requests
from gateway_process import Gateway
from gateway_proxy import proxy_to
from ports import free_ports
from sweeps import backtune, build_market, wait_for

from backtune.client import RealTimeMonitor
from backtune.gateway.local_head import LocalHead

pytestmark = pytest.mark.timeout(300)
# No cluster answers there: jobs wait in the queue, and a gateway is up within seconds.
NOWHERE = "http://127.0.0.1:9"
OPTIONS = ("--no-auth", "--rate", "1000000/second", "--work-rate", "1000000/second")
DRAIN = ("--drain", "5")


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    return build_market(tmp_path_factory.mktemp("bars"))


@pytest.fixture
def start_gateway(tmp_path, bars):
    """Starts gateways on the same runs folder; all that still run are killed at the end."""
    gateways = []

    def start(*options, port=0, address=NOWHERE, **variables):
        gateway = Gateway(tmp_path, bars, port=port)
        gateways.append(gateway)
        gateway.start(*OPTIONS, "--address", address, *options, **variables)
        return gateway

    yield start
    for gateway in gateways:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


def _restart_one_after_the_other(ports, gateways, proxy, start):
    """Return the new gateways; a port has a gateway again before the one of the next port is stopped."""
    restarted = []
    for port, gateway in zip(ports, gateways, strict=True):
        assert gateway.stop() == 0, gateway.log
        restarted.append(start(port))
        assert wait_for(lambda port=port: port in proxy.ready, 30)
    return restarted


def _all_job_ids(gateway):
    found, cursor = set(), ""
    while cursor is not None:
        page = gateway.get(f"/jobs?limit=200{cursor and '&cursor=' + cursor}")
        found |= {job["job_id"] for job in page["jobs"]}
        cursor = page["next_cursor"]
    return found


def test_a_rolling_restart_under_constant_requests_loses_none(start_gateway):
    ports = free_ports(2)
    gateways = [start_gateway(*DRAIN, port=port) for port in ports]
    with proxy_to(ports) as proxy:
        assert wait_for(lambda: set(proxy.ready) == set(ports), 30)
        with constant_requests(proxy.port) as told:
            assert wait_for(lambda: told.n_answers > 100, 30)
            gateways = _restart_one_after_the_other(
                ports, gateways, proxy, lambda port: start_gateway(*DRAIN, port=port)
            )
            before = told.n_answers
            assert wait_for(lambda: told.n_answers > before + 100, 30)
    assert told.failures == []
    assert len(told.job_ids) > 10
    for gateway in gateways:
        assert _all_job_ids(gateway) == set(told.job_ids)


@pytest.mark.slow
def test_a_restart_without_draining_loses_some_which_the_test_above_would_see(start_gateway):
    ports = free_ports(2)
    gateways = [start_gateway(port=port) for port in ports]
    with proxy_to(ports) as proxy:
        assert wait_for(lambda: set(proxy.ready) == set(ports), 30)
        with constant_requests(proxy.port, submits=False) as told:
            assert wait_for(lambda: told.n_answers > 100, 30)
            _restart_one_after_the_other(ports, gateways, proxy, lambda port: start_gateway(port=port))
    assert told.failures


def test_a_port_that_is_taken_is_refused(tmp_path, bars):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = backtune("serve", "--port", str(port), "--data-root", bars, "--no-auth", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in refused.stderr


def test_told_to_stop_it_drains_first(start_gateway):
    gateway = start_gateway(*DRAIN)
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


def test_the_second_signal_ends_the_draining(start_gateway):
    gateway = start_gateway("--drain", "600")
    gateway.process.terminate()
    assert wait_for(lambda: gateway.request("GET", "/ready")[1]["gateway"] == "draining", 5)
    gateway.process.terminate()
    assert gateway.died() == 0


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The address of a Ray head that is none of the gateways' own; its token is in the environment."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    head = LocalHead(tmp_path / "cluster")
    head.start()
    yield head.address
    head.stop()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_a_job_runs_on_and_is_watched_through_a_rolling_restart(start_gateway, cluster):
    token = {name: os.environ[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    body = {
        "strategy_name": "RSIStrategy",
        "asset": "AAA",
        "timeframe": "15m",
        "optimization_config": {"trials": 4000},
    }

    def start(port):
        return start_gateway(*DRAIN, port=port, address=cluster, **token)

    ports = free_ports(2)
    gateways = [start(port) for port in ports]
    with proxy_to(ports) as proxy:
        assert wait_for(lambda: set(proxy.ready) == set(ports), 30)
        job_id = gateways[0].post("/optimize/single", body)["job_id"]
        assert wait_for(lambda: gateways[0].job(job_id)["n_trials"] > 0, 240), gateways[0].job(job_id)
        updates = []
        watching = threading.Thread(
            target=RealTimeMonitor(f"http://127.0.0.1:{proxy.port}", "any").follow,
            args=(job_id,),
            kwargs={"on_update": updates.append},
            daemon=True,
        )
        watching.start()
        with constant_requests(proxy.port, 1, 1, submits=False) as told:
            gateways = _restart_one_after_the_other(ports, gateways, proxy, start)
        job = gateways[0].completed(job_id, seconds=400)
        # Whoever watches over a socket connects again, and is told of the end.
        watching.join(30)
    assert told.failures == []
    assert job["attempt"] == 1
    assert updates[0]["status"] == "running"
    assert updates[-1]["status"] == "completed"
    n_trials = [update["n_trials"] for update in updates]
    assert n_trials == sorted(n_trials)
