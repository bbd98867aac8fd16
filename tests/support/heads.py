"""A Ray head with its job server, as ``backtune cluster head`` runs it."""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_ports
from sweeps import command, environment, wait_for

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
# The jobs' `python` is the one that runs the tests.
PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"


@contextmanager
def ray_head(cpus: int, **variables: str) -> Iterator[str]:
    """The address of the dashboard; the head and its jobs have the given environment, ``HOME`` with the token among it."""
    scratch = Path(tempfile.mkdtemp(prefix="bt-head-"))
    port, dashboard, client = free_ports(3)
    options = (
        f"--port={port}",
        f"--dashboard-port={dashboard}",
        f"--client-port={client}",
        f"--cpus={cpus}",
    )
    said = scratch / "head.log"
    with said.open("wb") as log:
        head = subprocess.Popen(
            command("cluster", "head", *options),
            env=environment(PATH=PATH, **variables),
            cwd=scratch,
            stdout=log,
            stderr=log,
        )
    try:
        assert wait_for(lambda: "is up" in said.read_text() or head.poll() is not None, 120)
        assert head.poll() is None, said.read_text()
        yield f"http://127.0.0.1:{dashboard}"
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(scratch, ignore_errors=True)
