"""A Ray to run on: one that is there, or a private one that leaves nothing behind."""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtune import reaper
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
# Ray puts sockets below its folder, and their paths are limited to 107 bytes: $TMPDIR may be too long.
_TEMPORARY = Path("/tmp")  # noqa: S108


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
    _set_authentication(private=cluster.address is None)
    import ray

    joined = ray.is_initialized()
    with _scratch_folder() as scratch:
        try:
            if not joined:
                _start(ray, cluster, scratch)
            yield Connection(_n_cpus(ray), scratch)
        finally:
            if not joined:
                ray.shutdown()


def _n_cpus(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 1))


def _set_authentication(*, private: bool) -> None:
    """Say explicitly how Ray authenticates, unless the user did.

    A private cluster takes a token of its own: by itself, Ray would leave one in the home directory, which changes
    how this user's later clusters authenticate.
    """
    if "RAY_AUTH_MODE" in os.environ:
        return
    if private:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    else:
        os.environ["RAY_AUTH_MODE"] = "disabled"


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder that goes away with this process, however it ends, and with it whoever writes there."""
    folder = Path(tempfile.mkdtemp(prefix="backtune-", dir=_TEMPORARY))
    command = [sys.executable, "-I", "-S", reaper.__file__, str(folder)]
    # Without our output: of a job, that is a file of its head, and who ends a head ends all that write to its files.
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as watching:
        try:
            yield folder
        finally:
            if watching.stdin is not None:
                watching.stdin.close()


def _start(ray: Any, cluster: Cluster, scratch: Path) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if cluster.address is not None:
            ray.init(address=cluster.address, **quiet)
        else:
            ray.init(
                address="local", num_cpus=cluster.slots, include_dashboard=False,
                object_store_memory=_STORE_BYTES, _temp_dir=str(scratch), **quiet,
            )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        where = cluster.address or "on this machine"
        raise ClusterError(f"Ray {where} cannot be used: {last_line(error)}") from error


def last_line(error: BaseException) -> str:
    """What an error says at its end, where Ray puts the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:500]
