"""Which samplers there are, which engine runs them, and how a user's space and results are put to an engine."""

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
from backtune.spec import Goal, Search

Goals = tuple[Goal, ...]


def make_suggester(search: Search, space: Space, seed: int) -> Suggester:
    """The suggester that a search asks for.

    Parameters with one possible value are held out of the engine and put back into its candidates; a space of
    nothing else has one candidate.

    Raises:
        SpecError: the engine does not have the sampler or is not installed, or the sampler cannot take the
            objectives or the space; names the key, the value and what is allowed.
    """
    engine, goals = _engine_name(search), search.goals
    sampler = SAMPLERS[search.sampler]
    _check_capabilities(search, sampler, space)
    coding = Coding(space, sampler.levels_as_real)
    build = _ENGINES[engine if coding.axes else "backtune"]
    source = ValidCodes(coding, seed, on_levels=engine == "backtune")
    source.check(key="space")
    setup = Setup(
        sampler=search.sampler,
        axes=coding.axes,
        goals=goals,
        seed=seed,
        batch_size=sampler.batch_size(len(coding.axes)),
        accepts=source.accepts if engine != "backtune" else source.accepts_once,
        draw=source.draw,
        n_tries=sampler.n_tries,
        n_taught=sampler.n_taught if space.rules else 0,
    )
    return WholeSpace(
        coding,
        build(setup),
        n_objectives=len(goals),
        digest=lambda results: sampler.digest(results, goals),
    )


def engine_of(search: Search) -> str:
    """What decides the candidates, with its version, such as ``rustuna 0.2.0``. Imports no engine.

    Raises:
        SpecError: the engine does not have the sampler, or is not installed.
    """
    engine = _engine_name(search)
    if engine == "backtune":
        return f"backtune {search.sampler}"
    return ", ".join(
        f"{package} {_version(package)}" for package in (engine, *SAMPLERS[search.sampler].needs)
    )


@dataclass(frozen=True)
class Sampler:
    """What a sampler is and can do.

    Attributes:
        engines: who has it; ``auto`` takes the first one that is installed.
        batch_size: candidates to ask for at a time, given the number of free parameters.
        digest: what the engine is told of a batch, made of nothing but the batch.
        max_objectives: how many objectives it can take, or None for any number.
        takes_choices: whether it can search over unordered choices.
        needs: packages beside the engine that decide the candidates.
        levels_as_real: from how many levels on it searches a stepped range as a continuous one, and rounds.
        n_tries: how many proposals in a row may break a rule of the space before a random candidate is taken.
        n_taught: how many of these it is told as infeasible; the others are told as failed, which leaves it, and
            its generations, as if they had not been.
        extra: of this package, which brings what it needs, where a plain installation does not.
    """

    engines: tuple[str, ...]
    batch_size: Callable[[int], int]
    digest: Callable[[Sequence[Told], Goals], Sequence[Told]]
    max_objectives: int | None = None
    takes_choices: bool = True
    needs: tuple[str, ...] = ()
    levels_as_real: float = math.inf
    n_tries: int = 32
    n_taught: int = 0
    extra: str = ""


def _as_told(results: Sequence[Told], _goals: Goals) -> Sequence[Told]:
    return results


def _failed_as_worst(results: Sequence[Told], _goals: Goals) -> Sequence[Told]:
    return failed_as_worst(results)


def _squarable(results: Sequence[Told], _goals: Goals) -> Sequence[Told]:
    return [
        result if result.values is None else Told(tuple(_capped(v) for v in result.values), result.violations)
        for result in results
    ]


def _capped(value: float) -> float:
    """Near to the largest float, a variance overflows."""
    return min(max(value, -1e100), 1e100)


def _ranked(results: Sequence[Told], goals: Goals) -> Sequence[Told]:
    return ranked(results, minimize=goals[0].minimize)


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


_ENGINES: dict[str, Callable[[Setup], Suggester]] = {
    "backtune": _backtune,
    "optuna": _optuna,
    "rustuna": _rustuna,
}


# Read from disk at every call otherwise, several times for each study.
@cache
def _version(package: str) -> str:
    return version(package)


def _engine_name(search: Search) -> str:
    engines = SAMPLERS[search.sampler].engines
    allowed = ("auto", *(engine for engine in engines if engine != "backtune" and _installed(engine)))
    if search.engine != "auto" and search.engine not in engines:
        problem = f"{search.engine!r} does not run the sampler {search.sampler!r}"
        raise SpecError("search.engine", problem, value=search.engine, allowed=allowed)
    wanted = engines if search.engine == "auto" else (search.engine,)
    for engine in wanted:
        if _installed(engine):
            _check_needs(search.sampler)
            return engine
    problem = f"{search.engine!r} needs {' or '.join(wanted)}, which is not installed"
    raise SpecError("search.engine", problem, value=search.engine, allowed=allowed)


def _check_needs(name: str) -> None:
    sampler = SAMPLERS[name]
    missing = [package for package in sampler.needs if not _installed(package)]
    if missing:
        way_out = f"backtune[{sampler.extra}]" if sampler.extra else " ".join(missing)
        problem = f"{name!r} needs {' and '.join(missing)}, which is not installed; pip install {way_out}"
        raise SpecError("search.sampler", problem, value=name)


def _installed(engine: str) -> bool:
    try:
        _version(engine)
    except PackageNotFoundError:
        # Backtune itself may be run from a source tree that was never installed.
        return engine == "backtune"
    return True


def _check_capabilities(search: Search, sampler: Sampler, space: Space) -> None:
    others = tuple(name for name, other in SAMPLERS.items() if other.max_objectives is None)
    if sampler.max_objectives is not None and len(search.goals) > sampler.max_objectives:
        problem = f"{search.sampler!r} takes {sampler.max_objectives} objective, not {len(search.goals)}"
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
