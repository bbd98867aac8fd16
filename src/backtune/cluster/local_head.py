"""A Ray head for this machine alone: it listens on the loopback address, and asks for a token."""

from __future__ import annotations

import os
import socket
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from backtune.errors import MissingPackageError
from backtune.storage.location import Location

LOOPBACK: Final = "127.0.0.1"
_ANSWER_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Ports:
    """The ports on which a head listens.

    Attributes:
        gcs: Port for drivers and for Ray's own processes.
        dashboard: Port for jobs and for the pages of the dashboard.
        client: Port for Ray's client, ``ray://``.
    """

    gcs: int
    dashboard: int
    client: int

    @property
    def dashboard_address(self) -> str:
        return f"http://{LOOPBACK}:{self.dashboard}"


def head_command(folder: Path, ports: Ports, *options: str) -> list[str]:
    """Return the command that runs a head until it gets SIGTERM.

    Args:
        folder: Folder of this head alone, below which Ray writes everything. Only its user may read it, because Ray does
            not protect the sockets in it.
        ports: Ports on which the head listens.
        options: Further options of ``ray start``.

    Raises:
        MissingPackageError: The packages of Ray's dashboard, which accepts jobs, are not installed.
    """
    if find_spec("aiohttp_cors") is None:
        raise MissingPackageError("a Ray head that accepts jobs", "ray[default]", "cluster")
    return [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        f"--node-ip-address={LOOPBACK}",
        "--include-dashboard=true",
        f"--dashboard-host={LOOPBACK}",
        f"--dashboard-port={ports.dashboard}",
        f"--port={ports.gcs}",
        f"--ray-client-server-port={ports.client}",
        f"--temp-dir={folder / 'ray'}",
        # Whichever is free when it binds them: no job is taken where the agent finds its port in use.
        "--dashboard-agent-listen-port=0",
        "--metrics-export-port=0",
        *options,
    ]


def head_environment(home: Location, access: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a head and of its jobs, whose relative paths start at ``home``."""
    return {
        **os.environ,
        **access,
        "RAY_USAGE_STATS_ENABLED": "0",
        "BACKTUNE_HOME": str(home),
        # The jobs' `python` is this one.
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
    }


def head_answers(address: str, token: str) -> bool:
    """Return whether a head's dashboard is up and takes this token."""
    request = urllib.request.Request(  # noqa: S310
        f"{address}/api/version", headers={"Authorization": f"Bearer {token}"}
    )
    # Whatever proxy the environment names: it is no business of its.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_ANSWER_SECONDS) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def free_ports() -> Ports:
    """Return ports that nothing listens on; nothing keeps them for the caller."""
    sockets = [socket.socket() for _ in range(3)]
    try:
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return Ports(*(one.getsockname()[1] for one in sockets))
    finally:
        for one in sockets:
            one.close()


def is_free(port: int) -> bool:
    """Return whether a head could listen on a port of the loopback address."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
