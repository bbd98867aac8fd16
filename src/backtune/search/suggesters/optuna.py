"""Suggesters of Optuna, and trials written to its storages. The only module that imports it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from backtune.errors import ResultsError, SpecError
from backtune.search.suggesters.grid import level, n_levels
from backtune.search.suggesters.suggest import FAILED, Setup, Suggester, Told, broken_rule
from backtune.space import Choice, Float, Parameter, Params, Space, Value
from backtune.spec import Objective

# Seed and batch size to sampler. A generation is a batch: Optuna discards results beyond the population.
SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    # Without `multivariate`, several objectives would cost one fit per parameter.
    "tpe": lambda seed, _: TPESampler(seed=seed, multivariate=True, constant_liar=True),
    "cma-es": lambda seed, n: CmaEsSampler(seed=seed, popsize=n, warn_independent_sampling=False),
    "nsga2": lambda seed, n: NSGAIISampler(seed=seed, population_size=n),
    "random": lambda seed, _: RandomSampler(seed=seed),
    "qmc": lambda seed, _: _scrambled_sobol(seed),
    # Imports torch, and only then.
    "gp": lambda seed, _: GPSampler(seed=seed, warn_independent_sampling=False),
}


class OptunaSuggester(Suggester):
    """A study in memory with a sampler of its own, driven by ask and tell.

    A failed candidate is told as failed, which Optuna's samplers pass over.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._pending: list[optuna.Trial] = []
        self._n_enqueued = 0
        sampler = SAMPLERS[setup.sampler](setup.seed, setup.batch_size)
        with _quietly():
            self._study = optuna.create_study(sampler=sampler, directions=_directions(setup.objectives))
        if setup.sampler == "cma-es":
            self._name_axes()

    @property
    def batch_size(self) -> int:
        return self._setup.batch_size

    def _name_axes(self) -> None:
        """CMA-ES knows the axes from finished trials alone: without this one, which is of no generation, its whole
        first batch would be random, and what is enqueued there lost."""
        trial = self._study.ask()
        for name, axis in self._setup.axes.items():
            _suggested(trial, name, axis)
        self._study.tell(trial, 0.0)

    def ask(self, n: int) -> list[Params]:
        # Gaussian processes divide by a spread of zero where all results are alike.
        with np.errstate(divide="ignore", invalid="ignore"):
            asked = [self._accepted() for _ in range(n)]
        self._pending = [trial for trial, _ in asked]
        return [params for _, params in asked]

    def _accepted(self) -> tuple[optuna.Trial, Params]:
        """The next proposal that keeps the rules; after many that do not, a random candidate."""
        for i in range(self._setup.n_tries):
            trial, params = self._proposed()
            if self._setup.accepts(params):
                return trial, params
            self._tell(
                trial, broken_rule(len(self._setup.objectives)) if i < self._setup.n_taught else FAILED
            )
        self.enqueue([self._setup.draw()])
        return self._proposed()

    def _proposed(self) -> tuple[optuna.Trial, Params]:
        trial = self._study.ask()
        if self._n_enqueued:
            self._n_enqueued -= 1
            # Without its own proposal a sampler would not count the trial as a member of a generation.
            _ = trial.relative_params
        return trial, {name: _suggested(trial, name, axis) for name, axis in self._setup.axes.items()}

    def enqueue(self, candidates: Sequence[Params]) -> None:
        for params in candidates:
            self._study.enqueue_trial(params)
        self._n_enqueued += len(candidates)

    def tell(self, results: Sequence[Told]) -> None:
        for trial, result in zip(self._pending, results, strict=True):
            self._tell(trial, result)

    def _tell(self, trial: optuna.Trial, result: Told) -> None:
        # Samplers only compare sums of violations; one number costs them less than several.
        if result.violations or self._setup.n_taught:
            trial.set_constraint("violation", result.total_violation)
        if result.values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, result.values)


_verbosity_lock = threading.Lock()


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the line that Optuna logs for each study, and with its verbosity as it was."""
    with _verbosity_lock:
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
        try:
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)


def _directions(objectives: Sequence[Objective]) -> list[StudyDirection]:
    return [
        StudyDirection.MINIMIZE if objective.minimize else StudyDirection.MAXIMIZE for objective in objectives
    ]


def _scrambled_sobol(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)


def _suggested(trial: optuna.Trial, name: str, parameter: Parameter) -> Value:
    if isinstance(parameter, Choice):
        choice = trial.suggest_categorical(name, parameter.choices)
        assert choice is not None  # noqa: S101 - the space holds no None
        return choice
    if isinstance(parameter, Float):
        return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)


@dataclass(frozen=True)
class ExportedStudy:
    """A study as Optuna shall show it.

    Attributes:
        name: unique in the storage.
        about: what it is, as plain data.
    """

    name: str
    objectives: tuple[Objective, ...]
    space: Space
    about: dict[str, Any]


@dataclass(frozen=True)
class ExportedTrial:
    """A trial as Optuna shall show it.

    Attributes:
        params: of the space, without those that do not matter.
        values: None where it failed or was stopped early.
        violations: by constraint, at most 0 where it holds.
        reason: why it is not complete, else empty.
        start, end: local time without a zone, as Optuna has it.
        is_stopped: whether it was stopped early, which Optuna calls pruned.
    """

    params: Params
    values: tuple[float, ...] | None
    violations: dict[str, float]
    reason: str
    start: datetime
    end: datetime
    is_stopped: bool = False

    @property
    def state(self) -> TrialState:
        if self.is_stopped:
            return TrialState.PRUNED
        return TrialState.FAIL if self.values is None else TrialState.COMPLETE


def write_study(study: ExportedStudy, trials: Sequence[ExportedTrial], storage: str) -> int:
    """Write trials into an Optuna storage, after those that are there already; how many were written.

    Raises:
        SpecError: the storage cannot be used.
        ResultsError: it has other trials under this name.
    """
    # A tenth of a second that a search need not spend.
    from sqlalchemy.exc import SQLAlchemyError

    distributions = {name: _distribution(parameter) for name, parameter in study.space.items()}
    try:
        with _quietly():
            target = optuna.create_study(
                storage=_storage(storage),
                study_name=study.name,
                directions=_directions(study.objectives),
                load_if_exists=True,
            )
        there = target.get_trials(deepcopy=False)
        _check_same(study.name, there, trials)
        for name, value in study.about.items():
            target.set_user_attr(name, value)
        for trial in trials[len(there) :]:
            target.add_trial(_frozen(trial, distributions))
    except (OSError, ImportError, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = " ".join(str(error).split())
        raise SpecError("--storage", f"{storage!r} cannot be used: {reason}", value=storage) from None
    return max(0, len(trials) - len(there))


def _storage(address: str) -> BaseStorage:
    if "://" in address:
        return RDBStorage(address)
    return JournalStorage(JournalFileBackend(address))


def _check_same(name: str, there: Sequence[FrozenTrial], trials: Sequence[ExportedTrial]) -> None:
    for old, new in zip(there, trials, strict=False):
        if old.params != new.params or (old.values is None) != (new.values is None):
            raise ResultsError(
                f"{name}: trial {old.number} in the storage is another one; use another storage"
            )


def _frozen(trial: ExportedTrial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    frozen = optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions={name: distributions[name] for name in trial.params},
        user_attrs={"reason": trial.reason} if trial.reason else {},
        constraints=trial.violations,
    )
    frozen.datetime_start, frozen.datetime_complete = trial.start, trial.end
    return frozen


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.choices)
    levels = n_levels(parameter)
    last = parameter.high if levels is None else level(parameter, levels - 1)
    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, float(last), log=parameter.log, step=parameter.step)
    return IntDistribution(parameter.low, int(last), log=parameter.log, step=parameter.step)
