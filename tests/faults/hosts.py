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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sweeps import wait_for

_RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_PORT = 6379
_STORE_BYTES = 100 * 2**20
# Ended with the process that starts it.
TIED = ["setpriv", "--pdeathsig", "TERM"]
# What is run, and where Debian has it.
_TOOLS = {
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "umount": "mount",
    "unshare": "util-linux",
}
_MOUNT_NOTHING = ["mount", "-t", "tmpfs", "none"]
# A host that does not answer is taken for dead after four seconds, and not after thirty; workers wait for nobody.
_HASTY = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "RAY_worker_niceness": "0",
}


@cache
def why_not() -> str:
    """Why there can be no hosts here; empty where there can."""
    missing = [f"{name} ({package})" for name, package in _TOOLS.items() if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        with switched(1) as (host,):
            host.folder.mkdir()
            _run(["unshare", "--mount", *_MOUNT_NOTHING, str(host.folder)])
            return ""
    except (subprocess.SubprocessError, AssertionError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"namespaces are not permitted here: {said.strip().splitlines()[-1]}"


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

    @contextmanager
    def without(self, folder: Path) -> Iterator[None]:
        """In the block, its latest Ray finds the folder empty, as one that nobody has mounted there."""
        there = ["nsenter", f"--mount=/proc/{self.rays[-1].pid}/ns/mnt"]
        _run([*there, *_MOUNT_NOTHING, str(folder)])
        yield
        _run([*there, "umount", "--lazy", str(folder)])

    def gave_up(self, other: Host) -> bool:
        """Whether the Ray of this head has taken the other host for dead."""
        log = self.folder / "r0" / "session_latest" / "logs" / "gcs_server.out"
        return f"node name: {other.address} has been marked dead" in log.read_text()

    def reaches(self, other: Host) -> bool:
        """Whether the other host's Ray answers from here."""
        program = f"import socket; socket.create_connection(({other.address!r}, {_PORT}), timeout=1).close()"
        command = [*self.inside, sys.executable, "-I", "-S", "-c", program]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def start_ray(
        self, environment: dict[str, str], *, head: Host | None = None, cpus: int = 1
    ) -> subprocess.Popen[bytes]:
        """Start Ray, as a head or to join one, with mounts of its own."""
        temporary = self.folder / f"r{len(self.rays)}"
        temporary.mkdir(parents=True)
        role = (
            ["--head", f"--port={_PORT}", "--include-dashboard=false"]
            if head is None
            else [f"--address={head.address}:{_PORT}"]
        )
        command = [
            *TIED, *self.inside, "unshare", "--mount", *_RAY, "start", *role, "--block", f"--node-ip-address={self.address}", f"--num-cpus={cpus}",
            f"--object-store-memory={_STORE_BYTES}", f"--temp-dir={temporary}", "--disable-usage-stats",
            "--include-log-monitor=false",
        ]  # fmt: skip
        with (temporary / "start.log").open("wb") as log:
            process = subprocess.Popen(
                command, env={**environment, **_HASTY, "RAY_TMPDIR": str(temporary)}, stdout=log, stderr=log
            )  # fmt: skip
        self.rays.append(process)
        return process

    def log(self) -> str:
        """What its Ray said when it started."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("r*/start.log")))


def end(*hosts: Host) -> None:
    """End the Rays of these hosts, all at a time."""
    rays = [ray for host in hosts for ray in host.rays if ray.poll() is None]
    for ray in rays:
        ray.send_signal(signal.SIGTERM)
    for ray in rays:
        try:
            ray.wait(timeout=60)
        except subprocess.TimeoutExpired:
            ray.kill()
            ray.wait()


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
        hosts: list[Host] = []
        for k in range(1, n + 1):
            host = Host(_namespace(ended), f"10.231.0.{k}", switch, f"port{k}", folder / str(k))
            _wire(host)
            hosts.append(host)
        ended.callback(end, *hosts)
        yield hosts


@contextmanager
def cluster(environment: dict[str, str], n: int = 3) -> Iterator[list[Host]]:
    """Hosts of which the first is a head without a cpu, and the others are ready to join it."""
    with switched(n) as hosts:
        head = hosts[0]
        ray = head.start_ray(environment, cpus=0)
        up = wait_for(lambda: ray.poll() is not None or head.reaches(head), 120)
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
    holder = subprocess.Popen([*TIED, "unshare", "--net", "sleep", "infinity"], stderr=subprocess.PIPE)
    ended.callback(_end, holder)

    def is_there() -> bool:
        with suppress(OSError):
            return os.readlink(f"/proc/{holder.pid}/ns/net") != own  # noqa: PTH115
        return False

    wait_for(lambda: holder.poll() is not None or is_there(), 60)
    if holder.poll() is not None:
        assert holder.stderr is not None
        raise AssertionError(holder.stderr.read().decode() or f"unshare ended with {holder.returncode}")
    assert is_there(), "unshare takes more than a minute"
    return holder


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _inside(holder: subprocess.Popen[bytes]) -> tuple[str, ...]:
    return "nsenter", f"--net=/proc/{holder.pid}/ns/net"


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
