"""The evaluation times of a small real sweep: a price for every strategy, and the spread of single evaluations around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from backtune.results.log.segments import read_log
from backtune.search.planning.calibration import calibrate, select_sample
from backtune.search.planning.cost import ComputePrices, LinearTime
from backtune.search.study_loop.study import Study
from backtune.spec import SweepSpec
from backtune.sweep import Options, SweepResult, run_sweep


@dataclass(frozen=True)
class Evaluations:
    """One strategy's evaluations in the log.

    Attributes:
        line: mean seconds over the number of bars.
        spread: of every logged evaluation, its seconds by what the line says for its bars; the mean is 1.
    """

    line: LinearTime
    spread: np.ndarray


@dataclass(frozen=True)
class Measured:
    """A small sweep that was run, and what it says.

    Attributes:
        evaluations: by strategy, from the log.
        prices: of the short calibration, by which a sweep is planned before there is a log.
    """

    result: SweepResult
    studies: Sequence[Study]
    evaluations: dict[str, Evaluations]
    prices: ComputePrices


def measure(spec: SweepSpec, studies: Sequence[Study], runs: Path) -> Measured:
    """Run a small sweep in this process and read its log."""
    # First, so that all code is compiled when the sweep runs.
    prices = calibrate(select_sample(studies))
    result = run_sweep(spec, runs, Options("inline", tracking=False))
    assert result.exit_status == 0, result.failures()
    names = sorted({study.strategy.name for study in studies})
    logs = [
        pl.DataFrame(
            {
                "strategy": study.strategy.name,
                "n_bars": study.n_bars,
                "seconds": log["duration_seconds"].filter(log["duration_seconds"] > 0),
            }
        )
        for study in studies
        if (log := read_log(result.run.study_folder(study.id))) is not None
    ]
    frame = pl.concat(logs)
    evaluations = {name: _evaluations(frame.filter(pl.col("strategy") == name)) for name in names}
    return Measured(result, studies, evaluations, prices)


def _evaluations(log: pl.DataFrame) -> Evaluations:
    means = log.group_by("n_bars").agg(pl.col("seconds").mean())
    slope, base = np.polyfit(means["n_bars"], means["seconds"], 1, w=1 / means["seconds"].to_numpy())
    line = LinearTime(max(float(base), 0.0), float(slope))
    spread = (log["seconds"] / (line.base + line.slope * log["n_bars"])).to_numpy()
    return Evaluations(line, spread / spread.mean())
