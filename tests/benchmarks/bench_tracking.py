"""Tracking: how long a sweep takes to be in MLflow, and what that costs the sweep.

Real bars, TPE, 36 studies of 1,000 trials. Outputs are compared before anything is timed, and sweeps without a tracker, with
one and with one that is down take turns. docs/tracking.md keeps the tables.

    python tests/benchmarks/bench_tracking.py
    python tests/benchmarks/bench_tracking.py --trials 100 --rounds 1 --timeframes 4h   # a look
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import connect

import polars as pl
from contenders.setting import ASSETS, CATALOG, END, START, STRATEGIES, market
from mlflow import MlflowClient

from backtune.results.log.segments import read_log
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import SweepSpec
from backtune.sweep import Options, SweepResult, run_sweep

_TICKS = os.sysconf("SC_CLK_TCK")
# Nothing listens on the discard port.
MODES = {"no tracker": None, "SQLite": "", "tracker down": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Timing:
    """One sweep.

    Attributes:
        results: seconds until its results were there.
        whole: until the call returned.
        cpu: seconds of processor time that the projection had used when the results were there.
    """

    results: float
    whole: float
    cpu: float


def main() -> None:
    """Compare outputs, measure, print."""
    chosen = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = market(chosen.data, folder)
        if root is None:
            print(
                f"skipped: no real bars, neither a catalog in {chosen.data} nor candles beside the repository"
            )
            return
        run = _searched(chosen, root, folder / "projected")
        print(f"{len(run.studies)} studies of {chosen.trials} trials")
        _print_projections(run, folder)
        _print_sweeps(_in_turns(chosen, root, folder))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=CATALOG, help="a catalog with the three assets")
    parser.add_argument("--timeframes", nargs="+", default=["5m", "15m", "1h"])
    parser.add_argument("--trials", type=int, default=1_000, help="per study")
    parser.add_argument("--rounds", type=int, default=3, help="of sweeps; the fastest of each kind counts")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _spec(chosen: argparse.Namespace, root: Path, uri: str | None = None) -> SweepSpec:
    return SweepSpec.parse(
        {
            "name": "benchmark",
            "data": {"root": str(root), "start": START, "end": END},
            "grid": {"strategies": list(STRATEGIES), "assets": list(ASSETS), "timeframes": chosen.timeframes},
            "search": {"sampler": "tpe", "trials": chosen.trials, "seed": 7},
            "validation": {"method": "holdout", "test_fraction": 0.3},
            "tracking": {"uri": uri},
        }
    )


def _searched(chosen: argparse.Namespace, root: Path, runs: Path) -> StoredSweep:
    options = Options(workers=chosen.workers, tracking=False)
    return run_sweep(_spec(chosen, root), runs, options).run


def _print_projections(run: StoredSweep, folder: Path) -> None:
    """``backtune sync`` in a process of its own, into a new SQLite file, and once more."""
    print("\n| best trials a study | MLflow runs | seconds | of processor time | again |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for top_k in (0, 5, 20):
        tracking = run.spec.tracking.model_copy(update={"top_k": top_k})
        replace(run, spec=run.spec.model_copy(update={"tracking": tracking})).write()
        uri = f"sqlite:///{folder}/{top_k}.db"
        seconds, cpu = _synced(run, uri)
        again, _ = _synced(run, uri)
        print(
            f"| {top_k} | {_check_complete(run, uri)} | {seconds:.1f} | {cpu:.1f} | {again:.1f} |", flush=True
        )


def _synced(run: StoredSweep, uri: str) -> tuple[float, float]:
    """Seconds, and seconds of processor time."""
    started, before = time.perf_counter(), os.times()
    subprocess.run(
        [sys.executable, "-m", "backtune", "sync", str(run.folder), "--uri", uri], check=True, stdout=subprocess.DEVNULL
    )  # fmt: skip
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, used


def _check_complete(run: StoredSweep, uri: str) -> int:
    """Every complete trial is a point of its study's curve, each once; returns the number of MLflow runs."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(run.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], max_results=5_000)
    studies = {r.data.tags["study"]: r.info.run_id for r in found if r.data.tags["kind"] == "study"}
    assert len(studies) == len(run.studies)
    with closing(connect(uri.removeprefix("sqlite:///"))) as database:
        query = (
            "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = 'trial_sharpe_ratio' ORDER BY step"
        )
        for study, run_id in studies.items():
            log = read_log(run.study_folder(study))
            assert log is not None
            complete = log.filter(pl.col("state") == "complete").select("number", "values_0")
            assert database.execute(query, (run_id,)).fetchall() == complete.rows(), study
    return len(found)


def _in_turns(chosen: argparse.Namespace, root: Path, folder: Path) -> dict[str, list[Timing]]:
    timings: dict[str, list[Timing]] = {mode: [] for mode in MODES}
    rows: list[pl.DataFrame] = []
    for turn in range(chosen.rounds + 1):
        for mode, uri in MODES.items():
            spec = _spec(chosen, root, uri or None)
            timing, result = _timed(spec, folder / f"{turn}-{mode}", chosen.workers, tracking=uri is not None)
            # The first turn is for the comparison alone, and for compiled code on disk.
            if turn:
                timings[mode].append(timing)
            else:
                assert result.exit_status == 0, (mode, result.problems)
                rows.append(result.trials().drop("duration_seconds").sort("study", "number"))
                assert rows[0].equals(rows[-1]), f"rows differ with {mode}"
                assert len(result.problems) == (mode == "tracker down"), result.problems
    return timings


def _timed(spec: SweepSpec, runs: Path, workers: int, *, tracking: bool) -> tuple[Timing, SweepResult]:
    noted: list[tuple[float, float]] = []

    def note(_: SweepResult) -> None:
        noted.append((time.perf_counter(), _projection_cpu()))

    started = time.perf_counter()
    result = run_sweep(spec, runs, Options(workers=workers, tracking=tracking, on_results=note))
    (at, cpu), ended = noted[0], time.perf_counter()
    return Timing(at - started, ended - started, cpu), result


def _projection_cpu() -> float:
    """Of the process that follows this one's sweep."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                is_it = b"backtune.tracking.live_sync" in (entry / "cmdline").read_bytes()
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if is_it and int(fields[1]) == os.getpid():
                return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def _print_sweeps(timings: Mapping[str, Sequence[Timing]]) -> None:
    plain = min(timing.results for timing in timings["no tracker"])
    print(
        "\n| sweep | seconds to the results | times | of all turns | seconds to the end | cpu of the projection before the results |"
    )
    print("| --- | ---: | ---: | --- | ---: | ---: |")
    for mode, own in timings.items():
        best = min(timing.results for timing in own)
        turns = ", ".join(f"{timing.results:.1f}" for timing in own)
        whole, cpu = min(timing.whole for timing in own), max(timing.cpu for timing in own)
        print(f"| {mode} | {best:.2f} | {best / plain:.3f} | {turns} | {whole:.1f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
