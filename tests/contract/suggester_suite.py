"""What the conformance suite of suggesters runs: spaces, problems with a known answer, and a loop.

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
from backtune.space import Choice, Float, Int, Params, Space
from backtune.spec import Search

BACKENDS = ("rustuna", "optuna")
SAMPLERS = ("tpe", "cma-es", "nsga2", "random")
CASES = [(backend, sampler) for backend in BACKENDS for sampler in SAMPLERS]
CASES += [("auto", "grid"), ("optuna", "qmc")]
# Gaussian processes take a large package and 50 ms a candidate.
GP = pytest.param(
    "optuna",
    "gp",
    marks=[pytest.mark.slow, pytest.mark.skipif(find_spec("torch") is None, reason="no torch")],
)
every_sampler = pytest.mark.parametrize(("backend", "sampler"), [*CASES, GP])
every_backend = pytest.mark.parametrize("backend", BACKENDS)

Problem = Callable[[Params], Feedback]

NUMBERS = Space(
    real=Float(-5, 5),
    real_log=Float(1e-5, 1.0, log=True),
    real_step=Float(0.0, 0.3, step=0.1),
    fixed_real=Float(2, 2),
    whole=Int(2, 30),
    whole_step=Int(5, 201, step=5),
    whole_log=Int(1, 500, log=True),
    fixed_whole=Int(7, 7),
    fixed_step=Int(1, 4, step=10),
)
EVERYTHING = Space(
    {**NUMBERS, "text": Choice(("sma", "ema")), "alike": Choice((1, True, 1.0)), "fixed": Choice(("on",))}
)
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


def run(search: Suggester, problem: Problem, n: int) -> list[tuple[Params, Feedback]]:
    """Whole batches until there are ``n`` trials or none are left; the first ``n``."""
    trials: list[tuple[Params, Feedback]] = []
    while len(trials) < n:
        batch = search.ask(search.batch_size)
        if not batch:
            break
        results = [problem(params) for params in batch]
        search.tell(results)
        trials += zip(batch, results, strict=True)
    return trials[:n]


def eventful(params: Params) -> Feedback:
    """A smooth loss; some of the space is infeasible, and some of it fails."""
    if params["whole"] == 13:
        return Feedback(None, (1.0, 1.0))
    loss = (float(params["real"]) - 1) ** 2 + abs(int(params["whole"]) - 9) / 3 + float(params["real_step"])
    return Feedback((loss,), (float(params["real"]) - 2, 0.1 - float(params["real_step"])))


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
    """The candidates of every backend on the eventful problem."""
    return {
        f"{backend} {sampler}": [
            params for params, _ in run(suggester(backend, sampler, space_for(sampler)), eventful, 120)
        ]
        for backend, sampler in CASES
    }


if __name__ == "__main__":
    print(json.dumps(traces()))  # noqa: T201
