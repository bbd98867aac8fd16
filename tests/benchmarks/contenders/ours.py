"""Ours: units of whole studies on Ray Tune, as ``backtune run`` does it, with a record of every unit."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from backtune.search.executors.ray_tune import RayTarget, connect_to_ray
from backtune.search.executors.ray_tune import units as tune_units
from backtune.search.study_loop.study import Study
from backtune.sweep import Options, SweepResult, run_sweep
from contenders.processes import cpu_seconds, cpu_since
from contenders.setting import Finding, Setting, best_of, name_of

_RECORD = "benchmark-units.jsonl"
_run_slice = tune_units._run_slice


@dataclass(frozen=True)
class UnitRecord:
    """What one unit took.

    Attributes:
        pid: of its worker.
        start, end: seconds since the epoch.
        shares: seconds by part, where they were asked for; see :mod:`contenders.shares`.
    """

    pid: int
    start: float
    end: float
    shares: dict[str, float]

    @property
    def seconds(self) -> float:
        return self.end - self.start


def run(
    setting: Setting, runs: Path, *, workers: int, timed: bool = False
) -> tuple[Finding, SweepResult, list[UnitRecord]]:
    """A sweep on a private Ray.

    Args:
        timed: whether workers time the parts of their units, which costs a per cent or two.
    """
    begin = time.perf_counter()
    with connect_to_ray(RayTarget(workers=workers)):
        before, started = cpu_seconds(), time.perf_counter()
        with _recorded(setting.studies(), timed=timed):
            result = run_sweep(setting.spec, runs, Options(tracking=False, on_progress=lambda _: None))
        sweep_seconds = time.perf_counter() - started
        used = cpu_since(before)
    whole = time.perf_counter() - begin
    assert result.exit_status == 0, result.failures()
    units = _records(result.run.folder / _RECORD)
    n_candidates, best = outcome(result, setting)
    seconds = max(unit.end for unit in units) - min(unit.start for unit in units)
    return Finding(n_candidates, seconds, sweep_seconds, whole, best, used), result, units


def rows(result: SweepResult) -> pl.DataFrame:
    """All trials without what may differ from run to run."""
    return result.trials().drop("duration_seconds").sort("study", "number")


@contextmanager
def _recorded(studies: Sequence[Study], *, timed: bool) -> Iterator[None]:
    """Units note when they begin and end. What is put in place here is pickled and runs in the workers."""

    def noted(config: dict[str, Any], *, context: Any, **others: Any) -> dict[str, Any]:
        from contenders import shares

        if timed:
            shares.install(studies)
        start = time.time()
        with shares.measured() as parts:
            done = _run_slice(config, context=context, **others)
        end = time.time()
        line = json.dumps({"pid": os.getpid(), "start": start, "end": end, "shares": dict(parts)})
        with (context.folder.parent / _RECORD).open("a") as file:
            file.write(line + "\n")
        return done

    tune_units._run_slice = noted
    try:
        yield
    finally:
        tune_units._run_slice = _run_slice


def _records(path: Path) -> list[UnitRecord]:
    return [UnitRecord(**json.loads(line)) for line in path.read_text().splitlines()]


def outcome(result: SweepResult, setting: Setting) -> tuple[int, dict[str, float]]:
    """How many candidates were searched, and the best value of every study."""
    n_candidates, best = 0, {}
    for study in setting.studies():
        log = result.trials(study.id)
        n_candidates += log.height
        best[name_of(study)] = best_of(log.filter(pl.col("state") == "complete")["values_0"].to_list())
    return n_candidates, best
