"""A real sweep on many local workers, in a process of its own: ``workers.py MARKET RUNS WORKERS``.

Its rows are compared with those of the same sweep in one process. Writes a line of JSON.
"""

import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from backtune.spec import SweepSpec
from backtune.sweep import Options, SweepResult, run_sweep

_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class Crowd:
    """The memory and time of a number of workers.

    Attributes:
        n_workers, n_studies, n_rows: that ran at a time; searched; compared.
        n_seen: the most unit workers seen at a time.
        wall: seconds of the whole sweep, with the start and the end of Ray.
        own, shared: bytes of a unit worker, on average at the moment when they had most together: that it has alone,
            and its share of what it has in common with others.
        taken: bytes by which the machine's available memory shrank at most; others may work on it.
    """

    n_workers: int
    n_studies: int
    n_rows: int
    n_seen: int
    wall: float
    own: float
    shared: float
    taken: float


def spec_of(market: Path) -> SweepSpec:
    """Long studies, so that the first units still run when the last worker has started."""
    grid = {
        "strategies": ["MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy"],
        "assets": ["BTCUSD", "ETHUSD", "LTCUSD"],
        "timeframes": ["5m", "6m", "10m", "15m"],
    }
    search = {"trials": 300, "seed": 3}
    compute = {"unit_seconds": 1}
    return SweepSpec.parse(
        {"name": "workers", "data": {"root": str(market)}, "grid": grid, "search": search, "compute": compute}
    )


def measure(market: Path, runs: Path, n_workers: int) -> Crowd:
    """Run the sweep on the workers, then here."""
    spec = spec_of(market)
    with _Watch() as watch:
        begin = time.perf_counter()
        crowd = run_sweep(spec, runs / "workers", Options(workers=n_workers, tracking=False))
        wall = time.perf_counter() - begin
    assert crowd.exit_status == 0, crowd.failures()
    alone = run_sweep(spec, runs / "inline", Options("inline", tracking=False))
    rows = _rows(crowd)
    assert rows.equals(_rows(alone), null_equal=True), "rows depend on the number of workers"
    n = max(watch.n_seen, 1)
    return Crowd(
        n_workers,
        len(crowd.run.studies),
        rows.height,
        watch.n_seen,
        wall,
        watch.own / n,
        watch.shared / n,
        watch.taken,
    )


def _rows(result: SweepResult) -> pl.DataFrame:
    return result.trials().drop("duration_seconds").sort("study", "number")


class _Watch:
    """Looks at the memory of this process's unit workers from a thread."""

    def __init__(self) -> None:
        self.n_seen = 0
        self.own = self.shared = self.taken = 0.0
        self._available = _available()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_AGAIN_SECONDS):
            found = [sizes for pid in _descendants(os.getpid()) if (sizes := _sizes(pid)) is not None]
            own, shared = sum(one[0] for one in found), sum(one[1] for one in found)
            self.taken = max(self.taken, self._available - _available())
            if own + shared > self.own + self.shared:
                self.n_seen, self.own, self.shared = len(found), own, shared


def _sizes(pid: int) -> tuple[float, float] | None:
    """Bytes that a unit worker has alone, and its share of the rest; None for another process."""
    try:
        name = Path(f"/proc/{pid}/cmdline").read_bytes()
        # Tune's actors are called so; the ray::IDLE ones are Ray's reserve.
        if not name.startswith(b"ray::ImplicitFunc"):
            return None
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    own = kib["Private_Clean"] + kib["Private_Dirty"]
    return own * 1024.0, (kib["Pss"] - own) * 1024.0


def _descendants(ancestor: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
        except OSError:
            continue
    found = [ancestor]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def _available() -> float:
    (line,) = (
        row for row in Path("/proc/meminfo").read_text().splitlines() if row.startswith("MemAvailable")
    )
    return int(line.split()[1]) * 1024.0


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))))
