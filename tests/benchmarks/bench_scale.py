"""What holds for a hundred thousand studies on a thousand slots: measured where it can be, simulated where not.

docs/scaling.md keeps the tables and says what they mean.

    python tests/benchmarks/bench_scale.py
    python tests/benchmarks/bench_scale.py --studies 5000 --slots 100 --parts simulation   # a look
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from contenders.setting import CATALOG, Setting, market
from scale import driver, folders, simulation, workers
from scale.grid import studies_like
from scale.measured import Measured, measure
from scale.simulation import Plan

HERE = Path(__file__).parent
PARTS = ("driver", "simulation", "folders", "workers")
# Units, studies in each, slots that the driver asks for.
DRIVER_RUNS = ((200, 1, 2), (800, 1, 2), (2000, 1, 2), (800, 20, 2), (1500, 1, 1000))
_ASSUMED_DRIVER_SECONDS = 0.012


def main() -> None:
    """Measure, simulate, print."""
    chosen = _arguments()
    # The parts that need a process of their own are started from here.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = market(chosen.data, folder)
        if root is None:
            print(
                f"skipped: no real bars, neither a catalog in {chosen.data} nor candles beside the repository"
            )
            return
        driver_seconds = _ASSUMED_DRIVER_SECONDS
        if "driver" in chosen.parts:
            driver_seconds = _print_driver(root)
        if "simulation" in chosen.parts or "folders" in chosen.parts:
            _print_large(chosen, root, driver_seconds, folder)
        if "workers" in chosen.parts:
            _print_workers(root, folder, chosen.workers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=CATALOG, help="a catalog with the three assets")
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--unit-seconds", type=float, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 16], help="of the real runs")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    return parser.parse_args()


def _print_driver(root: Path) -> float:
    """Seconds that the driver is occupied by a unit, in the run with as many pending units as a thousand slots have."""
    print("\nThe driver, real: milliseconds of each unit\n")
    _head("units", "studies in each", "slots", "wall", "occupied", "cpu", "gcs", "raylet", "KiB kept")
    for sizes in DRIVER_RUNS:
        found = driver.PerUnit(**_alone(driver.__file__, root, *sizes))
        times = (found.wall, found.occupied, found.cpu, found.gcs, found.raylet)
        _row(
            *(f"{size:,}" for size in sizes),
            *(f"{1e3 * t:.1f}" for t in times),
            f"{found.resident / 1024:.0f}",
        )
    for seconds in (20, 60):
        print(f"\nunits of {seconds} s: the driver keeps {seconds / found.occupied:,.0f} slots busy")
    return found.occupied


def _print_large(chosen: argparse.Namespace, root: Path, driver_seconds: float, folder: Path) -> None:
    setting = Setting(root, ("1m", "5m", "15m", "1h"), 60, chosen.seed)
    measured = measure(setting.spec, setting.studies(), folder / "small")
    print(
        f"\none study takes {simulation.bytes_per_study(setting.spec):,.0f} bytes in the driver (a real plan)"
    )
    studies = studies_like(measured.studies, chosen.studies, chosen.seed)
    if "simulation" in chosen.parts:
        _print_simulation(chosen, measured, simulation.planned(
            studies, measured, chosen.slots, chosen.unit_seconds, chosen.seed
        ), driver_seconds)  # fmt: skip
    if "folders" in chosen.parts:
        found = {
            n: folders.timed(measured.result.run, studies[:n], folder / f"{n}") for n in _sizes(len(studies))
        }
        _print_folders(found)


def _print_simulation(
    chosen: argparse.Namespace, measured: Measured, plan: Plan, driver_seconds: float
) -> None:
    n, bound = len(plan.seconds), simulation.lower_bound(plan, chosen.slots)
    hours = sum(plan.seconds.values()) / 3600
    per_study = 1e6 / n
    print(
        f"\nSimulated: {n:,} studies, {hours:,.0f} core-hours, in {len(plan.units):,} units on {chosen.slots:,} slots\n"
        f"planner, microseconds a study: prices {plan.pricing_seconds * per_study:.1f}, packing "
        f"{plan.packing_seconds * per_study:.1f}\n"
        f"reading bars: {1e9 * measured.prices.loading:.2f} ns for each second of market time\n"
        f"longest study {max(plan.seconds.values()):.0f} s; no schedule ends before {bound:.0f} s\n"
    )
    _head("pool", "seconds", "times the bound", "slots at work", "slices", "preempted", "deaths", "given up",
          "driver occupied", "queue, us per slice")  # fmt: skip
    for name, found in simulation.run(
        plan, measured.prices, chosen.slots, driver_seconds, chosen.seed
    ).items():
        _row(
            name, f"{found.makespan:.0f}", f"{found.makespan / bound:.2f}",
            f"{found.busy / chosen.slots / found.makespan:.0%}", f"{found.n_slices:,}", found.n_preempted,
            found.n_deaths, len(found.lost), f"{found.driver_seconds / found.makespan:.0%}",
            f"{1e6 * found.queue_seconds / found.n_slices:.1f}",
        )  # fmt: skip


def _print_folders(found: Mapping[int, Mapping[str, float]]) -> None:
    print("\nThe sweep's folder, real files: seconds of processor time in the driver\n")
    _head("", *(f"{n:,} studies" for n in found))
    for name in next(iter(found.values())):
        _row(name, *(f"{seconds[name]:.3f}" for seconds in found.values()))


def _print_workers(root: Path, folder: Path, counts: list[int]) -> None:
    print("\nLocal workers, real: rows equal to the run in one process\n")
    _head(
        "workers",
        "observed at a time",
        "studies",
        "rows",
        "seconds",
        "MiB alone",
        "MiB shared",
        "machine, GiB taken",
    )
    for n in counts:
        found = workers.Crowd(**_alone(workers.__file__, root, folder / f"workers-{n}", n))
        sizes = (found.own / 2**20, found.shared / 2**20)
        _row(
            n, found.n_seen, found.n_studies, f"{found.n_rows:,}", f"{found.wall:.0f}", *(f"{s:.0f}" for s in sizes),
            f"{found.taken / 2**30:.1f}",
        )  # fmt: skip


def _sizes(n: int) -> tuple[int, ...]:
    return (n // 5, n)


def _alone(script: str, *arguments: object) -> dict[str, float]:
    """What a script prints, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _head(*names: str) -> None:
    _row(*names)
    _row("---", *["---:"] * (len(names) - 1))


def _row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
