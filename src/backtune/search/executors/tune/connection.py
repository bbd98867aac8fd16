"""A Ray to run on: one that is there, or a private one that leaves nothing behind."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtune.cluster.ray_access import client_variables, describe_token, environment, private_variables
from backtune.cluster.temporary_folder import temporary_folder
from backtune.errors import ClusterError

_STORE_BYTES = 128 * 2**20
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "60",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Cluster:
    """Which Ray: an address to join, or None for a private one on this machine with so many workers."""

    address: str | None = None
    workers: int | None = None

    @property
    def slots(self) -> int:
        """How many single-cpu units run at a time on a private cluster."""
        return self.workers or len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Connection:
    """A connected Ray: its cpus, and a folder of this process for what Ray and Tune want to write."""

    cpus: int
    scratch: Path


@contextmanager
def connected(cluster: Cluster) -> Iterator[Connection]:
    """Connect to Ray, or start a private one; leaves nothing behind that it started.

    Raises:
        ClusterError: Ray cannot be reached or started.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with temporary_folder("backtune-") as scratch:
        if _is_connected():
            import ray

            yield Connection(_n_cpus(ray), scratch)
            return
        with environment(_access(cluster)):
            import ray

            try:
                _start(ray, cluster, scratch)
                yield Connection(_n_cpus(ray), scratch)
            finally:
                ray.shutdown()


def _is_connected() -> bool:
    """Return whether this process has a connection to Ray, without importing Ray for the answer."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _access(cluster: Cluster) -> dict[str, str]:
    """Return how Ray is told to authenticate, before it is imported.

    A private cluster has a token of its own: by itself, Ray would leave one in the home directory, which changes how this
    user's later clusters authenticate.
    """
    return private_variables() if cluster.address is None else client_variables(cluster.address)


def _n_cpus(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 1))


def _start(ray: Any, cluster: Cluster, scratch: Path) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if cluster.address is not None:
            ray.init(address=cluster.address, **quiet)
        else:
            ray.init(
                address="local", num_cpus=cluster.slots, include_dashboard=False,
                # Everybody may connect to the sockets that Ray makes there, but for the folder around it.
                object_store_memory=_STORE_BYTES, _temp_dir=str(scratch / "ray"), **quiet,
            )  # fmt: skip
    except (
        ConnectionError,
        RuntimeError,
        ValueError,
        OSError,
        TimeoutError,
        ray.exceptions.RayError,
    ) as error:
        if cluster.address is None:
            raise ClusterError(f"Ray on this machine cannot be used: {last_line(error)}") from error
        raise ClusterError(
            f"Ray at {cluster.address} cannot be used: {last_line(error)} (where it asks for a token: {describe_token()})"
        ) from error


def last_line(error: BaseException) -> str:
    """What an error says at its end, where Ray puts the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:500]
