"""Start, show and end a cluster: Ray's launcher on a file that was checked first."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from backtune.cluster.check import check_file
from backtune.cluster.ray_access import is_readable_by_others
from backtune.errors import ClusterError, SpecError
from backtune.spec.documents import read_documents

# The modules that Ray imports for a provider, with the commands that install them.
_LIBRARIES: Final = {
    "aws": {"boto3": "pip install 'backtune[cluster]'"},
    "gcp": {
        "googleapiclient": "pip install google-api-python-client",
        "google.auth": "pip install google-auth",
    },
}
# Ray reaches the machines with these.
_PROGRAMS: Final = ("ssh", "rsync")


def start_cluster(path: Path, *, yes: bool) -> None:
    """Start a cluster, or bring a running one up to date with its file.

    Args:
        yes: True if Ray starts machines without asking first.

    Raises:
        SpecError: The file is not one that can be started. Nothing was asked of a cloud.
        ClusterError: A library or program that Ray takes is not installed, or Ray failed.
    """
    document = _read_launcher_file(path)
    _check_file_mounts(document, path)
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise ClusterError(f"{program} is not installed here; Ray reaches the machines with it")
    _run_ray(document, "up", path, *(["--yes"] if yes else []))


def show_cluster(path: Path) -> None:
    """Print the report of Ray's autoscaler on the head: nodes, their use, and pending demand.

    Raises:
        SpecError, ClusterError: See :func:`start_cluster`.
    """
    _run_ray(_read_launcher_file(path), "exec", path, "ray status")


def end_cluster(path: Path, *, yes: bool) -> None:
    """End all machines of a cluster, the head too. Data and results stay where they are.

    Raises:
        SpecError, ClusterError: See :func:`start_cluster`.
    """
    _run_ray(_read_launcher_file(path), "down", path, *(["--yes"] if yes else []))


def _read_launcher_file(path: Path) -> Mapping[str, Any]:
    checked = check_file(path)
    kind = checked.kinds[0]
    if len(checked.kinds) > 1 or not kind.startswith("launcher file"):
        raise SpecError(str(path), f"is a {kind}, for Kubernetes: kubectl apply -f {path}", value=kind)
    if checked.blanks:
        raise SpecError(
            str(path), f"is still to be filled in: {', '.join(checked.blanks)}", value=checked.blanks
        )
    document: Mapping[str, Any] = read_documents(path)[0].value
    return document


def _check_file_mounts(document: Mapping[str, Any], path: Path) -> None:
    """Check that the local side of every mount is there, which Ray would notice after paying for the first machine."""
    for there, here in document["file_mounts"].items():
        key, local = f"file_mounts.{there}", Path(here).expanduser()
        if not local.exists():
            way_out = "correct the path"
            if "token" in here:
                way_out = "make it with `backtune cluster token`"
            elif here == "dist":
                way_out = "make it with `make wheel`"
            problem = f"{here} is not there; {way_out}, or give the command where it is"
            raise SpecError(key, problem, value=str(path))
        if local.is_file() and "token" in here and is_readable_by_others(local):
            problem = f"{here} is open to other users of this machine; chmod 600 {here}"
            raise SpecError(key, problem, value=str(path))


def _run_ray(document: Mapping[str, Any], command: str, path: Path, *arguments: str) -> None:
    provider = document["provider"]["type"]
    for module, way_out in _LIBRARIES.get(provider, {}).items():
        if _is_missing(module):
            raise ClusterError(
                f"Ray's launcher for {provider} takes {module}, which is not installed: {way_out}"
            )
    # Ray caches its answers from a cloud for days, and would go on with a subnet or an image that is gone.
    options = ["--no-config-cache"] if command == "up" else []
    launcher = [sys.executable, "-W", "ignore", "-m", "ray.scripts.scripts", command, *options]
    done = subprocess.run([*launcher, str(path), *arguments], check=False)  # noqa: S603
    if done.returncode != 0:
        raise ClusterError(f"`ray {command} {path}` ended with status {done.returncode}; it says above why")


def _is_missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:
        return True
