"""At equal evaluations rustuna in batches, Optuna in batches and Optuna strictly in sequence find equally much.

The statistic is the difference of mean log10 regret from Optuna in sequence, over published test functions and over a
cell of real bars; all of its 95 % bootstrap interval must lie within a tolerance, in which random search does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from oracles import shared

from backtune.data.bars import Bars
from backtune.data.resample import resample
from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.simulation.bar_window import BarWindow
from backtune.space import Params
from backtune.spec import Execution, Objective
from backtune.spec.timeframe import Timeframe
from backtune.strategy.registry import resolve_strategy
from contract.regret_suite import TASKS, Task, interval, regrets

WAYS = {"rustuna batched": ("rustuna", None), "optuna batched": ("optuna", None)}


def differences(
    tasks: Mapping[str, Task], sampler: str, n_seeds: int, n_trials: int
) -> dict[str, tuple[float, float]]:
    """For each way to search, and for random search: the interval of its difference from Optuna in sequence."""
    seeds = range(n_seeds)
    reference = [regrets(task, "optuna", sampler, seeds, n_trials, batch_size=1) for task in tasks.values()]
    found = {
        way: [regrets(task, backend, sampler, seeds, n_trials, size) for task in tasks.values()]
        for way, (backend, size) in WAYS.items()
    }
    found["random"] = [regrets(task, "rustuna", "random", seeds, n_trials) for task in tasks.values()]
    return {way: interval(regret, reference) for way, regret in found.items()}


def check(found: dict[str, tuple[float, float]], tolerance: float) -> None:
    for way in WAYS:
        low, high = found[way]
        assert -tolerance <= low < high <= tolerance, (way, found)


def test_the_ways_to_search_agree() -> None:
    few = {name: TASKS[name] for name in ("rastrigin", "ackley", "rosenbrock")}
    found = differences(few, "tpe", n_seeds=8, n_trials=60)
    check(found, tolerance=0.35)
    assert found["random"][0] > 0.35, found


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "cma-es"])
def test_the_ways_to_search_agree_closely(sampler: str) -> None:
    found = differences(TASKS, sampler, n_seeds=30, n_trials=100)
    check(found, tolerance=0.2)
    assert found["random"][0] > 0.2, found


@pytest.mark.slow
def test_generations_agree_on_both_backends() -> None:
    """Rustuna's NSGA-II is a little behind with one objective: by 0.06 to 0.21 decades."""
    found = differences(TASKS, "nsga2", n_seeds=30, n_trials=400)
    check(found, tolerance=0.3)
    assert found["random"][0] > 0.3, found


def test_the_functions_have_their_best_where_it_is_published() -> None:
    at = {
        "rastrigin": [0.0] * 5, "ackley": [0.0] * 5, "rosenbrock": [1.0] * 5, "branin": [9.42478, 2.475],
        "hartmann6": [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573],
    }  # fmt: skip
    for name, task in TASKS.items():
        best = dict(zip(task.space, at[name], strict=True))
        assert task.value(best) == pytest.approx(task.best, abs=1e-5)
        nudged = {name: value + 0.01 for name, value in best.items()}
        assert task.value(nudged) > task.best


def crossover_on_real_bars() -> Task:
    """The Sharpe ratio of a moving-average cross on two years of hourly bars; all of its grid is known."""
    path: Path = shared("market/bars_1m/BTCUSD_1m_2018_2019.parquet")
    minutes = pl.read_parquet(path)
    hourly = resample(minutes, Timeframe.parse("1h"))
    ref = resolve_strategy("MovingAverageCrossover")
    space = ref.load().space()
    window = BarWindow.of(Bars.from_frame(hourly, timeframe="1h"), 0)
    evaluator = WindowEvaluator(CandidateScorer(ref, Execution()), window, (Objective.parse("sharpe_ratio"),))
    grid: list[Params] = [
        {"fast_period": fast, "slow_period": slow}
        for fast in space["fast_period"].levels()
        for slow in space["slow_period"].levels()
    ]
    trials = evaluator.evaluate(list(enumerate(grid)))
    losses = {tuple(trial.params.values()): -float(trial.metrics["sharpe_ratio"] or 0.0) for trial in trials}
    return Task(space, lambda params: losses[tuple(params.values())], min(losses.values()), 1e-2)


def test_the_ways_to_search_agree_on_real_bars() -> None:
    check(differences({"crossover": crossover_on_real_bars()}, "tpe", n_seeds=12, n_trials=80), tolerance=0.5)


@pytest.mark.slow
def test_the_ways_to_search_agree_closely_on_real_bars() -> None:
    found = differences({"crossover": crossover_on_real_bars()}, "tpe", n_seeds=60, n_trials=250)
    check(found, tolerance=0.25)
    assert found["random"][0] > 0.25, found
