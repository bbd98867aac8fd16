"""A Ray head with its job server, on the loopback address."""

import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_ports
from sweeps import environment, wait_for

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
# The jobs' `python` is the one that runs the tests.
PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"


@contextmanager
def ray_head(cpus: int, **variables: str) -> Iterator[str]:
    """The address of the dashboard; the head and its jobs have the given environment."""
    scratch = Path(tempfile.mkdtemp(prefix="bt-head-", dir="/tmp"))
    port, dashboard, client = free_ports(3)
    command = [
        *RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", f"--num-cpus={cpus}",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}",
        f"--temp-dir={scratch}", f"--object-store-memory={2**27}", "--disable-usage-stats",
        # By default every head wants the same ones, and takes no jobs where it does not get them.
        "--dashboard-agent-listen-port=0", "--metrics-export-port=0",
    ]  # fmt: skip
    with (scratch / "head.log").open("wb") as log:
        head = subprocess.Popen(
            command, env=environment(PATH=PATH, **variables), cwd=scratch, stdout=log, stderr=log
        )
    try:
        address = f"http://127.0.0.1:{dashboard}"
        assert wait_for(lambda: _answers(address), 60), (scratch / "head.log").read_text()
        yield address
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(scratch, ignore_errors=True)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/version", timeout=2):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        # It asks for a token.
        return True
    except OSError:
        return False
