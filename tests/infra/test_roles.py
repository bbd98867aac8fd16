"""The image's roles as real processes: each comes up, its health check sees it, and Ray tells what the dashboards ask for."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from ports import free_ports
from strangers import listeners, own_addresses, reaches, surprises
from sweeps import environment, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]
INFRA = Path(__file__).parents[2] / "infra"
TOKEN = "t" * 64
BOARDS = "".join(path.read_text() for path in (INFRA / "grafana" / "dashboards").glob("*.json"))


@dataclass
class Role:
    """A container's command that runs.

    Attributes:
        health: gives the exit status of its health check.
    """

    pid: int
    health: Callable[[], int]


@contextmanager
def role(folder, name, *options, ports, **variables):
    """A container's command, ended at the end. ``ports``: the fixed ones and those instead."""
    folder.mkdir()
    script = (INFRA / "health.py").read_text()
    for fixed, free in ports.items():
        assert f":{fixed}/" in script
        script = script.replace(f":{fixed}/", f":{free}/")
    (folder / "health.py").write_text(script)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    told = environment(PATH=path, BACKTUNE_ROLE_FILE=str(folder / "role"), **variables)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["sh", str(INFRA / "entrypoint.sh"), name, *options], cwd=folder, env=told, stdout=log, stderr=log
        )

    def health():
        done = subprocess.run([sys.executable, str(folder / "health.py")], env=told, timeout=30, check=False)
        assert process.poll() is None, (folder / "log").read_text()
        return done.returncode

    try:
        yield Role(process.pid, health)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Head and worker with a token, and the ports of dashboard and metrics."""
    base = tmp_path_factory.mktemp("roles")
    scratch = Path(tempfile.mkdtemp(prefix="bt-role-", dir="/tmp"))
    port, dashboard, client, of_head, of_worker, agent, other = free_ports(7)
    # On a busy machine, Ray would give its own raylet up after a minute.
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_raylet_start_wait_time_s": "300"}
    ours = ("--node-ip-address=127.0.0.1", f"--object-store-memory={2**27}")
    head = (
        f"--port={port}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1", f"--temp-dir={scratch}",
        f"--ray-client-server-port={client}", f"--metrics-export-port={of_head}", f"--dashboard-agent-listen-port={agent}", *ours,
    )  # fmt: skip
    worker = (
        f"--metrics-export-port={of_worker}",
        "--num-cpus=1",
        f"--dashboard-agent-listen-port={other}",
        *ours,
    )
    try:
        with role(base / "head", "head", *head, ports={8265: dashboard}, **auth) as of_the_head:
            assert wait_for(lambda: of_the_head.health() == 0, 300)
            address = {"RAY_HEAD": f"127.0.0.1:{port}"}
            with role(
                base / "worker", "worker", *worker, ports={8090: of_worker}, **auth, **address
            ) as of_the_worker:
                assert wait_for(lambda: of_the_worker.health() == 0, 300)
                yield of_the_head, of_the_worker, dashboard, (of_head, of_worker)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read(url, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return answer.read().decode()


def test_head_and_worker_come_up_and_are_one_cluster(cluster):
    _, _, dashboard, _ = cluster
    nodes = json.loads(_read(f"http://127.0.0.1:{dashboard}/nodes?view=summary", TOKEN))["data"]["summary"]
    assert len(nodes) == 2


def test_the_head_does_nothing_without_its_token(cluster):
    head, _, dashboard, _ = cluster
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _read(f"http://127.0.0.1:{dashboard}/api/jobs/")
    assert head.health() == 0


@pytest.mark.skipif(not own_addresses(), reason="this machine has no address but the loopback one")
def test_who_comes_from_another_machine_without_the_token_is_told_no_more_than_metrics(cluster):
    head, worker, *_ = cluster
    (address, *_) = own_addresses()
    found = {one for role in (head, worker) for one in listeners(role.pid)}
    beyond = [one for one in found if reaches(address, one.port)]
    assert {one.program for one in beyond} >= {
        "gcs_server",
        "raylet",
        "DashboardAgent",
        "ray.util.client.server",
    }
    assert surprises(beyond, address) == {}
    assert head.health() == 0


def test_every_metric_of_ray_that_is_asked_for_is_told_by_head_and_worker(cluster):
    asked = set(re.findall(r"\bray_\w+", BOARDS))
    assert len(asked) >= 4
    for port in cluster[3]:
        told = f"http://127.0.0.1:{port}/metrics"
        assert wait_for(lambda told=told: "ray_node_cpu_count" in _read(told), 60)
        names = set(re.findall(r"^(ray_\w+)", _read(told), re.MULTILINE))
        assert asked <= names


def test_mlflow_comes_up_and_answers_names_that_it_knows(tmp_path):
    (port,) = free_ports(1)
    variables = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path / 'mlflow.db'}", "MLFLOW_ARTIFACTS": str(tmp_path / "artifacts"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    options = ("--host", "127.0.0.1", "--port", str(port))
    with role(tmp_path / "mlflow", "mlflow", *options, ports={5000: port}, **variables) as mlflow:
        assert wait_for(lambda: mlflow.health() == 0, 240)
        for host, status in (("localhost:5000", 200), ("mlflow:5000", 200), ("evil.example:5000", 403)):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search", b'{"max_results": 1}',
                {"Host": host, "Content-Type": "application/json"},
            )  # fmt: skip
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    found = answer.status
            except urllib.error.HTTPError as refused:
                found = refused.code
            assert found == status, host
