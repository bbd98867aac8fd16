"""A Ray cluster of several raylets on this machine, in a process of its own, told what to do line by line.

Run as a script: ``raylets.py FOLDER``. It says the address, then obeys ``add`` (a node with one cpu; says its raylet's
pid), and ends the cluster with its standard input.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Raylets:
    """The cluster, seen from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._answer()

    def add(self) -> int:
        """Add a node with one cpu; returns the pid of its raylet."""
        assert self._process.stdin is not None
        self._process.stdin.write("add\n")
        self._process.stdin.flush()
        return int(self._answer())

    def end(self) -> None:
        """End the cluster."""
        self._process.communicate(timeout=60)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the cluster could not be started"
        return line


@contextmanager
def raylets(folder: Path, environment: dict[str, str]) -> Iterator[Raylets]:
    """A cluster whose head has no cpu; it ends with the block."""
    # Where Ray notes the address of the latest cluster, which is nobody else's business.
    (folder / "ray").mkdir()
    process = subprocess.Popen(
        [sys.executable, __file__, folder],
        env={**environment, "RAY_TMPDIR": str(folder)},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield Raylets(process)
    finally:
        if process.poll() is None:
            process.communicate(timeout=60)


def main() -> None:
    from ray.cluster_utils import Cluster

    said = os.fdopen(os.dup(1), "w", buffering=1)
    # Ray is not silent on stdout.
    os.dup2(2, 1)
    common = {"object_store_memory": 100 * 2**20}
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "temp_dir": f"{sys.argv[1]}/ray",
            "gcs_server_port": 0,
            **common,
        },
    )
    print(cluster.address, file=said)
    threading.Thread(target=_reap, args=[cluster], daemon=True).start()
    for _ in sys.stdin:
        node = cluster.add_node(num_cpus=1, **common)
        (raylet,) = (info.process for info in node.all_processes["raylet"])
        print(raylet.pid, file=said)
    cluster.shutdown()


def _reap(cluster: Any) -> None:
    """Wait for raylets that were killed: as long as nobody does, their workers take them to be alive."""
    while True:
        for node in list(cluster.worker_nodes):
            for info in node.all_processes.get("raylet", ()):
                info.process.poll()
        time.sleep(0.2)


if __name__ == "__main__":
    main()
