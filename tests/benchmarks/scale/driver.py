"""The time that the driver spends on a unit, in a process of its own: ``driver.py MARKET UNITS STUDIES PENDING``.

The units' studies are done already, so that the workers return at once and the driver is what is measured. Writes a
line of JSON, per unit.
"""

import gc
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
from contenders.processes import cpu_seconds, cpu_since, resident_bytes

from backtune.search.executors.ray_tune import RayTarget, UnitResources, connect_to_ray, run_units
from backtune.search.executors.unit import StopFlag, UnitContext
from backtune.search.planning.plan import plan_studies
from backtune.spec import SweepSpec
from backtune.sweep import Options, run_sweep

WORKERS = 2


@dataclass(frozen=True)
class PerUnit:
    """The cost of one unit.

    Attributes:
        n_units, n_studies, n_slots: of the run, studies in a unit, and slots for which the driver asks; its workers are 2.
        wall: seconds from one unit to the next.
        occupied: seconds in which the driver does not wait for an event.
        cpu: seconds of processor time, all threads of the driver.
        gcs, raylet: the same, of Ray's servers on the head.
        resident: bytes by which the driver grew.
    """

    n_units: int
    n_studies: int
    n_slots: int
    wall: float
    occupied: float
    cpu: float
    gcs: float
    raylet: float
    resident: float


def spec_of(market: Path) -> SweepSpec:
    """Four quick studies."""
    grid = {
        "strategies": ["MovingAverageCrossover", "RSIStrategy"],
        "assets": ["BTCUSD", "ETHUSD"],
        "timeframes": ["4h"],
    }
    return SweepSpec.parse(
        {"name": "driver", "data": {"root": str(market)}, "grid": grid, "search": {"trials": 10}}
    )


def measure(market: Path, n_units: int, n_studies: int, n_slots: int) -> PerUnit:
    """Units on a private Ray with two workers."""
    spec = spec_of(market)
    with tempfile.TemporaryDirectory() as runs, connect_to_ray(RayTarget(workers=WORKERS)) as connection:
        run = run_sweep(spec, runs, Options("inline", tracking=False)).run
        place = UnitContext((run.folder / "studies").resolve(), StopFlag(Path(runs) / ".stop", None))
        studies = plan_studies(spec)
        units = [[studies[(i + k) % len(studies)] for k in range(n_studies)] for i in range(n_units)]
        resources = UnitResources(1, 3)
        # Starts the workers.
        run_units(connection, units[: 2 * WORKERS], place, resources)
        waited = _waiting()
        gc.collect()
        resident, servers, cpu, begin = (
            resident_bytes(),
            cpu_seconds(),
            time.process_time(),
            time.perf_counter(),
        )
        lost = run_units(replace(connection, cpus=n_slots), units, place, resources)
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        used = cpu_since(servers)
        assert not lost, lost
        totals = (wall, wall - sum(waited), cpu, used["gcs"], used["raylet"], resident_bytes() - resident)
        return PerUnit(n_units, n_studies, n_slots, *(total / n_units for total in totals))


def _waiting() -> list[float]:
    """Seconds that each of Tune's waits for an event takes from now on, its own processor time not counted."""
    seconds: list[float] = []
    wait = ray.wait

    def timed(*args: Any, **kwargs: Any) -> Any:
        begin, cpu = time.perf_counter(), time.thread_time()
        try:
            return wait(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - begin - (time.thread_time() - cpu))

    ray.wait = timed
    return seconds


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), *map(int, sys.argv[2:5])))))
