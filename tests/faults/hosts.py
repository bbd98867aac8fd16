"""Several hosts on one machine: each is a network namespace with an address of its own, all on one switch.

The namespaces have no names. Each lives as long as a process that does nothing in it, and these end with the test, however
it ends; the wires go with them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sweeps import wait_for

_RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_PORT = 6379
_STORE_BYTES = 100 * 2**20
# Ended with the process that starts it.
_TIED = ["setpriv", "--pdeathsig", "TERM"]
# A host that does not answer is taken for dead after two seconds, and not after thirty.
_HASTY = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "4",
}


@cache
def why_not() -> str:
    """Why there can be no hosts here; empty where there can."""
    missing = [
        name for name in ("ip", "mount", "nsenter", "setpriv", "unshare") if shutil.which(name) is None
    ]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        with switched(1):
            return ""
    except (subprocess.CalledProcessError, AssertionError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return f"network namespaces are not permitted here: {said.strip().splitlines()[-1]}"


@dataclass
class Host:
    """One of the hosts.

    Attributes:
        holder: the process that keeps its namespace.
        address: of it.
        switch, port: the other end of its wire.
        folder: of its own, for what Ray writes.
    """

    holder: subprocess.Popen[bytes]
    address: str
    switch: subprocess.Popen[bytes]
    port: str
    folder: Path
    rays: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def inside(self) -> tuple[str, ...]:
        """What is put before a command to run it there."""
        return _inside(self.holder)

    def cut_off(self) -> None:
        """Nothing goes through its wire any longer."""
        _run([*_inside(self.switch), "ip", "link", "set", self.port, "down"])

    def connect(self) -> None:
        """The wire is whole again."""
        _run([*_inside(self.switch), "ip", "link", "set", self.port, "up"])

    def reaches(self, other: Host) -> bool:
        """Whether the other host's Ray answers from here."""
        program = f"import socket; socket.create_connection(({other.address!r}, {_PORT}), timeout=1).close()"
        command = [*self.inside, sys.executable, "-I", "-S", "-c", program]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def start_ray(
        self,
        environment: dict[str, str],
        *,
        head: Host | None = None,
        cpus: int = 1,
        without: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start Ray, as a head or to join one.

        Args:
            without: a folder that is empty on this host, as one is that nobody has mounted.
        """
        blind = (
            ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(without)]
            if without is not None
            else []
        )
        temporary = self.folder / f"r{len(self.rays)}"
        temporary.mkdir(parents=True)
        role = (
            ["--head", f"--port={_PORT}", "--include-dashboard=false"]
            if head is None
            else [f"--address={head.address}:{_PORT}"]
        )
        command = [
            *_TIED, *self.inside, *blind, *_RAY, "start", *role, "--block", f"--node-ip-address={self.address}", f"--num-cpus={cpus}",
            f"--object-store-memory={_STORE_BYTES}", f"--temp-dir={temporary}", "--disable-usage-stats",
        ]  # fmt: skip
        with (temporary / "start.log").open("wb") as log:
            process = subprocess.Popen(
                command, env={**environment, **_HASTY, "RAY_TMPDIR": str(temporary)}, stdout=log, stderr=log
            )  # fmt: skip
        self.rays.append(process)
        return process

    def end(self) -> None:
        """End its Ray."""
        for ray in self.rays:
            if ray.poll() is None:
                ray.send_signal(signal.SIGTERM)
        for ray in self.rays:
            try:
                ray.wait(timeout=30)
            except subprocess.TimeoutExpired:
                ray.kill()
                ray.wait()

    def log(self) -> str:
        """What its Ray said when it started."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("r*/start.log")))


@contextmanager
def switched(n: int) -> Iterator[list[Host]]:
    """So many hosts on one switch; all of it goes with the block."""
    with ExitStack() as ended:
        # Ray's sockets want short names.
        folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))
        ended.callback(shutil.rmtree, folder, ignore_errors=True)
        switch = _namespace(ended)
        _run([*_inside(switch), "ip", "link", "add", "lan", "type", "bridge"])
        _run([*_inside(switch), "ip", "link", "set", "lan", "up"])
        hosts = []
        for k in range(1, n + 1):
            host = Host(_namespace(ended), f"10.231.0.{k}", switch, f"port{k}", folder / str(k))
            _wire(host)
            hosts.append(host)
            ended.callback(host.end)
        yield hosts


@contextmanager
def cluster(environment: dict[str, str], n: int = 3) -> Iterator[list[Host]]:
    """Hosts of which the first is a head without a cpu, and the others are ready to join it."""
    with switched(n) as hosts:
        head = hosts[0]
        ray = head.start_ray(environment, cpus=0)
        up = wait_for(lambda: ray.poll() is not None or head.reaches(head), 60)
        assert up, head.log()
        assert ray.poll() is None, head.log()
        yield hosts


def _wire(host: Host) -> None:
    inside, switch = host.inside, _inside(host.switch)
    peer = ["peer", "name", "eth0", "netns", str(host.holder.pid)]
    _run([*switch, "ip", "link", "add", host.port, "type", "veth", *peer])
    _run([*switch, "ip", "link", "set", host.port, "master", "lan", "up"])
    _run([*inside, "ip", "address", "add", f"{host.address}/24", "dev", "eth0"])
    for device in ("lo", "eth0"):
        _run([*inside, "ip", "link", "set", device, "up"])


def _namespace(ended: ExitStack) -> subprocess.Popen[bytes]:
    own = os.readlink("/proc/self/ns/net")  # noqa: PTH115
    holder = subprocess.Popen([*_TIED, "unshare", "--net", "sleep", "infinity"], stderr=subprocess.PIPE)
    ended.callback(_end, holder)

    def is_there() -> bool:
        return holder.poll() is not None or os.readlink(f"/proc/{holder.pid}/ns/net") != own  # noqa: PTH115

    assert wait_for(is_there, 10)
    if holder.poll() is not None:
        assert holder.stderr is not None
        raise AssertionError(holder.stderr.read().decode())
    return holder


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _inside(holder: subprocess.Popen[bytes]) -> tuple[str, ...]:
    return "nsenter", f"--net=/proc/{holder.pid}/ns/net"


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
