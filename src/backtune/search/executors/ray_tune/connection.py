"""The connection to Ray: to a running cluster, or to a private one that leaves nothing behind."""

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
class RayTarget:
    """The cluster that a sweep runs on: a running one or a private one.

    Attributes:
        address: The address of a running cluster; None for a private one on this machine.
        workers: The number of workers of a private cluster, by default one per cpu.
    """

    address: str | None = None
    workers: int | None = None

    @property
    def slots(self) -> int:
        """The number of single-cpu units that run at a time on a private cluster."""
        return self.workers or len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class RayConnection:
    """A connected Ray cluster: its number of cpus, and a temporary folder of this process for Ray and Tune."""

    cpus: int
    scratch: Path


@contextmanager
def connect_to_ray(target: RayTarget) -> Iterator[RayConnection]:
    """Connect to Ray, or start a private cluster, which is stopped when the block ends.

    Raises:
        ClusterError: Ray cannot be reached or started.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with temporary_folder("backtune-") as scratch:
        # Looked up without importing Ray, which reads its environment when it is imported.
        imported = sys.modules.get("ray")
        if imported is not None and imported.is_initialized():
            yield RayConnection(_count_cpus(imported), scratch)
            return
        # A private cluster has a token of its own. Ray by itself would leave one in the home directory, which changes how
        # this user's later clusters authenticate.
        address = target.address
        with environment(private_variables() if address is None else client_variables(address)):
            import ray

            try:
                _start_ray(ray, target, scratch)
                yield RayConnection(_count_cpus(ray), scratch)
            finally:
                ray.shutdown()


def _count_cpus(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 1))


def _start_ray(ray: Any, target: RayTarget, scratch: Path) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if target.address is not None:
            ray.init(address=target.address, **quiet)
        else:
            ray.init(
                address="local",
                num_cpus=target.slots,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                # Ray's sockets there are open to every user; the folder around them is not.
                _temp_dir=str(scratch / "ray"),
                **quiet,
            )
    except (
        ConnectionError,
        RuntimeError,
        ValueError,
        OSError,
        TimeoutError,
        ray.exceptions.RayError,
    ) as error:
        if target.address is None:
            raise ClusterError(f"Ray on this machine cannot be used: {last_line(error)}") from error
        raise ClusterError(
            f"Ray at {target.address} cannot be used: {last_line(error)} (where it asks for a token: {describe_token()})"
        ) from error


def last_line(error: BaseException) -> str:
    """Return the kind and the last line of an error, where Ray puts the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:500]
