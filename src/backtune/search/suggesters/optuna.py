"""Studies of Optuna, and trials written to its storages. The only module that imports it."""

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
from backtune.search.suggesters.backend_suggester import BackendStudy
from backtune.search.suggesters.suggester import SuggesterSetup
from backtune.space import Parameter, Params, Space
from backtune.spec import Objective

# The samplers by name, each built from a seed and a batch size. A generation is a batch: Optuna discards results
# beyond the population.
SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    # Without `multivariate`, several objectives would cost one fit per parameter.
    "tpe": lambda seed, _: TPESampler(seed=seed, multivariate=True, constant_liar=True),
    "cma-es": lambda seed, n: CmaEsSampler(seed=seed, popsize=n, warn_independent_sampling=False),
    "nsga2": lambda seed, n: NSGAIISampler(seed=seed, population_size=n),
    "random": lambda seed, _: RandomSampler(seed=seed),
    "qmc": lambda seed, _: _make_sobol_sampler(seed),
    # Imports torch, and only then.
    "gp": lambda seed, _: GPSampler(seed=seed, warn_independent_sampling=False),
}


class OptunaStudy(BackendStudy[optuna.Trial]):
    """A study of Optuna."""

    def __init__(self, setup: SuggesterSetup) -> None:
        sampler = SAMPLERS[setup.sampler](setup.seed, setup.batch_size)
        with _silence_log():
            self._study = optuna.create_study(sampler=sampler, directions=_directions(setup.objectives))

    def ask(self) -> optuna.Trial:
        trial = self._study.ask()
        # Gaussian processes divide by a spread of zero where all results are alike.
        with np.errstate(divide="ignore", invalid="ignore"):
            # Without a proposal of its own a sampler would not count an enqueued trial as a member of a generation.
            _ = trial.relative_params
        return trial

    def enqueue(self, params: Params) -> None:
        self._study.enqueue_trial(params)

    def tell(self, trial: optuna.Trial, values: tuple[float, ...] | None) -> None:
        if values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, values)


_verbosity_lock = threading.Lock()


@contextmanager
def _silence_log() -> Iterator[None]:
    """Keep Optuna from logging a line for each study, and restore its verbosity afterwards."""
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


def _make_sobol_sampler(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)


@dataclass(frozen=True)
class ExportedStudy:
    """A study as Optuna shows it.

    Attributes:
        name: The name of the study, unique in the storage.
        objectives: The metrics to maximize or to minimize.
        space: The parameters with their ranges.
        about: The user attributes of the study, as plain data.
    """

    name: str
    objectives: tuple[Objective, ...]
    space: Space
    about: dict[str, Any]


@dataclass(frozen=True)
class ExportedTrial:
    """A trial as Optuna shows it.

    Attributes:
        params: The active parameters.
        values: The objective values; None for a trial that failed or was stopped early.
        violations: The violation of each constraint, at most 0 where it holds.
        reason: The reason why the trial is not complete, else empty.
        start, end: Local times without a zone, as Optuna stores them.
        is_stopped: True if the trial was stopped early, which Optuna calls pruned.
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
    """Write trials into an Optuna storage, after those that are there already, and return the number written.

    Raises:
        SpecError: The storage cannot be used.
        ResultsError: The storage has other trials under this name.
    """
    # A tenth of a second that a search need not spend.
    from sqlalchemy.exc import SQLAlchemyError

    distributions = {name: _distribution(parameter) for name, parameter in study.space.items()}
    try:
        with _silence_log():
            target = optuna.create_study(
                storage=_open_storage(storage),
                study_name=study.name,
                directions=_directions(study.objectives),
                load_if_exists=True,
            )
        stored = target.get_trials(deepcopy=False)
        _check_same(study.name, stored, trials)
        for name, value in study.about.items():
            target.set_user_attr(name, value)
        for trial in trials[len(stored) :]:
            target.add_trial(_freeze_trial(trial, distributions))
    except (OSError, ImportError, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = " ".join(str(error).split())
        raise SpecError("--storage", f"{storage!r} cannot be used: {reason}", value=storage) from None
    return max(0, len(trials) - len(stored))


def _open_storage(address: str) -> BaseStorage:
    if "://" in address:
        return RDBStorage(address)
    return JournalStorage(JournalFileBackend(address))


def _check_same(name: str, stored: Sequence[FrozenTrial], trials: Sequence[ExportedTrial]) -> None:
    for old, new in zip(stored, trials, strict=False):
        if old.params != new.params or (old.values is None) != (new.values is None):
            raise ResultsError(
                f"{name}: trial {old.number} in the storage is another one; use another storage"
            )


def _freeze_trial(trial: ExportedTrial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
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
    scale = parameter.scale
    if scale is None:
        return CategoricalDistribution(parameter.ends())
    last = scale.high if scale.is_continuous else scale.level(scale.n_levels - 1)
    if not scale.is_whole:
        return FloatDistribution(scale.low, float(last), log=scale.is_log, step=scale.step)
    return IntDistribution(int(scale.low), int(last), log=scale.is_log, step=int(scale.step or 1))
