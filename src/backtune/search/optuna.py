"""Suggesters of Optuna. The only module that imports it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence

import optuna
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
from optuna.study import StudyDirection
from optuna.trial import TrialState

from backtune.search.suggest import FAILED, Setup, Suggester, Told, broken_rule
from backtune.space import Choice, Float, Parameter, Params, Value

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
        directions = [
            StudyDirection.MINIMIZE if goal.minimize else StudyDirection.MAXIMIZE for goal in setup.goals
        ]
        self._study = _create_quietly(SAMPLERS[setup.sampler](setup.seed, setup.batch_size), directions)
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
        asked = [self._accepted() for _ in range(n)]
        self._pending = [trial for trial, _ in asked]
        return [params for _, params in asked]

    def _accepted(self) -> tuple[optuna.Trial, Params]:
        """The next proposal that keeps the rules; after many that do not, a random candidate."""
        for i in range(self._setup.n_tries):
            trial, params = self._proposed()
            if self._setup.accepts(params):
                return trial, params
            self._tell(trial, broken_rule(len(self._setup.goals)) if i < self._setup.n_taught else FAILED)
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


def _create_quietly(sampler: BaseSampler, directions: Sequence[StudyDirection]) -> optuna.Study:
    """A study in memory, without the line that Optuna logs for each, and with its verbosity as it was."""
    with _verbosity_lock:
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
        try:
            return optuna.create_study(sampler=sampler, directions=directions)
        finally:
            optuna.logging.set_verbosity(verbosity)


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
