"""A Ray head of the gateway's own, for a machine without a cluster.

It outlives a gateway that is killed, and the next gateway finds it again.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Final

from backtune.cluster.local_head import (
    LOOPBACK,
    Ports,
    free_ports,
    head_answers,
    head_command,
    head_environment,
)
from backtune.cluster.ray_access import ON_LOOPBACK
from backtune.cluster.temporary_folder import clear_folder, make_folder
from backtune.errors import ClusterError
from backtune.gateway.monitoring.logs import log
from backtune.spec import base_folder
from backtune.storage.files import read_json
from backtune.storage.location import get_local_path

_STORE_BYTES: Final = 128 * 2**20
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 15.0


@dataclass(frozen=True)
class _HeadProcess:
    """A Ray head that was started.

    Attributes:
        pid: The id of the process that holds the head together, which leads its own process group.
        port: The port of the dashboard, on this machine only.
        folder: The head's own folder, which is removed with it.
        token: The token without which the head serves nobody.
    """

    pid: int
    port: int
    folder: str
    token: str

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def access(self) -> dict[str, str]:
        """The environment variables of the head and of its clients."""
        return {**ON_LOOPBACK, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    @property
    def is_answering(self) -> bool:
        return head_answers(self.address, self.token)


class LocalHead:
    """A Ray head that the gateways on one runs folder share.

    One gateway owns it; another takes over when that one ends.
    """

    def __init__(self, folder: Path) -> None:
        self._state_path = folder / "head.json"
        self._log_path = folder / "head.log"
        self._lock_path = folder / "head.lock"
        self._lock: IO[str] | None = None
        self._head: _HeadProcess | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The address of the dashboard, which stays the same while this process lives.

        Raises:
            ClusterError: The head was not started.
        """
        if self._head is None:
            raise ClusterError("the head was not started")
        return self._head.address

    @property
    def is_owned(self) -> bool:
        """True if this process owns the head, and therefore ends it."""
        return self._lock is not None

    def start(self) -> None:
        """Find the head of an earlier or another gateway, or start one.

        Raises:
            ClusterError: The head does not start.
            ResultsError: The folder cannot be used.
        """
        until = time.monotonic() + _START_SECONDS
        while not self._take_lock():
            # Another gateway owns the head, or is just starting it.
            self._head = self._read_state()
            if self._head is not None and self._head.is_answering:
                break
            if time.monotonic() > until:
                raise ClusterError("the head of another gateway on this runs folder does not answer")
            time.sleep(0.2)
        else:
            self._head = self._read_state()
            if self._head is None or not self._is_alive() or not self._head.is_answering:
                self._start_head()
                self._wait_for_answer()
        if self._head is not None:
            # RayJobs finds the token there.
            os.environ.update(self._head.access)

    def ensure_alive(self) -> None:
        """Start a dead head again at the same address, without waiting until it answers, and end what ran on it.

        Only the owner does so; any other gateway tries to become the owner.

        Raises:
            ResultsError: The folder cannot be used.
        """
        if (self.is_owned or self._take_lock()) and not self._is_alive():
            log.warning("the head has died", pid=self._head.pid if self._head else None)
            self._start_head()

    def stop(self) -> None:
        """End the head and everything that runs on it, if this process owns it."""
        if self._lock is None:
            return
        if self._head is not None and self._is_alive():
            with suppress(ProcessLookupError):
                os.kill(self._head.pid, signal.SIGTERM)
            until = time.monotonic() + _END_SECONDS
            while self._is_alive() and time.monotonic() < until:
                time.sleep(0.05)
        self._clear_remains()
        self._state_path.unlink(missing_ok=True)
        self._lock.close()
        self._lock = None

    def _start_head(self) -> None:
        before = self._head
        self._clear_remains()
        ports, token = free_ports(), secrets.token_hex(32)
        if before is not None:
            ports, token = replace(ports, dashboard=before.port), before.token
        head = _HeadProcess(0, ports.dashboard, str(make_folder("backtune-head-")), token)
        self._child = self._spawn(head, ports)
        self._head = replace(head, pid=self._child.pid)
        self._write_state(self._head)
        log.info("head", pid=self._head.pid, address=self._head.address)

    def _spawn(self, head: _HeadProcess, ports: Ports) -> subprocess.Popen[bytes]:
        home = base_folder()
        n_cpus = len(os.sched_getaffinity(0))
        command = head_command(
            Path(head.folder), ports, f"--num-cpus={n_cpus}", f"--object-store-memory={_STORE_BYTES}"
        )
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("ab") as output:
            return subprocess.Popen(  # noqa: S603
                command,
                env=head_environment(home, head.access),
                cwd=get_local_path(home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for the gateway alone, which ends the jobs in order first.
                start_new_session=True,
            )

    def _wait_for_answer(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while self._head is not None and time.monotonic() < until:
            if self._head.is_answering:
                return
            if not self._is_alive():
                break
            time.sleep(0.2)
        raise ClusterError("Ray's head does not start; head.log in the gateway's folder says why")

    def _is_alive(self) -> bool:
        if self._head is None:
            return False
        if self._child is not None and self._child.pid == self._head.pid:
            return self._child.poll() is None
        try:
            command = Path(f"/proc/{self._head.pid}/cmdline").read_bytes()
        except OSError:
            return False
        return self._head.folder.encode() in command

    def _clear_remains(self) -> None:
        """End the processes that are left of the head and its jobs, and remove its folder."""
        if self._head is not None and Path(self._head.folder).exists():
            clear_folder(Path(self._head.folder))

    def _take_lock(self) -> bool:
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        file = self._lock_path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._lock = file
        return True

    def _write_state(self, head: _HeadProcess) -> None:
        """Write the file that the next gateway finds the head with; from the start, only its user can read it."""
        temporary = self._state_path.with_suffix(".part")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(head), file)
        temporary.replace(self._state_path)

    def _read_state(self) -> _HeadProcess | None:
        content = read_json(self._state_path)
        return None if content is None else _HeadProcess(**content)
