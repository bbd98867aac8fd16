"""A Ray head of the gateway's own, for a machine that has no cluster. It outlives a gateway that is killed, and is found
again by the next one."""

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
from backtune.gateway.observing.logs import log
from backtune.spec import base_folder
from backtune.storage.files import read_json
from backtune.storage.location import get_local_path

_STORE_BYTES: Final = 128 * 2**20
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 15.0


@dataclass(frozen=True)
class _Running:
    """A head as it was started.

    Attributes:
        pid: of the command that holds it together; its own process group.
        port: of the dashboard, on this machine alone.
        folder: of its own; goes away with it.
        token: without it the head does nothing for anyone.
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
        """The environment of the head and of whoever asks it."""
        return {**ON_LOOPBACK, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    @property
    def answers(self) -> bool:
        return head_answers(self.address, self.token)


class LocalHead:
    """Of the gateways on one runs folder, one owns the head and the others use it; another takes over when it ends.

    Args:
        folder: of the gateway in the runs folder.
    """

    def __init__(self, folder: Path) -> None:
        self._state = folder / "head.json"
        self._log = folder / "head.log"
        self._lock_path = folder / "head.lock"
        self._lock: IO[str] | None = None
        self._running: _Running | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Of the dashboard, the same for as long as this process lives.

        Raises:
            ClusterError: it was not started.
        """
        if self._running is None:
            raise ClusterError("the head was not started")
        return self._running.address

    @property
    def is_owned(self) -> bool:
        """Whether this process ends it."""
        return self._lock is not None

    def start(self) -> None:
        """Find the head of an earlier gateway or of another one, or start one.

        Raises:
            ClusterError: it does not come up.
            ResultsError: the folder cannot be used.
        """
        until = time.monotonic() + _START_SECONDS
        while not self._take_lock():
            # Another gateway has it, or is just starting it.
            self._running = self._written()
            if self._running is not None and self._running.answers:
                break
            if time.monotonic() > until:
                raise ClusterError("the head of another gateway on this runs folder does not answer")
            time.sleep(0.2)
        else:
            self._running = self._written()
            if self._running is None or not self._is_alive() or not self._running.answers:
                self._begin()
                self._wait()
        self._authenticate()

    def ensure(self) -> None:
        """Start it again where it has died, at the same address, and end what ran on it. Does not wait until it answers.

        For its owner; others look whether they are that now.

        Raises:
            ResultsError: the folder cannot be used.
        """
        if (self.is_owned or self._take_lock()) and not self._is_alive():
            log().warning("the head has died", pid=self._running.pid if self._running else None)
            self._begin()

    def stop(self) -> None:
        """End it, and all that runs on it, if it is this process's."""
        if self._lock is None:
            return
        if self._running is not None and self._is_alive():
            with suppress(ProcessLookupError):
                os.kill(self._running.pid, signal.SIGTERM)
            until = time.monotonic() + _END_SECONDS
            while self._is_alive() and time.monotonic() < until:
                time.sleep(0.05)
        self._reap()
        self._state.unlink(missing_ok=True)
        self._lock.close()
        self._lock = None

    def _begin(self) -> None:
        before = self._running
        self._reap()
        ports, token = free_ports(), secrets.token_hex(32)
        if before is not None:
            ports, token = replace(ports, dashboard=before.port), before.token
        running = _Running(0, ports.dashboard, str(make_folder("backtune-head-")), token)
        self._child = self._spawn(running, ports)
        self._running = replace(running, pid=self._child.pid)
        self._write(self._running)
        log().info("head", pid=self._running.pid, address=self._running.address)

    def _spawn(self, running: _Running, ports: Ports) -> subprocess.Popen[bytes]:
        home = base_folder()
        options = (
            f"--num-cpus={len(os.sched_getaffinity(0))}", f"--object-store-memory={_STORE_BYTES}",
        )  # fmt: skip
        command = head_command(Path(running.folder), ports, *options)
        environment = head_environment(home, running.access)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            # In a session of its own: Ctrl-C is for the gateway, which ends the jobs in order first.
            return subprocess.Popen(  # noqa: S603
                command, env=environment, cwd=get_local_path(home), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while self._running is not None and time.monotonic() < until:
            if self._running.answers:
                return
            if not self._is_alive():
                break
            time.sleep(0.2)
        raise ClusterError("Ray's head does not come up; head.log in the gateway's folder says why")

    def _is_alive(self) -> bool:
        if self._running is None:
            return False
        if self._child is not None and self._child.pid == self._running.pid:
            return self._child.poll() is None
        try:
            command = Path(f"/proc/{self._running.pid}/cmdline").read_bytes()
        except OSError:
            return False
        return self._running.folder.encode() in command

    def _reap(self) -> None:
        """End what is left of the head and its jobs, and remove its folder."""
        if self._running is None or not Path(self._running.folder).exists():
            return
        clear_folder(Path(self._running.folder))

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

    def _write(self, running: _Running) -> None:
        """Keep what the next gateway needs, from the first moment for its user alone."""
        beside = self._state.with_suffix(".part")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(running), file)
        beside.replace(self._state)

    def _written(self) -> _Running | None:
        content = read_json(self._state)
        return None if content is None else _Running(**content)

    def _authenticate(self) -> None:
        """Put the token into the environment, where :class:`~backtune.gateway.jobs.RayJobs` finds it."""
        if self._running is not None:
            os.environ.update(self._running.access)
