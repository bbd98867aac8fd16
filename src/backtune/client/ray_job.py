"""The submission of a sweep as a job of a Ray cluster, without a gateway."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backtune.cluster.ray_access import is_loopback
from backtune.cluster.ray_jobs import RayJob, RayJobs
from backtune.results.runs_folder import locate_runs_folder
from backtune.spec import StrategyFile, SweepSpec, base_folder
from backtune.spec.documents import to_yaml
from backtune.storage.location import resolve_location
from backtune.strategy.registry import read_strategy_file

_ENTRYPOINT = "python -m backtune run spec.yaml"


def submit_sweep(jobs: RayJobs, spec: SweepSpec, address: str, runs: str | None = None) -> RayJob:
    """Start a sweep as a Ray job. The spec and its strategy files are sent to the cluster; data and results are not.

    On a cluster of this machine, relative paths start at the same folder as here. On another one they start at the
    cluster's own ``BACKTUNE_HOME`` and ``BACKTUNE_RUNS``.

    Raises:
        ClusterError: The cluster did not accept the job.
    """
    environment = {"RAY_JOB_STOP_WAIT_TIME_S": "30"}
    if is_loopback(address):
        home = base_folder()
        environment |= {
            "BACKTUNE_HOME": str(home),
            "BACKTUNE_RUNS": str(resolve_location(home, runs or locate_runs_folder()).resolve()),
        }
    elif runs is not None:
        environment["BACKTUNE_RUNS"] = runs
    with _pack_working_folder(spec) as folder:
        return jobs.submit(_ENTRYPOINT, working_dir=folder, environment=environment)


@contextmanager
def _pack_working_folder(spec: SweepSpec) -> Iterator[Path]:
    """Make a folder with the spec, the strategy files that it names and the modules that they import, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="backtune-submit-") as name:
        folder = Path(name)
        strategies: list[str | StrategyFile] = []
        for i, entry in enumerate(spec.grid.strategies):
            if isinstance(entry, StrategyFile):
                target = _copy_strategy(entry, folder / f"strategy_{i}")
                strategies.append(entry.model_copy(update={"file": str(target.relative_to(folder))}))
            else:
                strategies.append(entry)
        grid = spec.grid.model_copy(update={"strategies": tuple(strategies)})
        document = spec.model_copy(update={"grid": grid}).to_json()
        (folder / "spec.yaml").write_text(to_yaml(document), encoding="utf-8")
        yield folder


def _copy_strategy(entry: StrategyFile, folder: Path) -> Path:
    """Copy a strategy's file and its modules, with their relative places, and return the path of the copied file."""
    ref = read_strategy_file(entry)
    file = Path(ref.path)
    top = file.parents[len(ref.package.split("."))] if ref.package else file.parent
    for path in (file, *(Path(module.path) for module in ref.modules)):
        # A folder without __init__.py is a module too, and comes with what is in it.
        if path.is_file():
            target = folder / path.relative_to(top)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return folder / file.relative_to(top)
