"""What a sweep may leave on the machine, and only that sweep: other Rays may run beside it.

Every process of a sweep inherits a mark in its environment, and is known by it even when its parents are gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MARK = "FAULTS_MARK"
# Ray's processes retitle themselves, by default over their environment in /proc.
KEEPS_ENVIRONMENT = {"SPT_NOENV": "1"}

_SHARED = (("/dev/shm", "*"), ("/tmp", "backtune-*"), ("/tmp/ray", "session_*"))  # noqa: S108
_LISTENS = "0A"


@dataclass(frozen=True)
class Process:
    """One live process."""

    pid: int
    parent: int
    state: str
    command: str

    @property
    def is_worker(self) -> bool:
        """Whether it is a worker of Ray with something to do."""
        idle = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
        return self.command.startswith("ray::") and not self.command.startswith(idle)

    @property
    def is_raylet(self) -> bool:
        return self.command.split(" ")[0].endswith("/raylet")


def processes(mark: str) -> list[Process]:
    """The live processes that carry the mark."""
    wanted = f"{MARK}={mark}".encode()
    return [process for pid in _pids() if wanted in _environment(pid) and (process := _process(pid))]


@dataclass
class Traces:
    """What a marked sweep has on the machine, looked at from time to time, and what of it stays behind.

    Attributes:
        mark: of the sweep's processes.
        own: folders of the sweep alone that must be empty in the end, such as its $TMPDIR.
    """

    mark: str
    own: tuple[Path, ...] = ()
    _before: set[str] = field(default_factory=lambda: set(_shared_names()))
    _sockets: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What the sweep must be started with."""
        return {MARK: self.mark, **KEEPS_ENVIRONMENT}

    def look(self) -> None:
        """Note the ports that the sweep listens on now; a port can be told from another's only while it is held."""
        held = {inode for process in processes(self.mark) for inode in _socket_inodes(process.pid)}
        self._sockets.update({inode: port for inode, port in _listening().items() if inode in held})

    def left_behind(self) -> list[str]:
        """Processes, ports, shared memory and temporary files that are still there, each in words."""
        alive = processes(self.mark)
        listening = _listening()
        new = set(_shared_names()) - self._before
        foreign = _names_in_use({process.pid for process in alive}) if new else ""
        return [
            *(f"process {process.pid}: {process.command}" for process in alive),
            *(f"port {port}" for inode, port in self._sockets.items() if inode in listening),
            *(name for name in sorted(new) if name not in foreign and Path(name).exists()),
            *(str(path) for folder in self.own for path in sorted(folder.rglob("*"))),
        ]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _process(pid: int) -> Process | None:
    """None where it has ended, be it waited for or not."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    text = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return Process(pid, int(parent), state, text) if state not in "ZX" else None


def _socket_inodes(pid: int) -> Iterator[str]:
    for target in _open_files(pid):
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _open_files(pid: int) -> list[str]:
    found = []
    with suppress(OSError):
        for link in list(Path(f"/proc/{pid}/fd").iterdir()):
            with suppress(FileNotFoundError):
                found.append(os.readlink(link))  # noqa: PTH115
    return found


def _listening() -> dict[str, str]:
    """Ports that are listened on, by the inode of the socket."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTENS:
                found[columns[9]] = str(int(columns[1].rpartition(":")[2], 16))
    return found


def _shared_names() -> list[str]:
    return [str(path) for folder, pattern in _SHARED for path in Path(folder).glob(pattern)]


def _names_in_use(marked: set[int]) -> str:
    """What the other processes have open or mapped, or name on their command line."""
    texts = []
    for pid in set(_pids()) - marked:
        texts.extend(_open_files(pid))
        for name in ("cmdline", "maps"):
            with suppress(OSError):
                texts.append(Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace"))
    return "\n".join(texts)
