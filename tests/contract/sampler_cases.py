"""The samplers of every backend, and problems with a known answer for them.

Run as a program it prints the candidates of every backend, which another process must reproduce to the bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import pytest

from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.samplers import make_suggester
from backtune.search.suggesters.suggester import Suggester
from backtune.space import Float, Params, Space
from backtune.spec import Search
from backtune.testing.suggesters import EVERYTHING, NUMBERS, measure_with_failures, run_search

BACKENDS = ("rustuna", "optuna")
SAMPLERS = ("tpe", "cma-es", "nsga2", "random")
CASES = [(backend, sampler) for backend in BACKENDS for sampler in SAMPLERS]
CASES += [("auto", "grid"), ("optuna", "qmc")]
# Gaussian processes take a large package and 50 ms a candidate.
GP = pytest.param(
    ("optuna", "gp"),
    marks=[pytest.mark.slow, pytest.mark.skipif(find_spec("torch") is None, reason="no torch")],
)
every_sampler = pytest.mark.parametrize(
    ("backend", "sampler"), [*CASES, pytest.param(*GP.values[0], marks=GP.marks)]
)
every_backend = pytest.mark.parametrize("backend", BACKENDS)

Problem = Callable[[Params], Feedback]

PLANE = Space(x=Float(-5.0, 5.0), y=Float(-5.0, 5.0))
CUBE = Space({f"x{i}": Float(0.0, 1.0) for i in range(3)})
BOWL = Space({f"x{i}": Float(-5.0, 5.0) for i in range(4)})


def suggester(
    backend: str, sampler: str, space: Space, seed: int = 3, objectives: Sequence[str] = ("-loss",)
) -> Suggester:
    return make_suggester(Search(backend=backend, sampler=sampler, objectives=objectives), space, seed)


def few(sampler: str, n: int) -> int:
    """``n`` trials, or as many as a sampler does in a test's time."""
    return min(n, 16) if sampler == "gp" else n


def space_for(sampler: str) -> Space:
    return NUMBERS if sampler == "cma-es" else EVERYTHING


def sphere(params: Params) -> Feedback:
    """Best 0, where every parameter is 1."""
    return Feedback((sum((float(value) - 1) ** 2 for value in params.values()),))


def nook(params: Params) -> Feedback:
    """Distance to (2, 2) where x + y <= -6, which is 8 % of the plane: best 50, at (-3, -3)."""
    x, y = float(params["x"]), float(params["y"])
    return Feedback(((x - 2) ** 2 + (y - 2) ** 2,), (x + y + 6,))


def zdt1(params: Params) -> Feedback:
    """Two losses in [0, 1] x [0, 10]; the front is f2 = 1 - sqrt(f1) (Zitzler, Deb and Thiele 2000)."""
    first, *others = (float(value) for value in params.values())
    g = 1 + 9 * sum(others) / len(others)
    return Feedback((first, g * (1 - math.sqrt(first / g))))


def front_area(trials: Sequence[tuple[Params, Feedback]], corner: float = 1.1) -> float:
    """The area between the non-dominated points and (corner, corner); 0.87 for the whole front of ZDT1."""
    points = sorted(told.values for _, told in trials if told.values is not None)
    area, ceiling = 0.0, corner
    for first, second in points:
        if first < corner and second < ceiling:
            area += (corner - first) * (ceiling - second)
            ceiling = second
    return area


def traces() -> dict[str, list[Params]]:
    """The candidates of every backend on a problem with failures."""
    return {
        f"{backend} {sampler}": [
            params
            for params, _ in run_search(
                suggester(backend, sampler, space_for(sampler)), measure_with_failures, 120
            )
        ]
        for backend, sampler in CASES
    }


if __name__ == "__main__":
    print(json.dumps(traces()))  # noqa: T201
