"""``backtune cluster up | status | down``: Ray's launcher on a file that was checked first."""

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

# What Ray imports for a provider, and how it is had.
_LIBRARIES: Final = {
    "aws": {"boto3": "pip install 'backtune[s3]'"},
    "gcp": {
        "googleapiclient": "pip install google-api-python-client",
        "google.auth": "pip install google-auth",
    },
}
# With what it reaches the machines.
_PROGRAMS: Final = ("ssh", "rsync")
_TOKEN: Final = "make it with `backtune cluster token`"  # noqa: S105
_WHEEL: Final = "make it with `make wheel`"


def start(path: Path, *, yes: bool) -> None:
    """Start a cluster, or bring a running one up to date with its file.

    Args:
        yes: whether Ray is not to ask before it does so.

    Raises:
        SpecError: the file is not one that can be started; nothing was asked of a cloud.
        ClusterError: what Ray takes is not installed, or Ray failed.
    """
    document = _launcher_file(path)
    _check_mounts(document, path)
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise ClusterError(f"{program} is not installed here; Ray reaches the machines with it")
    _ray(document, "up", path, *(["--yes"] if yes else []))


def show(path: Path) -> None:
    """Print what Ray's autoscaler on the head says: nodes, what they do, and what is waited for.

    Raises:
        SpecError, ClusterError: as for :func:`start`.
    """
    _ray(_launcher_file(path), "exec", path, "ray status")


def end(path: Path, *, yes: bool) -> None:
    """End all machines of a cluster, the head too. Data and results stay where they are.

    Raises:
        SpecError, ClusterError: as for :func:`start`.
    """
    _ray(_launcher_file(path), "down", path, *(["--yes"] if yes else []))


def _launcher_file(path: Path) -> Mapping[str, Any]:
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


def _check_mounts(document: Mapping[str, Any], path: Path) -> None:
    """Ray copies what is here to the machines; it would notice after it has paid for the first of them."""
    for there, here in document["file_mounts"].items():
        path_here = Path(here).expanduser()
        if path_here.is_file() and "token" in here and is_readable_by_others(path_here):
            raise SpecError(
                f"file_mounts.{there}", f"{here} is open to other users of this machine; chmod 600 {here}", value=str(path)
            )  # fmt: skip
        if not path_here.exists():
            way_out = _TOKEN if "token" in here else _WHEEL if here == "dist" else "correct the path"
            raise SpecError(
                f"file_mounts.{there}", f"{here} is not there; {way_out}, or give the command where it is",
                value=str(path),
            )  # fmt: skip


def _ray(document: Mapping[str, Any], command: str, path: Path, *arguments: str) -> None:
    provider = document["provider"]["type"]
    for module, way_out in _LIBRARIES.get(provider, {}).items():
        if _is_missing(module):
            raise ClusterError(
                f"Ray's launcher for {provider} takes {module}, which is not installed: {way_out}"
            )
    # Ray keeps what it found out of a cloud for days, and would go on with a subnet or an image that is gone.
    fresh = ["--no-config-cache"] if command == "up" else []
    launcher = [sys.executable, "-W", "ignore", "-m", "ray.scripts.scripts", command, *fresh]
    ended = subprocess.run([*launcher, str(path), *arguments], check=False)  # noqa: S603
    if ended.returncode != 0:
        raise ClusterError(f"`ray {command} {path}` ended with status {ended.returncode}; it says above why")


def _is_missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:
        return True
