"""A Ray head on this machine whose autoscaler starts and ends nodes here, as a cloud's would start and end machines."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml
from ports import free_ports
from sweeps import wait_for

from faults.traces import MARK, processes

_HEAD_ID = "f" * 51 + "00000"
_PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
_VARIABLES = {
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_CLOUD_INSTANCE_ID": _HEAD_ID,
    "RAY_FAKE_CLUSTER": "1",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_ID,
    "RAY_enable_autoscaler_v2": "1",
    # A node that was killed refuses to answer, and is missed after seconds; one that is only slow is not.
    "RAY_health_check_period_ms": "500",
    "RAY_worker_niceness": "0",
}


@contextmanager
def autoscaled(environment: dict[str, str], *, most: int, idle_seconds: float) -> Iterator[str]:
    """The address of a head without a cpu, to which nodes with one cpu come as they are wanted.

    Args:
        environment: with a mark, by which the processes are known.
        most: nodes at a time.
        idle_seconds: after which a node without work goes.
    """
    folder = Path(tempfile.mkdtemp(prefix="auto-", dir="/tmp"))
    port, client, agent, metrics = free_ports(4)
    address = f"{_own_address()}:{port}"
    config = folder / "autoscaling.yaml"
    config.write_text(yaml.safe_dump(_config(address, most, idle_seconds)))
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=0",
        f"--node-ip-address={address.partition(':')[0]}", f"--port={port}", f"--ray-client-server-port={client}",
        f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}", "--include-dashboard=false",
        f"--temp-dir={folder / 'ray'}", f"--object-store-memory={100 * 2**20}", f"--autoscaling-config={config}",
        "--disable-usage-stats", "--include-log-monitor=false",
    ]  # fmt: skip
    variables = {**environment, **_VARIABLES, "RAY_TMPDIR": str(folder)}
    with (folder / "head.log").open("wb") as log:
        head = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
    try:
        started = wait_for(lambda: head.poll() is not None or "Ray runtime started" in _text(log.name), 120)
        assert started, _text(log.name)
        assert head.poll() is None, _text(log.name)
        yield address
    finally:
        head.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            head.wait(timeout=60)
        _end_all(environment[MARK], folder)
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _end_all(mark: str, folder: Path) -> None:
    """Of its nodes, Ray's provider leaves the process behind that follows their logs."""
    for process in processes(mark):
        if str(folder) in process.command:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def _config(address: str, most: int, idle_seconds: float) -> dict[str, object]:
    return {
        "cluster_name": "autoscaled",
        "max_workers": most,
        "idle_timeout_minutes": idle_seconds / 60,
        "upscaling_speed": 2.0,
        "provider": {
            "type": "external", "module": _PROVIDER, "gcs_address": address, "head_node_id": _HEAD_ID,
            "launch_multiple": True, "use_node_id_as_ip": True, "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {
                "resources": {"CPU": 1, "object_store_memory": 100 * 2**20}, "node_config": {},
                "min_workers": 0, "max_workers": most,
            },
        },
        "cluster_synced_files": [], "file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": [], "docker": {},
        "auth": {}, "head_setup_commands": [], "worker_setup_commands": [], "setup_commands": [],
        "initialization_commands": [], "file_mounts": {}, "head_start_ray_commands": [], "worker_start_ray_commands": [],
    }  # fmt: skip


def _own_address() -> str:
    """Nodes that are told 127.0.0.1 are taken for the head."""
    from ray.util import get_node_ip_address

    return str(get_node_ip_address())


def _text(name: str) -> str:
    return Path(name).read_text(errors="replace")
