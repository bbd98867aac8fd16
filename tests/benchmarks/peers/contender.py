"""What every contender of bench_kernel.py has in common: its task comes in on stdin, its report goes out on stdout.

Imports nothing that is not in every contender's environment.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
CHECKED = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades")


@dataclass(frozen=True)
class Task:
    """Candidates of one strategy on the bars of a Parquet file.

    Attributes:
        bars: path of a file with the columns timestamp (UTC), open, high, low, close, volume.
        bars_per_year: annualises the Sharpe ratio.
        candidates: parameters by name.
        execution: the keys of a spec's ``execution`` section that the contender is told.
        contenders: which of the script's contenders to run.
        repetitions: how often everything is timed.
        batch: candidates in one call, where the contender takes several.
    """

    bars: str
    timeframe: str
    bars_per_year: float
    strategy: str
    candidates: list[dict[str, Any]]
    execution: dict[str, Any]
    contenders: list[str]
    repetitions: int
    batch: int

    @classmethod
    def from_stdin(cls) -> "Task":
        return cls(**json.load(sys.stdin))


@dataclass
class Measured:
    """One contender's answer.

    Attributes:
        seconds: per candidate, one number for each repetition or call.
        results: the figures of ``CHECKED``, one row per candidate.
    """

    seconds: list[float] = field(default_factory=list)
    results: list[tuple[float, ...]] = field(default_factory=list)


def report(measured: dict[str, Measured], first_seconds: float, versions: dict[str, str]) -> None:
    """Print what :mod:`bench_kernel` reads.

    Args:
        first_seconds: imports and the first candidate, without reading the bars.
    """
    document = {
        "measured": {name: asdict(one) for name, one in measured.items()},
        "first_seconds": first_seconds,
        "peak_bytes": _peak_bytes(),
        "versions": versions,
    }
    print(json.dumps(document))


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call takes, and what it returns."""
    started = time.perf_counter()
    answer = call()
    return time.perf_counter() - started, answer


def in_batches(candidates: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Candidates in calls of ``size``; the last may be smaller."""
    return [candidates[i : i + size] for i in range(0, len(candidates), size)]


def _peak_bytes() -> int:
    """What this program held at most; where there is no /proc, what the one that started it held counts too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(
        int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")
    )
