"""Which samplers there are, which backend runs them, and how a user's space and results are put to a backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from backtune.errors import SpecError
from backtune.search.suggesters.coding import Coding
from backtune.search.suggesters.grid import GridSuggester, n_levels
from backtune.search.suggesters.suggest import Setup, Suggester, Told, failed_as_worst, ranked
from backtune.search.suggesters.valid_codes import ValidCodes
from backtune.search.suggesters.whole_space import WholeSpace
from backtune.space import Choice, Space
from backtune.spec import Objective, Search

Objectives = tuple[Objective, ...]


def make_suggester(search: Search, space: Space, seed: int) -> Suggester:
    """The suggester that a search asks for.

    Parameters with one possible value are held out of the backend and put back into its candidates; a space of
    nothing else has one candidate.

    Raises:
        SpecError: the backend does not have the sampler or is not installed, or the sampler cannot take the
            objectives or the space; names the key, the value and what is allowed.
    """
    backend, objectives = _backend_name(search), search.objectives
    sampler = SAMPLERS[search.sampler]
    _check_capabilities(search, sampler, space)
    coding = Coding(space, sampler.levels_as_real)
    build = _BACKENDS[backend if coding.axes else "backtune"]
    source = ValidCodes(coding, seed, on_levels=backend == "backtune")
    source.check(key="space")
    setup = Setup(
        sampler=search.sampler,
        axes=coding.axes,
        objectives=objectives,
        seed=seed,
        batch_size=sampler.batch_size(len(coding.axes)),
        accepts=source.accepts if backend != "backtune" else source.accepts_once,
        draw=source.draw,
        n_tries=sampler.n_tries,
        n_taught=sampler.n_taught if space.rules else 0,
    )
    return WholeSpace(
        coding,
        build(setup),
        n_objectives=len(objectives),
        digest=lambda results: sampler.digest(results, objectives),
    )


def describe_backend(search: Search) -> str:
    """What decides the candidates, with its version, such as ``rustuna 0.2.0``. Imports no backend.

    Raises:
        SpecError: the backend does not have the sampler, or is not installed.
    """
    backend = _backend_name(search)
    if backend == "backtune":
        return f"backtune {search.sampler}"
    return ", ".join(
        f"{package} {_version(package)}" for package in (backend, *SAMPLERS[search.sampler].needs)
    )


@dataclass(frozen=True)
class Sampler:
    """What a sampler is and can do.

    Attributes:
        backends: who has it; ``auto`` takes the first one that is installed.
        batch_size: candidates to ask for at a time, given the number of free parameters.
        digest: what the backend is told of a batch, made of nothing but the batch.
        max_objectives: how many objectives it can take, or None for any number.
        takes_choices: whether it can search over unordered choices.
        needs: packages beside the backend that decide the candidates.
        levels_as_real: from how many levels on it searches a stepped range as a continuous one, and rounds.
        n_tries: how many proposals in a row may break a rule of the space before a random candidate is taken.
        n_taught: how many of these it is told as infeasible; the others are told as failed, which leaves it, and
            its generations, as if they had not been.
        extra: of this package, which brings what it needs, where a plain installation does not.
    """

    backends: tuple[str, ...]
    batch_size: Callable[[int], int]
    digest: Callable[[Sequence[Told], Objectives], Sequence[Told]]
    max_objectives: int | None = None
    takes_choices: bool = True
    needs: tuple[str, ...] = ()
    levels_as_real: float = math.inf
    n_tries: int = 32
    n_taught: int = 0
    extra: str = ""


def _as_told(results: Sequence[Told], _objectives: Objectives) -> Sequence[Told]:
    return results


def _failed_as_worst(results: Sequence[Told], _objectives: Objectives) -> Sequence[Told]:
    return failed_as_worst(results)


def _squarable(results: Sequence[Told], _objectives: Objectives) -> Sequence[Told]:
    return [
        result if result.values is None else Told(tuple(_capped(v) for v in result.values), result.violations)
        for result in results
    ]


def _capped(value: float) -> float:
    """Near to the largest float, a variance overflows."""
    return min(max(value, -1e100), 1e100)


def _ranked(results: Sequence[Told], objectives: Objectives) -> Sequence[Told]:
    return ranked(results, minimize=objectives[0].minimize)


# Batch sizes are measured. TPE finds as much with 4 open candidates as with 1, and less with 8 or more in the first
# hundreds of trials. A population of 24 gets nearer to a Pareto front within 200 to 1,000 trials than one of 40
# or more. CMA-ES has its authors' default, which is best by far for budgets of hundreds.
SAMPLERS: dict[str, Sampler] = {
    # A discrete density costs ten times a continuous one in rustuna. From 25 levels on the two find equally much;
    # with few levels, such as 2 or 3, a continuous one gets stuck in a level.
    # It learns from proposals that break a rule: told all of them as failed it proposes ever more, and finds less;
    # told all as infeasible it loses sight of the rest where rules leave little.
    "tpe": Sampler(("rustuna", "optuna"), lambda _: 4, _as_told, levels_as_real=25, n_taught=2),
    "cma-es": Sampler(
        ("rustuna", "optuna"),
        lambda n_parameters: 4 + math.floor(3 * math.log(max(1, n_parameters))),
        _ranked,
        max_objectives=1,
        takes_choices=False,
        needs=("cmaes",),
    ),
    "nsga2": Sampler(("rustuna", "optuna"), lambda _: 24, _failed_as_worst),
    "random": Sampler(("rustuna", "optuna"), lambda _: 64, _as_told),
    "qmc": Sampler(("optuna",), lambda _: 64, _as_told, needs=("scipy",)),
    # Its batches of 4 find as much as single asks, which cost twice as much. It is slow to propose again, and would
    # propose the same again had it not learned.
    "gp": Sampler(
        ("optuna",), lambda _: 4, _squarable, needs=("scipy", "torch"), n_tries=4, n_taught=4, extra="gp"
    ),
    "grid": Sampler(("backtune",), lambda _: 64, _as_told),
}


def _optuna(setup: Setup) -> Suggester:
    from backtune.search.suggesters.optuna import OptunaSuggester

    return OptunaSuggester(setup)


def _rustuna(setup: Setup) -> Suggester:
    from backtune.search.suggesters.rustuna import RustunaSuggester

    return RustunaSuggester(setup)


def _backtune(setup: Setup) -> Suggester:
    return GridSuggester(setup.axes, seed=setup.seed, batch_size=setup.batch_size, accepts=setup.accepts)


_BACKENDS: dict[str, Callable[[Setup], Suggester]] = {
    "backtune": _backtune,
    "optuna": _optuna,
    "rustuna": _rustuna,
}


# Read from disk at every call otherwise, several times for each study.
@cache
def _version(package: str) -> str:
    return version(package)


def _backend_name(search: Search) -> str:
    backends = SAMPLERS[search.sampler].backends
    allowed = ("auto", *(backend for backend in backends if backend != "backtune" and _installed(backend)))
    if search.backend != "auto" and search.backend not in backends:
        problem = f"{search.backend!r} does not run the sampler {search.sampler!r}"
        raise SpecError("search.backend", problem, value=search.backend, allowed=allowed)
    wanted = backends if search.backend == "auto" else (search.backend,)
    for backend in wanted:
        if _installed(backend):
            _check_needs(search.sampler)
            return backend
    problem = f"{search.backend!r} needs {' or '.join(wanted)}, which is not installed"
    raise SpecError("search.backend", problem, value=search.backend, allowed=allowed)


def _check_needs(name: str) -> None:
    sampler = SAMPLERS[name]
    missing = [package for package in sampler.needs if not _installed(package)]
    if missing:
        way_out = f"backtune[{sampler.extra}]" if sampler.extra else " ".join(missing)
        problem = f"{name!r} needs {' and '.join(missing)}, which is not installed; pip install {way_out}"
        raise SpecError("search.sampler", problem, value=name)


def _installed(backend: str) -> bool:
    try:
        _version(backend)
    except PackageNotFoundError:
        # Backtune itself may be run from a source tree that was never installed.
        return backend == "backtune"
    return True


def _check_capabilities(search: Search, sampler: Sampler, space: Space) -> None:
    others = tuple(name for name, other in SAMPLERS.items() if other.max_objectives is None)
    if sampler.max_objectives is not None and len(search.objectives) > sampler.max_objectives:
        problem = f"{search.sampler!r} takes {sampler.max_objectives} objective, not {len(search.objectives)}"
        raise SpecError("search.sampler", problem, value=search.sampler, allowed=others)
    if sampler.takes_choices:
        return
    others = tuple(name for name, other in SAMPLERS.items() if other.takes_choices)
    for name, parameter in space.items():
        if isinstance(parameter, Choice) and n_levels(parameter) != 1:
            problem = (
                f"{search.sampler!r} cannot search the choices of {name!r}; fix it to one, or take another"
            )
            raise SpecError("search.sampler", problem, value=search.sampler, allowed=others)
