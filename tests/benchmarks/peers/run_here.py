"""backtune, called as a study calls it, and the plain loop, both in backtune's own environment."""

# The clock starts before the imports that it counts.
from contender import CHECKED, STARTED, Measured, Task, in_batches, report, timed  # isort: skip

import math
import platform
import time
from collections.abc import Callable
from dataclasses import replace

import numba
import numpy as np
import polars as pl
from plain_loop import PARAMETERS, plain_loop

from backtune.data.bars import Bars
from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.spec import Execution, Objective
from backtune.strategy.registry import resolve_strategy
from backtune.validation.folds import TimeWindow
from backtune.validation.windows import search_window

Results = list[tuple[float, ...]]


def main() -> None:
    task = Task.from_stdin()
    reading, bars = timed(lambda: Bars.from_frame(pl.read_parquet(task.bars), timeframe=task.timeframe))
    execution = Execution(**task.execution)
    runs = {name: CONTENDERS[name](task, bars, execution) for name in task.contenders}
    next(iter(runs.values()))(1)
    first_seconds = time.perf_counter() - STARTED - reading
    measured = {name: Measured(results=run(len(task.candidates))) for name, run in runs.items()}
    for _ in range(task.repetitions):
        for name, run in runs.items():
            seconds, _results = timed(lambda run=run: run(len(task.candidates)))
            measured[name].seconds.append(seconds / len(task.candidates))
    report(measured, first_seconds, {
        "Python": platform.python_version(), "numba": numba.__version__, "numpy": np.__version__,
    })  # fmt: skip


def ours(task: Task, bars: Bars, execution: Execution) -> Callable[[int], Results]:
    """Candidates in calls of ``task.batch``: tpe proposes 4 at a time, random and grid 64."""
    scorer = CandidateScorer(resolve_strategy(task.strategy), execution)
    window = search_window(bars, TimeWindow(int(bars.timestamp[0]), int(bars.timestamp[-1]) + 1))
    evaluator = WindowEvaluator(scorer, window, (Objective(metric="sharpe_ratio"),))

    def run(n: int) -> Results:
        trials = [
            trial
            for batch in in_batches(task.candidates[:n], task.batch)
            for trial in evaluator.evaluate(list(enumerate(batch)))
        ]
        return [_checked(trial.metrics) for trial in trials]

    return run


def many_at_a_time(task: Task, bars: Bars, execution: Execution) -> Callable[[int], Results]:
    return ours(replace(task, batch=64), bars, execution)


def plain(task: Task, bars: Bars, execution: Execution) -> Callable[[int], Results]:
    loop = plain_loop(task.strategy)
    names = PARAMETERS[task.strategy]
    costs = (
        execution.initial_cash, execution.size, execution.fee_bps / 10_000, execution.slippage_bps / 10_000
    )  # fmt: skip

    def run(n: int) -> Results:
        results = []
        for params in task.candidates[:n]:
            values = [float(params[name]) for name in names] + [0.0] * (3 - len(names))
            sums = loop(bars.timestamp, bars.open, bars.close, *costs, *values)
            deviation = math.sqrt((sums[2] - sums[1] ** 2 / len(bars)) / (len(bars) - 1))
            sharpe = (
                sums[1] / len(bars) / deviation * math.sqrt(bars.bars_per_year) if deviation else math.nan
            )
            results.append((sums[0] / execution.initial_cash - 1.0, sharpe, sums[4], sums[5]))
        return results

    return run


def _checked(metrics: dict[str, float | None]) -> tuple[float, ...]:
    figures = (metrics[name] for name in CHECKED)
    return tuple(math.nan if figure is None else figure for figure in figures)


CONTENDERS = {"backtune": ours, "backtune, 64 at a time": many_at_a_time, "plain loop": plain}

if __name__ == "__main__":
    main()
