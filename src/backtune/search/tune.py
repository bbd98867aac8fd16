"""Units on Ray Tune: one Tune trial runs one unit. The only door to Ray of the search.

Tune schedules: placement, retries, demand for the autoscaler. It carries no data and no results: workers read bars
from the catalog and write segments, so a retried unit goes on where its log ends.
"""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtune.errors import ClusterError
from backtune.search import reaper
from backtune.search.unit import Brake, Unit, run_unit

# After a stop, running units get this long to write what they have before Tune ends them.
_DRAIN_SECONDS = 3.0
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
class UnitResources:
    """What a unit takes, and how often one that died with its worker is run again."""

    cpus: float
    max_failures: int


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


def run_units(
    connection: Connection,
    units: Sequence[Unit],
    studies_folder: Path,
    brake: Brake,
    resources: UnitResources,
) -> dict[str, str]:
    """Run all units on the connected Ray.

    Returns:
        For every study whose unit was given up: why. Its finished trials are in its log.
    """
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_trainable, units=list(units), folder=studies_folder.resolve(), brake=brake),
            {"cpu": resources.cpus},
        ),
        param_space={"unit": tune.grid_search(list(range(len(units))))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            name="units",
            storage_path=str(connection.scratch),
            stop=_stopper(brake),
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            verbose=0,
        ),
    )
    results = tuner.fit()
    lost: dict[str, str] = {}
    for result in (results[i] for i in range(len(results))):
        if result.error is not None:
            unit = units[result.config["unit"]] if result.config else ()
            lost.update({study.id: _last_line(result.error) for study in unit})
    return lost


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
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as watching:  # noqa: S603
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
        raise ClusterError(f"Ray {where} cannot be used: {_last_line(error)}") from error


def _trainable(config: dict[str, Any], *, units: list[Unit], folder: Path, brake: Brake) -> dict[str, Any]:
    run_unit(units[config["unit"]], folder, brake)
    return {"done": True}


def _stopper(brake: Brake) -> Any:
    from ray.tune.stopper import Stopper

    class AfterDraining(Stopper):
        """Ends all Tune trials once the brake has been on for as long as draining may take."""

        def __init__(self) -> None:
            self._since: float | None = None

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
            return False

        def stop_all(self) -> bool:
            if self._since is None and brake():
                self._since = time.monotonic()
            return self._since is not None and time.monotonic() - self._since > _DRAIN_SECONDS

    return AfterDraining()


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:500]
