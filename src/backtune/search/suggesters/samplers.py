"""The samplers, the backends that have them, and the suggester that a search asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from backtune.errors import SpecError
from backtune.search.suggesters.backend_suggester import BackendSuggester
from backtune.search.suggesters.feedback import Feedback, cap_values, rank_batch, replace_failures
from backtune.search.suggesters.grid import GridSuggester
from backtune.search.suggesters.rejection_sampling import RejectionSampler, check_rules
from backtune.search.suggesters.space_encoding import SpaceEncoding
from backtune.search.suggesters.space_suggester import SpaceSuggester
from backtune.search.suggesters.suggester import Suggester, SuggesterSetup
from backtune.space import Space
from backtune.spec import Objective, Search

Objectives = tuple[Objective, ...]


def make_suggester(search: Search, space: Space, seed: int) -> Suggester:
    """Return the suggester that a search asks for.

    Parameters with one possible value are held out of the backend and put back into its candidates; a space of
    nothing else has one candidate.

    Raises:
        SpecError: The backend does not have the sampler or is not installed, or the sampler cannot take the
            objectives or the space; the message names the key, the value and what is allowed.
    """
    backend, objectives = _find_backend(search), search.objectives
    sampler = SAMPLERS[search.sampler]
    _check_capabilities(search, sampler, space)
    encoding = SpaceEncoding(space, sampler.levels_as_real)
    is_own = backend == "backtune"
    check_rules(encoding, key="space", on_levels=is_own)
    setup = SuggesterSetup(
        sampler=search.sampler,
        axes=encoding.axes,
        objectives=objectives,
        seed=seed,
        batch_size=sampler.batch_size(len(encoding.axes)),
        keeps_rules=encoding.keeps_rules_once if is_own else encoding.keeps_rules,
        draw_valid=RejectionSampler(encoding, seed, on_levels=is_own).draw,
        max_rejections=sampler.max_rejections,
        n_rejections_told=sampler.n_rejections_told if space.rules else 0,
    )
    build = _BACKENDS[backend if encoding.axes else "backtune"]
    return SpaceSuggester(
        encoding,
        build(setup),
        n_objectives=len(objectives),
        translate_feedback=lambda batch: sampler.translate_feedback(batch, objectives),
    )


def describe_backend(search: Search) -> str:
    """Return the packages that decide the candidates with their versions, such as ``rustuna 0.2.0``; import none of them.

    Raises:
        SpecError: The backend does not have the sampler, or is not installed.
    """
    backend = _find_backend(search)
    if backend == "backtune":
        return f"backtune {search.sampler}"
    packages = (backend, *SAMPLERS[search.sampler].packages)
    return ", ".join(f"{package} {_version(package)}" for package in packages)


@dataclass(frozen=True)
class Sampler:
    """The properties of a sampler.

    Attributes:
        backends: The backends that have it; ``auto`` takes the first one that is installed.
        batch_size: A function that returns the number of candidates to ask for at a time, given that of the axes.
        translate_feedback: A function that returns a batch of feedback as the sampler can take it.
        max_objectives: The largest number of objectives; None for any number.
        has_choices: True if it can search unordered choices.
        packages: The packages beside the backend that decide the candidates.
        levels_as_real: The number of levels from which on it searches a range with steps as a continuous one.
        max_rejections: The number of proposals in a row that may break a rule before a random candidate is taken.
        n_rejections_told: The number of these that it is told as infeasible; it is told the others as failed, which
            leaves it, and its generations, as if they had not been proposed.
        extra: The extra of backtune that brings the packages; empty where a plain installation does.
    """

    backends: tuple[str, ...]
    batch_size: Callable[[int], int]
    translate_feedback: Callable[[Sequence[Feedback], Objectives], Sequence[Feedback]] = lambda batch, _: (
        batch
    )
    max_objectives: int | None = None
    has_choices: bool = True
    packages: tuple[str, ...] = ()
    levels_as_real: float = math.inf
    max_rejections: int = 32
    n_rejections_told: int = 0
    extra: str = ""


# Batch sizes are measured. TPE finds as much with 4 open candidates as with 1, and less with 8 or more in the first
# hundreds of trials. A population of 24 gets nearer to a Pareto front within 200 to 1,000 trials than one of 40
# or more. CMA-ES has its authors' default, which is best by far for budgets of hundreds.
SAMPLERS: dict[str, Sampler] = {
    # A discrete density costs ten times a continuous one in rustuna. From 25 levels on the two find equally much;
    # with few levels, such as 2 or 3, a continuous one gets stuck in a level.
    # It learns from proposals that break a rule: told all of them as failed it proposes ever more, and finds less;
    # told all as infeasible it loses sight of the rest where rules leave little.
    "tpe": Sampler(("rustuna", "optuna"), lambda _: 4, levels_as_real=25, n_rejections_told=2),
    "cma-es": Sampler(
        ("rustuna", "optuna"),
        lambda n_axes: 4 + math.floor(3 * math.log(max(1, n_axes))),
        lambda batch, objectives: rank_batch(batch, minimize=objectives[0].minimize),
        max_objectives=1,
        has_choices=False,
        packages=("cmaes",),
    ),
    "nsga2": Sampler(("rustuna", "optuna"), lambda _: 24, lambda batch, _: replace_failures(batch)),
    "random": Sampler(("rustuna", "optuna"), lambda _: 64),
    "qmc": Sampler(("optuna",), lambda _: 64, packages=("scipy",)),
    # Its batches of 4 find as much as single asks, which cost twice as much. It is slow to propose again, and would
    # propose the same again had it not learned.
    "gp": Sampler(
        ("optuna",),
        lambda _: 4,
        # The variance of values near to the largest float overflows.
        lambda batch, _: cap_values(batch, limit=1e100),
        packages=("scipy", "torch"),
        max_rejections=4,
        n_rejections_told=4,
        extra="gp",
    ),
    "grid": Sampler(("backtune",), lambda _: 64),
}


# A backend is imported when a search uses it.
def _build_optuna(setup: SuggesterSetup) -> Suggester:
    from backtune.search.suggesters.optuna import OptunaStudy

    return BackendSuggester(setup, OptunaStudy(setup))


def _build_rustuna(setup: SuggesterSetup) -> Suggester:
    from backtune.search.suggesters.rustuna import RustunaStudy

    return BackendSuggester(setup, RustunaStudy(setup))


def _build_grid(setup: SuggesterSetup) -> Suggester:
    return GridSuggester(
        setup.axes, seed=setup.seed, batch_size=setup.batch_size, keeps_rules=setup.keeps_rules
    )


_BACKENDS: dict[str, Callable[[SuggesterSetup], Suggester]] = {
    "backtune": _build_grid,
    "optuna": _build_optuna,
    "rustuna": _build_rustuna,
}


# Read from disk at every call otherwise, several times for each study.
@cache
def _version(package: str) -> str:
    return version(package)


def _find_backend(search: Search) -> str:
    backends = SAMPLERS[search.sampler].backends
    allowed = ("auto", *(backend for backend in backends if backend != "backtune" and _is_installed(backend)))
    if search.backend != "auto" and search.backend not in backends:
        problem = f"{search.backend!r} does not run the sampler {search.sampler!r}"
        raise SpecError("search.backend", problem, value=search.backend, allowed=allowed)
    wanted = backends if search.backend == "auto" else (search.backend,)
    for backend in wanted:
        if _is_installed(backend):
            _check_packages(search.sampler)
            return backend
    problem = f"{search.backend!r} needs {' or '.join(wanted)}, which is not installed"
    raise SpecError("search.backend", problem, value=search.backend, allowed=allowed)


def _check_packages(name: str) -> None:
    sampler = SAMPLERS[name]
    missing = [package for package in sampler.packages if not _is_installed(package)]
    if missing:
        way_out = f"'backtune[{sampler.extra}]'" if sampler.extra else " ".join(missing)
        problem = f"{name!r} needs {' and '.join(missing)}, which is not installed; pip install {way_out}"
        raise SpecError("search.sampler", problem, value=name)


def _is_installed(backend: str) -> bool:
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
    if sampler.has_choices:
        return
    others = tuple(name for name, other in SAMPLERS.items() if other.has_choices)
    for name, parameter in space.items():
        if parameter.scale is None and parameter.n_levels > 1:
            problem = (
                f"{search.sampler!r} cannot search the choices of {name!r}; fix it to one, or take another"
            )
            raise SpecError("search.sampler", problem, value=search.sampler, allowed=others)
