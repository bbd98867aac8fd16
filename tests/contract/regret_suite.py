"""Regret at equal evaluations: published test functions, a cell of real bars, and how two ways to search are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backtune.search.suggesters.feedback import Feedback
from backtune.space import Float, Params, Space
from contract.sampler_cases import suggester

Problem = Callable[[Params], float]


@dataclass(frozen=True)
class Task:
    """Something to minimize.

    Attributes:
        best: the least value there is.
        scale: a regret below this counts as this, so that no search wins by digits.
    """

    space: Space
    value: Problem
    best: float
    scale: float


def _cube(n: int, low: float, high: float) -> Space:
    return Space({f"x{i}": Float(low, high) for i in range(n)})


def _vector(params: Params) -> np.ndarray:
    return np.array([float(value) for value in params.values()])


def rastrigin(params: Params) -> float:
    x = _vector(params)
    return float(10 * len(x) + (x**2 - 10 * np.cos(2 * np.pi * x)).sum())


def ackley(params: Params) -> float:
    x = _vector(params)
    root, waves = math.sqrt((x**2).mean()), np.cos(2 * np.pi * x).mean()
    return float(20 + math.e - 20 * math.exp(-0.2 * root) - math.exp(waves))


def rosenbrock(params: Params) -> float:
    x = _vector(params)
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def branin(params: Params) -> float:
    x, y = _vector(params)
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array([
    [1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
    [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381],
])  # fmt: skip


def hartmann6(params: Params) -> float:
    inner = (_A * (_vector(params) - _P) ** 2).sum(axis=1)
    return float(-(np.array([1.0, 1.2, 3.0, 3.2]) * np.exp(-inner)).sum())


# Surjanovic and Bingham, Virtual Library of Simulation Experiments: definitions, domains and least values.
TASKS: dict[str, Task] = {
    "rastrigin": Task(_cube(5, -5.12, 5.12), rastrigin, 0.0, 1e-2),
    "ackley": Task(_cube(5, -32.768, 32.768), ackley, 0.0, 1e-2),
    "rosenbrock": Task(_cube(5, -5.0, 10.0), rosenbrock, 0.0, 1e-2),
    "branin": Task(Space(x=Float(-5.0, 10.0), y=Float(0.0, 15.0)), branin, 0.397887, 1e-3),
    "hartmann6": Task(_cube(6, 0.0, 1.0), hartmann6, -3.32237, 1e-3),
}


def regrets(
    task: Task, backend: str, sampler: str, seeds: Sequence[int], n_trials: int, batch_size: int | None = None
) -> np.ndarray:
    """(n_seeds,) log10 of the distance from the best value found to the best there is."""
    return np.array([_regret(task, backend, sampler, seed, n_trials, batch_size) for seed in seeds])


def _regret(
    task: Task, backend: str, sampler: str, seed: int, n_trials: int, batch_size: int | None
) -> float:
    search = suggester(backend, sampler, task.space, seed)
    values: list[float] = []
    while len(values) < n_trials:
        batch = [task.value(params) for params in search.ask(batch_size or search.batch_size)]
        search.tell([Feedback((value,)) for value in batch])
        values += batch
    return math.log10(max(min(values[:n_trials]) - task.best, task.scale))


def interval(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> tuple[float, float]:
    """95 % bootstrap interval of mean log10 regret of ``one`` less that of ``other``, tasks weighing the same.

    Seeds are drawn again within each task and each way to search, 2,000 times (Efron and Tibshirani 1993,
    percentile interval).
    """
    random = np.random.default_rng(0)

    def means(samples: Sequence[np.ndarray]) -> np.ndarray:
        drawn = [
            sample[random.integers(len(sample), size=(2000, len(sample)))].mean(axis=1) for sample in samples
        ]
        return np.mean(drawn, axis=0)

    low, high = np.quantile(means(one) - means(other), [0.025, 0.975])
    return float(low), float(high)
