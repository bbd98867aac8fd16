"""Processor time and memory of this process and of all that it started, from /proc."""

import os
from collections import Counter
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# What a command line has in it, to what is shown. The first that matches counts.
_KINDS = {
    "gcs_server": "gcs",
    "raylet/raylet": "raylet",
    "ray::": "workers",
    "default_worker": "workers",
    "dashboard": "ray's agents",
    "runtime_env/agent": "ray's agents",
    "log_monitor": "ray's agents",
    "monitor.py": "ray's agents",
    "reaper": "reaper",
}


def cpu_seconds() -> dict[str, float]:
    """Seconds of processor time by kind of process: ``driver`` is this one, ``workers`` are Ray's."""
    mine = os.getpid()
    parents, found = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            pid = int(entry.name)
            parents[pid] = int(fields[1])
            found[pid] = (command, (int(fields[11]) + int(fields[12])) / _TICKS)
    total: Counter[str] = Counter()
    for pid, (command, seconds) in found.items():
        if pid == mine:
            total["driver"] += seconds
        elif _descends(pid, mine, parents):
            total[_kind(command)] += seconds
    return dict(total)


def cpu_since(before: dict[str, float]) -> dict[str, float]:
    """What was used since, by kind, the most first."""
    now = cpu_seconds()
    used = {kind: seconds - before.get(kind, 0.0) for kind, seconds in now.items()}
    return dict(sorted(used.items(), key=lambda pair: -pair[1]))


def resident_bytes() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """The most that this process has had in memory."""
    # Not ru_maxrss, which a process has from its parent across fork and exec.
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) * 1024


def _kind(command: str) -> str:
    return next((kind for word, kind in _KINDS.items() if word in command), "other")


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != ancestor:
        pid = parents[pid]
    return pid == ancestor
