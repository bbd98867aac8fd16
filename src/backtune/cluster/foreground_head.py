"""A Ray head that runs as long as a command, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Final

from backtune.cluster.local_head import LOOPBACK, Ports, head_answers, head_command, head_environment, is_free
from backtune.cluster.ray_access import find_token, head_variables, token_path
from backtune.cluster.signals import handle_signals
from backtune.cluster.temporary_folder import temporary_folder
from backtune.errors import ClusterError
from backtune.spec import base_folder
from backtune.storage.location import get_local_path

_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.2
_LOG_LINES: Final = 15


def run_head(ports: Ports, *, cpus: int | None = None, with_parent: bool = False) -> None:
    """Run a head until this process is told to end, and leave nothing behind, however it ends.

    Args:
        ports: The ports on which the head listens.
        cpus: The number of cpus that jobs and units may take; by default all of this machine's.
        with_parent: The head ends also when the process that started this one does.

    Raises:
        ClusterError: A port is taken, the token cannot be kept, or the head does not come up or ends by itself.
    """
    parent = os.getppid() if with_parent else None
    access = head_variables()
    token = find_token()
    if token is None:
        raise ClusterError(f"there is no token in {token_path()}")
    for port in (ports.gcs, ports.dashboard, ports.client):
        if not is_free(port):
            raise ClusterError(f"port {port} of {LOOPBACK} is taken, maybe by another head; give another one")
    options = [] if cpus is None else [f"--num-cpus={cpus}"]
    stop = threading.Event()
    stop_signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with handle_signals(stop.set, *stop_signals), temporary_folder("backtune-head-") as folder:
        home = base_folder()
        with (folder / "head.log").open("wb") as output:
            # In a session of its own: Ctrl-C is for this process, which ends the head in order.
            head = subprocess.Popen(  # noqa: S603
                head_command(folder, ports, *options),
                env=head_environment(home, access),
                cwd=get_local_path(home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _watch_head(head, ports, token, stop, parent)
            if not stop.is_set() and head.poll() is not None:
                log = (folder / "head.log").read_text(encoding="utf-8", errors="replace").strip()
                tail = "\n".join(log.splitlines()[-_LOG_LINES:])
                raise ClusterError(f"Ray's head ended with status {head.returncode}: {tail}")
        finally:
            _end_head(head)


def _watch_head(
    head: subprocess.Popen[bytes], ports: Ports, token: str, stop: threading.Event, parent: int | None
) -> None:
    """Announce the head once it is up, and return when it has ended or is to end."""
    is_up = False
    until = time.monotonic() + _START_SECONDS
    while head.poll() is None and not stop.wait(_POLL_SECONDS):
        if parent is not None and os.getppid() != parent:
            stop.set()
        elif not is_up and head_answers(ports.dashboard_address, token):
            is_up = True
            sys.stdout.write(_describe_access(ports))
            sys.stdout.flush()
        elif not is_up and time.monotonic() > until:
            raise ClusterError(f"Ray's head does not come up within {_START_SECONDS:.0f} seconds")


def _describe_access(ports: Ports) -> str:
    kept = "$RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else str(token_path())
    address = ports.dashboard_address
    return (
        f"Ray's head is up on {LOOPBACK} alone, for whoever has the token in {kept}; Ctrl-C ends it.\n"
        f"  backtune submit SPEC --address {address} --wait\n"
        f"  RAY_AUTH_MODE=token ray job submit --address {address} --working-dir . -- python jobs/sweep.py SPEC\n"
        f"  backtune run SPEC --address {LOOPBACK}:{ports.gcs}\n"
    )


def _end_head(head: subprocess.Popen[bytes]) -> None:
    """End the head in order. Anything that is left of it goes with its folder."""
    if head.poll() is not None:
        return
    head.terminate()
    try:
        head.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()
